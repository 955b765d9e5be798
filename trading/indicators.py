"""Indicators over a whole series, by TA-Lib, from a fixed anchor: the first candle of the series.

Each depends on its own past, so it is computed from the anchor every time, never from a window: what is added later
can't change what stood before, and live equals backtest bit for bit (I32, I33). Before its warm-up is over an
indicator says nothing, NaN here and NULL in tables.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trading.errors import InputUnusable

Prices = NDArray[np.float64]

LONGEST = 10_000  # candles; a longer period is a slip of the keyboard


class Indicator(NamedTuple):
    """One family of indicators, `ema` for example."""

    calculate: Callable[[Prices, Prices, Prices, int], Prices]  # (high, low, close, period)
    shortest: int  # period
    warm_up_beyond_period: int  # the first value stands at index period + this


class Need(NamedTuple):
    """One indicator with its period, as a header writes it: `ema(20)`."""

    name: str
    period: int

    @property
    def column(self) -> str:
        return f"{self.name}_{self.period}"

    @property
    def warm_up(self) -> int:
        """Candles at the start of a series for which it says nothing."""
        return self.period + INDICATORS[self.name].warm_up_beyond_period

    def __str__(self) -> str:
        return f"{self.name}({self.period})"


def _ema(high: Prices, low: Prices, close: Prices, period: int) -> Prices:
    import talib  # it loads pandas, half a second: only who computes pays, not who reads a file's needs

    return talib.EMA(close, timeperiod=period)  # type: ignore[no-any-return]  # TA-Lib is untyped


def _atr(high: Prices, low: Prices, close: Prices, period: int) -> Prices:
    import talib

    return talib.ATR(high, low, close, timeperiod=period)  # type: ignore[no-any-return]


def _rsi(high: Prices, low: Prices, close: Prices, period: int) -> Prices:
    import talib

    return talib.RSI(close, timeperiod=period)  # type: ignore[no-any-return]


INDICATORS = {
    "ema": Indicator(_ema, shortest=2, warm_up_beyond_period=-1),  # seeded by the mean of the first `period` closes
    "atr": Indicator(_atr, shortest=1, warm_up_beyond_period=0),  # true range, smoothed as Wilder did
    "rsi": Indicator(_rsi, shortest=2, warm_up_beyond_period=0),  # 0..100, smoothed as Wilder did
}

_NEED = re.compile(r"([a-z_]+)\s*\(\s*(\d{1,9})\s*\)")
_COLUMN = re.compile(rf"({'|'.join(INDICATORS)})_(\d{{1,9}})")


def parse_need(text: str) -> Need:
    """`ema(20)` as a value.

    Raises:
        InputUnusable: not of that form, an unknown indicator, or a period out of range; the text lists what is known.
    """
    match = _NEED.fullmatch(text.strip().lower())
    if match is None or match.group(1) not in INDICATORS:
        known = ", ".join(f"{name}(period)" for name in INDICATORS)
        raise InputUnusable(f"There is no indicator `{text}`; known are {known}.")
    need = Need(match.group(1), int(match.group(2)))
    shortest = INDICATORS[need.name].shortest
    if not shortest <= need.period <= LONGEST:
        raise InputUnusable(f"The period of `{need}` must lie between {shortest} and {LONGEST} candles.")
    return need


def is_indicator_column(column: str) -> bool:
    """Whether `column` carries a name that only an indicator has, such as `ema_20`."""
    return _COLUMN.fullmatch(column) is not None


def calculate(need: Need, high: Prices, low: Prices, close: Prices) -> Prices:
    """Values of one indicator at every candle of a series, oldest first; NaN while it warms up.

    Prices are finite and positive, one per candle, from the first candle of the series on.
    """
    assert len(high) == len(low) == len(close)
    if len(close) <= need.warm_up:
        return np.full(len(close), np.nan)
    return INDICATORS[need.name].calculate(high, low, close, need.period)
