"""What a run was worth: figures worked out by hand, and what holds for any run."""

import math

import numpy as np
import pytest
from doses import examples
from hypothesis import given
from hypothesis import strategies as st

from trading.metrics.figures import Metrics, measure
from trading.metrics.returns import drawdown_percent, monthly_returns
from trading.metrics.trades import NO_TRADES, TradeColumns, figures_by_label, trade_figures
from trading.model import DAY_US

HOUR_US = DAY_US // 24
JANUARY_2023_US = 1_672_531_200_000_000  # 2023-01-01 00:00 UTC


def days(*equity: float) -> tuple[np.ndarray, np.ndarray]:
    """Equity at the end of each day of 2023, the first at 00:00 of January 2."""
    at = JANUARY_2023_US + DAY_US * np.arange(1, len(equity) + 1, dtype=np.int64)
    return at, np.array(equity, dtype=np.float64)


def trades(*rows: tuple[float, float, float, float]) -> TradeColumns:
    """Trades of (day of entry, day of exit, net result, R); each traded 50 USD, paid 1 of fees, 0.5 of slippage,
    0.25 of spread, and received 0.75 of funding."""
    entered, exited, net, r = (np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))
    moments = [(JANUARY_2023_US + DAY_US * day).astype(np.int64) for day in (entered, exited)]
    fees, slippage, traded, spread, funding = (np.full(len(rows), value) for value in (1.0, 0.5, 50.0, 0.25, -0.75))
    return TradeColumns(*moments, net, fees, slippage, r, traded, spread, funding)


def test_a_run_worked_out_by_hand():
    at, equity = days(110.0, 99.0, 108.9, 121.0)
    metrics = measure(at, equity, 100.0, trades((1, 2, 20.0, 2.0), (2, 3, -10.0, -1.0), (3, 3.5, 11.0, 0.5)))
    returns = [0.1, -0.1, 0.1, 121.0 / 108.9 - 1]
    assert metrics.final_equity_usd == 121.0
    assert metrics.net_profit_usd == 21.0
    assert metrics.return_percent == pytest.approx(21.0)
    assert metrics.max_drawdown_percent == pytest.approx(10.0)
    assert metrics.longest_drawdown_us == 3 * DAY_US  # from 110 until 121
    assert metrics.sharpe == pytest.approx(np.mean(returns) / np.std(returns, ddof=1) * math.sqrt(365))
    assert metrics.sortino == pytest.approx(np.mean(returns) / math.sqrt(0.1**2 / 4) * math.sqrt(365))
    assert metrics.trades == 3
    assert metrics.win_rate_percent == pytest.approx(200 / 3)
    assert metrics.profit_factor == pytest.approx(3.1)
    assert metrics.expectancy_usd == pytest.approx(7.0)
    assert metrics.expectancy_r == pytest.approx(0.5)
    assert metrics.average_win_usd == pytest.approx(15.5)
    assert metrics.average_loss_usd == pytest.approx(-10.0)
    assert metrics.average_holding_us == pytest.approx(2.5 / 3 * DAY_US)
    assert metrics.exposure_percent == pytest.approx(100 * 2.5 / 3)
    assert metrics.fees_usd == 3.0
    assert metrics.slippage_usd == 1.5
    assert (metrics.spread_usd, metrics.funding_usd, metrics.costs_usd) == (0.75, -2.25, 3.0)
    assert metrics.volatility_percent == pytest.approx(np.std(returns, ddof=1) * math.sqrt(365) * 100)
    assert metrics.cagr_percent is metrics.calmar is metrics.turnover is None  # three days


def test_growth_is_annualised_from_a_month_on():
    at, equity = days(*np.linspace(100.0, 200.0, 366))
    assert measure(at, equity, 100.0, NO_TRADES).cagr_percent == pytest.approx(100.0)
    assert measure(at[:31], equity[:31], 100.0, NO_TRADES).cagr_percent is not None
    assert measure(at[:30], equity[:30], 100.0, NO_TRADES).cagr_percent is None


@pytest.mark.parametrize(("final", "expected"), [(0.0, -100.0), (-5.0, None)])
def test_a_lost_account_has_no_growth_to_annualise_but_minus_all(final, expected):
    at, equity = days(*[100.0] * 60, final)
    metrics = measure(at, equity, 100.0, NO_TRADES)
    assert metrics.cagr_percent == expected
    assert metrics.sharpe is None
    assert metrics.sortino is None
    assert metrics.max_drawdown_percent == 100.0 - final


def test_no_trades_on_flat_equity_say_nothing_about_skill():
    at, equity = days(*[100.0] * 40)
    metrics = measure(at, equity, 100.0, NO_TRADES)
    unknown = {name for name, value in metrics._asdict().items() if value is None}
    assert unknown == {
        "sharpe", "sortino", "calmar", "win_rate_percent", "profit_factor", "expectancy_usd", "expectancy_r",
        "average_win_usd", "average_loss_usd", "average_holding_us",
    }  # fmt: skip
    assert metrics.return_percent == metrics.cagr_percent == 0
    assert metrics.max_drawdown_percent == metrics.exposure_percent == 0
    assert metrics.volatility_percent == metrics.turnover == 0


