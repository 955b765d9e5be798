"""Liquidity pools: stops rest beyond swings, most of them where swings are equal."""

import math

import numpy as np

from trading.compiled import on_records
from trading.smc.layout import Bar, Candle, Core, End, Ended, Kind, Row, State, Zone
from trading.smc.zones import end, open_zone, place_of


@on_records
def pool(state: State, side: int, bar: Bar, candle: Candle, row: Row, ended: Ended) -> None:
    """Add a swing that became known to the pool in whose band it lies, or open one around it."""
    core: Core = state.core[0]
    price = bar.high if side > 0 else bar.low
    place = place_of(Kind.POOL, side)
    index = pool_around(state, place, price)
    if index < 0:
        width = 0.0 if np.isnan(core.atr) else core.equal_atr * core.atr
        open_zone(state, candle, ended, Kind.POOL, side, bar.opened_at, price - width, price + width, price)
        return
    zone: Zone = state.zones[place, index]
    zone.swings += 1
    if zone.touched_at == 0:
        zone.touched_at = candle.closed_at
    if side > 0:
        row.equal_highs = price
    else:
        row.equal_lows = price


@on_records
def pool_around(state: State, place: int, price: float) -> int:
    """Index of the pool in whose band the price lies; of several the nearest, of those the youngest; -1: none."""
    found, least = -1, math.inf
    for index in range(state.counts[place]):
        zone: Zone = state.zones[place, index]
        distance = abs(zone.level - price)
        if zone.bottom <= price <= zone.top and distance <= least:
            found, least = index, distance
    return found


@on_records
def take_pool(zone: Zone, candle: Candle, row: Row) -> None:
    """Swept by a wick beyond the band that closes back, broken by a close beyond."""
    if zone.side > 0:
        is_beyond, is_closed_beyond = candle.high > zone.top, candle.close > zone.top
    else:
        is_beyond, is_closed_beyond = candle.low < zone.bottom, candle.close < zone.bottom
    if not is_beyond:
        return
    end(zone, candle.closed_at, End.BROKEN if is_closed_beyond else End.SWEPT)
    if is_closed_beyond:
        return
    if zone.side > 0 and not row.swept_highs > zone.level:
        row.swept_highs = zone.level
    elif zone.side < 0 and not row.swept_lows < zone.level:
        row.swept_lows = zone.level


@on_records
def nearest_pool(state: State, side: int) -> tuple[float, int]:
    """Level and number of swings of the open pool nearest to the price: all those of a side lie beyond it."""
    place = place_of(Kind.POOL, side)
    level, swings = np.nan, 0
    for index in range(state.counts[place]):
        zone: Zone = state.zones[place, index]
        if not side * zone.level > side * level:
            level, swings = zone.level, zone.swings
    return level, swings
