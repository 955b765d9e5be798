"""Rate limits: a counter per key that fills with every request and drains with the venue's seconds."""

from exchange.sandbox.units import SECOND_NS

FORGET_ABOVE = 10_000  # keys; clients choose some of them, so they must not pile up


class Budget:
    """Counters that may reach `limit` and fall by `decay_per_s` every venue second. Without a limit all is granted."""

    def __init__(self, limit: float | None, decay_per_s: float = 1.0) -> None:
        self._limit = limit
        self._decay_per_s = decay_per_s
        self._counters: dict[str, tuple[float, int]] = {}  # by key: how full, and at what time

    def take(self, key: str, cost: float, now_ns: int) -> bool:
        """Whether a request of this cost is still within the budget of `key`; what is refused costs nothing."""
        if self._limit is None:
            return True
        filled = self._filled(key, now_ns) + cost
        if filled > self._limit:
            return False
        self._counters[key] = filled, now_ns
        if len(self._counters) > FORGET_ABOVE:
            self._forget(now_ns)
        return True

    def _filled(self, key: str, now_ns: int) -> float:
        filled, at_ns = self._counters.get(key, (0.0, now_ns))
        return max(0.0, filled - max(0, now_ns - at_ns) / SECOND_NS * self._decay_per_s)

    def _forget(self, now_ns: int) -> None:
        """Drop the counters that have drained, and if that isn't enough the oldest half."""
        kept = [(key, entry) for key, entry in self._counters.items() if self._filled(key, now_ns) > 0]
        if len(kept) > FORGET_ABOVE:
            kept = sorted(kept, key=lambda item: item[1][1])[len(kept) // 2 :]
        self._counters = dict(kept)
