"""The rate budget: the one gate that every call to Kraken passes. Waits, backs off, and shows its state as numbers."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random

from exchange.kraken.admission import SECOND_US, Admission, Call, Meter, Priority, Ticket
from exchange.kraken.failures import RateLimited
from trading.ports import Clock

FIRST_PENALTY_US, LONGEST_PENALTY_US = 1 * SECOND_US, 60 * SECOND_US
LOOK_AGAIN_S = 0.05  # a clock that isn't the machine's may run faster than it: look instead of trusting to a long sleep


class Budget:
    """Pools of calls, shared by everything in a process that asks the venue, on one event loop.

    Only `clock.now` is used: its `sleep_until` would hold up the whole loop. `chance` is the jitter of penalties.
    """

    def __init__(self, clock: Clock, chance: Callable[[], float] | None = None) -> None:
        self._clock = clock
        self._chance = chance or Random().random  # noqa: S311  # not a secret
        self._admission = Admission()
        self._waiters: dict[Ticket, asyncio.Future[None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._calls = self._refused = self._waited_us = 0

    @asynccontextmanager
    async def spent(self, call: Call) -> AsyncIterator[None]:
        """Wait until the call may be made; make it inside. A RateLimited that leaves it closes the call's pools."""
        ticket = await self._admitted(call)
        try:
            yield
        except RateLimited as limited:
            self._close(ticket, everywhere=limited.everywhere)
            raise
        else:
            self._reopen(ticket)
        finally:
            self._admission.end(ticket, self._clock.now())
            self._admit()

    def snapshot(self) -> dict[str, dict[str, float]]:
        """Plain numbers: of the whole under `all`, and of every pool that has been used under its name."""
        now = self._clock.now()
        whole = {
            "calls": float(self._calls),
            "refused": float(self._refused),
            "waited_s": self._waited_us / SECOND_US,
            **{f"waiting_{each.name.lower()}": float(self._waiting(each)) for each in Priority},
        }
        return {"all": whole} | {name: _state(meter, now) for name, meter in self._admission.meters.items()}

    def _waiting(self, priority: Priority) -> int:
        return sum(ticket.call.priority is priority for ticket in self._waiters)

    async def _admitted(self, call: Call) -> Ticket:
        arrived_at = self._clock.now()
        ticket = self._admission.enter(call, arrived_at)
        passes = self._waiters[ticket] = asyncio.get_running_loop().create_future()
        self._admit()
        try:
            await passes
        except asyncio.CancelledError:
            self._withdraw(ticket)
            raise
        self._calls += 1
        self._waited_us += self._clock.now() - arrived_at
        return ticket

    def _withdraw(self, ticket: Ticket) -> None:
        if ticket.admitted_at is None:
            self._admission.leave(ticket)
            del self._waiters[ticket]
        else:  # admitted in the very moment in which its caller gave up
            self._admission.end(ticket, self._clock.now())
        self._admit()

    def _admit(self) -> None:
        """Let everyone pass who may, and look again when that can change."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = self._clock.now()
        for ticket in self._admission.admit(now):
            passes = self._waiters.pop(ticket)
            if not passes.done():
                passes.set_result(None)
        if self._waiters and (change_at := self._admission.next_change(now)) is not None:
            delay_s = min(max(change_at - now, 0) / SECOND_US, LOOK_AGAIN_S)
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._admit)

    def _close(self, ticket: Ticket, *, everywhere: bool) -> None:
        """Close the pools of a call that the venue found too much, for twice as long each time in a row."""
        self._refused += 1
        now = self._clock.now()
        for meter in self._meters(ticket, everywhere=everywhere):
            # Calls that were under way when the pool closed say nothing new.
            if _began(ticket) <= meter.closed_at:
                continue
            penalty_us = min(FIRST_PENALTY_US << min(meter.refusals, 16), LONGEST_PENALTY_US)
            meter.refusals += 1
            meter.closed_at = now
            meter.closed_until = now + self._jittered(penalty_us)
            # A cancel that is refused costs nothing, one that is not sent may: it tries again sooner.
            meter.opens_for_protection_at = min(meter.closed_until, now + self._jittered(FIRST_PENALTY_US))

    def _reopen(self, ticket: Ticket) -> None:
        for meter in self._meters(ticket, everywhere=True):
            if _began(ticket) > meter.closed_at:
                meter.refusals = 0

    def _meters(self, ticket: Ticket, *, everywhere: bool) -> list[Meter]:
        charges = [charge for charge in ticket.call.charges if everywhere or charge.cost]
        return [self._admission.meters[charge.name] for charge in charges]

    def _jittered(self, penalty_us: int) -> int:
        return round(penalty_us * (1 + self._chance()) / 2)


def _began(ticket: Ticket) -> int:
    assert ticket.admitted_at is not None, "a call that was never admitted has an end"
    return ticket.admitted_at


def _state(meter: Meter, now: int) -> dict[str, float]:
    meter.forget(now)
    return {
        "limit": float(meter.pool.limit),
        "window_s": meter.pool.window_us / SECOND_US,
        "used": float(meter.used),
        "in_flight": float(meter.shared.in_flight + meter.rest.in_flight),
        "closed_s": max(0, meter.closed_until - now) / SECOND_US,
        "refusals": float(meter.refusals),
    }
