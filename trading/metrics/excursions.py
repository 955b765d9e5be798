"""How far the market went against each trade, and for it, while it was open (MAE and MFE, after Sweeney 1996).

In USD, of all that was entered, against the average entry price, before fees; never below nothing. Candles can't say
more than this: those that closed between entry and exit count with their whole range, the candle of the exit only with
the prices that the trade filled at, since what else it did may have come after. An entry that filled inside a candle,
not at its open, was on the price's way to that candle's worse extreme: that counts, and for the trade only the close.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from trading.ledger import Trade
from trading.metrics.returns import IntArray


class Ranges(NamedTuple):
    """The candles of one instrument, in order of time: `closed_at` in µs, prices in ticks."""

    closed_at: IntArray
    high: IntArray
    low: IntArray
    close: IntArray


class Excursions(NamedTuple):
    """One entry per trade, in 1e-8 USD, none below 0."""

    adverse_e8: IntArray
    favourable_e8: IntArray


def excursions_of(trades: Sequence[Trade], ranges: Sequence[Ranges], unit_e8: Sequence[int]) -> Excursions:
    """The excursions of each trade; `ranges` and `unit_e8` (value of one lot times one tick) are by instrument."""
    adverse, favourable = np.zeros(len(trades), np.int64), np.zeros(len(trades), np.int64)
    instruments = np.array([trade.instrument for trade in trades], np.int64)
    for number, own in enumerate(ranges):
        rows = np.flatnonzero(instruments == number)
        if rows.size:
            adverse[rows], favourable[rows] = _excursions([trades[row] for row in rows.tolist()], own, unit_e8[number])
    return Excursions(adverse, favourable)


def _excursions(trades: Sequence[Trade], ranges: Ranges, unit_e8: int) -> tuple[IntArray, IntArray]:
    """Those of trades of one instrument."""
    side, lots, entry_e8, entered_at, exited_at, lowest, highest = np.array(
        [
            (
                trade.side, trade.lots, trade.entry_notional_e8, trade.entered_at, trade.exited_at,
                trade.lowest_price, trade.highest_price,
            )
            for trade in trades
        ],
        np.int64,
    ).T  # fmt: skip
    first = np.searchsorted(ranges.closed_at, entered_at, side="right")
    end = np.searchsorted(ranges.closed_at, exited_at, side="right")
    entered_in = np.minimum(first, len(ranges.closed_at) - 1)
    is_inside = (first < end) & (ranges.closed_at[entered_in] == entered_at + 1)
    low, high = _reached(ranges, first, end, lowest, highest)
    worst = np.where(side > 0, low, high)
    close = ranges.close[entered_in]
    lowest = np.where(is_inside, np.minimum(lowest, close), lowest)
    highest = np.where(is_inside, np.maximum(highest, close), highest)
    low, high = _reached(ranges, first + is_inside, end, lowest, highest)
    best = np.where(side > 0, high, low)
    against_e8, for_e8 = (side * (price * lots * unit_e8 - entry_e8) for price in (worst, best))
    return np.maximum(-against_e8, 0), np.maximum(for_e8, 0)


def _reached(
    ranges: Ranges, first: IntArray, end: IntArray, lowest: IntArray, highest: IntArray
) -> tuple[IntArray, IntArray]:
    """`lowest` and `highest` of each trade, with those of the candles from `first` to `end`."""
    low = np.minimum(lowest, _between(np.minimum, ranges.low, first, end, lowest))
    high = np.maximum(highest, _between(np.maximum, ranges.high, first, end, highest))
    return low, high


def _between(extreme: np.ufunc, values: IntArray, first: IntArray, end: IntArray, otherwise: IntArray) -> IntArray:
    """The extreme of `values[first:end]` for each pair, and `otherwise` where that is empty."""
    # reduceat takes turns: from `first` to `end`, then on to the next `first`. One more value lets `end` be the last.
    pairs = np.ravel(np.column_stack((first, end)))
    found: IntArray = extreme.reduceat(np.append(values, values[-1:]), pairs)[::2]
    return np.where(first < end, found, otherwise)
