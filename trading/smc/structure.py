"""Market structure: swings that alternate, the closes that break them, and where the price stands between them."""

import numpy as np

from trading.compiled import on_records
from trading.smc.layout import HIGHS, LOWS, MASK, Bar, Candle, Core, Row, State, Swing


@on_records
def is_broken(swing: Swing, side: int, candle: Candle) -> bool:
    """Whether this candle is the first to close beyond the swing."""
    return swing.standing == 1 and side * candle.close > side * swing.price


@on_records
def turn_trend(state: State, swing: Swing, side: int, row: Row) -> None:
    """A break with the trend is a break of structure, one against it a change of character."""
    core: Core = state.core[0]
    if core.trend == -side:
        row.choch = side
    else:
        row.bos = side
    core.trend = side
    swing.standing = 0
    row.broken_level = swing.price
    row.broken_swing_at = swing.opened_at


@on_records
def is_swing(state: State, side: int) -> bool:
    """Whether the candle `swing_after` before the last is a swing. Of equal highs in a row the first one is."""
    core: Core = state.core[0]
    window = state.window
    middle = core.candles - 1 - core.swing_after
    if middle < core.swing_before:
        return False
    price = edge(window[middle & MASK], side)
    for step in range(1, core.swing_after + 1):
        if side * edge(window[(middle + step) & MASK], side) > side * price:
            return False
    for step in range(1, core.swing_before + 1):
        if side * edge(window[(middle - step) & MASK], side) >= side * price:
            return False
    return True


@on_records
def follow(state: State, has_high: bool, has_low: bool, candle: Candle, row: Row) -> None:
    """Take what became known into the structure, and follow what the price did since the swings before."""
    core: Core = state.core[0]
    for side in (1, -1):
        extend(last_swing(state, side), side, candle)
    if has_high and has_low and core.last_side == 0:
        # Both at once, and nothing before: neither is the later one.
        accept(state, 1, row)
        accept(state, -1, row)
        return
    first = -1 if core.last_side > 0 else 1
    for side in (first, -first):
        if has_high if side > 0 else has_low:
            offer(state, side, row)


@on_records
def extend(swing: Swing, side: int, candle: Candle) -> None:
    """How far the price went since, for the swing's side and against it."""
    if np.isnan(swing.price):
        return
    if side > 0:
        swing.reach = max(swing.reach, candle.high)
        is_further = candle.low <= swing.base_bottom
    else:
        swing.reach = min(swing.reach, candle.low)
        is_further = candle.high >= swing.base_top
    if is_further:
        swing.base_at, swing.base_bottom, swing.base_top = candle.opened_at, candle.low, candle.high


@on_records
def offer(state: State, side: int, row: Row) -> None:
    """Swings alternate: of two highs without a low between them the higher one counts, of equal ones the first."""
    core: Core = state.core[0]
    price = edge(state.window[(core.candles - 1 - core.swing_after) & MASK], side)
    if core.last_side == side and not side * price > side * last_swing(state, side).price:
        return
    accept(state, side, row)
    core.last_side = side


@on_records
def accept(state: State, side: int, row: Row) -> None:
    """The candle `swing_after` before the last is the last swing of its side."""
    core: Core = state.core[0]
    window = state.window
    swing = last_swing(state, side)
    middle = core.candles - 1 - core.swing_after
    bar: Bar = window[middle & MASK]
    swing.price = edge(bar, side)
    swing.opened_at = bar.opened_at
    swing.standing = 1
    swing.reach = swing.price
    if side > 0:
        row.swing_high = swing.price
    else:
        row.swing_low = swing.price
    furthest: Bar = window[(middle + 1) & MASK]
    for step in range(2, core.swing_after + 1):
        later: Bar = window[(middle + step) & MASK]
        if side * edge(later, -side) <= side * edge(furthest, -side):
            furthest = later
    swing.base_at, swing.base_bottom, swing.base_top = furthest.opened_at, furthest.low, furthest.high


@on_records
def last_swing(state: State, side: int) -> Swing:
    """The last swing high for side +1, the last swing low for -1."""
    swing: Swing = state.swings[HIGHS if side > 0 else LOWS]
    return swing


@on_records
def edge(bar: Bar, side: int) -> float:
    """The high of a candle for side +1, the low for -1."""
    return bar.high if side > 0 else bar.low


@on_records
def describe_structure(state: State, candle: Candle, row: Row) -> None:
    """Trend, last swings, dealing range and the optimal entry in it."""
    core: Core = state.core[0]
    high = last_swing(state, 1)
    low = last_swing(state, -1)
    row.trend = core.trend
    row.last_high, row.last_high_at = high.price, high.opened_at
    row.last_low, row.last_low_at = low.price, low.opened_at
    height = high.reach - low.reach
    if not height > 0.0:
        return
    row.range_high, row.range_low = high.reach, low.reach
    row.position = (candle.close - low.reach) / height
    if core.trend > 0:
        row.ote_top = high.reach - core.ote_shallow * height
        row.ote_bottom = high.reach - core.ote_deep * height
    elif core.trend < 0:
        row.ote_top = low.reach + core.ote_deep * height
        row.ote_bottom = low.reach + core.ote_shallow * height