def test_calmar_is_growth_a_year_over_the_deepest_drawdown():
    at, equity = days(*np.linspace(100.0, 120.0, 200), 108.0, *np.linspace(108.0, 200.0, 165))
    metrics = measure(at, equity, 100.0, NO_TRADES)
    assert metrics.cagr_percent == pytest.approx(100.0)
    assert metrics.calmar == pytest.approx(100.0 / 10.0)
    fallen = measure(at[:201], equity[:201] - 19.0, 100.0, NO_TRADES)
    assert fallen.calmar < 0


def test_turnover_is_what_was_traded_over_the_average_equity_a_year():
    at, equity = days(*[100.0] * 37, *[300.0] * 37)  # 73 days, a fifth of a year
    assert measure(at, equity, 100.0, trades((1, 2, 0, 0), (2, 3, 0, 0))).turnover == pytest.approx(100 / 200 * 5)
    assert measure(at, -equity, 100.0, trades((1, 2, 0, 0))).turnover is None


def test_trades_of_a_label_are_judged_like_all_trades():
    all_trades = trades((1, 2, 20.0, 2.0), (2, 3, -10.0, math.nan), (3, 4, -2.0, -0.5))
    groups = figures_by_label(all_trades, ["long", "short", "long"])
    assert list(groups) == ["long", "short"]
    assert groups["long"] == trade_figures(trades((1, 2, 20.0, 2.0), (3, 4, -2.0, -0.5)))
    assert groups["short"].expectancy_r is groups["short"].average_win_usd is None
    assert sum(group.net_pnl_usd for group in groups.values()) == trade_figures(all_trades).net_pnl_usd == 8.0
    assert figures_by_label(NO_TRADES, []) == {}


def test_no_candles_at_all_leave_the_starting_cash():
    metrics = measure(np.empty(0, np.int64), np.empty(0), 100.0, NO_TRADES)
    assert metrics.final_equity_usd == 100.0
    assert metrics.exposure_percent is None
    assert metrics.longest_drawdown_us == 0


def test_one_losing_trade_has_no_average_win():
    at, equity = days(100.0, 90.0)
    metrics = measure(at, equity, 100.0, trades((1, 2, -10.0, -1.0)))
    assert metrics.win_rate_percent == 0.0
    assert metrics.profit_factor == 0.0
    assert metrics.average_win_usd is None
    assert metrics.average_loss_usd == -10.0


def test_a_profit_factor_without_a_loss_is_unknown_not_infinite():
    at, equity = days(100.0, 110.0)
    assert measure(at, equity, 100.0, trades((1, 2, 10.0, 1.0))).profit_factor is None


def test_trades_without_a_stop_have_no_r():
    at, equity = days(100.0, 110.0)
    only, both = trades((1, 2, 10.0, math.nan)), trades((1, 2, 10.0, math.nan), (1, 2, 4.0, 2.0))
    assert measure(at, equity, 100.0, only).expectancy_r is None
    assert measure(at, equity, 100.0, both).expectancy_r == 2.0


def test_positions_that_overlap_count_once_as_exposure():
    at, equity = days(*[100.0] * 11)  # ten days
    overlapping = trades((1, 4, 1.0, 1.0), (2, 3, 1.0, 1.0), (3, 5, 1.0, 1.0), (8, 9, 1.0, 1.0))
    assert measure(at, equity, 100.0, overlapping).exposure_percent == pytest.approx(50.0)


def test_the_first_loss_is_measured_from_the_starting_cash():
    at, equity = days(80.0, 90.0)
    metrics = measure(at, equity, 100.0, NO_TRADES)
    assert metrics.max_drawdown_percent == 20.0
    assert metrics.longest_drawdown_us == DAY_US


def test_a_midnight_belongs_to_the_day_that_ends_there():
    at = JANUARY_2023_US + np.array([12 * HOUR_US, DAY_US, DAY_US + 12 * HOUR_US, 2 * DAY_US], dtype=np.int64)
    hourly = measure(at, np.array([150.0, 110.0, 20.0, 99.0]), 100.0, NO_TRADES)
    daily = measure(at[1::2], np.array([110.0, 99.0]), 100.0, NO_TRADES)
    assert hourly.sharpe == daily.sharpe


def test_a_day_without_rows_returned_nothing():
    at, equity = days(110.0, 110.0, 99.0)
    gap = [0, 2]
    assert measure(at[gap], equity[gap], 100.0, NO_TRADES).sharpe == measure(at, equity, 100.0, NO_TRADES).sharpe


