"""What the operator of the venue does to it: modes, suspensions, incomplete lists, a clock that is wrong.

A change is for good, or lies over what was there before until it is ended. Such changes may overlap: what shows is the
latest that has not ended. A change for good ends all that lie over one another there.
"""

from collections.abc import Callable, Iterable
from typing import Generic, Protocol, TypeVar

from exchange.sandbox.venue import Venue
from exchange.sandbox.wire.link import Link

Value = TypeVar("Value")
End = Callable[[], None]  # takes a change back; does nothing to one that another has ended


class Told(Protocol):
    """Who has to know at once when a status changes."""

    def status_changed(self) -> None: ...


class Operation:
    """Changes the venue, and sees to it that its feeds say so. Every change returns what ends it."""

    def __init__(self, venue: Venue, feeds: Iterable[Told], links: Callable[[], Iterable[Link]]) -> None:
        self._venue = venue
        self._feeds = tuple(feeds)
        self._links = links
        self._status = _Layers(lambda: venue.status, self._write_status)
        self._skew = _Layers(lambda: venue.skew_ns, self._write_skew)
        self._suspended: dict[str, _Layers[bool]] = {}  # by instrument
        self._hidden: dict[str, _Layers[bool]] = {}

    def set_status(self, status: str, *, is_for_good: bool = True) -> End:
        """Put the whole venue in a mode: online, maintenance, cancel_only or post_only."""
        return self._told([self._status.lay(status, is_for_good)])

    def suspend(self, instruments: Iterable[str], *, is_suspended: bool = True, is_for_good: bool = True) -> End:
        """Take instruments off trading, or back."""
        layers = [_membership(self._suspended, self._venue.suspended, name) for name in instruments]
        return self._told([layer.lay(is_suspended, is_for_good) for layer in layers])

    def hide(self, instruments: Iterable[str], *, is_hidden: bool = True, is_for_good: bool = True) -> End:
        """Leave instruments out of the lists of markets, or put them back."""
        layers = [_membership(self._hidden, self._venue.hidden, name) for name in instruments]
        return self._told([layer.lay(is_hidden, is_for_good) for layer in layers])

    def skew(self, by_ns: int, *, is_for_good: bool = True) -> End:
        """Have the venue's clock be wrong by so much. No time passes by that: connections don't grow older."""
        return self._skew.lay(by_ns, is_for_good)

    def _write_status(self, status: str) -> None:
        self._venue.status = status

    def _write_skew(self, by_ns: int) -> None:
        change_ns = by_ns - self._venue.skew_ns
        self._venue.skew_ns = by_ns
        for link in self._links():
            link.shift(change_ns)

    def _told(self, ends: list[End]) -> End:
        """Tell the feeds of a change that was made, and again when it is ended."""

        def end() -> None:
            for end_one in ends:
                end_one()
            self._tell()

        self._tell()
        return end

    def _tell(self) -> None:
        self._venue.halt_trading()
        for feed in self._feeds:
            feed.status_changed()


class _Layers(Generic[Value]):
    """One thing of the venue, and the changes that lie over it."""

    def __init__(self, read: Callable[[], Value], write: Callable[[Value], None]) -> None:
        self._read = read
        self._write = write
        self._layers: dict[object, Value] = {}  # from the lowest to the one that shows

    def lay(self, value: Value, is_for_good: bool) -> End:
        """Have this value show; what ends that."""
        if is_for_good:
            self._layers.clear()
        elif not self._layers:
            self._layers[object()] = self._read()
        mark = object()
        self._layers[mark] = value
        self._write(value)
        return lambda: self._end(mark)

    def _end(self, mark: object) -> None:
        if mark in self._layers and len(self._layers) > 1:
            del self._layers[mark]
            self._write(tuple(self._layers.values())[-1])


def _membership(known: dict[str, _Layers[bool]], members: set[str], name: str) -> _Layers[bool]:
    """Whether an instrument is one of these, as a thing that can be changed."""
    if name not in known:
        known[name] = _Layers(lambda: name in members, lambda is_in: (members.add if is_in else members.discard)(name))
    return known[name]
