"""The places of open zones: for each kind and side a short list, oldest first, of a declared length."""

import math

import numpy as np

from trading.compiled import on_records
from trading.smc.layout import MASK, Bar, Candle, Core, End, Ended, Kind, State, Zone


@on_records
def open_zone(
    state: State,
    candle: Candle,
    ended: Ended,
    kind: int,
    side: int,
    born_at: int,
    bottom: float,
    top: float,
    level: float,
) -> None:
    """A new zone, known at the close of `candle`. Without a place for it the oldest of its list is forgotten."""
    core: Core = state.core[0]
    place = place_of(kind, side)
    if state.counts[place] == core.open_zones:
        forget_oldest(state, place, candle.closed_at, ended)
    zone: Zone = state.zones[place, state.counts[place]]
    state.counts[place] += 1
    core.zones += 1
    zone.id = core.zones
    zone.kind = kind
    zone.side = side
    zone.born_at = born_at
    zone.known_at = candle.closed_at
    zone.touched_at = 0
    zone.broken_at = 0
    end(zone, 0, End.NOT_YET)
    zone.bottom = bottom
    zone.top = top
    zone.open_bottom = bottom
    zone.open_top = top
    zone.level = level
    zone.swings = 1 if kind == Kind.POOL else 0
    zone.volume = recent_volume(state, candle)
    zone.atr = core.atr


@on_records
def place_of(kind: int, side: int) -> int:
    """Index of the list that holds zones of this kind and side."""
    return 2 * (kind - 1) + (1 if side < 0 else 0)


@on_records
def forget_oldest(state: State, place: int, closed_at: int, ended: Ended) -> None:
    """End the first of a list; the others move up."""
    end(state.zones[place, 0], closed_at, End.FORGOTTEN)
    keep_ended(state.zones[place, 0], ended)
    for index in range(1, state.counts[place]):
        state.zones[place, index - 1] = state.zones[place, index]
    state.counts[place] -= 1


@on_records
def end(zone: Zone, closed_at: int, why: int) -> None:
    """Its life is over."""
    zone.ended_at = closed_at
    zone.why = why


@on_records
def keep_ended(zone: Zone, ended: Ended) -> None:
    """Hand it out: its place is needed for others."""
    ended.zones[ended.number[0]] = zone
    ended.number[0] += 1


@on_records
def recent_volume(state: State, candle: Candle) -> float:
    """Of this candle and the two before it."""
    candles = state.core[0].candles
    volume = candle.volume
    for back in range(1, min(candles, 2) + 1):
        bar: Bar = state.window[(candles - back) & MASK]
        volume += bar.volume
    return volume


@on_records
def nearest(state: State, kind: int, side: int, is_broken: bool, close: float) -> tuple[float, float]:
    """Top and bottom of what is left of the zone nearest to the close; the younger of two; NaN without one."""
    place = place_of(kind, side)
    top, bottom, least = np.nan, np.nan, math.inf
    for index in range(state.counts[place]):
        zone: Zone = state.zones[place, index]
        distance = max(0.0, zone.open_bottom - close, close - zone.open_top)
        if (zone.broken_at > 0) == is_broken and distance <= least:
            top, bottom, least = zone.open_top, zone.open_bottom, distance
    return top, bottom
