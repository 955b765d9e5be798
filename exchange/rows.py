"""The tables that a market is told in, and that a run gives: a NamedTuple for the row of each. All are int64."""

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from trading.compiled import routine, rule
from trading.model import Rules

Table: TypeAlias = NDArray[np.int64]
Rows: TypeAlias = Any  # a Table or a sequence of its tuples: both are rows[row][column]


class Candle(NamedTuple):
    """One closed candle of the futures market; a row of the candle table. All of a run are of one timeframe."""

    instrument: int
    opened_at: int
    closed_at: int
    open: int
    high: int
    low: int
    close: int


class Signal(NamedTuple):
    """One proposal of a strategy; a row of the signal table."""

    instrument: int
    signal_at: int  # close of its candle
    known_at: int  # earliest close at which it could be acted on
    side: int
    price: int
    stop_distance: int
    target_1_distance: int
    target_2_distance: int
    target_3_distance: int
    target_4_distance: int
    score: int
    entry_distance: int = 0  # how much better than the price its limit is; 0: at the market


class Costs(NamedTuple):
    """What the simulated market adds to the venue's fees."""

    slippage_ppm: int
    latency_us: int  # from an order's sending to its fill; at least 1, less than a candle


class Fill(NamedTuple):
    """One trade of one order; a row of the fill table."""

    at: int
    instrument: int
    role: int
    side: int
    lots: int
    price: int
    fee_e8: int
    slippage_e8: int  # inside the price already
    signal_at: int
    ambiguous: int  # 1: a target lay inside the same candle
    stop_price: int  # of an entry: the levels that protect it from here; else 0
    target_price: int


NOBODY = -1


class Verdict(NamedTuple):
    """What became of a signal; a row of the decision table."""

    at: int
    instrument: int
    signal_at: int
    side: int
    decision: int  # a Decision
    lost_to: int = NOBODY  # instrument that had the last of the room for which this one was as good, but for its rank
    expires_at: int = 0  # of an entry: the latest open that it takes


class Valuation(NamedTuple):
    """The account at one close; a row of the equity table."""

    at: int
    equity_e8: int


NO_FILL = Fill(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
NO_VERDICT = Verdict(0, 0, 0, 0, 0, NOBODY, 0)


@rule
def candle_of(row: Any) -> Candle:
    """A row of the candle table."""
    return Candle(row[0], row[1], row[2], row[3], row[4], row[5], row[6])


@rule
def signal_of(row: Any) -> Signal:
    """A row of the signal table."""
    return Signal(
        row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7], row[8], row[9], row[10], row[11]
    )  # fmt: skip


@rule
def rules_of(row: Any) -> Rules:
    """A row of the rules table."""
    return Rules(
        row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7], row[8], row[9], row[10], row[11], row[12],
        row[13], row[14], row[15], row[16], row[17], row[18], row[19], row[20], row[21],
    )  # fmt: skip


@routine
def table_of(rows: Any, width: int) -> Any:
    """Tuples as a table of int64, one row each."""
    table = np.empty((len(rows), width), np.int64)
    for i in range(len(rows)):
        row = rows[i]
        for j in range(width):
            table[i, j] = row[j]
    return table
