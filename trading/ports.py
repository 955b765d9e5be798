"""What the core's shell needs from outside, as small as it can be said. Every port ships with a simulated twin."""

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
        """Record an alert before it is sent, then send it until it has arrived.

        `key` is its identity: the same key again is the same alert. Whether this was the first of its key.
        """
        ...
