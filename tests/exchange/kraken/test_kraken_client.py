"""The public client against a running sandbox: replies, spellings, faults."""

import asyncio
from decimal import Decimal

import pytest
from kraken_venue import FIRST_NS, ONCE, STARTS_NS, Venue, with_venue

from exchange.kraken.budget import Budget
from exchange.kraken.client import Patience, PublicClient, Urls
from exchange.kraken.failures import RateLimited, RequestRefused
from exchange.kraken.parse import closed_of_chart
from exchange.sandbox.wire.faults import Fault
from ops.clock import SystemClock
from trading.errors import ExchangeUnavailable, InputUnusable

STARTS_S = STARTS_NS // 10**9


class MarketClock:
    """The sandbox's own time."""

    def __init__(self, market) -> None:
        self._market = market

    def now(self) -> int:
        return self._market.now_ns // 1000

    def sleep_until(self, at: int) -> None:
        raise AssertionError("this would hold up the event loop")


def asked(use, **options):
    """What `use` gets from the client of a fresh venue."""
    return with_venue(lambda venue: use(venue.client), **options)


# --- spot


def test_reads_status_and_time() -> None:
    async def use(client: PublicClient):
        return await client.system_status(), await client.server_time()

    status, time = asked(use)
    assert (status.status, time.unixtime) == ("online", STARTS_S)


def test_reads_pairs_with_exact_decimals() -> None:
    bitcoin, doge = asked(lambda client: client.asset_pairs())
    assert (bitcoin.instrument, doge.instrument) == ("BTC/USD", "DOGE/USD")
    assert (str(bitcoin.ordermin), str(bitcoin.tick_size), bitcoin.lot_decimals) == ("0.00005", "0.1", 8)


@pytest.mark.parametrize("spelling", ["XBTUSD", "XXBTZUSD", "BTCUSD", "BTC/USD", "XBT/USD", "xbtusd"])
def test_reads_candles_and_trades_by_any_spelling(spelling: str) -> None:
    async def use(client: PublicClient):
        return await client.candles(spelling, "1d"), await client.trade_page(spelling, FIRST_NS)

    candles, page = asked(use)
    assert candles.instrument == page.instrument == "BTC/USD"
    assert len(candles.closed) == 3
    assert len(page.trades) == 1000


@pytest.mark.parametrize("spelling", ["XDGUSD", "DOGE/USD", "XDG/USD"])
def test_reads_doge_by_any_spelling(spelling: str) -> None:
    assert asked(lambda client: client.candles(spelling, "4h")).instrument == "DOGE/USD"


def test_says_which_name_is_no_pair() -> None:
    with pytest.raises(InputUnusable, match="'BITCOIN' is no spot pair"):
        asked(lambda client: client.candles("BITCOIN", "1h"))


def test_a_pair_that_the_venue_does_not_know_is_refused_at_once() -> None:
    async def use(venue: Venue):
        with pytest.raises(RequestRefused) as caught:
            await venue.client.candles("PEPE/USD", "1h")
        return caught.value.word, venue.budget.snapshot()["all"]["calls"]

    assert with_venue(use) == ("EQuery:Unknown asset pair", 1)


def test_the_forming_candle_is_never_among_the_closed_ones() -> None:
    async def use(venue: Venue):
        seen = []
        for _ in range(3):
            await venue.tell("/advance", by_s=450)
            now_s = (await venue.client.server_time()).unixtime
            seen.append((now_s, await venue.client.candles("DOGE/USD", "15m")))
        return seen

    for now_s, candles in with_venue(use):
        assert candles.forming is not None
        assert candles.forming.opened_s <= now_s < candles.forming.opened_s + 900
        assert all(candle.opened_s + 900 <= now_s for candle in candles.closed)
        assert candles.closed[-1].opened_s == candles.last_closed_s == candles.forming.opened_s - 900


def test_asks_for_candles_after_a_time_only() -> None:
    candles = asked(lambda client: client.candles("BTC/USD", "15m", STARTS_S - 3 * 900))
    assert [candle.opened_s for candle in candles.closed] == [STARTS_S - 2 * 900, STARTS_S - 900]


# --- futures


def test_reads_contracts_and_tickers() -> None:
    async def use(client: PublicClient):
        return await client.instruments(), await client.tickers()

    contracts, tickers = asked(use)
    assert [contract.symbol for contract in contracts] == ["PF_XBTUSD", "PF_DOGEUSD"]
    assert contracts[1].tick_size == Decimal("0.00001")
    assert contracts[0].margin_levels[0].initial_margin == Decimal("0.01")
    assert tickers[0].last is not None
    assert tickers[0].vol24h is not None
    assert tickers[0].last_time is not None


def test_a_halted_contract_has_a_ticker_without_prices() -> None:
    async def use(venue: Venue):
        await venue.tell("/suspend", instruments=["PF_XBTUSD"])
        return await venue.client.tickers()

    halted, open_ = with_venue(use)
    assert (halted.suspended, halted.last, halted.bid) == (True, None, None)
    assert open_.bid is not None


