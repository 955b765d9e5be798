"""Rows of what traded, added up over any span of time."""

from typing import NamedTuple

import numpy as np

from exchange.sandbox.market.expansion import Moments, mirrored
from exchange.sandbox.market.model import Bar, Integers

LOW_BITS = 28
LOW = (1 << LOW_BITS) - 1


class Rows(NamedTuple):
    """What traded, as columns: a row per moment, per candle or per bar. Turnover in two halves: 64 bits are too few."""

    at_ns: Integers  # of a moment its time, of a candle or bar its opening
    open: Integers
    high: Integers
    low: Integers
    close: Integers
    volume: Integers
    trades: Integers
    turnover_high: Integers
    turnover_low: Integers

    def part(self, start: int | None, stop: int | None) -> "Rows":
        """The rows from `start` to before `stop`."""
        return Rows._make(column[start:stop] for column in self)


NO_ROWS = Rows._make(np.zeros(0, np.int64) for _ in Rows._fields)


def rows_of(moments: Moments) -> Rows:
    """One row per moment: a sweep goes one way, so its ends are its extremes."""
    high, low = _turnover(moments)
    return Rows(
        moments.at_ns,
        moments.first,
        np.maximum(moments.first, moments.last),
        np.minimum(moments.first, moments.last),
        moments.last,
        moments.volume,
        moments.trades,
        high,
        low,
    )


def _turnover(moments: Moments) -> tuple[Integers, Integers]:
    half, middle, left = mirrored(moments)
    both = moments.first + moments.last
    low = both * (half & LOW) + (both >> 1) * (middle & LOW) + moments.last * left
    high = both * (half >> LOW_BITS) + (both >> 1) * (middle >> LOW_BITS)
    return high + (low >> LOW_BITS), low & LOW


def joined(parts: list[Rows]) -> Rows:
    """All rows of all parts, in order."""
    parts = [part for part in parts if len(part.at_ns)]
    if len(parts) == 1:
        return parts[0]
    return Rows._make(np.concatenate(columns) for columns in zip(*parts, strict=True)) if parts else NO_ROWS


def grouped(rows: Rows, span_ns: int) -> Rows:
    """One row for each interval of `span_ns` in which there are rows; intervals are counted from 1970."""
    if not len(rows.at_ns):
        return rows
    opened = rows.at_ns // span_ns * span_ns
    return gathered(rows, np.flatnonzero(np.diff(opened, prepend=-1)), opened)


def gathered(rows: Rows, starts: Integers, opened_ns: Integers) -> Rows:
    """One row for each stretch of rows that begins at `starts`."""
    ends = np.append(starts[1:], len(rows.at_ns)) - 1
    low = np.add.reduceat(rows.turnover_low, starts)
    return Rows(
        opened_ns[starts],
        rows.open[starts],
        np.maximum.reduceat(rows.high, starts),
        np.minimum.reduceat(rows.low, starts),
        rows.close[ends],
        np.add.reduceat(rows.volume, starts),
        np.add.reduceat(rows.trades, starts),
        np.add.reduceat(rows.turnover_high, starts) + (low >> LOW_BITS),
        low & LOW,
    )


def as_bars(rows: Rows) -> list[Bar]:
    """Rows as the bars that the venue reports."""
    opened, open_, high, low, close, volume, trades, up, down = (column.tolist() for column in rows)
    turnover = [(one << LOW_BITS) + two for one, two in zip(up, down, strict=True)]
    return [Bar(*row) for row in zip(opened, open_, high, low, close, volume, turnover, trades, strict=True)]


def filled(bars: list[Bar], close_before: int | None, opened_ns: range) -> list[Bar]:
    """A bar for each opening time: a zero bar where nothing traded, nothing before the first close."""
    known = {bar.opened_ns: bar for bar in bars}
    result: list[Bar] = []
    close = close_before
    for opened in opened_ns:
        bar = known.get(opened)
        if bar is None and close is None:
            continue
        bar = bar or zero_bar(opened, close or 0)
        close = bar.close
        result.append(bar)
    return result


def zero_bar(opened_ns: int, close: int) -> Bar:
    """A bar in which nothing traded."""
    return Bar(opened_ns, close, close, close, close, 0, 0, 0)


def extended(bar: Bar, more: Bar) -> Bar:
    """A running bar and what traded next."""
    if not bar.trades:
        return more._replace(opened_ns=bar.opened_ns)
    return Bar(
        bar.opened_ns,
        bar.open,
        max(bar.high, more.high),
        min(bar.low, more.low),
        more.close,
        bar.volume + more.volume,
        bar.turnover + more.turnover,
        bar.trades + more.trades,
    )
