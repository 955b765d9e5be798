"""Order blocks: where the move that broke the structure began."""

from trading.compiled import on_records
from trading.smc.layout import Candle, End, Ended, Kind, State, Swing, Zone
from trading.smc.zones import end, open_zone


@on_records
def find_block(state: State, swing: Swing, side: int, candle: Candle, ended: Ended) -> None:
    """Open the block of a swing that this candle's close breaks."""
    open_zone(
        state,
        candle,
        ended,
        Kind.BLOCK,
        side,
        swing.base_at,
        swing.base_bottom,
        swing.base_top,
        swing.price,
    )


@on_records
def visit_block(zone: Zone, candle: Candle) -> None:
    """Mitigated by a wick into it, a breaker by a wick through it, ended by a wick back through the breaker."""
    if zone.side > 0:
        is_touched, is_through = candle.low <= zone.top, candle.low < zone.bottom
        is_reclaimed = candle.high > zone.top
    else:
        is_touched, is_through = candle.high >= zone.bottom, candle.high > zone.top
        is_reclaimed = candle.low < zone.bottom
    if zone.broken_at > 0:
        if is_reclaimed:
            end(zone, candle.closed_at, End.RECLAIMED)
        return
    if is_touched and zone.touched_at == 0:
        zone.touched_at = candle.closed_at
    if is_through:
        zone.broken_at = candle.closed_at
