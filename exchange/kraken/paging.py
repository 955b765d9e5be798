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
    """Every trade from a cursor on, each once, until a page reaches `until_ns` or brings nothing new.

    Pages overlap: the next one begins a nanosecond before the last trade, because several trades can share their
    nanosecond, and because a last trade that is met again proves that none was lost in between. A short page is not
    believed to be the last: another one must say so too. The last chunk may go past `until_ns`.

    Raises CheckFailed: a page goes back in time or lacks the last trade, or a nanosecond has more trades than a page.
    """
    while True:
        page = await client.trade_page(pair, cursor.after_ns)
        trades = _new(page, cursor)
        if not trades:
            _assert_end(page)
            return
        cursor = TradeCursor(page.last_ns - 1, trades[-1].trade_id)
        yield TradeChunk(trades, cursor)
        if page.last_ns >= until_ns:
            return


async def chart_candles(
    client: PublicClient, chart: Chart, symbol: str, timeframe: Timeframe, from_s: int, until_s: int
) -> AsyncIterator[tuple[ChartCandle, ...]]:
    """Candles of a contract that opened from one second to the other, both included, page by page.

    The newest may still be forming: `parse.closed_of_chart` says which are closed. Raises CheckFailed: a page has other
    candles than were asked for or does not rise, or the venue says that there are more and gives none.
    """
    while from_s <= until_s:
        page = await client.chart_page(chart, symbol, timeframe, from_s, until_s)
        place = f"Chart {chart} of {symbol} {timeframe}"
        if page.candles:
            refuse_disorder(place, [candle.time // 1000 for candle in page.candles], from_s, until_s)
            yield page.candles
        if not page.has_more:
            return
        if not page.candles:
            raise CheckFailed(f"{place}: more candles after {from_s} s are promised, none came. Ask again later.")
        from_s = page.candles[-1].time // 1000 + MINUTES[timeframe] * 60


def refuse_disorder(place: str, opened_s: list[int], from_s: int, until_s: int) -> None:
    """Raise CheckFailed when candles of a reply don't rise, or opened before `from_s` or after `until_s`."""
    before_s = from_s - 1
    for each_s in opened_s:
        if each_s <= before_s or each_s > until_s:
            raise CheckFailed(
                f"{place}: a candle of {each_s} s came where one after {before_s} and up to {until_s} s belongs. The "
                "venue's reply can't be trusted, and nothing of it was kept. Ask again later."
            )
        before_s = each_s


def _new(page: TradePage, cursor: TradeCursor) -> tuple[Trade, ...]:
    if page.last_ns < cursor.after_ns:
        raise CheckFailed(
            f"Trades of {page.instrument} after {cursor.after_ns} ns end before it, at {page.last_ns}: the page goes "
            "back. Nothing of it was kept; ask again later."
        )
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
