"""The lockstep barrier: the market stands still until every registered session is done with what it was told.

A session says which links are its own. At every stop of the market it is told the time and, for each of them, how many
frames were sent and how many of its own are answered; it reports, once it has handled them all and its due timers, how
many frames it has sent itself, how many of its REST calls are unanswered and when its next timer is due. The end of a
link counts like a frame. It is told nothing while a frame of its own is being answered, so that what it knows at any
time does not depend on how fast that goes.

Sessions have their turns one after the other, in the order of their registration, so that what they do is in one order.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

from exchange.sandbox.wire.link import Link

OPEN, SILENT, ENDED = "open", "silent", "ended"
Told = dict[str, tuple[int, int, str]]  # by the link's address: frames sent, frames answered, what has become of it


class Report(NamedTuple):
    """What a session says when it has nothing left to do."""

    stop: int  # number of the announcement it is done with
    sent: dict[str, int]  # by the link's address: frames it has sent
    calls: int  # requests it has sent and that were not answered
    timer_ns: int | None  # when its next timer is due, in the venue's time


class Announcement(NamedTuple):
    """What a session is told at a stop."""

    stop: int
    now_ns: int
    frames: Told


NOTHING = Announcement(0, 0, {})


@dataclass(eq=False)
class Seat:
    """One registered session."""

    name: str
    tell: Callable[[Announcement], Awaitable[None]]  # raises ConnectionError when the session has gone
    key: str = ""  # what its requests carry in their header; no other session ever has the same
    links: dict[str, Link] = field(default_factory=dict)
    told: Announcement = NOTHING
    report: Report | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    _counted: Told | None = None  # `frames`, until a link changes: every look at the session asks for them

    @property
    def timer_ns(self) -> int | None:
        return None if self.report is None else self.report.timer_ns

    def recount(self) -> None:
        """A link has changed, or there are others."""
        self._counted = None

    def frames(self) -> Told:
        """How many frames every link has, or will have, handed to the session."""
        if self._counted is None:
            self._counted = {
                address: (link.accepted, link.answered, fate(link)) for address, link in self.links.items()
            }
        return self._counted

    def is_at_rest(self) -> bool:
        """Whether nothing that the session has sent is being answered now."""
        return all(link.is_waiting or fate(link) != OPEN for link in self.links.values())

    def has_news(self, now_ns: int) -> bool:
        """Whether the session doesn't know all that it has to act on."""
        timer_ns = self.timer_ns
        is_due = timer_ns is not None and self.told.now_ns < timer_ns <= now_ns
        is_late = self.report is not None and self.report.calls > 0 and self.told.now_ns != now_ns
        return is_due or is_late or self.told.stop == 0 or self.told.frames != self.frames()

    def waits_for(self, held_requests: int) -> str:
        """What is still to come before the session is done with what it was told; "" if nothing is.

        `held_requests` are those of its own that a fault holds: their answers come when the market has moved.
        """
        report = self.report
        if report is None or report.stop != self.told.stop:
            return "has not handled what it was told"
        if report.calls > held_requests:
            return f"waits for {report.calls} answers, of which faults hold {held_requests} that carry its header"
        for address, link in self.links.items():
            if fate(link) == OPEN and self._is_unanswered(link, report.sent.get(address, 0)):
                return f"has sent a frame on {address} that is not answered"
        return ""

    def forget_ended(self) -> None:
        """Let go of the links whose end the session has handled."""
        self.links = {address: link for address, link in self.links.items() if not self.knows_end_of(link)}
        self.recount()

    def knows_end_of(self, link: Link) -> bool:
        """Whether the session was told that this link has ended."""
        return self.told.frames.get(link.address, (0, 0, OPEN))[2] == ENDED

    @staticmethod
    def _is_unanswered(link: Link, sent: int) -> bool:
        return link.answered < sent or not link.is_waiting


