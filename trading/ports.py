"""What the core's shell needs from outside, as small as it can be said. Every port ships with a simulated twin.

Two ports of the design are not here. `Journal`: there is one, `ops.journal`, used by `tasks` and `ops`, which may both
import it, and a test's journal is the real one in a temporary folder. `Exchange`: the simulator is its only adapter
yet, and is stepped close by close. Each becomes a Protocol with its second implementation, not before.
"""

from typing import Literal, Protocol

Severity = Literal["info", "warning", "critical"]


class Clock(Protocol):
    """Times are µs since 1970 UTC."""

    def now(self) -> int: ...

    def sleep_until(self, at: int) -> None:
        """Return at `at`, or at once if that has passed."""


class Alerts(Protocol):
    """Messages to people."""

    def send(self, key: str, severity: Severity, title: str, body: str) -> bool:
        """Tell people, and never fail over it. Whether this was the first of its key, as far as is remembered.

        `key` is the alert's identity: where there is a record, the same key again is the same alert.
        """
        ...
