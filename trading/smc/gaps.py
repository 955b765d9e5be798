"""Fair value gaps: three candles, of which the first and the third don't overlap."""

from trading.compiled import on_records
from trading.smc.layout import MASK, Bar, Candle, Core, End, Ended, Kind, State, Zone
from trading.smc.zones import end, open_zone


@on_records
def find_gap(state: State, candle: Candle, ended: Ended) -> None:
    """Open the gap that this candle completes, if it does."""
    core: Core = state.core[0]
    if core.candles < 2:
        return
    first: Bar = state.window[(core.candles - 2) & MASK]
    middle: Bar = state.window[(core.candles - 1) & MASK]
    if middle.close > middle.open:
        side, bottom, top = 1, first.high, candle.low
    else:
        side, bottom, top = -1, candle.high, first.low
    # Before the ATR is warm only a parameter of 0 can be met.
    is_high_enough = core.gap_atr == 0.0 or top - bottom >= core.gap_atr * core.atr
    if middle.close == middle.open or not bottom < top or not is_high_enough:
        return
    half = bottom + (top - bottom) / 2
    open_zone(state, candle, ended, Kind.GAP, side, middle.opened_at, bottom, top, half)


@on_records
def fill_gap(zone: Zone, candle: Candle) -> None:
    """What this candle's wick leaves of the gap."""
    if zone.side > 0:
        is_touched, is_filled = candle.low <= zone.open_top, candle.low <= zone.bottom
    else:
        is_touched, is_filled = candle.high >= zone.open_bottom, candle.high >= zone.top
    if is_touched and zone.touched_at == 0:
        zone.touched_at = candle.closed_at
    if is_filled:
        end(zone, candle.closed_at, End.FILLED)
    elif is_touched and zone.side > 0:
        zone.open_top = candle.low
    elif is_touched:
        zone.open_bottom = candle.high
