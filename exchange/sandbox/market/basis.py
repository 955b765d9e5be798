"""What lies between a perpetual and its index: premium, mark, funding. Functions of the seed and the time alone.

index = last spot price. premium = where the perpetual trades over the index: 0.01 percent, around which it wanders on
four scales. mark = index and the premium without its quickest part (the venue smooths, with a constant not known) as
they were when the index moved last: without trades both stand still.
Relative funding of an hour = mean premium of the hour before / 8, at most 0.5 percent either way.
"""

import numpy as np

from exchange.sandbox.market.model import Integers
from exchange.sandbox.market.noise import Floats, draw, wander, wander_at
from exchange.sandbox.units import HOUR_NS, MINUTE_NS, SECOND_NS

MEAN_PREMIUM = 1e-4
SLOW = ((1, 24 * HOUR_NS, 2e-4), (2, 3 * HOUR_NS, 1e-4), (3, 20 * MINUTE_NS, 5e-5))  # draw, period, reach
QUICK = (4, 45 * SECOND_NS, 4e-5)
OPEN_INTEREST = (5, 12 * HOUR_NS, 0.2)
FUNDING_COEFFICIENT = 8
HIGHEST_FUNDING = 0.005


class Basis:
    """The basis of one perpetual."""

    def __init__(self, key: int) -> None:
        self._slow = [(draw(key, number), period_ns, reach) for number, period_ns, reach in SLOW]
        self._quick = draw(key, QUICK[0])
        self._interest = draw(key, OPEN_INTEREST[0])
        self._means: tuple[int, Floats] = (0, np.zeros(0))  # premium of the hours from the first one on
        self._hour = (-1, 0, 0.0)  # begin in ns, minutes of it and the sum of their premiums

    def smoothed(self, at_ns: Integers) -> Floats:
        """Mark over index, as a share."""
        total = np.full(len(at_ns), MEAN_PREMIUM)
        for key, period_ns, reach in self._slow:
            total += reach * wander(key, at_ns, period_ns)
        return total

    def smoothed_at(self, at_ns: int) -> float:
        """Mark over index at one time."""
        total = MEAN_PREMIUM
        for key, period_ns, reach in self._slow:
            total += reach * wander_at(key, at_ns, period_ns)
        return total

    def premium(self, at_ns: Integers) -> Floats:
        """Last price over index, as a share."""
        return self.smoothed(at_ns) + QUICK[2] * wander(self._quick, at_ns, QUICK[1])

    def premium_at(self, at_ns: int) -> float:
        """Last price over index at one time."""
        return self.smoothed_at(at_ns) + QUICK[2] * wander_at(self._quick, at_ns, QUICK[1])

    def open_interest_share(self, at_ns: int) -> float:
        """Open interest of the moment over its mean."""
        return 1 + OPEN_INTEREST[2] * wander_at(self._interest, at_ns, OPEN_INTEREST[1])

    def relative_funding(self, first_hour: int, last_hour: int) -> Floats:
        """Rates of the hours from `first_hour` to `last_hour`, both included and counted from 1970."""
        start, means = self._means
        if not start < first_hour <= start + len(means) + 1:
            start, means = first_hour - 1, np.zeros(0)
        end = start + len(means)
        if last_hour > end:
            means = np.concatenate([means, self._hourly_means(end, last_hour - 1)])
        self._means = start, means
        mean = means[first_hour - 1 - start : last_hour - start]
        return np.clip(mean / FUNDING_COEFFICIENT, -HIGHEST_FUNDING, HIGHEST_FUNDING)

    def predicted_funding(self, now_ns: int) -> float:
        """The rate of the next hour, from the minutes of this one so far."""
        opened_ns = now_ns - now_ns % HOUR_NS
        known_ns, minutes, total = self._hour
        if known_ns != opened_ns or minutes > (now_ns - opened_ns) // MINUTE_NS + 1:
            minutes, total = 0, 0.0
        for at_ns in range(opened_ns + minutes * MINUTE_NS, now_ns + 1, MINUTE_NS):
            total += self.premium_at(at_ns)
            minutes += 1
        self._hour = opened_ns, minutes, total
        return min(max(total / minutes / FUNDING_COEFFICIENT, -HIGHEST_FUNDING), HIGHEST_FUNDING)

    def _hourly_means(self, first_hour: int, last_hour: int) -> Floats:
        hours = np.arange(first_hour, last_hour + 1, dtype=np.int64)
        at_ns = hours[:, None] * HOUR_NS + np.arange(0, HOUR_NS, MINUTE_NS)
        means: Floats = self.premium(at_ns.ravel()).reshape(at_ns.shape).mean(axis=1)
        return means
