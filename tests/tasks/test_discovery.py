"""Discovery against a sandbox, from the venue's replies to tables and alerts; the incident I20 by number."""

import asyncio
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest
from aiohttp import web

from config.settings import Settings, Universe, load_settings
from exchange.sandbox.market.facts import listed
from exchange.sandbox.market.market import Market
from exchange.sandbox.market.model import SourceCandle
from exchange.sandbox.server import Sandbox
from ops.clock import SystemClock
from ops.journal import Entry, Journal, JournalReader, Kind
from tasks.facts import of_discovery
from tasks.stages import build_all
from tasks.startup import was_told
from tasks.universe.discovery import DiscoveryReport, discover
from trading.errors import CheckFailed, ExchangeUnavailable, InputUnusable, SetupFailed
from warehouse.connection import unit_of_work

INSTRUMENTS = ("AVAX/USD", "BTC/USD", "DOGE/USD", "ETH/USD", "SOL/USD")
SYMBOLS = tuple(contract.symbol for contract in listed(INSTRUMENTS)[1])
PRICE = 1_000_000  # in the ticks of each pair
FIRST_NS = 1_795_132_800 * 10**9  # 2026-11-20T00:00:00Z
QUARTER_NS = 900 * 10**9
QUARTERS = 4  # of an hour, that are history
LOOSE = Universe(quotes=("USD",), min_volume_24h_usd=Decimal(0), max_spread_bps=Decimal(100), include=(), exclude=())


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("SLIPWAY_HOME", str(tmp_path))
    return load_settings().model_copy(update={"universe": LOOSE})


class Venue:
    """A running sandbox, and discoveries of it from another thread, as a flow makes them."""

    def __init__(self, settings: Settings, sandbox: Sandbox) -> None:
        self.settings = settings
        self.sandbox = sandbox

    async def look(self, settings: Settings | None = None, **options: Any) -> DiscoveryReport:
        return await asyncio.to_thread(discover, settings or self.settings, "sandbox", **options)

    async def look_without(self, *names: str, **options: Any) -> DiscoveryReport:
        """A look at lists in which these are missing."""
        self.sandbox.operation.hide(names)
        try:
            return await self.look(**options)
        finally:
            self.sandbox.operation.hide(names, is_hidden=False)


def with_venue(settings: Settings, use: Callable[[Venue], Any]) -> Any:
    async def run() -> Any:
        pairs, contracts = listed(INSTRUMENTS)
        starts_ns = FIRST_NS + QUARTERS * QUARTER_NS
        market = Market(candles(), pairs=pairs, contracts=contracts, seed=3, starts_ns=starts_ns)
        async with Sandbox(market, speed=None, has_limits=False) as sandbox:
            tell_addresses(settings, sandbox.urls.spot_rest, sandbox.urls.futures_rest)
            return await use(Venue(settings, sandbox))

    return asyncio.run(asyncio.wait_for(run(), 120))


def candles() -> Any:
    chance = Random(7)
    for quarter in range(QUARTERS + 1):
        for instrument in INSTRUMENTS:
            close = PRICE + chance.randint(-300, 300)
            high, low = max(PRICE, close) + 10, min(PRICE, close) - 10
            opened_ns = FIRST_NS + quarter * QUARTER_NS
            yield SourceCandle(instrument, opened_ns, QUARTER_NS, PRICE, high, low, close, 10**9, 5)


def tell_addresses(settings: Settings, spot: str, futures: str) -> None:
    settings.paths.state.mkdir(parents=True, exist_ok=True)
    (settings.paths.state / "sandbox.json").write_text(json.dumps({"spot_rest": spot, "futures_rest": futures}))


