"""What a series takes, and where it begins: at its first candle, and again after a hole too long to measure across."""

import math

import numpy as np

from trading.compiled import on_records
from trading.smc.layout import MASK, Bar, Candle, Core, End, Ended, Records, State, Swing
from trading.smc.zones import end, keep_ended


@on_records
def is_sound(core: Core, candle: Candle) -> bool:
    """Whether the candle is one, and comes after the last. Anything else would make every later row wrong."""
    return (
        candle.opened_at > core.opened_at
        and candle.low <= candle.open <= candle.high
        and candle.low <= candle.close <= candle.high
        and candle.high - candle.low < math.inf
        and candle.volume >= 0
    )


@on_records
def restart_after_hole(state: State, candle: Candle, ended: Ended) -> None:
    """Begin anew if more candles are missing before this one than the parameters allow."""
    core: Core = state.core[0]
    hole = (candle.opened_at - core.opened_at) // core.candle_us - 1
    if core.restart_after == 0 or core.candles == 0 or hole <= core.restart_after:
        return
    for place in range(state.counts.size):
        for index in range(state.counts[place]):
            end(state.zones[place, index], candle.closed_at, End.RESTARTED)
            keep_ended(state.zones[place, index], ended)
        state.counts[place] = 0
    clear(core, state.swings)


@on_records
def clear(core: Core, swings: Records) -> None:
    """Forget all that was measured across candles. Days, weeks, sessions and the count of zones go on."""
    core.candles = 0
    core.trend = 0
    core.last_side = 0
    core.range_sum = 0.0
    core.atr = np.nan
    for which in range(2):
        swing: Swing = swings[which]
        swing.price = np.nan
        swing.opened_at = 0
        swing.standing = 0
        swing.reach = np.nan


@on_records
def remember(state: State, candle: Candle) -> None:
    """Put the candle into the window, over the oldest."""
    core: Core = state.core[0]
    bar: Bar = state.window[core.candles & MASK]
    bar.opened_at = candle.opened_at
    bar.open = candle.open
    bar.high = candle.high
    bar.low = candle.low
    bar.close = candle.close
    bar.volume = candle.volume
    core.opened_at = candle.opened_at
    core.candles += 1
