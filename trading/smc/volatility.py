"""How far the price usually moves, and candles that move further."""

import numpy as np

from trading.compiled import on_records
from trading.smc.layout import MASK, Bar, Candle, Core, State


@on_records
def displacement(core: Core, candle: Candle) -> float:
    """Signed body in ATR, 0 if it is less than a displacement, NaN while the ATR warms up.

    The ATR is that of the candles before, so that a large candle does not stretch the measure it is held against.
    """
    body = candle.close - candle.open
    if np.isnan(core.atr):
        return np.nan
    if core.atr == 0.0 or abs(body) < core.displacement_atr * core.atr:
        return 0.0
    return body / core.atr


@on_records
def measure_range(state: State, candle: Candle) -> None:
    """Wilder's average true range: the mean of the first `atr_period` true ranges, smoothed from there on."""
    core: Core = state.core[0]
    if core.candles == 0:
        return
    before: Bar = state.window[(core.candles - 1) & MASK]
    true_range = max(candle.high, before.close) - min(candle.low, before.close)
    if core.candles < core.atr_period:
        core.range_sum += true_range
    elif core.candles == core.atr_period:
        core.atr = (core.range_sum + true_range) / core.atr_period
    else:
        core.atr = (core.atr * (core.atr_period - 1) + true_range) / core.atr_period
