"""What is due at which time of the market: delayed frames and answers, and what an operator has scheduled."""

import heapq
from collections.abc import Callable
from itertools import count


class Agenda:
    """Callbacks by the market's time, in the order of their times and, within one, of their entry."""

    def __init__(self) -> None:
        self._entries: list[tuple[int, int, Callable[[], None]]] = []
        self._numbers = count()

    def at(self, due_ns: int, act: Callable[[], None]) -> None:
        """Have `act` called when the market has reached `due_ns`; a time that has passed is due at its next stop."""
        heapq.heappush(self._entries, (due_ns, next(self._numbers), act))

    def next_ns(self) -> int | None:
        """When the next entry is due."""
        return self._entries[0][0] if self._entries else None

    def run(self, now_ns: int) -> None:
        """Call what is due. What that enters anew waits for the next stop, however early it is due."""
        due = []
        while self._entries and self._entries[0][0] <= now_ns:
            due.append(heapq.heappop(self._entries)[2])
        for act in due:
            act()
