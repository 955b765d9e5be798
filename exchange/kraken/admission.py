"""Who may call now: pools of a budget, and the calls that wait for them. Pure: the time is an argument, in µs.

A pool grants at most `limit` cost in any stretch of `window_us`. A call counts from the moment it is admitted until a
window after its reply, because the venue may have counted it at any time between the two.

Who goes first. PROTECT (cancels, protective orders) passes everything else. ORDER and READ go by the time at which
they are due: their arrival plus their class's patience. Each class may fill a pool only up to its share, so that what
is more urgent finds room even when reads are many. What is above all shares, the rest, belongs to calls that are
overdue, the oldest first. Hence no call that fits into the rest waits for ever, whatever comes after it: once it is
overdue, only calls older than itself go before it. And the overdue never take from PROTECT what is its own.
"""

from bisect import insort
from collections import deque
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import count
from typing import NamedTuple

SECOND_US = 1_000_000


class Priority(IntEnum):
    """What a call is for; the lower, the more urgent."""

    PROTECT = 0
    ORDER = 1
    READ = 2


PATIENCE_US = {Priority.ORDER: 5 * SECOND_US, Priority.READ: 60 * SECOND_US}


class Pool(NamedTuple):
    """A limit of the venue. `shares` are what PROTECT, ORDER and READ may fill it to; their rest is for the overdue."""

    limit: int
    window_us: int
    shares: tuple[int, int, int]


class Charge(NamedTuple):
    """What a call costs in one pool. A cost of 0 only makes it wait while the pool is closed."""

    name: str
    pool: Pool
    cost: int


class Call(NamedTuple):
    """One call to come."""

    priority: Priority
    charges: tuple[Charge, ...]


@dataclass(eq=False)
class Ticket:
    """A call's place in the queue, and from its admission on its claim on the pools."""

    call: Call
    number: int
    due_at: int
    admitted_at: int | None = None
    by_rest: bool = False  # charged to the rest of its pools

    def rank(self) -> tuple[bool, int, int]:
        """Place in the queue: PROTECT first, by arrival; then by when they are due."""
        is_ordinary = self.call.priority is not Priority.PROTECT
        return is_ordinary, self.due_at if is_ordinary else 0, self.number


@dataclass
class Span:
    """Costs of the calls in flight and of those that ended within the last window."""

    window_us: int
    in_flight: int = 0
    ended: deque[tuple[int, int]] = field(default_factory=deque)  # when, cost
    ended_cost: int = 0

    @property
    def used(self) -> int:
        return self.in_flight + self.ended_cost

    def forget(self, now: int) -> None:
        """Let go of what no window that ends now can contain."""
        while self.ended and self.ended[0][0] + self.window_us < now:
            self.ended_cost -= self.ended.popleft()[1]

    def end(self, cost: int, now: int) -> None:
        self.in_flight -= cost
        # The clock may have been set back; what ended last is forgotten last all the same.
        self.ended.append((max(now, self.ended[-1][0]) if self.ended else now, cost))
        self.ended_cost += cost


