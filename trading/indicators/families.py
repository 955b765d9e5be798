"""The formulas: what there is, which numbers each takes, when it begins to speak.

By TA-Lib wherever it has them. Smoothed averages are seeded by the plain mean of their first values, as Wilder and most
charting programs do; docs/indicators.md says where others differ.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from trading.model import DAY_US

Prices = NDArray[np.float64]

AT_ONCE = 4_096  # candles: a window of some hundred of each stays in the processor's cache
LONGEST = 10_000  # candles; a longer period is a slip of the keyboard


class Candles(NamedTuple):
    """One series, oldest first, one entry per candle; prices are finite and positive."""

    opened_us: NDArray[np.int64]  # since 1970
    high: Prices
    low: Prices
    close: Prices
    volume: Prices
    candle_us: int

    def followed_by(self, later: "Candles") -> "Candles":
        """These candles, and after them later ones of the same series."""
        return Candles(
            np.concatenate([self.opened_us, later.opened_us]),
            np.concatenate([self.high, later.high]),
            np.concatenate([self.low, later.low]),
            np.concatenate([self.close, later.close]),
            np.concatenate([self.volume, later.volume]),
            self.candle_us,
        )

    def between(self, begin: int, end: int) -> "Candles":
        """The candles at these places, the last one left out."""
        part = slice(begin, end)
        return Candles(
            self.opened_us[part], self.high[part], self.low[part], self.close[part], self.volume[part], self.candle_us
        )


class Number(NamedTuple):
    """One number that an indicator takes. `is_whole`: it counts candles."""

    name: str
    least: float
    most: float = LONGEST
    is_whole: bool = True


class Family(NamedTuple):
    """One family of indicators, such as `ema`."""

    outputs: tuple[str, ...]  # columns, before their numbers
    numbers: tuple[Number, ...]
    warm_up: Callable[..., int]  # of the numbers: candles at the start of a series for which nothing is said
    calculate: Callable[..., tuple[Prices, ...]]  # of candles and numbers, for more candles than the warm-up has
    # Where the last step is dear and looks back no further than its numbers say: of what was calculated, how many of
    # the newest candles are asked for, and the numbers.
    finish: Callable[..., tuple[Prices, ...]] | None = None
    refusal: Callable[..., str] = lambda *_numbers: ""  # why these numbers make no sense together


def _talib() -> Any:
    import talib  # it loads pandas, half a second: only who computes pays, not who reads a file's needs

    return talib


def _sma(candles: Candles, period: int) -> tuple[Prices, ...]:
    return (_talib().SMA(candles.close, period),)


def _ema(candles: Candles, period: int) -> tuple[Prices, ...]:
    return (_talib().EMA(candles.close, period),)


def _atr(candles: Candles, period: int) -> tuple[Prices, ...]:
    return (_talib().ATR(candles.high, candles.low, candles.close, period),)


def _rsi(candles: Candles, period: int) -> tuple[Prices, ...]:
    return (_talib().RSI(candles.close, period),)


def _macd(candles: Candles, fast: int, slow: int, signal: int) -> tuple[Prices, ...]:
    """Appel's: the difference of two averages, its own average, and the difference of these.

    Not by TA-Lib's MACD, which begins the fast average where the slow one does: then it would not be `ema_12 - ema_26`.
    """
    line = _talib().EMA(candles.close, fast) - _talib().EMA(candles.close, slow)
    smooth = np.full_like(line, np.nan)
    smooth[slow - 1 :] = _talib().EMA(line[slow - 1 :], signal)
    return line, smooth, line - smooth


def _bollinger(candles: Candles, period: int, deviations: float) -> tuple[Prices, ...]:
    upper, middle, lower = _talib().BBANDS(candles.close, period, deviations, deviations)
    return upper, middle, lower


def _adx(candles: Candles, period: int) -> tuple[Prices, ...]:
    return (_talib().ADX(candles.high, candles.low, candles.close, period),)


def _dmi(candles: Candles, period: int) -> tuple[Prices, ...]:
    prices = candles.high, candles.low, candles.close
    return _talib().PLUS_DI(*prices, period), _talib().MINUS_DI(*prices, period)


def _stochastic(candles: Candles, period: int, smooth_k: int, smooth_d: int) -> tuple[Prices, ...]:
    k, d = _talib().STOCH(
        candles.high, candles.low, candles.close,
        fastk_period=period, slowk_period=smooth_k, slowk_matype=0, slowd_period=smooth_d, slowd_matype=0,
    )  # fmt: skip
    return k, d


def _supertrend(candles: Candles, period: int, multiple: float) -> tuple[Prices, ...]:
    """Seban's: a stop that trails at so many ATR from the middle of the candle, and turns when a close crosses it."""
    ranges = multiple * _talib().ATR(candles.high, candles.low, candles.close, period)
    middle = (candles.high + candles.low) / 2
    level, side = np.full_like(middle, np.nan), np.full_like(middle, np.nan)
    upper = lower = previous = float("nan")
    is_up = bool(candles.close[period] >= middle[period])
    rows = zip((middle + ranges).tolist(), (middle - ranges).tolist(), candles.close.tolist(), strict=True)
    for place, (above, below, close) in enumerate(rows):
        if place < period:
            previous = close
            continue
        if place == period or above < upper or previous > upper:
            upper = above
        if place == period or below > lower or previous < lower:
            lower = below
        is_up = close > (lower if is_up else upper)
        level[place], side[place] = (lower, 1.0) if is_up else (upper, -1.0)
        previous = close
    return level, side