@pytest.mark.parametrize("symbol", ["PF_XBTUSD", "pf_xbtusd"])
def test_reads_funding_rates_hour_by_hour(symbol: str) -> None:
    rates = asked(lambda client: client.funding_rates(symbol))
    hours = [rate.timestamp for rate in rates]
    assert hours == sorted(hours)
    assert all(isinstance(rate.relative_funding_rate, Decimal) for rate in rates)


@pytest.mark.parametrize("chart", ["trade", "mark", "spot"])
def test_reads_every_chart_and_knows_which_candles_are_closed(chart) -> None:
    page = asked(lambda client: client.chart_page(chart, "PF_XBTUSD", "1h", FIRST_NS // 10**9, STARTS_S))
    opened_ms = [candle.time for candle in page.candles]
    assert opened_ms == sorted(opened_ms)
    closed = closed_of_chart(page.candles, 60, STARTS_S * 1000 - 1)
    assert [candle.time for candle in closed] == [ms for ms in opened_ms if ms <= STARTS_S * 1000 - 1 - 3_600_000]


def test_a_contract_that_does_not_exist_is_refused() -> None:
    async def use(client: PublicClient) -> None:
        with pytest.raises(RequestRefused, match="Argument invalid: symbol"):
            await client.funding_rates("PF_NONE")
        with pytest.raises(RequestRefused, match="Invalid instrument"):
            await client.chart_page("trade", "PF_NONE", "1h", 0, 1)

    asked(use)


# --- faults

SPOT, FUTURES = "spot_rest", "futures_rest"
PASSING = ("too_many_requests", "server_error", "unavailable", "reset", "close")


@pytest.mark.parametrize("kind", PASSING)
@pytest.mark.parametrize("side", [SPOT, FUTURES])
def test_rides_out_a_fault_that_passes(kind, side) -> None:
    async def use(client: PublicClient):
        return await (client.candles("BTC/USD", "1h") if side == SPOT else client.tickers())

    assert asked(use, faults=[Fault(kind, side, times=2)])


@pytest.mark.parametrize("kind", PASSING)
@pytest.mark.parametrize("side", [SPOT, FUTURES])
def test_a_fault_that_stays_ends_as_unavailable(kind, side) -> None:
    async def use(venue: Venue):
        ask = venue.client.server_time if side == SPOT else venue.client.instruments
        with pytest.raises(ExchangeUnavailable) as caught:
            await ask()
        return caught.value, venue.budget.snapshot()["all"]

    error, numbers = with_venue(use, faults=[Fault(kind, side, times=None)])
    assert isinstance(error, RateLimited) == (kind == "too_many_requests")
    assert numbers["calls"] == 3
    assert numbers["refused"] == (3 if kind == "too_many_requests" else 0)


@pytest.mark.parametrize("kind", ["half_open", "delay"])
def test_silence_ends_as_unavailable(kind) -> None:
    with pytest.raises(ExchangeUnavailable, match="no answer"):
        asked(
            lambda client: client.server_time(),
            patience=Patience(timeout_s=0.3, attempts=1),
            faults=[Fault(kind, SPOT, delay_s=60.0)],
        )


def test_the_venues_own_refusal_of_too_many_calls_is_a_rate_limit() -> None:
    async def use(venue: Venue) -> None:
        # Others at the same address have used up what there was.
        urls = Urls(venue.sandbox.urls.spot_rest, venue.sandbox.urls.futures_rest)
        for _ in range(15):
            async with PublicClient(urls, Budget(SystemClock()), ONCE) as other:
                await other.server_time()
        with pytest.raises(RateLimited, match="Rate limit exceeded"):
            await venue.client.server_time()

    with_venue(use, patience=ONCE, has_limits=True)


def test_the_budget_keeps_the_venue_from_ever_refusing() -> None:
    async def use(venue: Venue):
        calls = [venue.client.server_time() for _ in range(20)]
        calls += [venue.client.candles(pair, "1h") for pair in ("BTC/USD", "DOGE/USD") for _ in range(20)]
        await asyncio.gather(*calls)
        return venue.budget.snapshot()["all"]

    numbers = with_venue(use, clock=MarketClock, speed=40.0, has_limits=True, patience=ONCE)
    assert (numbers["calls"], numbers["refused"]) == (60, 0)


def test_maintenance_is_unavailable() -> None:
    async def use(venue: Venue) -> None:
        await venue.tell("/status", status="maintenance")
        assert (await venue.client.system_status()).status == "maintenance"
        for ask in (venue.client.asset_pairs, venue.client.tickers):
            with pytest.raises(ExchangeUnavailable, match="navailable"):
                await ask()

    with_venue(use, patience=ONCE)


def test_a_venue_that_is_not_there_is_unavailable() -> None:
    async def use() -> None:
        nowhere = Urls("http://127.0.0.1:9", "http://127.0.0.1:9")
        async with PublicClient(nowhere, Budget(SystemClock()), ONCE) as client:
            with pytest.raises(ExchangeUnavailable, match=r"Time: no answer"):
                await client.server_time()

    asyncio.run(use())
