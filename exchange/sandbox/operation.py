"""What the operator of the venue does to it: modes, suspensions, incomplete lists, a clock that is wrong."""

from collections.abc import Callable, Iterable
from typing import Protocol

from exchange.sandbox.venue import Venue
from exchange.sandbox.wire.link import Link


class Told(Protocol):
    """Who has to know at once when a status changes."""

    def status_changed(self) -> None: ...


class Operation:
    """Changes the venue, and sees to it that its feeds say so."""

    def __init__(self, venue: Venue, feeds: Iterable[Told], links: Callable[[], Iterable[Link]]) -> None:
        self._venue = venue
        self._feeds = tuple(feeds)
        self._links = links

    def set_status(self, status: str) -> None:
        """Put the whole venue in a mode: online, maintenance, cancel_only or post_only."""
        self._venue.status = status
        self._tell()

    def suspend(self, instruments: Iterable[str], *, is_suspended: bool = True) -> None:
        """Take instruments off trading, or back."""
        change = self._venue.suspended.update if is_suspended else self._venue.suspended.difference_update
        change(instruments)
        self._tell()

    def hide(self, instruments: Iterable[str], *, is_hidden: bool = True) -> None:
        """Leave instruments out of the lists of markets, or put them back."""
        change = self._venue.hidden.update if is_hidden else self._venue.hidden.difference_update
        change(instruments)
        self._tell()

    def skew(self, by_ns: int) -> None:
        """Have the venue's clock be wrong by so much. No time passes by that: connections don't grow older."""
        change_ns = by_ns - self._venue.skew_ns
        self._venue.skew_ns = by_ns
        for link in self._links():
            link.shift(change_ns)

    def _tell(self) -> None:
        for feed in self._feeds:
            feed.status_changed()