def _obv(candles: Candles) -> tuple[Prices, ...]:
    return (_talib().OBV(candles.close, candles.volume),)


def _vwap(candles: Candles) -> tuple[Prices, ...]:
    """Since midnight, UTC: of the typical price (high, low and close), weighted by volume.

    Silent on a first day whose beginning is not there; where nothing was traded yet, the typical price itself.
    """
    typical = (candles.high + candles.low + candles.close) / 3
    days = candles.opened_us // DAY_US
    begins = np.flatnonzero(np.diff(days, prepend=days[0] - 1))
    traded = _sums_since(begins, candles.volume)
    worth = _sums_since(begins, typical * candles.volume)
    values = np.divide(worth, traded, out=typical, where=traded > 0)
    if candles.opened_us[0] % DAY_US:
        values[: begins[1] if len(begins) > 1 else len(values)] = np.nan
    return (values,)


def _sums_since(begins: NDArray[np.int64], values: Prices) -> Prices:
    """Running sums, each from the last of these places on: a row for each place, all summed at once."""
    lengths = np.diff(begins, append=len(values))
    row = np.repeat(np.arange(len(begins)), lengths)
    place = np.arange(len(values)) - begins[row]
    table = np.zeros((len(begins), lengths.max()))
    table[row, place] = values
    sums: Prices = np.cumsum(table, axis=1)[row, place]
    return sums


def _relative_range(candles: Candles, period: int, _window: int) -> tuple[Prices, ...]:
    return (_talib().ATR(candles.high, candles.low, candles.close, period) / candles.close,)


def _regime(relative: Prices, newest: int, _period: int, window: int) -> tuple[Prices, ...]:
    """Which share of the last `window` candles was no wilder than this one, by ATR over close."""
    share = np.empty(newest)
    first = len(relative) - newest
    for start in range(0, newest, AT_ONCE):
        end = min(start + AT_ONCE, newest)
        # A row for each place in the window, so that numpy goes along the series, which vectorizes.
        backwards = sliding_window_view(relative[first + start - window + 1 : first + end], end - start)
        no_wilder = (backwards <= backwards[-1]).sum(axis=0, dtype=np.uint16)
        share[start:end] = no_wilder / window
    return (share,)


def _faster_first(fast: int, slow: int, _signal: int) -> str:
    return "" if fast < slow else "fast must be below slow"


PERIOD = Number("period", 2)

FAMILIES = {
    "sma": Family(("sma",), (PERIOD,), lambda period: period - 1, _sma),
    "ema": Family(("ema",), (PERIOD,), lambda period: period - 1, _ema),
    "atr": Family(("atr",), (Number("period", 1),), lambda period: period, _atr),
    "rsi": Family(("rsi",), (PERIOD,), lambda period: period, _rsi),
    "macd": Family(
        ("macd", "macd_signal", "macd_histogram"),
        (PERIOD._replace(name="fast"), PERIOD._replace(name="slow"), PERIOD._replace(name="signal")),
        lambda _fast, slow, signal: slow + signal - 2,
        _macd,
        refusal=_faster_first,
    ),
    "bollinger": Family(
        ("bollinger_upper", "bollinger_middle", "bollinger_lower"),
        (PERIOD, Number("deviations", 0.1, 10, is_whole=False)),
        lambda period, _deviations: period - 1,
        _bollinger,
    ),
    "adx": Family(("adx",), (PERIOD,), lambda period: 2 * period - 1, _adx),
    "dmi": Family(("plus_di", "minus_di"), (PERIOD,), lambda period: period, _dmi),
    "stochastic": Family(
        ("stochastic_k", "stochastic_d"),
        (Number("period", 1), Number("smooth_k", 1), Number("smooth_d", 1)),
        lambda period, smooth_k, smooth_d: period + smooth_k + smooth_d - 3,
        _stochastic,
    ),
    "supertrend": Family(
        ("supertrend", "supertrend_side"),
        (Number("period", 1), Number("multiple", 0.1, 100, is_whole=False)),
        lambda period, _multiple: period,
        _supertrend,
    ),
    "obv": Family(("obv",), (), lambda: 0, _obv),
    "vwap": Family(("vwap",), (), lambda: 0, _vwap),
    "volatility": Family(
        ("volatility",),
        (Number("period", 1), Number("window", 2)),
        lambda period, window: period + window - 1,
        _relative_range,
        _regime,
    ),
}
