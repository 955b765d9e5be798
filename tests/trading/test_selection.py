"""The best of many trials: the papers' examples, cases worked out by hand, and what luck and skill must come to."""

import math
from itertools import combinations

import numpy as np
import pytest
from doses import examples
from hypothesis import given
from hypothesis import strategies as st

from trading.metrics.selection import best_by_luck, deflated_sharpe, overfitting_probability, probability_of_skill

DAYS = 250  # in the year of the paper


def test_the_numerical_example_of_the_deflated_sharpe_ratio():
    """Bailey and López de Prado 2014, section "A Numerical Example": 0.9004, and 0.9505 had there been 46 trials."""
    rest = {"sharpe": 2.5 / math.sqrt(DAYS), "periods": 1_250, "skewness": -3.0, "kurtosis": 10.0}
    by_luck = best_by_luck(100, 0.5 / DAYS)
    assert by_luck == pytest.approx(0.1132, abs=5e-5)
    assert probability_of_skill(by_luck=by_luck, **rest) == pytest.approx(0.9004, abs=5e-5)
    assert probability_of_skill(by_luck=best_by_luck(46, 0.5 / DAYS), **rest) == pytest.approx(0.9505, abs=5e-4)


def test_the_returns_give_sharpe_skewness_and_kurtosis():
    returns = np.array([0.01, -0.02, 0.03, 0.01, 0.005] * 50)
    sharpes = np.array([0.1, 0.3, 0.25, -0.1])
    centred = returns - returns.mean()
    expected = probability_of_skill(
        sharpe=returns.mean() / returns.std(ddof=1),
        by_luck=best_by_luck(4, np.var(sharpes, ddof=1)),
        periods=250,
        skewness=np.mean(centred**3) / np.mean(centred**2) ** 1.5,
        kurtosis=np.mean(centred**4) / np.mean(centred**2) ** 2,
    )
    assert deflated_sharpe(returns, sharpes) == pytest.approx(expected)


def test_what_can_not_be_deflated_is_unknown():
    returns = np.array([0.01, -0.02, 0.03])
    assert deflated_sharpe(returns, np.array([0.1])) is None
    assert deflated_sharpe(np.full(10, 0.01), np.array([0.1, 0.2])) is None
    assert deflated_sharpe(returns[:1], np.array([0.1, 0.2])) is None
    assert probability_of_skill(sharpe=1.0, by_luck=0.0, periods=9, skewness=3.0, kurtosis=1.0) is None


def test_more_trials_and_more_different_ones_are_luckier():
    assert best_by_luck(10, 0.01) < best_by_luck(100, 0.01) < best_by_luck(100, 0.04)
    draws = np.random.default_rng(1).normal(0, 0.1, (4_000, 100))
    assert best_by_luck(100, 0.01) == pytest.approx(draws.max(axis=1).mean(), rel=0.02)


def test_overfitting_worked_out_by_hand():
    """Two halves. The best of the first half (A, Sharpe of 1.5 / sqrt(0.5)) is the worst of the second, and the best of
    the second (C) is second of three in the first: both choices end at or below the middle.
    """
    a, b, c = [1.0, 2.0, -2.0, -1.0], [-2.0, -1.0, 0.5, 1.5], [0.5, 1.5, 1.0, 2.0]
    assert overfitting_probability(np.column_stack((a, b, c)), blocks=2) == 1.0
    better = [3.0, 4.0, 3.0, 4.0]  # best in both halves
    assert overfitting_probability(np.column_stack((a, b, c, better)), blocks=2) == 0.0


@pytest.mark.parametrize("seed", range(5))
def test_pure_luck_fails_about_half_of_the_time_and_one_with_skill_hardly_ever(seed):
    returns = np.random.default_rng(seed).normal(0, 0.01, (640, 40))
    luck = overfitting_probability(returns, blocks=10)
    assert 0.15 < luck < 0.9
    returns[:, 7] += 0.004
    assert overfitting_probability(returns, blocks=10) < 0.02


def test_what_can_not_be_judged_is_unknown():
    returns = np.random.default_rng(1).normal(0, 1, (31, 3))
    assert overfitting_probability(returns) is None
    assert overfitting_probability(returns[:, :1], blocks=4) is None
    assert overfitting_probability(np.zeros((32, 3))) == 1.0  # all the same: the choice is worth nothing


@given(st.integers(8, 40), st.integers(2, 6), st.integers(0, 2**32))
@examples(40)
def test_overfitting_equals_the_slow_obvious_one(periods, trials, seed):
    returns = np.random.default_rng(seed).normal(0, 1, (periods, trials))
    length = periods // 4
    blocks = np.split(returns[periods - 4 * length :], 4)
    fails = []
    for half in combinations(range(4), 2):
        chosen = np.concatenate([blocks[i] for i in range(4) if i in half])
        kept = np.concatenate([blocks[i] for i in range(4) if i not in half])
        best = np.argmax(chosen.mean(axis=0) / chosen.std(axis=0))
        after = kept.mean(axis=0) / kept.std(axis=0)
        share = (1 + (after < after[best]).sum()) / (trials + 1)
        fails.append(math.log(share / (1 - share)) <= 0)
    assert overfitting_probability(returns, blocks=4) == pytest.approx(np.mean(fails))
