"""What is kept, and what comes out: records of int64 and float64, which numpy stores and numba compiles.

Times are int64 microseconds since 1970 UTC, and 0 where something has not happened yet; prices are float64, and NaN
where there is none. `side` is +1 for bullish and -1 for bearish; of a pool, +1 above highs (where buy stops rest) and
-1 below lows. The kernel changes records in place, since a copy of a state for each candle would cost more than all
that is computed: `trading.smc.fold` hands it a copy, and is pure again.
"""

from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from trading.smc.parameters import LONGEST_SWING

WINDOW = 128  # candles at hand; a power of two, so that a place is found by a mask
MASK = WINDOW - 1
assert 2 * LONGEST_SWING + 1 < WINDOW

HIGHS, LOWS = 0, 1  # of `State.swings`
ASIA, LONDON, NEW_YORK = 0, 1, 2  # of `State.sessions`; the bits of `Row.session`

Records: TypeAlias = Any  # an array of one of the records below: numpy's types do not say which


class Kind(IntEnum):
    """What a zone is."""

    BLOCK = 1  # order block
    GAP = 2  # fair value gap
    POOL = 3  # liquidity


class End(IntEnum):
    """Why a zone ended."""

    NOT_YET = 0
    FILLED = 1  # gap: the price went through all of it
    RECLAIMED = 2  # block: the price came back through the breaker that it had become
    SWEPT = 3  # pool: a candle went beyond it and closed back
    BROKEN = 4  # pool: a candle closed beyond it
    FORGOTTEN = 5  # the oldest of its kind and side, when there was no place for a new one
    RESTARTED = 6  # the series started anew after a long hole


class Core:
    """Where a series stands, and the parameters it is measured by."""

    candle_us: int
    opened_at: int  # of the last candle
    candles: int  # since the series began, or began anew
    zones: int  # ever opened: the last id
    trend: int  # +1, -1; 0 before the first break
    last_side: int  # of the swing that came last; 0: none yet
    range_sum: float  # of true ranges, while the first ATR is being collected
    atr: float
    day: int  # since 1970
    day_high: float  # of the running day
    day_low: float
    previous_day_high: float
    previous_day_low: float
    week: int  # since the first Monday
    week_high: float  # of the running week
    week_low: float
    previous_week_high: float
    previous_week_low: float
    swing_before: int
    swing_after: int
    atr_period: int
    displacement_atr: float
    equal_atr: float
    gap_atr: float
    ote_shallow: float
    ote_deep: float
    open_zones: int
    restart_after: int


class Bar:
    """One of the last candles."""

    opened_at: int
    open: float
    high: float
    low: float
    close: float
    volume: float


class Swing:
    """The last swing of one side, and what followed it."""

    price: float
    opened_at: int  # of its candle
    standing: int  # 1 until a candle closes beyond it
    reach: float  # the furthest price on its side since: an edge of the dealing range
    base_at: int  # the candle after it that went furthest against it: the order block, should the swing be broken
    base_bottom: float
    base_top: float


class Session:
    """The running, or else the last, session of one name."""

    start_us: int  # of a day
    length_us: int
    number: int  # days since 1970
    high: float
    low: float


class Zone:
    """A range of prices with a life."""

    id: int  # counts up in the order in which they became known
    kind: int  # a Kind
    side: int
    born_at: int  # open of the candle that made it: the block's, the middle one of the gap, the swing's
    known_at: int  # the close at which it could first be acted on
    touched_at: int  # the close at which price had first come back: block mitigated, gap partly filled, highs equal
    broken_at: int  # of a block: the close from which on it is a breaker
    ended_at: int  # a close
    why: int  # an End
    bottom: float
    top: float
    open_bottom: float  # what is left of a gap; else the same as bottom and top
    open_top: float
    level: float  # of a block: the swing that was broken; of a gap: its middle; of a pool: its first swing
    swings: int  # of a pool: how many; two and more are equal highs or lows
    volume: float  # of the three candles up to `known_at`
    atr: float  # at `known_at`; NaN while it warms up


