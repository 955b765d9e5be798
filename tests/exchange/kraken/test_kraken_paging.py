"""Pages of trades against the venue's own candles, and every trade once."""

import polars as pl
import pytest
from kraken_venue import FIRST_NS, STARTS_NS, Venue, with_venue

from exchange.kraken.client import MINUTES
from exchange.kraken.paging import TradeCursor, chart_candles, trade_chunks
from exchange.kraken.rebuild import Rebuild, as_columns
from exchange.sandbox.wire.faults import Fault
from trading.errors import CheckFailed

START = TradeCursor()


async def chunks_of(venue: Venue, pair: str, cursor: TradeCursor = START, until_ns: int = STARTS_NS):
    return [chunk async for chunk in trade_chunks(venue.client, pair, cursor, until_ns)]


def ids_of(chunks) -> list[int]:
    return [trade.trade_id for chunk in chunks for trade in chunk.trades]


@pytest.mark.parametrize("pair", ["BTC/USD", "DOGE/USD"])
def test_candles_rebuilt_from_trades_equal_the_venues_own(pair: str) -> None:
    async def use(venue: Venue):
        await venue.tell("/advance", by_s=400)
        rebuild = Rebuild()
        parts = [rebuild.add(as_columns(chunk.trades)) for chunk in await chunks_of(venue, pair, until_ns=2**62)]
        now_s = (await venue.client.server_time()).unixtime
        parts.append(rebuild.close(now_s * 10**9))
        return pl.concat(parts), {each: await venue.client.candles(pair, each) for each in MINUTES}

    rebuilt, listed = with_venue(use)
    for timeframe, candles in listed.items():
        ours = rebuilt.filter(pl.col("timeframe") == timeframe).sort("opened_ns")
        traded = [candle for candle in candles.closed if candle.trades]
        assert len(traded) > 2
        assert ours["opened_ns"].to_list() == [candle.opened_s * 10**9 for candle in traded]
        for field in ("open", "high", "low", "close", "volume", "trades"):
            assert ours[field].to_list() == [getattr(candle, field) for candle in traded], (timeframe, field)


def test_pages_to_the_end_have_every_trade_once() -> None:
    chunks = with_venue(lambda venue: chunks_of(venue, "BTC/USD"))
    ids = ids_of(chunks)
    assert len(chunks) > 3
    assert ids == list(range(1, len(ids) + 1))


def test_goes_on_after_any_page_without_gap_or_repetition() -> None:
    async def use(venue: Venue):
        whole = await chunks_of(venue, "BTC/USD")
        return whole, [await chunks_of(venue, "BTC/USD", chunk.cursor) for chunk in whole[:3]]

    whole, rests = with_venue(use)
    for place, rest in enumerate(rests):
        assert ids_of(whole[: place + 1]) + ids_of(rest) == ids_of(whole)


def test_finds_nothing_new_behind_the_last_trade() -> None:
    async def use(venue: Venue):
        last = (await chunks_of(venue, "BTC/USD"))[-1].cursor
        return await chunks_of(venue, "BTC/USD", last)

    assert with_venue(use) == []


def test_stops_at_the_page_that_reaches_the_time_asked_for() -> None:
    until_ns = FIRST_NS + 86_400 * 10**9
    chunks = with_venue(lambda venue: chunks_of(venue, "BTC/USD", until_ns=until_ns))
    times_ns = [int(trade.traded_s * 10**9) for chunk in chunks for trade in chunk.trades]
    assert until_ns <= times_ns[-1] < STARTS_NS
    assert times_ns[-1000] < until_ns


def test_faults_between_pages_lose_and_repeat_nothing() -> None:
    faults = [
        Fault("reset", "spot_rest", match="Trades", nth=2),
        Fault("server_error", "spot_rest", match="Trades", nth=4),
        Fault("unavailable", "spot_rest", match="Trades", nth=5, times=2),
    ]
    ids = ids_of(with_venue(lambda venue: chunks_of(venue, "BTC/USD"), faults=faults))
    assert ids == list(range(1, len(ids) + 1))


def test_says_so_when_a_page_does_not_join_the_one_before() -> None:
    wrong = TradeCursor(FIRST_NS, last_id=999_999)
    with pytest.raises(CheckFailed, match="lack the trade 999999"):
        with_venue(lambda venue: chunks_of(venue, "BTC/USD", wrong))


def test_charts_longer_than_a_page_come_whole() -> None:
    async def use(venue: Venue):
        from_s, until_s = FIRST_NS // 10**9, FIRST_NS // 10**9 + 2_100 * 900
        pages = chart_candles(venue.client, "mark", "PF_XBTUSD", "15m", from_s, until_s)
        return [[candle.time for candle in page] async for page in pages]

    first, second = with_venue(use, quarters=2_100)
    opened_ms = first + second
    assert len(first) == 2_000
    assert opened_ms == list(range(opened_ms[0], opened_ms[-1] + 1, 900_000))


def test_a_span_that_is_empty_asks_for_nothing() -> None:
    async def use(venue: Venue):
        return [page async for page in chart_candles(venue.client, "trade", "PF_XBTUSD", "1h", 10, 9)]

    assert with_venue(use) == []
