"""How sure the figures are: what holds for any bootstrap, and for this one."""

import math

import numpy as np
import pytest
from doses import examples
from hypothesis import given
from hypothesis import strategies as st

from trading.metrics.intervals import FEWEST, MOST_DRAWN, Intervals, block_days, bootstrap, stationary_days

SEEDS = range(60)


def days(seed: int, count: int, mean: float = 0.001, deviation: float = 0.02) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, deviation, count)


def r_of(seed: int, count: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.1, 1.0, count)


def sharpe(daily: np.ndarray) -> float:
    return float(daily.mean() / daily.std(ddof=1) * math.sqrt(365))


def test_the_same_seed_gives_the_same_intervals_and_another_seed_others():
    daily, r = days(1, 400), r_of(2, 200)
    first = bootstrap(daily, r, 1e5, 7)
    assert first == bootstrap(daily, r, 1e5, 7)
    other = bootstrap(daily, r, 1e5, 8)
    assert all(mine != theirs for mine, theirs in zip(first, other, strict=True))


def test_the_figure_of_the_run_lies_inside_for_nearly_every_seed():
    inside = []
    for seed in SEEDS:
        daily, r = days(seed, 200), r_of(seed, 60)
        found = bootstrap(daily, r, 1e5, seed)
        profit = (np.prod(1 + daily) - 1) * 1e5
        figures = [(found.sharpe, sharpe(daily)), (found.net_profit_usd, profit), (found.expectancy_r, r.mean())]
        inside += [interval.low <= figure <= interval.high for interval, figure in figures]
    assert np.mean(inside) > 0.98


def test_the_truth_lies_inside_about_as_often_as_promised():
    inside = [found.low <= 0.1 <= found.high for seed in range(200) if (found := mean_interval(r_of(seed, 80), seed))]
    assert len(inside) == 200
    assert 0.90 <= np.mean(inside) <= 0.99


def mean_interval(r: np.ndarray, seed: int):
    return bootstrap(None, r, 1e5, seed).expectancy_r


@given(st.integers(0, 2**63))
@examples(40)
def test_more_data_is_surer(seed):
    few, many = (bootstrap(days(seed % 1_000, n), r_of(seed % 1_000, n), 1e5, seed) for n in (60, 960))
    for name in ("sharpe", "expectancy_r"):
        narrow, wide = getattr(many, name), getattr(few, name)
        assert narrow.high - narrow.low < 0.6 * (wide.high - wide.low)


def test_days_that_hang_together_are_less_sure():
    independent = days(5, 900, 0.0)
    together = np.repeat(independent[::9], 9)
    found = [bootstrap(daily, r_of(1, 0), 1e5, 1).sharpe for daily in (independent, together)]
    width = [interval.high - interval.low for interval in found]
    assert width[1] > 1.5 * width[0]


@given(st.integers(1, 400), st.integers(0, 2**63))
def test_blocks_run_on_and_their_mean_length_is_the_rule(count, seed):
    drawn = stationary_days(count, np.random.default_rng(seed), resamples=200)
    assert drawn.shape == (200, count)
    assert drawn.min() >= 0
    assert drawn.max() < count
    if count >= FEWEST:
        runs_on = (drawn[:, 1:] == (drawn[:, :-1] + 1) % count).mean()
        # A new block begins where the last one would have run on to once in `count` times.
        expected = 1 - 1 / block_days(count) * (1 - 1 / count)
        assert runs_on == pytest.approx(expected, abs=0.06)


def test_too_little_data_has_no_interval():
    assert bootstrap(None, r_of(1, FEWEST - 1), 1e5, 1) == Intervals(None, None, None, None)
    few_days = bootstrap(days(1, FEWEST - 1), np.full(100, math.nan), 1e5, 1)
    assert few_days == Intervals(None, None, None, None)
    assert bootstrap(days(1, FEWEST), r_of(1, FEWEST), 1e5, 1).sharpe is not None


def test_days_on_which_hardly_anything_happened_have_no_sharpe_but_a_profit():
    daily = np.zeros(100)
    daily[50] = 0.1
    found = bootstrap(daily, r_of(1, 0), 100.0, 1)
    assert found.sharpe is None
    assert found.net_profit_usd.low == 0
    assert found.net_profit_usd.high >= 10
    assert found.max_drawdown_percent == (0, 0)


def test_a_fall_from_the_start_is_a_drawdown():
    found = bootstrap(np.full(50, -0.01), r_of(1, 0), 100.0, 1)
    assert found.max_drawdown_percent == pytest.approx(((1 - 0.99**50) * 100,) * 2)


def test_very_many_trades_are_not_drawn_and_come_to_the_same():
    r = r_of(3, MOST_DRAWN + 1)
    normal, drawn = mean_interval(r, 1), mean_interval(r[:-1], 1)
    assert normal == pytest.approx(drawn, abs=0.005)
    assert mean_interval(r, 1) == mean_interval(r, 2)
