"""Spans longer than one reply, page by page. Every page comes with what is needed to go on after it."""

from collections.abc import AsyncIterator
from typing import NamedTuple

from exchange.kraken.client import MINUTES, TRADES_PER_PAGE, Chart, PublicClient, Timeframe
from exchange.kraken.payloads import ChartCandle, Trade, TradePage
from trading.errors import CheckFailed


class TradeCursor(NamedTuple):
    """Where to go on: trades after `after_ns`, of which those up to the trade `last_id` are known already."""

    after_ns: int = 0
    last_id: int | None = None  # None: nothing is known yet


class TradeChunk(NamedTuple):
    """New trades, in the venue's order, and the cursor behind them."""

    trades: tuple[Trade, ...]
    cursor: TradeCursor


async def trade_chunks(
    client: PublicClient, pair: str, cursor: TradeCursor, until_ns: int
) -> AsyncIterator[TradeChunk]:
    """Every trade from a cursor on, each once, until a page reaches `until_ns` or the present.

    Pages overlap: the next one begins a nanosecond before the last trade, because several trades can share their
    nanosecond, and because a last trade that is met again proves that none was lost in between. The last chunk may go
    past `until_ns`. Raises CheckFailed: the last trade was not met again, or a nanosecond has more trades than a page.
    """
    while True:
        page = await client.trade_page(pair, cursor.after_ns)
        trades = _new(page, cursor)
        if not trades:
            _assert_end(page)
            return
        cursor = TradeCursor(page.last_ns - 1, trades[-1].trade_id)
        yield TradeChunk(trades, cursor)
        if len(page.trades) < TRADES_PER_PAGE or page.last_ns >= until_ns:
            return


async def chart_candles(
    client: PublicClient, chart: Chart, symbol: str, timeframe: Timeframe, from_s: int, until_s: int
) -> AsyncIterator[tuple[ChartCandle, ...]]:
    """Candles of a contract that opened from one second to the other, both included, page by page.

    The newest may still be forming: `parse.closed_of_chart` says which are closed. Raises CheckFailed: the venue says
    that there are more candles, and gives none that are newer.
    """
    while from_s <= until_s:
        page = await client.chart_page(chart, symbol, timeframe, from_s, until_s)
        if page.candles:
            yield page.candles
        if not page.has_more:
            return
        newest_s = page.candles[-1].time // 1000 if page.candles else from_s - 1
        if newest_s < from_s:
            raise CheckFailed(f"Chart {chart} of {symbol}: more candles after {from_s} s are promised, none came.")
        from_s = newest_s + MINUTES[timeframe] * 60


def _new(page: TradePage, cursor: TradeCursor) -> tuple[Trade, ...]:
    if cursor.last_id is None:
        return page.trades
    for place, trade in enumerate(page.trades):
        if trade.trade_id == cursor.last_id:
            return page.trades[place + 1 :]
    raise CheckFailed(
        f"Trades of {page.instrument} after {cursor.after_ns} ns lack the trade {cursor.last_id}, which was there "
        "before: trades may be lost between pages. Fetch again from an earlier cursor."
    )


def _assert_end(page: TradePage) -> None:
    if len(page.trades) >= TRADES_PER_PAGE:
        raise CheckFailed(
            f"{page.instrument} has a whole page of trades in one nanosecond, {page.last_ns}: no cursor passes it. "
            "Take this stretch from the venue's archive."
        )
