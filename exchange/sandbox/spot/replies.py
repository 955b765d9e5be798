"""What spot REST answers with: prices and volumes as text, times in seconds, the key as the client asked for it."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from exchange.sandbox.market.facts import SpotPair
from exchange.sandbox.market.model import VOLUME_DECIMALS, Bar, Book, Day, Level, SpotQuote, Trades
from exchange.sandbox.units import MINUTE_NS, SECOND_NS
from exchange.sandbox.wire.numbers import decimal_text, rfc3339

TAPE_PRICE_DECIMALS = 5  # Trades, Ticker and Depth pad prices to this, OHLC doesn't
DEPTH_VOLUME_DECIMALS = 3
WHOLE_LOT = 10**VOLUME_DECIMALS
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def system_status(status: str, now_ns: int) -> dict[str, Any]:
    """SystemStatus."""
    return {"status": status, "timestamp": rfc3339(now_ns, 0)}


def server_time(now_ns: int) -> dict[str, Any]:
    """Time, with a year of two digits, whatever the field is called."""
    seconds = now_ns // SECOND_NS
    at = datetime.fromtimestamp(seconds, UTC)
    day = f"{WEEKDAYS[at.weekday()]}, {at.day:02d} {MONTHS[at.month - 1]}"
    return {"unixtime": seconds, "rfc1123": f"{day} {at.year % 100:02d} {at:%H:%M:%S} +0000"}


def candles(pair: SpotPair, key: str, bars: list[Bar], minutes: int) -> dict[str, Any]:
    """OHLC. `bars` end with the running one; `last` is the opening of the one before, whether listed or not."""
    last_ns = bars[-1].opened_ns - minutes * MINUTE_NS if bars else 0
    return {key: [_candle_row(pair, bar) for bar in bars], "last": last_ns // SECOND_NS}


def trades(pair: SpotPair, key: str, page: Trades, from_ns: int) -> dict[str, Any]:
    """Trades. `last` is the cursor of the next page, which begins at this one's end; without rows, the one given."""
    last_ns = int(page.time_ns[-1]) if len(page) else from_ns
    rows = zip(*(column.tolist() for column in page), strict=True)
    return {key: [_trade_row(pair, *row) for row in rows], "last": str(last_ns)}


def ticker(pair: SpotPair, quote: SpotQuote) -> dict[str, Any]:
    """One entry of Ticker: today since 00:00 UTC, then the last 24 hours; `o` is today's opening."""
    today, rolling = quote.today, quote.rolling
    return {
        "a": _best(pair, quote.ask),
        "b": _best(pair, quote.bid),
        "c": [tape_price(pair, quote.last), _volume(quote.last_volume)],
        "v": [_volume(today.volume), _volume(rolling.volume)],
        "p": [_average(pair, today), _average(pair, rolling)],
        "t": [today.trades, rolling.trades],
        "l": [tape_price(pair, today.low), tape_price(pair, rolling.low)],
        "h": [tape_price(pair, today.high), tape_price(pair, rolling.high)],
        "o": tape_price(pair, today.open),
    }


def depth(pair: SpotPair, key: str, book: Book) -> dict[str, Any]:
    """Depth: price, volume to a thousandth, and the second in which the level last changed."""
    return {key: {"asks": _levels(pair, book.asks, book.at_ns), "bids": _levels(pair, book.bids, book.at_ns)}}


def tape_price(pair: SpotPair, points: int) -> str:
    """A price as Trades, Ticker and Depth write it: padded to five decimals."""
    decimals = max(pair.price_decimals, TAPE_PRICE_DECIMALS)
    return decimal_text(points * 10 ** (decimals - pair.price_decimals), decimals)


def average_points(turnover: int, volume: int, factor: int = 1) -> int:
    """Volume-weighted average price in points divided by `factor`, rounded half up; 0 when nothing traded."""
    return (2 * turnover * factor + volume) // (2 * volume) if volume else 0


def _candle_row(pair: SpotPair, bar: Bar) -> list[Any]:
    prices = (bar.open, bar.high, bar.low, bar.close, average_points(bar.turnover, bar.volume))
    texts = [decimal_text(price, pair.price_decimals) for price in prices]
    return [bar.opened_ns // SECOND_NS, *texts, _volume(bar.volume), bar.trades]


def _trade_row(
    pair: SpotPair, time_ns: int, price: int, volume: int, is_buy: bool, is_market: bool, trade_id: int
) -> list[Any]:
    side, kind = "b" if is_buy else "s", "m" if is_market else "l"
    # A float, as at the venue: its digits end at a tenth of a microsecond.
    return [tape_price(pair, price), _volume(volume), time_ns / SECOND_NS, side, kind, "", trade_id]


def _best(pair: SpotPair, level: Level) -> list[str]:
    # Whole lots twice, at least one: the venue's volumes here are coarser than those of its book.
    lots = max(1, level.quantity // WHOLE_LOT)
    return [tape_price(pair, level.price), str(lots), f"{lots}.000"]


def _average(pair: SpotPair, day: Day) -> str:
    decimals = max(pair.price_decimals, TAPE_PRICE_DECIMALS)
    factor = 10 ** (decimals - pair.price_decimals)
    return decimal_text(average_points(day.turnover, day.volume, factor), decimals)


def _levels(pair: SpotPair, levels: Iterable[Level], at_ns: int) -> list[list[Any]]:
    return [[tape_price(pair, level.price), _thousandths(level.quantity), at_ns // SECOND_NS] for level in levels]


def _volume(units: int) -> str:
    return decimal_text(units, VOLUME_DECIMALS)


def _thousandths(units: int) -> str:
    """Rounded half up, but a level that is there is never written as nothing."""
    unit = 10 ** (VOLUME_DECIMALS - DEPTH_VOLUME_DECIMALS)
    return decimal_text(max(1, (2 * units + unit) // (2 * unit)), DEPTH_VOLUME_DECIMALS)
