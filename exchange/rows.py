"""The tables that a market is told in, and that a run gives: a NamedTuple for the row of each. All are int64."""

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from trading.compiled import routine, rule
from trading.model import Rules

Table: TypeAlias = NDArray[np.int64]
Rows: TypeAlias = Any  # a Table or a sequence of its tuples: both are rows[row][column]


class Candle(NamedTuple):
    """One closed candle of the futures market; a row of the candle table. All of a run are of one timeframe.

    Stops and liquidations look at the mark price, orders trade at the trades'. Where no mark is known (0), the trades
    stand for it.
    """

    instrument: int
    opened_at: int
    closed_at: int
    open: int
    high: int
    low: int
    close: int
    mark_high: int = 0
    mark_low: int = 0
    mark_close: int = 0
    volume_lots: int = 0


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
    """What the simulated market adds to the venue's fees. The shares are of a price."""

    slippage_ppm: int  # of every market order and stop
    latency_us: int  # from an order's sending to its fill; at least 1, less than a candle
    spread_ppm: int = 0  # between bid and ask: half of it is paid on each side
    range_ppm: int = 0  # of the candle's range, slipped beside: what a lively market adds
    impact_ppm: int = 0  # slipped beside by an order as large as all that is traded in its candle
    participation_ppm: int = 0  # of a candle's volume: the most that an entry takes; 0: it fills whole
    liquidation_fee_ppm: int = 0  # beside the taker fee, of what is liquidated


class Fill(NamedTuple):
    """One trade of one order; a row of the fill table."""

    at: int
    instrument: int
    role: int
    side: int
    lots: int
    price: int
    fee_e8: int
    slippage_e8: int  # inside the price already, as is the spread
    signal_at: int
    ambiguous: int  # 1: a target lay inside the same candle
    stop_price: int  # of an entry: the levels that protect it from here; else 0
    target_price: int
    spread_e8: int = 0


NOBODY = -1


class Verdict(NamedTuple):
    """What became of a signal; a row of the decision table."""

    at: int
    instrument: int
    signal_at: int
    side: int
    decision: int  # a Decision
    lost_to: int = NOBODY  # instrument that had the last of the room for which this one was as good, but for its rank


class Ending(NamedTuple):
    """The end of an entry, or of what was left of it, that did not fill; a row of the table of endings."""

    at: int
    instrument: int
    signal_at: int
    reason: int  # a Decision; NONE: a person's word


class Payment(NamedTuple):
    """Funding of one trade since its last payment; a row of the payment table."""

    at: int
    since: int
    instrument: int
    signal_at: int
    amount_e8: int  # paid; less than 0: received


class Funding(NamedTuple):
    """What holding costs. `rates` has a row per instrument and a column per hour, in 1e-12 USD per lot and hour, paid
    by a long position and received by a short one."""

    rates: Table
    first_hour: int  # of the first column, in hours since 1970


class Rate(NamedTuple):
    """Funding of one instrument in one hour."""

    instrument: int
    hour: int  # since 1970
    rate_e12: int  # as in `Funding.rates`


class Valuation(NamedTuple):
    """The account at one close; a row of the equity table."""

    at: int
    equity_e8: int


NO_CANDLE = Candle(0, 0, 0, 0, 0, 0, 0)
NO_FILL = Fill(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
NO_PAYMENT = Payment(0, 0, 0, 0, 0)
NO_ENDING = Ending(0, 0, 0, 0)
NO_FUNDING = Funding(np.zeros((0, 0), np.int64), 0)
NO_VERDICT = Verdict(0, 0, 0, 0, 0, NOBODY)


@rule
def candle_of(row: Any) -> Candle:
    """A row of the candle table, with a mark in any case."""
    high, low, close = row[4], row[5], row[6]
    if row[8] > 0:
        return Candle(row[0], row[1], row[2], row[3], high, low, close, row[7], row[8], row[9], row[10])
    return Candle(row[0], row[1], row[2], row[3], high, low, close, high, low, close, row[10])


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
        row[13], row[14], row[15], row[16], row[17], row[18], row[19], row[20], row[21], row[22], row[23], row[24],
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
