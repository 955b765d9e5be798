"""The kernel, `(state, candle) -> (state, row)`: in which order a candle is told to every idea."""

import numpy as np

from trading.compiled import on_records
from trading.smc.blocks import find_block, visit_block
from trading.smc.calendar import turn_pages
from trading.smc.gaps import fill_gap, find_gap
from trading.smc.layout import MASK, Bar, Candle, Core, Ended, Kind, Records, Row, Series, State, Zone
from trading.smc.liquidity import nearest_pool, pool, take_pool
from trading.smc.series import is_sound, remember, restart_after_hole
from trading.smc.structure import describe_structure, follow, is_broken, is_swing, last_swing, turn_trend
from trading.smc.volatility import displacement, measure_range
from trading.smc.zones import keep_ended, nearest


def advance(state: State, series: Series, rows: Records, ended: Records) -> int:
    """Write a row for each candle and every zone that ends; how many those are. Changes `state` in place.

    At a candle that can't be it stops, and answers with -1 minus the number of that candle.

    What stood before a candle is judged first; what it makes known is added after, and stands from the next one on.
    """
    core: Core = state.core[0]
    done = Ended(ended, np.zeros(1, np.int64))
    for index in range(series.close.size):
        candle = Candle(
            series.opened_at[index],
            series.opened_at[index] + core.candle_us,
            series.open[index],
            series.high[index],
            series.low[index],
            series.close[index],
            series.volume[index],
        )
        if not is_sound(core, candle):
            return -1 - index
        row = rows[index]
        blank(row, candle)
        restart_after_hole(state, candle, done)
        turn_pages(state, candle, row)
        row.displacement = displacement(core, candle)
        measure_range(state, candle)
        row.atr = core.atr
        age(state, candle, row, done)
        break_structure(state, candle, row, done)
        find_gap(state, candle, done)
        remember(state, candle)
        add_swings(state, candle, row, done)
        describe_structure(state, candle, row)
        describe_zones(state, candle, row)
    return int(done.number[0])


@on_records
def blank(row: Row, candle: Candle) -> None:
    """What a row says where nothing happens."""
    row.known_at = candle.closed_at
    row.bos = 0
    row.choch = 0
    row.broken_swing_at = 0
    row.session = 0
    row.swing_high = np.nan
    row.swing_low = np.nan
    row.broken_level = np.nan
    row.range_high = np.nan
    row.range_low = np.nan
    row.position = np.nan
    row.ote_top = np.nan
    row.ote_bottom = np.nan
    row.equal_highs = np.nan
    row.equal_lows = np.nan
    row.swept_highs = np.nan
    row.swept_lows = np.nan


@on_records
def age(state: State, candle: Candle, row: Row, ended: Ended) -> None:
    """What the candle does to every open zone. Those that go on close ranks, oldest first."""
    for place in range(state.counts.size):
        kept = 0
        for index in range(state.counts[place]):
            zone: Zone = state.zones[place, index]
            if zone.kind == Kind.BLOCK:
                visit_block(zone, candle)
            elif zone.kind == Kind.GAP:
                fill_gap(zone, candle)
            else:
                take_pool(zone, candle, row)
            if zone.ended_at > 0:
                keep_ended(zone, ended)
            else:
                if kept < index:
                    state.zones[place, kept] = zone
                kept += 1
        state.counts[place] = kept


@on_records
def break_structure(state: State, candle: Candle, row: Row, ended: Ended) -> None:
    """The swings that the close breaks, and the order block behind each."""
    for side in (1, -1):
        swing = last_swing(state, side)
        if is_broken(swing, side, candle):
            turn_trend(state, swing, side, row)
            find_block(state, swing, side, candle, ended)


@on_records
def add_swings(state: State, candle: Candle, row: Row, ended: Ended) -> None:
    """The swings that become known with this candle: to the liquidity, then to the structure."""
    core: Core = state.core[0]
    bar: Bar = state.window[(core.candles - 1 - core.swing_after) & MASK]
    has_high = is_swing(state, 1)
    has_low = is_swing(state, -1)
    if has_high:
        pool(state, 1, bar, candle, row, ended)
    if has_low:
        pool(state, -1, bar, candle, row, ended)
    follow(state, has_high, has_low, candle, row)


@on_records
def describe_zones(state: State, candle: Candle, row: Row) -> None:
    """The nearest open zone of each kind."""
    close = candle.close
    row.bull_block_top, row.bull_block_bottom = nearest(state, Kind.BLOCK, 1, False, close)
    row.bear_block_top, row.bear_block_bottom = nearest(state, Kind.BLOCK, -1, False, close)
    row.bull_breaker_top, row.bull_breaker_bottom = nearest(state, Kind.BLOCK, -1, True, close)
    row.bear_breaker_top, row.bear_breaker_bottom = nearest(state, Kind.BLOCK, 1, True, close)
    row.bull_gap_top, row.bull_gap_bottom = nearest(state, Kind.GAP, 1, False, close)
    row.bear_gap_top, row.bear_gap_bottom = nearest(state, Kind.GAP, -1, False, close)
    row.highs_above, row.highs_above_swings = nearest_pool(state, 1)
    row.lows_below, row.lows_below_swings = nearest_pool(state, -1)
