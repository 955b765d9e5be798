"""What moves the market: real time, accelerated, or lockstep.

In lockstep the market goes from stop to stop (an instant of trading, a timer of a session, a delayed frame, the end of
the advance), and at each waits until every registered session is done. So what a session sees and when depends on
nothing but the candles, the seed and what the session does. Clients that are not registered get the time it takes to
hand them their frames, and no promise.
"""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Protocol

from exchange.sandbox.barrier import Barrier
from exchange.sandbox.market.model import Instant
from exchange.sandbox.units import SECOND_NS
from exchange.sandbox.venue import Venue
from exchange.sandbox.wire.agenda import Agenda
from exchange.sandbox.wire.link import Link

LONGEST_PAUSE_S = 0.05  # between two looks at the machine's clock: how far `now` may be behind it
LONGEST_LAG_S = 1.0  # what the market may be behind its speed before it gives up to catch up
QUIET_S = 0.02  # without a frame or a request: how long clients that are not registered are waited for
LONGEST_FLUSH_S = 5.0  # what a client that is not registered may take to read its frames
STOPS_BETWEEN_BREATHS = 64  # stops without a frame, after which the loop gets to do other work


class Feed(Protocol):
    """What is told of the market's moves, and tells its subscribers."""

    def publish(self, instant: Instant) -> None: ...

    def pulse(self, now_ns: int) -> None: ...


class Pump:
    """Moves the market; `run` by itself as the clock demands, `advance` on demand."""

    def __init__(
        self,
        venue: Venue,
        feeds: Iterable[Feed],
        agenda: Agenda,
        barrier: Barrier,
        links: Callable[[], Iterable[Link]],
        held_requests: Callable[[], int],
        *,
        speed: float | None = 1.0,
        drops_idle: bool = True,
    ) -> None:
        self.is_paused = False
        self.speed = speed  # market seconds per second; None: lockstep
        self.requests = 0  # that are being answered now, or held by a fault
        self._drops_idle = drops_idle
        self._venue = venue
        self._feeds = tuple(feeds)
        self._agenda = agenda
        self._barrier = barrier
        self._links = links
        self._held_requests = held_requests
        self._turned = asyncio.Event()  # the clock was changed
        self._anchor: tuple[float, int] | None = None  # the machine's and the market's time that belong together

    @property
    def moves_by_itself(self) -> bool:
        """Whether time passes without `advance`."""
        return self.speed is not None and not self.is_paused

    def turn(self, *, speed: float | None, is_paused: bool) -> None:
        """Change the clock."""
        self.speed, self.is_paused = speed, is_paused
        self._anchor = None
        self._turned.set()

    async def run(self) -> None:
        """Move the market as the machine's clock does, until cancelled. Raises InputUnusable: a candle can't be."""
        while True:
            self._turned.clear()
            if not self.moves_by_itself:
                await self._turned.wait()
                continue
            await self._catch_up(self._target_ns())
            with suppress(TimeoutError):
                async with asyncio.timeout(LONGEST_PAUSE_S):
                    await self._turned.wait()

    async def advance(self, goal_ns: Callable[[int], int]) -> None:
        """Move the market to a time, and return when all registered sessions are done with it.

        `goal_ns` gets the market's time and says the time to move to. It is asked when those who advanced before are
        done, so that two who advance by a minute move the market by two; what it raises is raised here. Raises
        InputUnusable: a candle on the way can't be.
        """
        async with self._barrier.lock:
            await self._barrier.settle()
            to_ns = goal_ns(self._venue.market.now_ns)
            stops = 0
            while self._venue.market.now_ns < to_ns:
                before = self._barrier.changes
                self._move(self._next_stop_ns(to_ns))
                await self._barrier.settle()
                stops += 1
                if self._barrier.changes != before:
                    await self._flushed()
                elif stops % STOPS_BETWEEN_BREATHS == 0:
                    await asyncio.sleep(0)
            await self._quiet()
            await self._barrier.settle()

    def _target_ns(self) -> int:
        """Where the market should be by now."""
        now_s = asyncio.get_running_loop().time()
        market_ns = self._venue.market.now_ns
        if self._anchor is None:
            self._anchor = now_s, market_ns
        anchor_s, anchor_ns = self._anchor
        assert self.speed is not None
        target_ns = anchor_ns + round((now_s - anchor_s) * self.speed * SECOND_NS)
        if target_ns - market_ns > LONGEST_LAG_S * self.speed * SECOND_NS:
            # too fast for this machine: the lag is forgotten
            target_ns = market_ns + round(LONGEST_LAG_S * self.speed * SECOND_NS)
            self._anchor = now_s, target_ns
        return target_ns

    async def _catch_up(self, to_ns: int) -> None:
        while self._venue.market.now_ns < to_ns and self.moves_by_itself:
            self._move(self._next_stop_ns(to_ns))
            self._barrier.stir()
            await asyncio.sleep(0)

    def _next_stop_ns(self, to_ns: int) -> int:
        """The first of all that is to happen next, but not before now."""
        candidates = (self._venue.market.next_ns(), self._agenda.next_ns(), self._next_timer_ns(), to_ns)
        return max(self._venue.market.now_ns, min(at_ns for at_ns in candidates if at_ns is not None))

    def _next_timer_ns(self) -> int | None:
        timer_ns = self._barrier.next_timer_ns()  # by the venue's clock, which may be wrong
        return None if timer_ns is None else timer_ns - self._venue.skew_ns

    def _move(self, to_ns: int) -> None:
        """One stop: the market's trades, then what was due, then what time itself brings."""
        for instant in self._venue.market.advance(to_ns):
            for feed in self._feeds:
                feed.publish(instant)
        self._agenda.run(self._venue.market.now_ns)
        for link in self._outrun():
            link.keep_alive()
        for feed in self._feeds:
            feed.pulse(self._venue.now_ns())

    def _outrun(self) -> Iterable[Link]:
        """Links that are not to seem idle: clients that ping by the machine's clock are too slow for a faster one.

        An advance is faster than any; but a registered session is waited for, and so can ping by the market's clock.
        """
        if not self._drops_idle:
            return self._links()
        if not self.moves_by_itself:
            return self._strangers()
        return self._links() if self.speed is not None and self.speed > 1 else ()

    async def _flushed(self) -> None:
        """Wait until those clients that are not registered have taken their frames, or are too slow for it."""
        deadline = asyncio.get_running_loop().time() + LONGEST_FLUSH_S
        while any(link.waiting_frames and link.is_open for link in self._strangers()):
            if asyncio.get_running_loop().time() > deadline:
                for link in self._strangers():
                    if link.waiting_frames:
                        link.reset()
            await asyncio.sleep(0)

    async def _quiet(self) -> None:
        """Wait until clients that are not registered have been silent for a moment."""
        await asyncio.sleep(0)  # requests that were held until now go on
        while self._is_answering() or self._strangers():
            before = self._barrier.changes
            await asyncio.sleep(QUIET_S)
            if self._barrier.changes == before and not self._is_answering():
                return

    def _is_answering(self) -> bool:
        """Whether a request is on its way. One that a fault holds may wait for a time after the advance."""
        return self.requests > self._held_requests()

    def _strangers(self) -> list[Link]:
        return [link for link in self._links() if link.is_open and not self._barrier.is_owned(link)]
