"""All figures of a run, from its equity and its trades.

Conventions, said once. Percentages are percent (12.5, not 0.125). Drawdown is a positive depth below the highest
equity so far. What is annualised takes 365 days for a year, as coins trade on all of them, and no risk-free rate:

    volatility  deviation of the daily returns (of a sample, n - 1) times sqrt(365)
    Sharpe      mean of the daily returns over their deviation, times sqrt(365) (Sharpe 1994)
    Sortino     the same over the root of the mean square of the negative ones (Sortino and Price 1994)
    Calmar      growth a year over the deepest drawdown, of the whole run (Young 1991 takes the last three years)
    turnover    USD bought and sold, both sides of each trade, over the average equity, a year

Days are those of `trading/metrics/returns.py`. A figure that the data can't support is None: never NaN, never infinity,
never a made-up zero.
"""

import math
from typing import NamedTuple

import numpy as np

from trading.metrics.returns import (
    DAYS_PER_YEAR,
    SMALLEST_DEVIATION,
    YEARLY,
    FloatArray,
    IntArray,
    assert_usable,
    daily_returns,
    drawdown_percent,
    longest_drawdown_us,
)
from trading.metrics.trades import TradeColumns, ratio, trade_figures
from trading.model import DAY_US

SHORTEST_ANNUALISED_US = 30 * DAY_US  # less than a month, raised to the power of a year, is noise


class Metrics(NamedTuple):
    """The numbers of one run. None: the data can't say."""

    starting_usd: float
    final_equity_usd: float
    net_profit_usd: float
    return_percent: float
    cagr_percent: float | None  # None under 30 days
    volatility_percent: float | None  # a year
    max_drawdown_percent: float
    longest_drawdown_us: int  # from a peak to its recovery, or to the end
    sharpe: float | None
    sortino: float | None
    calmar: float | None  # None under 30 days, and without a drawdown
    trades: int
    win_rate_percent: float | None
    profit_factor: float | None  # None without a losing trade
    expectancy_usd: float | None
    expectancy_r: float | None
    average_win_usd: float | None
    average_loss_usd: float | None  # negative
    average_holding_us: int | None
    exposure_percent: float | None  # share of the time with at least one position open
    turnover: float | None  # times the average equity, a year; None under 30 days
    fees_usd: float
    slippage_usd: float
    spread_usd: float
    funding_usd: float  # paid; less than 0: received

    @property
    def costs_usd(self) -> float:
        """All that trading and holding have cost."""
        return self.fees_usd + self.spread_usd + self.slippage_usd + self.funding_usd


def measure(at: IntArray, equity_usd: FloatArray, starting_usd: float, trades: TradeColumns) -> Metrics:
    """All metrics of a run that began with `starting_usd` and stood at `equity_usd[i]` at `at[i]` (µs, ascending)."""
    assert_usable(at, equity_usd, starting_usd)
    final_usd = float(equity_usd[-1]) if equity_usd.size else starting_usd
    span_us = int(at[-1] - at[0]) if at.size else 0
    cagr_percent = _cagr_percent(final_usd / starting_usd, span_us)
    max_drawdown_percent = float(drawdown_percent(equity_usd, starting_usd).max(initial=0.0))
    volatility_percent, sharpe, sortino = _risk_adjusted(daily_returns(at, equity_usd, starting_usd))
    own = trade_figures(trades)
    return Metrics(
        starting_usd=starting_usd,
        final_equity_usd=final_usd,
        net_profit_usd=final_usd - starting_usd,
        return_percent=(final_usd / starting_usd - 1) * 100,
        cagr_percent=cagr_percent,
        volatility_percent=volatility_percent,
        max_drawdown_percent=max_drawdown_percent,
        longest_drawdown_us=longest_drawdown_us(at, equity_usd, starting_usd),
        sharpe=sharpe,
        sortino=sortino,
        calmar=None if cagr_percent is None else ratio(cagr_percent, max_drawdown_percent),
        trades=own.trades,
        win_rate_percent=own.win_rate_percent,
        profit_factor=own.profit_factor,
        expectancy_usd=own.expectancy_usd,
        expectancy_r=own.expectancy_r,
        average_win_usd=own.average_win_usd,
        average_loss_usd=own.average_loss_usd,
        average_holding_us=own.average_holding_us,
        exposure_percent=_exposure_percent(at, trades),
        turnover=_turnover(equity_usd, trades, span_us),
        fees_usd=own.fees_usd,
        slippage_usd=own.slippage_usd,
        spread_usd=own.spread_usd,
        funding_usd=own.funding_usd,
    )


def _cagr_percent(growth: float, span_us: int) -> float | None:
    if span_us < SHORTEST_ANNUALISED_US or growth < 0:
        return None
    if growth == 0:
        return -100.0
    yearly_log = math.log(growth) * DAYS_PER_YEAR * DAY_US / span_us
    return math.expm1(yearly_log) * 100 if yearly_log < 700 else None  # e**709 is the largest a float holds


def _risk_adjusted(daily: FloatArray | None) -> tuple[float | None, float | None, float | None]:
    """Volatility in percent, Sharpe and Sortino of daily returns."""
    if daily is None or daily.size < 2:
        return None, None, None
    mean = float(daily.mean())
    deviation = float(daily.std(ddof=1))
    downside = math.sqrt(float(np.square(np.minimum(daily, 0)).mean()))
    sharpe = mean / deviation * YEARLY if deviation > SMALLEST_DEVIATION else None
    sortino = mean / downside * YEARLY if downside > SMALLEST_DEVIATION else None
    return deviation * YEARLY * 100, sharpe, sortino


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


def _turnover(equity_usd: FloatArray, trades: TradeColumns, span_us: int) -> float | None:
    if span_us < SHORTEST_ANNUALISED_US:
        return None
    average_usd = float(equity_usd.mean())
    years = span_us / (DAYS_PER_YEAR * DAY_US)
    return ratio(float(trades.traded_usd.sum()), average_usd * years) if average_usd > 0 else None
