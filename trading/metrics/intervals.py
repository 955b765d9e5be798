"""How sure the figures of a run are: 95 % intervals by bootstrap, the same for the same seed.

Sharpe, net profit and drawdown come from daily returns, which hang together from day to day, so they are drawn in
blocks: the stationary bootstrap (Politis and Romano 1994), whose blocks begin anywhere, have lengths of a geometric
distribution, and run on from the last day to the first. Their mean length is the cube root of the number of days, which
is the rate at which it should grow (Politis and White 2004): 10 days for three years. Trades are taken for independent
of each other: the mean R is of trades drawn one by one (Efron 1979).

Bounds are the 2.5th and the 97.5th percentile of the resamples. An interval is None where there are fewer than
`FEWEST` days or trades, or where a resample has no such figure, as one of flat days has no Sharpe.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trading.metrics.returns import SMALLEST_DEVIATION, YEARLY, FloatArray

RESAMPLES = 1_000
FEWEST = 30
OUTSIDE_PERCENT = (2.5, 97.5)
MOST_DRAWN = 3_000  # with more trades their mean is as good as normal: nothing need be drawn, in time and memory
NORMAL_BOUND = 1.959963984540054  # deviations that hold 95 % of a normal distribution


class Interval(NamedTuple):
    """Between its bounds the figure lies in 95 of 100 histories drawn from the days, or the trades, of this one."""

    low: float
    high: float


class Intervals(NamedTuple):
    """Of the figures that decide. None: the data can't say."""

    net_profit_usd: Interval | None
    max_drawdown_percent: Interval | None  # of day ends: what a day hides is not in it
    sharpe: Interval | None
    expectancy_r: Interval | None


def bootstrap(daily: FloatArray | None, r_multiple: FloatArray, starting_usd: float, seed: int) -> Intervals:
    """Intervals of a run with these daily returns (see `daily_returns`) and these results of its trades (NaN: no R)."""
    for_days, for_trades = np.random.default_rng(seed).spawn(2)
    expectancy = _mean_interval(r_multiple[~np.isnan(r_multiple)], for_trades)
    if daily is None or daily.size < FEWEST:
        return Intervals(None, None, None, expectancy)
    resamples = daily[stationary_days(daily.size, for_days)]
    growth = np.cumprod(1 + resamples, axis=1, dtype=np.float64)
    return Intervals(
        net_profit_usd=_interval((growth[:, -1] - 1) * starting_usd),
        max_drawdown_percent=_interval(_deepest_percent(growth)),
        sharpe=_sharpe_interval(resamples),
        expectancy_r=expectancy,
    )


def stationary_days(count: int, chance: np.random.Generator, resamples: int = RESAMPLES) -> NDArray[np.int64]:
    """Which day stands in for each of `count` days: a row per resample, in blocks of a mean of `block_days(count)`."""
    shape = (resamples, count)
    begins = chance.random(shape, dtype=np.float32) < 1 / block_days(count)
    begins[:, 0] = True
    position = np.arange(count)
    began = np.maximum.accumulate(np.where(begins, position, 0), axis=1)
    drawn = chance.integers(0, count, shape)
    days: NDArray[np.int64] = np.take_along_axis(drawn, began, axis=1) + position - began
    return np.where(days >= count, days - count, days)


def block_days(count: int) -> float:
    """Mean length of the blocks that `count` days are drawn in."""
    return max(float(np.cbrt(count)), 1.0)


def _mean_interval(values: FloatArray, chance: np.random.Generator) -> Interval | None:
    if values.size < FEWEST:
        return None
    if values.size > MOST_DRAWN:
        mean, error = float(values.mean()), float(values.std()) / np.sqrt(values.size)
        return Interval(float(mean - NORMAL_BOUND * error), float(mean + NORMAL_BOUND * error))
    drawn = chance.integers(0, values.size, (RESAMPLES, values.size), dtype=np.int32)
    return _interval(values[drawn].mean(axis=1))


def _deepest_percent(growth: FloatArray) -> FloatArray:
    peak = np.maximum(np.maximum.accumulate(growth, axis=1), 1.0)
    deepest: FloatArray = (1 - (growth / peak).min(axis=1)) * 100
    return deepest


def _sharpe_interval(resamples: FloatArray) -> Interval | None:
    deviation = resamples.std(axis=1, ddof=1)
    if deviation.min() <= SMALLEST_DEVIATION:
        return None
    return _interval(resamples.mean(axis=1) / deviation * YEARLY)


def _interval(figures: FloatArray) -> Interval | None:
    if not np.isfinite(figures).all():
        return None
    low, high = np.percentile(figures, OUTSIDE_PERCENT)
    return Interval(float(low), float(high))
