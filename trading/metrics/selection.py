"""What the best of many trials is worth, since the best of many is good by luck alone.

Deflated Sharpe ratio: Bailey and López de Prado, "The Deflated Sharpe Ratio", Journal of Portfolio Management 40 (5),
2014. Probability of backtest overfitting, by combinatorially symmetric cross-validation (CSCV): Bailey, Borwein, López
de Prado and Zhu, "The Probability of Backtest Overfitting", Journal of Computational Finance 20 (4), 2017.

Sharpe ratios are of one period here, a day as a rule, never annualised. A figure that the data can't support is None.
"""

import math
from itertools import combinations
from statistics import NormalDist

import numpy as np

from trading.metrics.returns import SMALLEST_DEVIATION, FloatArray, IntArray

NORMAL = NormalDist()
EULER = float(np.euler_gamma)
BLOCKS = 16  # 12,870 ways to take half of them, as in the paper
FEWEST_IN_BLOCK = 2  # a deviation needs two
AT_ONCE = 1_000  # combinations, which bounds the memory


def best_deflated(returns: FloatArray) -> float | None:
    """`deflated_sharpe` of the trial with the highest Sharpe; `returns` has a row per period and a column per trial."""
    if returns.shape[0] < 2 or returns.shape[1] < 2:
        return None
    deviation = returns.std(axis=0, ddof=1)
    moves = deviation > SMALLEST_DEVIATION
    sharpes = np.divide(returns.mean(axis=0), deviation, out=np.zeros_like(deviation), where=moves)
    return deflated_sharpe(returns[:, int(sharpes.argmax())], sharpes)


def deflated_sharpe(returns: FloatArray, sharpes: FloatArray) -> float | None:
    """Probability that the trial with these returns has a Sharpe above what the best of all trials has by luck.

    `sharpes` are those of all independent trials, the chosen one included. None with fewer than two of them, or where
    the returns have no deviation.
    """
    deviation = float(returns.std(ddof=1)) if returns.size > 1 else 0.0
    if deviation <= SMALLEST_DEVIATION or sharpes.size < 2:
        return None
    centred = (returns - returns.mean()) / returns.std()
    return probability_of_skill(
        sharpe=float(returns.mean()) / deviation,
        by_luck=best_by_luck(sharpes.size, float(sharpes.var(ddof=1))),
        periods=returns.size,
        skewness=float((centred**3).mean()),
        kurtosis=float((centred**4).mean()),
    )


def probability_of_skill(
    *, sharpe: float, by_luck: float, periods: int, skewness: float, kurtosis: float
) -> float | None:
    """Probability that the true Sharpe lies above `by_luck` (the paper's PSR); `kurtosis` is 3 for normal returns.

    None where returns of this shape have no such variance.
    """
    variance = 1 - skewness * sharpe + (kurtosis - 1) / 4 * sharpe**2
    if variance <= 0 or periods < 2:
        return None
    return NORMAL.cdf((sharpe - by_luck) * math.sqrt((periods - 1) / variance))


def best_by_luck(trials: int, variance: float) -> float:
    """Sharpe to expect of the best of `trials` without any skill, whose Sharpes vary by `variance`; at least two."""
    assert trials >= 2
    highest = (1 - EULER) * NORMAL.inv_cdf(1 - 1 / trials) + EULER * NORMAL.inv_cdf(1 - 1 / (trials * math.e))
    return math.sqrt(variance) * highest


def overfitting_probability(returns: FloatArray, blocks: int = BLOCKS) -> float | None:
    """How often the trial that is best in one half of the time is no better than the middle of all in the other half.

    `returns` has a row per period and a column per trial. Time is cut into `blocks`, an even number, and every half of
    them is once what is chosen on; rows that fill no block are left out, oldest first. A trial without a deviation has
    a Sharpe of 0. None with fewer than two trials, or two periods a block.
    """
    assert blocks % 2 == 0
    length, trials = returns.shape[0] // blocks, returns.shape[1]
    if trials < 2 or length < FEWEST_IN_BLOCK:
        return None
    cut = returns[returns.shape[0] - length * blocks :].reshape(blocks, length, trials)
    sums, squares = cut.sum(axis=1), np.square(cut).sum(axis=1)
    chosen = _halves(blocks)
    periods = length * blocks // 2
    failures = 0
    for begin in range(0, len(chosen), AT_ONCE):
        half = chosen[begin : begin + AT_ONCE]
        before = _sharpes(half @ sums, half @ squares, periods)
        after = _sharpes((1 - half) @ sums, (1 - half) @ squares, periods)
        failures += int((_relative_rank(after, before.argmax(axis=1)) <= 0.5).sum())
    return failures / len(chosen)


def _halves(blocks: int) -> FloatArray:
    """A row per way to take half of the blocks: 1 for those that are taken."""
    taken = np.array(list(combinations(range(blocks), blocks // 2)))
    rows = np.zeros((len(taken), blocks))
    np.put_along_axis(rows, taken, 1.0, axis=1)
    return rows


def _sharpes(sums: FloatArray, squares: FloatArray, periods: int) -> FloatArray:
    mean = sums / periods
    deviation = np.sqrt(np.maximum(squares / periods - mean**2, 0) * periods / (periods - 1))
    return np.divide(mean, deviation, out=np.zeros_like(mean), where=deviation > SMALLEST_DEVIATION)


def _relative_rank(figures: FloatArray, column: IntArray) -> FloatArray:
    """Rank of one column in each row, from the worst, over the number of columns and one; equals share their ranks."""
    own = np.take_along_axis(figures, column[:, None], axis=1)
    below, level = (figures < own).sum(axis=1), (figures == own).sum(axis=1)
    rank: FloatArray = (below + (level + 1) / 2) / (figures.shape[1] + 1)
    return rank