class Meter:
    """What is used of one pool: of the classes' shares, and of the rest above them. And whether it is closed."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.shared = Span(pool.window_us)
        self.rest = Span(pool.window_us)
        self.rest_limit = pool.limit - max(pool.shares)
        self.closed_at = -1  # when the venue last said that it is too much
        self.closed_until = 0
        self.opens_for_protection_at = 0
        self.refusals = 0  # in a row

    @property
    def used(self) -> int:
        return self.shared.used + self.rest.used

    def forget(self, now: int) -> None:
        """Let go of what no window that ends now can contain."""
        self.shared.forget(now)
        self.rest.forget(now)

    def is_closed(self, priority: Priority, now: int) -> bool:
        return now < (self.opens_for_protection_at if priority is Priority.PROTECT else self.closed_until)

    def opens_at(self, now: int) -> int | None:
        """When it may have more room than now, if no call ends before; None: never."""
        times = [at for at in (self.closed_until, self.opens_for_protection_at) if at > now]
        times += [span.ended[0][0] + span.window_us + 1 for span in (self.shared, self.rest) if span.ended]
        return min(times, default=None)


class Admission:
    """The queue in front of all pools."""

    def __init__(self) -> None:
        self.meters: dict[str, Meter] = {}
        self.waiting: list[Ticket] = []  # by rank
        self._numbers = count()

    def enter(self, call: Call, now: int) -> Ticket:
        """Queue up."""
        for charge in call.charges:
            self.meters.setdefault(charge.name, Meter(charge.pool))
            share = charge.pool.shares[call.priority]
            assert charge.cost <= share, f"a call of {charge.cost} never fits into {share} of {charge.name}"
        ticket = Ticket(call, next(self._numbers), now + PATIENCE_US.get(call.priority, 0))
        insort(self.waiting, ticket, key=Ticket.rank)
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """Give up waiting."""
        self.waiting.remove(ticket)

    def admit(self, now: int) -> list[Ticket]:
        """Everyone who may call now, in order. They leave the queue, and their costs count from here on."""
        for meter in self.meters.values():
            meter.forget(now)
        passage = _Passage(self.meters, now)
        admitted = [ticket for ticket in self.waiting if passage.lets_by_share(ticket)]
        overdue = [ticket for ticket in self.waiting if ticket.admitted_at is None and _is_overdue(ticket, now)]
        admitted += [ticket for ticket in sorted(overdue, key=_number) if passage.lets_by_rest(ticket)]
        if admitted:
            self.waiting = [ticket for ticket in self.waiting if ticket.admitted_at is None]
        return admitted

    def end(self, ticket: Ticket, now: int) -> None:
        """The call has been answered, or has failed."""
        for charge in ticket.call.charges:
            if charge.cost:
                meter = self.meters[charge.name]
                (meter.rest if ticket.by_rest else meter.shared).end(charge.cost, now)

    def next_change(self, now: int) -> int | None:
        """When someone who waits may pass, if no call ends before; None: only when one ends."""
        names = {charge.name for ticket in self.waiting for charge in ticket.call.charges}
        opening = [self.meters[name].opens_at(now) for name in names]
        due = [ticket.due_at for ticket in self.waiting if _is_patient(ticket, now)]
        return min([at for at in opening if at is not None] + due, default=None)


class _Passage:
    """One walk along the queue."""

    def __init__(self, meters: dict[str, Meter], now: int) -> None:
        self._meters = meters
        self._now = now
        self._held_from: dict[str, Priority] = {}  # by pool: these classes wait behind one of their own
        self._held_rest: set[str] = set()  # pools in whose rest someone waits for room

    def lets_by_share(self, ticket: Ticket) -> bool:
        """Whether the ticket passes within its class's shares; then it is charged. Come with the first first."""
        charges, priority = ticket.call.charges, ticket.call.priority
        if self._is_closed(ticket) or not all(self._fits_share(charge, priority) for charge in charges):
            # Behind one who waits none of its class or a lesser one passes: small calls would starve a large one.
            for charge in filter(_costs, charges):
                self._held_from[charge.name] = min(priority, self._held_from.get(charge.name, priority))
            return False
        for charge in charges:
            self._meters[charge.name].shared.in_flight += charge.cost
        ticket.admitted_at = self._now
        return True

    def lets_by_rest(self, ticket: Ticket) -> bool:
        """Whether an overdue ticket passes by the rest; then it is charged there. Come with the oldest first."""
        charges = [charge for charge in ticket.call.charges if charge.cost]
        if self._is_closed(ticket) or not all(self._fits_rest(charge) for charge in charges):
            # One that is larger than the rest would hold it for ever, and in vain.
            self._held_rest |= {each.name for each in charges if each.cost <= self._meters[each.name].rest_limit}
            return False
        for charge in charges:
            self._meters[charge.name].rest.in_flight += charge.cost
        ticket.admitted_at, ticket.by_rest = self._now, True
        return True

    def _is_closed(self, ticket: Ticket) -> bool:
        priority = ticket.call.priority
        return any(self._meters[charge.name].is_closed(priority, self._now) for charge in ticket.call.charges)

    def _fits_share(self, charge: Charge, priority: Priority) -> bool:
        if charge.cost == 0:
            return True
        if priority >= self._held_from.get(charge.name, len(Priority)):
            return False
        meter = self._meters[charge.name]
        return meter.shared.used + charge.cost <= meter.pool.shares[priority]

    def _fits_rest(self, charge: Charge) -> bool:
        meter = self._meters[charge.name]
        return charge.name not in self._held_rest and meter.rest.used + charge.cost <= meter.rest_limit


def _costs(charge: Charge) -> bool:
    return charge.cost > 0


def _number(ticket: Ticket) -> int:
    return ticket.number


def _is_overdue(ticket: Ticket, now: int) -> bool:
    return ticket.call.priority is not Priority.PROTECT and ticket.due_at <= now


def _is_patient(ticket: Ticket, now: int) -> bool:
    return ticket.call.priority is not Priority.PROTECT and ticket.due_at > now
