"""What finished trades came to, all of them or those that share a label."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from trading.metrics.returns import FloatArray, IntArray


class TradeColumns(NamedTuple):
    """The finished trades of a run, one row each, in any order."""

    entered_at: IntArray  # µs
    exited_at: IntArray  # µs
    net_pnl_usd: FloatArray  # after all costs
    fees_usd: FloatArray
    slippage_usd: FloatArray
    r_multiple: FloatArray  # net result in units of the risk taken; NaN where there was no stop
    traded_usd: FloatArray  # notional of entry and exit together
    spread_usd: FloatArray
    funding_usd: FloatArray  # paid; less than 0: received


NO_TRADES = TradeColumns(*(np.empty(0, np.int64),) * 2, *(np.empty(0, np.float64),) * 7)


class TradeFigures(NamedTuple):
    """The numbers of a set of trades. None: the trades can't say."""

    trades: int
    net_pnl_usd: float
    win_rate_percent: float | None
    profit_factor: float | None  # won USD per lost USD; None without a losing trade
    expectancy_usd: float | None
    expectancy_r: float | None  # mean of the trades that had a stop
    average_win_usd: float | None
    average_loss_usd: float | None  # negative
    average_holding_us: int | None
    fees_usd: float
    slippage_usd: float
    spread_usd: float
    funding_usd: float


def trade_figures(trades: TradeColumns) -> TradeFigures:
    """All figures that need nothing but the trades."""
    net = trades.net_pnl_usd
    wins, losses = net[net > 0], net[net < 0]
    return TradeFigures(
        trades=net.size,
        net_pnl_usd=float(net.sum()),
        win_rate_percent=ratio(100.0 * wins.size, net.size),
        profit_factor=ratio(float(wins.sum()), -float(losses.sum())),
        expectancy_usd=_mean(net),
        expectancy_r=_mean(trades.r_multiple[~np.isnan(trades.r_multiple)]),
        average_win_usd=_mean(wins),
        average_loss_usd=_mean(losses),
        average_holding_us=int((trades.exited_at - trades.entered_at).mean()) if net.size else None,
        fees_usd=float(trades.fees_usd.sum()),
        slippage_usd=float(trades.slippage_usd.sum()),
        spread_usd=float(trades.spread_usd.sum()),
        funding_usd=float(trades.funding_usd.sum()),
    )


def figures_by_label(trades: TradeColumns, labels: Sequence[str]) -> Mapping[str, TradeFigures]:
    """The figures of the trades of each label, in the order of the labels; one label per trade."""
    assert len(labels) == trades.net_pnl_usd.size
    if not labels:
        return {}
    names, numbers = np.unique(np.asarray(labels, dtype=np.str_), return_inverse=True)
    return {
        str(name): trade_figures(TradeColumns(*(column[numbers == number] for column in trades)))
        for number, name in enumerate(names)
    }


def ratio(numerator: float, denominator: float) -> float | None:
    """The quotient, or None where it is no finite number."""
    if denominator == 0:
        return None
    quotient = numerator / denominator
    return quotient if math.isfinite(quotient) else None


def _mean(values: FloatArray) -> float | None:
    return float(values.mean()) if values.size else None