class Row:
    """What is known at the close of one candle. Prices are NaN where there is nothing to tell."""

    known_at: int  # the close
    trend: int
    swing_high: float  # that became known at this close
    swing_low: float
    last_high: float  # the last swing high that is known
    last_high_at: int  # open of its candle
    last_low: float
    last_low_at: int
    bos: int  # side of a break of structure at this close, else 0
    choch: int  # side of a change of character at this close, else 0
    broken_level: float  # the swing that was broken
    broken_swing_at: int  # open of its candle
    range_high: float  # the dealing range
    range_low: float
    position: float  # of the close in it: 0 the low, 1 the high; discount below 0.5, premium above
    ote_top: float  # optimal trade entry, with the trend
    ote_bottom: float
    atr: float
    displacement: float  # signed body in ATR where it is one, else 0; NaN while the ATR warms up
    bull_block_top: float  # the nearest open one, as are all that follow
    bull_block_bottom: float
    bear_block_top: float
    bear_block_bottom: float
    bull_breaker_top: float  # a bearish block that was broken, and supports now
    bull_breaker_bottom: float
    bear_breaker_top: float
    bear_breaker_bottom: float
    bull_gap_top: float  # what is left of it
    bull_gap_bottom: float
    bear_gap_top: float
    bear_gap_bottom: float
    highs_above: float  # the nearest pool's level
    highs_above_swings: int
    lows_below: float
    lows_below_swings: int
    equal_highs: float  # a swing that became known at this close and equals one before
    equal_lows: float
    swept_highs: float  # the furthest pool that this candle swept
    swept_lows: float
    previous_day_high: float  # the last UTC day with candles before that of this one
    previous_day_low: float
    previous_week_high: float  # weeks begin on Monday
    previous_week_low: float
    session: int  # bits: 1 Asia, 2 London, 4 New York; of the candle's open
    asia_high: float  # of the running, or else the last, session
    asia_low: float
    london_high: float
    london_low: float
    new_york_high: float
    new_york_low: float


def dtype(record: type) -> np.dtype[Any]:
    """The layout that a record's annotations describe."""
    codes: dict[Any, str] = {int: "<i8", float: "<f8"}
    return np.dtype((np.record, [(name, codes[kind]) for name, kind in record.__annotations__.items()]))


ROW, ZONE = dtype(Row), dtype(Zone)


def copied(records: Records) -> Records:
    """A copy as bytes: numpy copies records field by field, which takes twenty times as long."""
    return records.view(np.uint8).copy().view(records.dtype)


def joined(parts: Sequence[Records]) -> Records:
    """One array after the other, of one kind of record and at least one: as bytes, for the same reason."""
    return np.concatenate([part.view(np.uint8) for part in parts]).view(parts[0].dtype)


class State(NamedTuple):
    """All that the next candle needs of those before it: a structure of arrays, of the same size for ever."""

    core: Records  # one Core
    window: Records  # the last `WINDOW` candles, each at its number modulo `WINDOW`
    swings: Records  # the last swing high, the last swing low
    sessions: Records  # Asia, London, New York
    zones: Records  # the open ones: places of `trading.smc.zones`, oldest first
    counts: NDArray[np.int64]  # how many of each place


class Series(NamedTuple):
    """Candles, oldest first, one array per column."""

    opened_at: NDArray[np.int64]
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.float64]


class Candle(NamedTuple):
    """One candle of a series."""

    opened_at: int
    closed_at: int
    open: float
    high: float
    low: float
    close: float
    volume: float


class Ended(NamedTuple):
    """Where zones go that end, in the order of their ends."""

    zones: Records
    number: NDArray[np.int64]  # how many, in its one place


Kernel: TypeAlias = Callable[[State, Series, Records, Records], int]
