"""What a run was worth, from its equity and its trades. Pure, and in floats: nothing is traded on these numbers.

Conventions, said once. Percentages are percent (12.5, not 0.125). Drawdown is a positive depth below the highest
equity so far. A moment that falls exactly on 00:00 UTC belongs to the day that ends there, as a candle's close does.
Sharpe and Sortino are taken from the equity at the end of each UTC day (a day without rows keeps the last value; the
first and the last day count as far as they go), 365 days a year, no risk-free rate. A figure that the data can't
support is None: never NaN, never infinity, never a made-up zero.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trading.model import DAY_US

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

DAYS_PER_YEAR = 365
SHORTEST_ANNUALISED_US = 30 * DAY_US  # less than a month, raised to the power of a year, is noise
SMALLEST_DEVIATION = 1e-12  # a return that moves less than rounding does has no risk to divide by


class TradeColumns(NamedTuple):
    """The finished trades of a run, one row each, in any order."""

    entered_at: IntArray  # µs
    exited_at: IntArray  # µs
    net_pnl_usd: FloatArray  # after all costs
    fees_usd: FloatArray
    slippage_usd: FloatArray
    r_multiple: FloatArray  # net result in units of the risk taken; NaN where there was no stop


NO_TRADES = TradeColumns(*(np.empty(0, np.int64),) * 2, *(np.empty(0, np.float64),) * 4)


class Metrics(NamedTuple):
    """The numbers of one run. None: the data can't say."""

    starting_usd: float
    final_equity_usd: float
    net_profit_usd: float
    return_percent: float
    cagr_percent: float | None  # None under 30 days
    max_drawdown_percent: float
    longest_drawdown_us: int  # from a peak to its recovery, or to the end
    sharpe: float | None
    sortino: float | None
    trades: int
    win_rate_percent: float | None
    profit_factor: float | None  # None without a losing trade
    expectancy_usd: float | None
    expectancy_r: float | None
    average_win_usd: float | None
    average_loss_usd: float | None  # negative
    average_holding_us: int | None
    exposure_percent: float | None  # share of the time with at least one position open
    fees_usd: float
    slippage_usd: float


class MonthlyReturn(NamedTuple):
    """Return of one calendar month (UTC); None when it began with nothing left."""

    year: int
    month: int
    return_percent: float | None


def measure(at: IntArray, equity_usd: FloatArray, starting_usd: float, trades: TradeColumns) -> Metrics:
    """All metrics of a run that began with `starting_usd` and stood at `equity_usd[i]` at `at[i]` (µs, ascending)."""
    _assert_usable(at, equity_usd, starting_usd)
    final_usd = float(equity_usd[-1]) if equity_usd.size else starting_usd
    span_us = int(at[-1] - at[0]) if at.size else 0
    sharpe, sortino = _risk_adjusted(_daily_returns(at, equity_usd, starting_usd))
    wins, losses = trades.net_pnl_usd[trades.net_pnl_usd > 0], trades.net_pnl_usd[trades.net_pnl_usd < 0]
    return Metrics(
        starting_usd=starting_usd,
        final_equity_usd=final_usd,
        net_profit_usd=final_usd - starting_usd,
        return_percent=(final_usd / starting_usd - 1) * 100,
        cagr_percent=_cagr_percent(final_usd / starting_usd, span_us),
        max_drawdown_percent=float(drawdown_percent(equity_usd, starting_usd).max(initial=0.0)),
        longest_drawdown_us=_longest_drawdown_us(at, equity_usd, starting_usd),
        sharpe=sharpe,
        sortino=sortino,
        trades=trades.net_pnl_usd.size,
        win_rate_percent=_ratio(100.0 * wins.size, trades.net_pnl_usd.size),
        profit_factor=_ratio(float(wins.sum()), -float(losses.sum())),
        expectancy_usd=_mean(trades.net_pnl_usd),
        expectancy_r=_mean(trades.r_multiple[~np.isnan(trades.r_multiple)]),
        average_win_usd=_mean(wins),
        average_loss_usd=_mean(losses),
        average_holding_us=_mean_us(trades.exited_at - trades.entered_at),
        exposure_percent=_exposure_percent(at, trades),
        fees_usd=float(trades.fees_usd.sum()),
        slippage_usd=float(trades.slippage_usd.sum()),
    )


