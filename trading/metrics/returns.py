"""Returns and depths of an account, from its equity at moments in µs, ascending.

A moment that falls exactly on 00:00 UTC belongs to the day, and the month, that ends there, as a candle's close does.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trading.model import DAY_US

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

DAYS_PER_YEAR = 365
YEARLY = math.sqrt(DAYS_PER_YEAR)  # from a day's deviation to a year's
SMALLEST_DEVIATION = 1e-12  # a return that moves less than rounding does has no risk to divide by


class MonthlyReturn(NamedTuple):
    """Return of one calendar month (UTC); None when it began with nothing left."""

    year: int
    month: int
    return_percent: float | None


def daily_returns(at: IntArray, equity_usd: FloatArray, starting_usd: float) -> FloatArray | None:
    """Simple returns from day end to day end, or None once the account has nothing left to earn a return on.

    A day without rows keeps the last value; the first and the last day count as far as they go.
    """
    assert_usable(at, equity_usd, starting_usd)
    if not at.size:
        return None
    ends = np.concatenate(([starting_usd], _at_period_ends((at - 1) // DAY_US, equity_usd)))
    return None if (ends <= 0).any() else ends[1:] / ends[:-1] - 1


def monthly_returns(at: IntArray, equity_usd: FloatArray, starting_usd: float) -> tuple[MonthlyReturn, ...]:
    """One entry per calendar month from the first row to the last; a month without rows returned nothing."""
    assert_usable(at, equity_usd, starting_usd)
    if not at.size:
        return ()
    months = (at - 1).astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)
    ends = _at_period_ends(months, equity_usd)
    return tuple(
        MonthlyReturn(
            year=1970 + month // 12,
            month=month % 12 + 1,
            return_percent=None if before <= 0 else (after / before - 1) * 100,
        )
        for month, before, after in zip(
            range(int(months[0]), int(months[-1]) + 1),
            [starting_usd, *ends[:-1].tolist()],
            ends.tolist(),
            strict=True,
        )
    )


def drawdown_percent(equity_usd: FloatArray, starting_usd: float) -> FloatArray:
    """Depth of each point below the highest equity so far, the start included: 0 at a peak, 100 when all is lost."""
    peak = np.maximum(np.maximum.accumulate(equity_usd), starting_usd) if equity_usd.size else equity_usd
    return (peak - equity_usd) / peak * 100


def longest_drawdown_us(at: IntArray, equity_usd: FloatArray, starting_usd: float) -> int:
    """Longest time from a peak to its recovery, or to the end."""
    if not at.size:
        return 0
    times = np.concatenate((at[:1], at))
    values = np.concatenate(([starting_usd], equity_usd))
    at_peak = values >= np.maximum.accumulate(values)
    index = np.arange(values.size)
    last_peak = np.maximum.accumulate(np.where(at_peak, index, 0))
    # A recovery closes the stretch that began at the peak before it; two peaks in a row have none between them.
    began = np.where(at_peak, np.concatenate(([0], last_peak[:-1])), last_peak)
    below = ~at_peak | (index - began > 1)
    return int(np.where(below, times - times[began], 0).max())


def assert_usable(at: IntArray, equity_usd: FloatArray, starting_usd: float) -> None:
    """Anything else is a mistake of the caller."""
    assert at.shape == equity_usd.shape
    assert starting_usd > 0
    assert bool(np.isfinite(equity_usd).all())
    assert bool((np.diff(at) >= 0).all())


def _at_period_ends(period: IntArray, values: FloatArray) -> FloatArray:
    """Last value of each period from the first to the last; a period without rows repeats the one before it."""
    wanted = np.arange(period[0], period[-1] + 1)
    return values[np.searchsorted(period, wanted, side="right") - 1]
