"""Candles from files and from rows.

Files are Kraken's OHLCVT downloads, `unix_seconds,open,high,low,close,volume,trades`, without a header. Rows are those
of a table of candles, wherever it lies.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import NamedTuple

from exchange.sandbox.market.facts import SpotPair
from exchange.sandbox.market.model import VOLUME_DECIMALS, SourceCandle
from exchange.sandbox.units import MINUTE_NS, SECOND_NS
from trading.errors import InputUnusable

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LEAST_VOLUME = Decimal(1).scaleb(-VOLUME_DECIMALS)
MICROSECOND = timedelta(microseconds=1)
TIMEFRAME_MINUTES = {"15m": 15, "1h": 60, "4h": 240, "1d": 1_440}


class Row(NamedTuple):
    """A candle as a table has it, prices in the quote currency and volume in the base; a plain tuple will do."""

    instrument: str  # canonical, `BTC/USD`
    timeframe: str
    opened_at: datetime  # with its time zone
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    trades: int


def candles_of_rows(rows: Iterable[Row], pairs: Iterable[SpotPair]) -> Iterator[SourceCandle]:
    """The candles of rows that come in the order of time, then of instrument.

    Raises InputUnusable, naming the row: an instrument or a timeframe is not known, or a number is finer than its pair.
    """
    known = {pair.instrument: pair for pair in pairs}
    for row in map(Row._make, rows):
        place = f"The candle of {row.instrument} opened at {row.opened_at}"
        if row.instrument not in known or row.timeframe not in TIMEFRAME_MINUTES:
            raise InputUnusable(
                f"{place} is one of {row.timeframe}: known are {', '.join(TIMEFRAME_MINUTES)} of {', '.join(known)}."
            )
        yield _candle_of_row(row, known[row.instrument], place)


def _candle_of_row(row: Row, pair: SpotPair, place: str) -> SourceCandle:
    opened_ns = (row.opened_at - EPOCH) // MICROSECOND * 1_000
    try:
        open_, high, low, close = (_scaled(price, pair.price_decimals) for price in row[3:7])
        volume = _scaled(_rounded(row.volume), VOLUME_DECIMALS)
    except ValueError as error:
        raise InputUnusable(f"{place}: {error}. Mend the row, or give a pair with as many decimals.") from error
    span_ns = TIMEFRAME_MINUTES[row.timeframe] * MINUTE_NS
    return SourceCandle(pair.instrument, opened_ns, span_ns, open_, high, low, close, volume, row.trades)


def candles_of(files: Mapping[Path, SpotPair], minutes: int, from_ns: int = 0) -> Iterator[SourceCandle]:
    """The candles of several files, each of one pair and all of this interval, in the order of time.

    Lines before `from_ns` are left out unread: pairs have had finer prices once than they have now. A hole in a file
    stays a hole: nothing traded. Raises InputUnusable, naming file and line.
    """
    streams = [_candles_of(file, pair, minutes * MINUTE_NS, from_ns) for file, pair in files.items()]
    return heapq.merge(*streams, key=lambda candle: (candle.opened_ns, candle.instrument))


def _candles_of(file: Path, pair: SpotPair, span_ns: int, from_ns: int) -> Iterator[SourceCandle]:
    if not file.is_file():
        raise InputUnusable(f"{file} is not a file. Give a CSV file of Kraken's OHLCVT download.")
    before_ns = -1
    with file.open(encoding="utf-8", errors="replace") as lines:  # what is no text is no number: its line is named
        for number, line in enumerate(lines, 1):
            if _is_before(line, from_ns):
                continue
            candle = _candle(line, pair, span_ns, f"{file.name}, line {number}")
            if candle.opened_ns <= before_ns or candle.opened_ns % span_ns:
                raise InputUnusable(
                    f"{file.name}, line {number}: {candle.opened_ns // SECOND_NS} is off the grid of "
                    f"{span_ns // MINUTE_NS} minutes, or not after the line before. Sort the file, or say its interval."
                )
            before_ns = candle.opened_ns
            yield candle


def _is_before(line: str, from_ns: int) -> bool:
    opened_s = line.partition(",")[0]
    return opened_s.isdecimal() and int(opened_s) * SECOND_NS < from_ns


def _candle(line: str, pair: SpotPair, span_ns: int, place: str) -> SourceCandle:
    fields = line.strip().split(",")
    if len(fields) != 7:
        raise InputUnusable(f"{place}: {len(fields)} fields instead of time, open, high, low, close, volume, trades.")
    try:
        open_, high, low, close = (_whole(field, pair.price_decimals) for field in fields[1:5])
        volume, trades = _whole(fields[5], VOLUME_DECIMALS, _rounded), int(fields[6])
        return SourceCandle(
            pair.instrument, int(fields[0]) * SECOND_NS, span_ns, open_, high, low, close, volume, trades
        )
    except ValueError as error:
        raise InputUnusable(f"{place}: {error}. Mend the line, or begin later: --from.") from error


def _whole(text: str, decimals: int, prepared: Callable[[Decimal], Decimal] = Decimal) -> int:
    whole, _, part = text.partition(".")
    if len(part) <= decimals and (whole + part).isdecimal():  # nearly all of them, ten times faster than a Decimal
        return int(whole + part.ljust(decimals, "0"))
    try:
        return _scaled(prepared(Decimal(text)), decimals)
    except InvalidOperation:
        raise ValueError(f"{text!r} is not a number") from None


def _rounded(volume: Decimal) -> Decimal:
    """A volume that can be traded: the archive's sums of a day have more digits than any trade."""
    return volume.quantize(LEAST_VOLUME) if volume.is_finite() else volume


def _scaled(number: Decimal, decimals: int) -> int:
    value = number.scaleb(decimals)
    if not value.is_finite() or value != value.to_integral_value():
        raise ValueError(f"{number} is finer than {decimals} decimals or without end")
    return int(value)
