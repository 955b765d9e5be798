"""Clocks: the machine's, and one that a test or a stepped session moves by hand. Times are µs since 1970 UTC."""

import time
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class SystemClock:
    """The machine's clock."""

    def now(self) -> int:
        return time.time_ns() // 1_000

    def sleep_until(self, at: int) -> None:
        """Block until the machine's clock shows `at`; return at once if it already does."""
        while (remaining_us := at - self.now()) > 0:  # a clock that is set back makes it sleep again
            time.sleep(remaining_us / 1_000_000)


class SteppedClock:
    """A clock that moves only when told to, and never backwards: sleeping is stepping."""

    def __init__(self, at: int = 0) -> None:
        self._at = at

    def now(self) -> int:
        return self._at

    def sleep_until(self, at: int) -> None:
        self._at = max(self._at, at)


def as_datetime(at: int) -> datetime:
    """`at` as an aware UTC time, exact to the microsecond."""
    return EPOCH + timedelta(microseconds=at)