def test_months_are_calendar_months_and_chain_to_the_whole():
    at = np.array(["2022-12-31T12", "2023-02-01T00", "2023-02-01T01", "2023-04-15"], "datetime64[us]").astype(np.int64)
    months = monthly_returns(at, np.array([110.0, 121.0, 60.5, 121.0]), 100.0)
    assert [(entry.year, entry.month) for entry in months] == [(2022, 12), (2023, 1), (2023, 2), (2023, 3), (2023, 4)]
    assert [entry.return_percent for entry in months] == pytest.approx([10.0, 10.0, -50.0, 0.0, 100.0])


def test_a_month_that_begins_with_nothing_has_no_return():
    at = np.array(["2023-01-15", "2023-02-15"], "datetime64[us]").astype(np.int64)
    assert monthly_returns(at, np.array([0.0, 5.0]), 100.0)[1].return_percent is None
    assert monthly_returns(at[:0], np.empty(0), 100.0) == ()


def test_unusable_input_is_a_broken_invariant():
    at, equity = days(100.0, math.nan)
    with pytest.raises(AssertionError):
        measure(at, equity, 100.0, NO_TRADES)
    with pytest.raises(AssertionError):
        measure(at[::-1], np.array([1.0, 2.0]), 100.0, NO_TRADES)


money = st.floats(-1e9, 1e9, allow_nan=False).map(lambda value: round(value, 8))


@st.composite
def runs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, TradeColumns]:
    """Equity at any moments of two years, below zero too, and any trades within."""
    moments = st.integers(JANUARY_2023_US, JANUARY_2023_US + 730 * DAY_US)
    at = np.array(sorted(draw(st.lists(moments, max_size=30))), dtype=np.int64)
    equity = np.array(draw(st.lists(money, min_size=at.size, max_size=at.size)), dtype=np.float64)
    spans = draw(st.lists(st.tuples(moments, moments).map(sorted), max_size=10))
    net = np.array(draw(st.lists(money, min_size=len(spans), max_size=len(spans))), dtype=np.float64)
    entered, exited = (np.array([span[side] for span in spans], dtype=np.int64) for side in (0, 1))
    return at, equity, TradeColumns(entered, exited, net, np.abs(net), np.abs(net), net, np.abs(net), np.abs(net), net)


@given(runs())
def test_every_figure_is_a_finite_number_or_unknown(run):
    metrics = measure(*run[:2], 100_000.0, run[2])
    assert all(value is None or math.isfinite(value) for value in metrics)
    assert metrics.max_drawdown_percent >= 0
    assert metrics.longest_drawdown_us >= 0
    assert metrics.exposure_percent is None or 0 <= metrics.exposure_percent <= 100.000001
    assert metrics.win_rate_percent is None or 0 <= metrics.win_rate_percent <= 100


@given(runs())
def test_drawdowns_equal_the_slow_obvious_ones(run):
    at, equity, _ = run
    peak, peak_at, longest, depths, under = 100_000.0, at[0] if at.size else 0, 0, [], False
    for moment, value in zip(at, equity, strict=True):
        if value >= peak:
            longest = max(longest, moment - peak_at) if under else longest
            peak, peak_at, under = value, moment, False
        else:
            longest, under = max(longest, moment - peak_at), True
        depths.append((peak - value) / peak * 100)
    metrics = measure(at, equity, 100_000.0, NO_TRADES)
    assert drawdown_percent(equity, 100_000.0).tolist() == pytest.approx(depths)
    assert metrics.max_drawdown_percent == pytest.approx(max(depths, default=0.0))
    assert metrics.longest_drawdown_us == longest


@given(runs(), st.randoms(use_true_random=False))
@examples(50)
def test_the_order_of_the_trades_does_not_matter(run, random):
    at, equity, columns = run
    order = list(range(columns.net_pnl_usd.size))
    random.shuffle(order)
    shuffled = TradeColumns(*(column[order] for column in columns))
    assert _rounded(measure(at, equity, 1.0, columns)) == _rounded(measure(at, equity, 1.0, shuffled))


@given(runs())
@examples(50)
def test_exposure_equals_the_slow_obvious_one(run):
    at, equity, columns = run
    if not at.size or at[0] == at[-1]:
        return
    covered, reached = 0, at[0]
    for entered, exited in sorted(zip(columns.entered_at.tolist(), columns.exited_at.tolist(), strict=True)):
        begin, end = max(entered, reached), min(exited, at[-1])
        covered += max(end - begin, 0)
        reached = max(reached, end)
    exposure = measure(at, equity, 1.0, columns).exposure_percent
    assert exposure == pytest.approx(100 * covered / (at[-1] - at[0]))


def _rounded(metrics: Metrics) -> list[object]:
    """Sums of floats differ in their last bits with their order."""
    return [value if value is None else pytest.approx(value, rel=1e-9, abs=1e-3) for value in metrics]