def rows(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
        return warehouse.execute(query).fetchall()


def stored(settings: Settings) -> list[int]:
    tables = ("discoveries", "market_lists", "asset_pairs", "contracts", "universe")
    return list(rows(settings, f"select {', '.join(f'(select count(*) from raw.{table})' for table in tables)}")[0])


def alerts(settings: Settings) -> list[dict[str, Any]]:
    path = settings.paths.journals / "universe.sqlite"
    if not path.is_file():
        return []
    with JournalReader(path) as journal:
        return [row.values for row in journal.rows(kinds=[Kind.ALERT])]


def hold(settings: Settings, instrument: str, *fills: tuple[int, int], name: str = "paper-0a1b2c3d") -> None:
    """A session's journal with these fills, (side, lots)."""
    settings.paths.journals.mkdir(parents=True, exist_ok=True)
    with Journal(settings.paths.journals / f"{name}.sqlite", holder="a test", clock=SystemClock()) as journal:
        for side, lots in fills:
            payload = {"event": "fill", "side": side, "lots": lots, "price": 1}
            journal.append([Entry(Kind.EVENT, 1, instrument, None, payload)])


# --- what is found


def test_pairs_every_spot_market_with_its_perpetual_and_keeps_it(settings: Settings) -> None:
    report = with_venue(settings, lambda venue: venue.look())
    assert of_discovery(report)["in the universe"] == "5"
    assert (report.seen.members, report.doubts, report.is_new) == (set(INSTRUMENTS), (), True)
    build_all(settings)
    assert rows(settings, "select instrument, contract, is_member, reasons from marts.universe order by 1") == [
        ("AVAX/USD", "PF_AVAXUSD", True, ""),
        ("BTC/USD", "PF_XBTUSD", True, ""),
        ("DOGE/USD", "PF_DOGEUSD", True, ""),
        ("ETH/USD", "PF_ETHUSD", True, ""),
        ("SOL/USD", "PF_SOLUSD", True, ""),
    ]
    assert rows(
        settings,
        "select source, instrument, tick_size, lot_size, maximum_position, is_tradeable, valid_to from marts.contracts"
        " where contract = 'PF_DOGEUSD'",
    ) == [("sandbox-rest", "DOGE/USD", Decimal("0.00001"), Decimal(1), Decimal(200_000_000), True, None)]
    assert rows(
        settings, "select from_size, initial_margin from marts.margin_levels where contract = 'PF_XBTUSD' order by 1"
    )[:2] == [(Decimal(0), Decimal("0.01")), (Decimal(1_000_000), Decimal("0.02"))]
    assert rows(
        settings, "select instrument, ordermin, tick_size from raw.asset_pairs where instrument = 'BTC/USD'"
    ) == [("BTC/USD", Decimal("0.00005"), Decimal("0.1"))]


def test_the_thresholds_of_the_settings_decide(settings: Settings) -> None:
    async def use(venue: Venue) -> list[frozenset[str]]:
        strict = LOOSE.model_copy(update={"min_volume_24h_usd": Decimal(10**12), "include": ("BTC/USD",)})
        narrow = LOOSE.model_copy(update={"max_spread_bps": Decimal("0.000001"), "exclude": ("BTC/USD",)})
        looks = [
            await venue.look(settings.model_copy(update={"universe": chosen}), shrink_is_believed=True)
            for chosen in (strict, narrow)
        ]
        return [look.seen.members for look in looks]

    assert with_venue(settings, use) == [{"BTC/USD"}, set()]
    build_all(settings)
    said = dict(rows(settings, "select instrument, reasons from marts.universe"))
    assert said["BTC/USD"] == "excluded by the settings; spread above 0.000001 bps"


def test_looking_again_at_the_same_market_stores_nothing(settings: Settings) -> None:
    async def use(venue: Venue) -> tuple[list[int], DiscoveryReport]:
        await venue.look()
        return stored(settings), await venue.look()

    before, again = with_venue(settings, use)
    assert not again.is_new
    assert stored(settings) == before
    assert again.sentences[0].endswith("Nothing has changed since the look before.")


def test_a_delisting_of_a_few_is_accepted_and_recorded_and_so_is_a_return(settings: Settings) -> None:
    async def use(venue: Venue) -> list[DiscoveryReport]:
        return [await venue.look(), await venue.look_without("ETH/USD", "PF_ETHUSD", "PF_SOLUSD"), await venue.look()]

    first, without, after = with_venue(settings, use)
    assert without.doubts == ()
    assert "Delisted: ETH/USD, PF_ETHUSD, PF_SOLUSD." in without.sentences
    assert "Out of the universe: ETH/USD, SOL/USD." in without.sentences
    assert "Newly listed: ETH/USD, PF_ETHUSD, PF_SOLUSD." in after.sentences
    assert alerts(settings) == []
    build_all(settings)
    assert rows(
        settings,
        "select instrument, listed_at, delisted_at from marts.listings"
        " where instrument in ('BTC/USD', 'ETH/USD') order by instrument, listed_at",
    ) == [
        ("BTC/USD", first.fetched_at, None),
        ("ETH/USD", first.fetched_at, without.fetched_at),
        ("ETH/USD", after.fetched_at, None),
    ]


# --- what is not believed


@pytest.mark.parametrize("missing", [("BTC/USD", "ETH/USD", "SOL/USD"), ("PF_XBTUSD", "PF_ETHUSD", "PF_DOGEUSD")])
def test_i20_a_shrink_of_more_than_half_is_refused_and_alerted(settings: Settings, missing: tuple[str, ...]) -> None:
    async def use(venue: Venue) -> tuple[DiscoveryReport, DiscoveryReport]:
        return await venue.look(), await venue.look_without(*missing)

    first, refused = with_venue(settings, use)
    assert "3 of 5" in refused.doubts[0]
    assert of_discovery(refused)["refused"] == refused.doubts[0]
    with pytest.raises(CheckFailed, match="stays in force, 5 pairs"):
        refused.refuse_doubted()
    build_all(settings)
    assert rows(settings, "select count(*), max(fetched_at) from marts.universe where is_member") == [
        (5, first.fetched_at)
    ]
    assert rows(settings, "select count(*) from marts.listings where delisted_at is not null") == [(0,)]
    assert rows(settings, "select state, doubts from raw.discoveries order by discovery_id") == [
        ("accepted", ""),
        ("refused", refused.doubts[0]),
    ]
    (alert,) = alerts(settings)
    assert (alert["severity"], alert["title"]) == ("warning", "universe refused: sandbox-rest")
    assert refused.doubts[0] in alert["body"]


def test_i20_whole_lists_in_which_nothing_can_be_traded_any_more_are_refused(settings: Settings) -> None:
    async def use(venue: Venue) -> DiscoveryReport:
        await venue.look()
        venue.sandbox.operation.suspend(SYMBOLS[:3])
        return await venue.look()

    report = with_venue(settings, use)
    assert report.doubts[0].startswith("3 of 5 members of the universe are out at once: ")
    assert len(alerts(settings)) == 1


def test_i20_refusals_in_a_row_are_one_alert_and_the_next_row_another(settings: Settings) -> None:
    async def use(venue: Venue) -> list[int]:
        counts = []
        for missing in ((), INSTRUMENTS[:3], INSTRUMENTS[:4], (), INSTRUMENTS[:3]):
            await venue.look_without(*missing)
            counts.append(len(alerts(settings)))
        return counts

    assert with_venue(settings, use) == [0, 1, 1, 1, 2]


def test_i20_a_market_with_an_open_position_that_is_missing_is_refused_and_critical(settings: Settings) -> None:
    hold(settings, "BTC/USD", (1, 5), (-1, 3))
    hold(settings, "ETH/USD", (-1, 4), (1, 4))  # closed

    async def use(venue: Venue) -> list[DiscoveryReport]:
        return [await venue.look(), await venue.look_without("PF_XBTUSD"), await venue.look_without("PF_ETHUSD")]

    accepted, refused, closed = with_venue(settings, use)
    assert (accepted.doubts, closed.doubts) == ((), ())
    assert refused.doubts == ("PF_XBTUSD is not listed, and there is an open position in it (journal paper-0a1b2c3d).",)
    (alert,) = alerts(settings)
    assert alert["severity"] == "critical"


def test_i20_refusals_become_critical_when_a_position_is_opened_meanwhile(settings: Settings) -> None:
    async def use(venue: Venue) -> list[list[str]]:
        told = []
        for look in range(5):
            if look == 2:
                hold(settings, "BTC/USD", (1, 5))
            await (venue.look() if look in {0, 4} else venue.look_without(*INSTRUMENTS[2:]))
            told.append([alert["severity"] for alert in alerts(settings)])
        return told

    both = ["warning", "critical"]
    assert with_venue(settings, use) == [[], ["warning"], both, both, both]


def test_i20_a_position_opened_after_the_refusals_makes_them_no_graver(settings: Settings) -> None:
    async def use(venue: Venue) -> None:
        await venue.look()
        await venue.look_without(*INSTRUMENTS[2:])
        hold(settings, "BTC/USD", (1, 5))
        await venue.look()

    with_venue(settings, use)
    assert [alert["severity"] for alert in alerts(settings)] == ["warning"]


def test_i20_refusals_of_which_an_alert_told_fail_the_run_without_another(settings: Settings) -> None:
    async def use(venue: Venue) -> DiscoveryReport:
        await venue.look()
        return await venue.look_without(*INSTRUMENTS[2:])

    with pytest.raises(CheckFailed) as refused:
        with_venue(settings, use).refuse_doubted()
    assert was_told(refused.value)


def test_i20_empty_lists_are_refused_even_at_the_first_look(settings: Settings) -> None:
    report = with_venue(settings, lambda venue: venue.look_without(*INSTRUMENTS, *SYMBOLS, shrink_is_believed=True))
    assert len(report.doubts) == 3
    assert report.sentences[-1] == "There is no universe yet."
    assert len(alerts(settings)) == 1


def test_a_person_can_say_that_a_shrink_is_real(settings: Settings) -> None:
    async def use(venue: Venue) -> DiscoveryReport:
        await venue.look()
        await venue.look_without(*INSTRUMENTS[:3])
        return await venue.look_without(*INSTRUMENTS[:3], shrink_is_believed=True)

    report = with_venue(settings, use)
    assert (report.doubts, len(report.seen.members)) == ((), 2)


def test_a_refusal_that_a_kill_kept_from_being_told_is_told_by_the_next_look(settings: Settings) -> None:
    async def use(venue: Venue) -> None:
        await venue.look()
        await venue.look_without(*INSTRUMENTS[:3])
        (settings.paths.journals / "universe.sqlite").unlink()  # as if it had been killed before
        await venue.look()

    with_venue(settings, use)
    assert len(alerts(settings)) == 1


# --- what is no answer


async def serve(replies: dict[str, Any]) -> tuple[web.AppRunner, str]:
    """A venue that says just this, by the last part of the path."""
    application = web.Application()

    async def answer(request: web.Request) -> web.Response:
        return web.json_response(replies[request.path.rpartition("/")[2]])

    application.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"


PAIR = {
    "altname": "XBTUSD", "wsname": "XBT/USD", "base": "XXBT", "quote": "ZUSD", "pair_decimals": 1, "lot_decimals": 8,
    "cost_decimals": 5, "status": "online", "ordermin": "0.00005", "costmin": "0.5", "tick_size": "0.1",
}  # fmt: skip
CONTRACT = {
    "symbol": "PF_XBTUSD", "type": "flexible_futures", "tradeable": True, "tickSize": 1, "contractSize": 1,
    "contractValueTradePrecision": 4, "base": "BTC", "quote": "USD", "pair": "BTC:USD",
    "marginSchedules": {
        "EEA": {"retail": [{"numNonContractUnits": 0, "initialMargin": 0.1, "maintenanceMargin": 0.05}]}
    },
}  # fmt: skip
INVERSE = {
    **CONTRACT, "symbol": "PI_XBTUSD", "type": "futures_inverse",
    "marginLevels": [{"contracts": 500_000, "initialMargin": 0.04, "maintenanceMargin": 0.02}],
}  # fmt: skip
DATED = {**CONTRACT, "symbol": "FF_XBTUSD_261225", "lastTradingTime": "2026-12-25T08:00:00Z"}
TICKER = {"symbol": "pf_xbtusd", "bid": 90000, "ask": 90001, "vol24h": 2, "markPrice": 90000.5}


def replies(pairs: Any = (PAIR,), contracts: Any = (CONTRACT,), tickers: Any = (TICKER,)) -> dict[str, Any]:
    now = {"result": "success", "serverTime": "2026-11-22T23:00:00.000Z"}
    return {
        "AssetPairs": {"error": [], "result": {str(number): pair for number, pair in enumerate(pairs)}},
        "instruments": {**now, "instruments": contracts},
        "tickers": {**now, "tickers": tickers},
    }


def look_at(settings: Settings, said: dict[str, Any]) -> DiscoveryReport:
    async def run() -> DiscoveryReport:
        runner, url = await serve(said)
        try:
            tell_addresses(settings, url, url)
            return await asyncio.to_thread(discover, settings, "sandbox")
        finally:
            await runner.cleanup()

    return asyncio.run(asyncio.wait_for(run(), 60))


def test_reads_margin_schedules_and_takes_neither_inverse_nor_dated_contracts(settings: Settings) -> None:
    unlike_ours = {**PAIR, "altname": "XBTUSD.d", "wsname": None}
    others = [TICKER, {"symbol": "PI_XBTUSD"}, {"symbol": "in_xbtusd"}]
    report = look_at(settings, replies([PAIR, unlike_ours], [INVERSE, DATED, CONTRACT], others))
    (candidate,) = report.candidates
    assert (candidate.contract, candidate.volume_24h_usd, candidate.reasons) == ("PF_XBTUSD", Decimal(180_001), ())
    build_all(settings)
    levels = "select contract, schedule, unit, from_size, maintenance_margin from marts.margin_levels order by all"
    assert rows(settings, levels) == [
        ("FF_XBTUSD_261225", "EEA/retail", "notional", Decimal(0), Decimal("0.05")),
        ("PF_XBTUSD", "EEA/retail", "notional", Decimal(0), Decimal("0.05")),
        ("PI_XBTUSD", "EEA/retail", "notional", Decimal(0), Decimal("0.05")),
        ("PI_XBTUSD", "all", "contracts", Decimal(500_000), Decimal("0.02")),
    ]
    assert rows(settings, "select market, instrument from marts.listings order by all") == [
        ("futures", "FF_XBTUSD_261225"), ("futures", "PF_XBTUSD"), ("futures", "PI_XBTUSD"), ("spot", "BTC/USD"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (replies(pairs=[{**PAIR, "tick_size": "cheap"}]), "AssetPairs"),
        (replies(contracts=[{**CONTRACT, "tradeable": None}]), "instruments"),
        (replies(contracts=[CONTRACT, CONTRACT]), "PF_XBTUSD twice"),
        (replies(contracts=[{**CONTRACT, "tickSize": 1e30}]), "tick_size of PF_XBTUSD"),
        (replies(tickers=[{**TICKER, "bid": "none"}]), "tickers"),
        ({**replies(), "tickers": {"result": "success"}}, "tickers"),
    ],
    ids=["a word for a number", "a field that is null", "a contract twice", "a huge number", "a bad ticker", "no list"],
)
def test_nothing_is_stored_of_an_answer_that_is_not_the_protocol_s(
    settings: Settings, said: dict[str, Any], error: str
) -> None:
    hasty = settings.venues["sandbox"].model_copy(update={"attempts": 1})
    with pytest.raises((InputUnusable, ExchangeUnavailable), match=error):
        look_at(settings.model_copy(update={"venues": {"sandbox": hasty}}), said)
    if settings.paths.build.is_file():
        assert stored(settings) == [0, 0, 0, 0, 0]


def test_says_that_no_sandbox_runs(settings: Settings) -> None:
    with pytest.raises(SetupFailed, match="No sandbox is running"):
        discover(settings, "sandbox")