def drawdown_percent(equity_usd: FloatArray, starting_usd: float) -> FloatArray:
    """Depth of each point below the highest equity so far, the start included: 0 at a peak, 100 when all is lost."""
    peak = np.maximum(np.maximum.accumulate(equity_usd), starting_usd) if equity_usd.size else equity_usd
    return (peak - equity_usd) / peak * 100


def monthly_returns(at: IntArray, equity_usd: FloatArray, starting_usd: float) -> tuple[MonthlyReturn, ...]:
    """One entry per calendar month from the first row to the last; a month without rows returned nothing."""
    _assert_usable(at, equity_usd, starting_usd)
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


def _assert_usable(at: IntArray, equity_usd: FloatArray, starting_usd: float) -> None:
    assert at.shape == equity_usd.shape
    assert starting_usd > 0
    assert bool(np.isfinite(equity_usd).all())
    assert bool((np.diff(at) >= 0).all())


def _cagr_percent(growth: float, span_us: int) -> float | None:
    if span_us < SHORTEST_ANNUALISED_US or growth < 0:
        return None
    if growth == 0:
        return -100.0
    yearly_log = math.log(growth) * DAYS_PER_YEAR * DAY_US / span_us
    return math.expm1(yearly_log) * 100 if yearly_log < 700 else None  # e**709 is the largest a float holds


def _longest_drawdown_us(at: IntArray, equity_usd: FloatArray, starting_usd: float) -> int:
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


def _daily_returns(at: IntArray, equity_usd: FloatArray, starting_usd: float) -> FloatArray | None:
    """Simple returns from day end to day end, or None once the account has nothing left to earn a return on."""
    if not at.size:
        return None
    ends = np.concatenate(([starting_usd], _at_period_ends((at - 1) // DAY_US, equity_usd)))
    return None if (ends <= 0).any() else ends[1:] / ends[:-1] - 1


def _risk_adjusted(daily: FloatArray | None) -> tuple[float | None, float | None]:
    """Sharpe and Sortino of daily returns."""
    if daily is None or daily.size < 2:
        return None, None
    mean = float(daily.mean())
    deviation = float(daily.std(ddof=1))
    downside = math.sqrt(float(np.square(np.minimum(daily, 0)).mean()))
    yearly = math.sqrt(DAYS_PER_YEAR)
    sharpe = mean / deviation * yearly if deviation > SMALLEST_DEVIATION else None
    sortino = mean / downside * yearly if downside > SMALLEST_DEVIATION else None
    return sharpe, sortino


def _at_period_ends(period: IntArray, values: FloatArray) -> FloatArray:
    """Last value of each period from the first to the last; a period without rows repeats the one before it."""
    wanted = np.arange(period[0], period[-1] + 1)
    return values[np.searchsorted(period, wanted, side="right") - 1]


def _exposure_percent(at: IntArray, trades: TradeColumns) -> float | None:
    """Positions that overlap count once."""
    if not at.size or at[0] == at[-1]:
        return None
    if not trades.entered_at.size:
        return 0.0
    order = np.argsort(trades.entered_at, kind="stable")
    entered = np.clip(trades.entered_at[order], at[0], at[-1])
    exited = np.maximum.accumulate(np.clip(trades.exited_at[order], at[0], at[-1]))
    covered_from = np.concatenate((entered[:1], np.maximum(entered[1:], exited[:-1])))
    return float(np.maximum(exited - covered_from, 0).sum()) / float(at[-1] - at[0]) * 100


def _mean(values: FloatArray) -> float | None:
    return float(values.mean()) if values.size else None


def _mean_us(values: IntArray) -> int | None:
    return int(values.mean()) if values.size else None


def _ratio(numerator: float, denominator: float) -> float | None:
    if denominator == 0:
        return None
    quotient = numerator / denominator
    return quotient if math.isfinite(quotient) else None
