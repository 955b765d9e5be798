"""Candles from files: Kraken's OHLCVT downloads, `unix_seconds,open,high,low,close,volume,trades`, without a header."""

import heapq
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path

from exchange.sandbox.market.facts import SpotPair
from exchange.sandbox.market.model import MINUTE_NS, SECOND_NS, VOLUME_DECIMALS, SourceCandle
from trading.errors import InputUnusable


def candles_of(files: Mapping[Path, SpotPair], minutes: int) -> Iterator[SourceCandle]:
    """The candles of several files, each of one pair and all of this interval, in the order of time.

    A hole in a file stays a hole: nothing traded. Raises InputUnusable, naming file and line.
    """
    streams = [_candles_of(file, pair, minutes * MINUTE_NS) for file, pair in files.items()]
    return heapq.merge(*streams, key=lambda candle: (candle.opened_ns, candle.instrument))


def _candles_of(file: Path, pair: SpotPair, span_ns: int) -> Iterator[SourceCandle]:
    if not file.is_file():
        raise InputUnusable(f"{file} is not a file. Give a CSV file of Kraken's OHLCVT download.")
    before_ns = -1
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            candle = _candle(line, pair, span_ns, f"{file.name}, line {number}")
            if candle.opened_ns <= before_ns or candle.opened_ns % span_ns:
                raise InputUnusable(
                    f"{file.name}, line {number}: {candle.opened_ns // SECOND_NS} is off the grid of "
                    f"{span_ns // MINUTE_NS} minutes, or not after the line before. Sort the file, or say its interval."
                )
            before_ns = candle.opened_ns
            yield candle


def _candle(line: str, pair: SpotPair, span_ns: int, place: str) -> SourceCandle:
    fields = line.strip().split(",")
    if len(fields) != 7:
        raise InputUnusable(f"{place}: {len(fields)} fields instead of time, open, high, low, close, volume, trades.")
    try:
        open_, high, low, close = (_whole(field, pair.price_decimals) for field in fields[1:5])
        volume, trades = _whole(fields[5], VOLUME_DECIMALS), int(fields[6])
        return SourceCandle(
            pair.instrument, int(fields[0]) * SECOND_NS, span_ns, open_, high, low, close, volume, trades
        )
    except ValueError as error:
        raise InputUnusable(f"{place}: {error}. Mend the line, or give a pair with as many decimals.") from error


def _whole(text: str, decimals: int) -> int:
    whole, _, part = text.partition(".")
    if len(part) <= decimals and (whole + part).isdecimal():  # nearly all of them, ten times faster than a Decimal
        return int(whole + part.ljust(decimals, "0"))
    try:
        value = Decimal(text).scaleb(decimals)
    except InvalidOperation:
        raise ValueError(f"{text!r} is not a number") from None
    if not value.is_finite() or value != value.to_integral_value():
        raise ValueError(f"{text} is finer than {decimals} decimals or without end")
    return int(value)