class Barrier:
    """All registered sessions."""

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self.seats: list[Seat] = []
        self.changes = 0  # of any link's counts, so far
        self.lock = asyncio.Lock()  # held by the one who settles, and by the pump from stop to stop in lockstep
        self.held_requests: Callable[[str], int] = lambda _: 0  # of the session with this key
        self.tells_time: Callable[[], bool] = lambda: False  # also when nothing else is new
        self._now_ns = now_ns
        self._owners: dict[Link, Seat] = {}
        self._keys = count(1)
        self._is_stirred = asyncio.Event()

    def sit(self, seat: Seat) -> None:
        """Register a session, once."""
        assert seat not in self.seats
        seat.key = str(next(self._keys))
        self.seats.append(seat)
        self.stir(seat)

    def leave(self, seat: Seat) -> None:
        """A session has gone; nobody waits for it any more."""
        if seat in self.seats:
            self.seats.remove(seat)
        self._owners = {link: owner for link, owner in self._owners.items() if owner is not seat}
        self.stir(seat)

    def own(self, seat: Seat, link: Link) -> None:
        """The session says that this link is its own."""
        seat.links[link.address] = link
        seat.recount()
        self._owners[link] = seat
        self.stir(seat)

    def is_owned(self, link: Link) -> bool:
        """Whether a session looks after this link."""
        return link in self._owners

    def notice(self, link: Link) -> None:
        """A link's counts have changed."""
        self.changes += 1
        seat = self._owners.get(link)
        if seat is not None:
            seat.recount()
            self.stir(seat)

    def stir(self, seat: Seat | None = None) -> None:
        """Something has changed for this session, or for all."""
        for stirred in self.seats if seat is None else (seat,):
            stirred.changed.set()
        self._is_stirred.set()

    def next_timer_ns(self) -> int | None:
        """When the first timer of any session is due that its session was not told of."""
        return min(
            (seat.timer_ns for seat in self.seats if seat.timer_ns is not None and seat.timer_ns > seat.told.now_ns),
            default=None,
        )

    async def run(self) -> None:
        """Settle whenever something changes while the market stands still, or moves by itself."""
        while True:
            await self._is_stirred.wait()
            self._is_stirred.clear()
            async with self.lock:
                await self.settle()

    async def settle(self) -> None:
        """Return when every session is done with all it was told, and has been told all."""
        is_settled = False
        while not is_settled:
            is_settled = True
            for seat in tuple(self.seats):
                if self._owes(seat):
                    is_settled = False
                    await self._turn(seat)

    def unsettled(self) -> str:
        """Which sessions are not done, and what they wait for, as a sentence; "" when all are done."""
        waiting = [(seat.name, seat.waits_for(self.held_requests(seat.key))) for seat in self.seats]
        return "; ".join(f"session {name!r} {reason}" for name, reason in waiting if reason)

    def _owes(self, seat: Seat) -> bool:
        return self._has_news(seat) or seat.waits_for(self.held_requests(seat.key)) != ""

    def _has_news(self, seat: Seat) -> bool:
        now_ns = self._now_ns()
        return seat.has_news(now_ns) or (self.tells_time() and seat.told.now_ns != now_ns)

    async def _turn(self, seat: Seat) -> None:
        """Let one session do what it has to do."""
        while seat in self.seats and self._owes(seat):
            seat.changed.clear()
            if not self._has_news(seat) or not seat.is_at_rest():
                await seat.changed.wait()
            elif not await self._tell(seat):
                return
        if any(seat.knows_end_of(link) for link in seat.links.values()):
            self._owners = {link: owner for link, owner in self._owners.items() if not owner.knows_end_of(link)}
            seat.forget_ended()

    async def _tell(self, seat: Seat) -> bool:
        """Announce what is new; whether the session was there to hear it."""
        seat.told = Announcement(seat.told.stop + 1, self._now_ns(), seat.frames())
        try:
            await seat.tell(seat.told)
        except ConnectionError:
            self.leave(seat)
            return False
        return True


def fate(link: Link) -> str:
    """What has become of a link, for the session that owns it."""
    if not link.is_open:
        return ENDED
    return SILENT if link.is_silent else OPEN
