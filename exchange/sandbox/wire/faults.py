"""What goes wrong on purpose: to frames, to requests, to connections; by script (the nth match, a time) or by seed.

A fault hits what matches it: the side it is on, a piece of the frame's text or of the request's line, a window of the
market's time. Of the matches it hits those from the `nth` on, `times` of them, each with its probability. A fault that
is used up, or whose time is over, is out of force; the latest of them are remembered.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal, get_args

from aiohttp import WSCloseCode, web
from aiohttp.typedefs import Handler, Middleware

from exchange.sandbox.units import SECOND_NS
from exchange.sandbox.wire.agenda import Agenda
from exchange.sandbox.wire.edge import turned_away
from exchange.sandbox.wire.link import Link, reset_by

HALF_OPEN_S = 3600  # of the market: what a half-open connection is kept before it is given up
SESSION_HEADER = "X-Session"  # whose request it is: `session.py` sends it, the venue does not look at it
REMEMBERED = 100  # faults out of force that are still listed
LOOK_S = 0.1  # how often a request that is never answered looks whether its client has gone

FrameKind = Literal["delay", "drop", "silence", "duplicate", "reorder", "corrupt", "close", "reset", "half_open"]
RequestKind = Literal["delay", "close", "reset", "half_open", "too_many_requests", "server_error", "unavailable"]
On = Literal["spot_ws", "futures_ws", "spot_rest", "futures_rest"]

FRAME_KINDS: tuple[str, ...] = get_args(FrameKind)
REQUEST_KINDS: tuple[str, ...] = get_args(RequestKind)
HANDSHAKE_KINDS: tuple[str, ...] = ("too_many_requests", "server_error")

Unavailable = Callable[[web.Request], web.Response]


@dataclass(frozen=True)
class Fault:
    """What goes wrong, where, and which of the matches it hits."""

    kind: FrameKind | RequestKind
    on: On
    match: str = ""  # a piece of the frame, or of the request as "GET /0/public/OHLC?pair=XBTUSD"
    nth: int = 1
    times: int | None = 1  # None: all from the nth on
    probability: float = 1.0
    from_ns: int = 0
    until_ns: int | None = None
    delay_s: float = 1.0  # of the market's time; for "delay"
    status: int = 502  # of the answer; for "server_error"


@dataclass
class Standing:
    """A fault in force, and what it has done so far."""

    number: int
    fault: Fault
    chance: Random
    matched: int = 0
    hit: int = 0
    held: dict[Link, str] = field(default_factory=dict)  # the frame that the next of its kind overtakes

    def left(self, now_ns: int) -> int | None:
        """How many times the fault may still hit; None: without end."""
        fault = self.fault
        if fault.until_ns is not None and now_ns >= fault.until_ns:
            return 0
        return None if fault.times is None else fault.times - self.hit

    def listed(self, now_ns: int) -> dict[str, Any]:
        """What was ordered, under the names of the order, and what has become of it."""
        fault = self.fault
        return {
            "number": self.number,
            "kind": fault.kind,
            "on": fault.on,
            "match": fault.match,
            "nth": fault.nth,
            "times": fault.times,
            "probability": fault.probability,
            "at": fault.from_ns,
            "until": fault.until_ns,
            "delay_s": fault.delay_s,
            "status": fault.status,
            "matched": self.matched,
            "hit": self.hit,
            "left": self.left(now_ns),
        }

    def hits(self, on: On, text: str, now_ns: int) -> bool:
        """Whether the fault hits this frame or request, which is counted."""
        fault = self.fault
        if fault.on != on or now_ns < fault.from_ns or self.left(now_ns) == 0:
            return False
        if fault.match not in text:
            return False
        self.matched += 1
        if self.matched < fault.nth:
            return False
        if self.chance.random() >= fault.probability:
            return False
        self.hit += 1
        return True


class FaultPlan:
    """All faults in force. Links hand it their frames, `middleware` the requests."""

    def __init__(self, agenda: Agenda, market_ns: Callable[[], int], seed: int) -> None:
        self.standing: list[Standing] = []
        self._over: deque[Standing] = deque(maxlen=REMEMBERED)
        self.on_change: Callable[[], None] = _nobody  # told when `held_requests` has changed
        self._held: Counter[str] = Counter()  # by session: requests that wait for the market's time, or for ever
        self._agenda = agenda
        self._market_ns = market_ns
        self._seed = seed
        self._number = 0

    @property
    def held_requests(self) -> int:
        """Requests of all clients that wait for the market's time to pass, or for ever."""
        return self._held.total()

    def held_requests_of(self, session: str) -> int:
        """Those of them that carry this session's header."""
        return self._held[session]

    def add(self, fault: Fault) -> Standing:
        """Put a fault in force."""
        self._number += 1
        standing = Standing(self._number, fault, Random(f"{self._seed}/{self._number}"))  # noqa: S311  # not a secret
        self.standing.append(standing)
        return standing

    def remove(self, number: int) -> bool:
        """Lift one fault, or forget it; whether there was one of this number."""
        lifted = [standing for standing in (*self._over, *self.standing) if standing.number == number]
        self._lift(lifted)
        return bool(lifted)

    def clear(self) -> None:
        """Lift all faults, and forget those that are over."""
        self._lift([*self._over, *self.standing])

    def listed(self) -> list[dict[str, Any]]:
        """The faults in force and the latest that are over, which have nothing left, in the order of their numbers."""
        self._retire()
        known = sorted((*self._over, *self.standing), key=lambda standing: standing.number)
        return [standing.listed(self._market_ns()) for standing in known]

    def forget(self, link: Link) -> None:
        """Let go of what is kept about a link that has ended."""
        for standing in self.standing:
            standing.held.pop(link, None)

    def frame(self, link: Link, text: str) -> None:
        """Pass on what the faults leave of a frame."""
        frames = [text]
        if self.standing:
            on = on_of(link.side, is_socket=True)
            for standing in self._standing(FRAME_KINDS):
                frames = [left for frame in frames for left in self._spoil(standing, on, link, frame)]
            self._retire()
        for frame in frames:
            link.put(frame)

    def half_open(self, link: Link) -> None:
        """Leave a connection half open, until it is given up."""
        link.fall_silent()
        self._agenda.at(self._market_ns() + HALF_OPEN_S * SECOND_NS, link.reset)

    def middleware(self, side: str, unavailable: Unavailable) -> Middleware:
        """The faults of the requests to one side. `unavailable` is how that side says that it can't answer now.

        A WebSocket's handshake is hit by `too_many_requests` and `server_error` on the WebSocket, and by no other.
        """

        @web.middleware
        async def interfere(request: web.Request, handler: Handler) -> web.StreamResponse:
            on = on_of(side, is_socket=request.headers.get("Upgrade", "").lower() == "websocket")
            line = f"{request.method} {request.path_qs}"
            for standing in self._standing(REQUEST_KINDS if on.endswith("rest") else HANDSHAKE_KINDS):
                if standing.hits(on, line, self._market_ns()):
                    self._retire()
                    answer = await self._disturb(standing.fault, request, unavailable)
                    if answer is not None:
                        return answer
            return await handler(request)

        return interfere

    def _retire(self) -> None:
        """Take out of force what is over. A frame that is held still waits for the next one."""
        now_ns = self._market_ns()
        over = [standing for standing in self.standing if standing.left(now_ns) == 0 and not standing.held]
        if over:
            self.standing = [standing for standing in self.standing if standing not in over]
            self._over.extend(over)

    def _lift(self, lifted: list[Standing]) -> None:
        self.standing = [standing for standing in self.standing if standing not in lifted]
        self._over = deque((standing for standing in self._over if standing not in lifted), REMEMBERED)
        for standing in lifted:
            for link, text in standing.held.items():
                link.put(text)

    def _standing(self, kinds: tuple[str, ...]) -> list[Standing]:
        return [standing for standing in self.standing if standing.fault.kind in kinds]

    def _spoil(self, standing: Standing, on: On, link: Link, text: str) -> list[str]:
        """What the fault makes of one frame: the frames to send now."""
        if link in standing.held and standing.fault.match in text:
            return [text, standing.held.pop(link)]
        if not standing.hits(on, text, self._market_ns()):
            return [text]
        return self._spoilt(standing, link, text)

    def _spoilt(self, standing: Standing, link: Link, text: str) -> list[str]:
        match standing.fault.kind:
            case "delay":
                due_ns = self._market_ns() + round(standing.fault.delay_s * SECOND_NS)
                self._agenda.at(due_ns, lambda: link.put(text))
            case "duplicate":
                return [text, text]
            case "reorder":
                standing.held[link] = text
            case "corrupt":
                return [corrupted(text, standing.chance)]
            case "close":
                link.close(WSCloseCode.GOING_AWAY, "CloudFlare WebSocket proxy restarting")
            case "reset":
                # at the next stop, so that what was sent before has arrived: a reset discards it
                link.fall_silent()
                self._agenda.at(0, link.reset)
            case "half_open":
                self.half_open(link)
        return []

    async def _disturb(self, fault: Fault, request: web.Request, unavailable: Unavailable) -> web.StreamResponse | None:
        """What the fault answers a request with; None: it goes on its way."""
        match fault.kind:
            case "delay":
                await self._hold(request, self._market_ns() + round(fault.delay_s * SECOND_NS))
                return None
            case "too_many_requests":
                return turned_away(429, "Too Many Requests")
            case "server_error":
                return turned_away(fault.status, "Error")
            case "unavailable":
                return unavailable(request)
            case "close":
                if request.transport is not None:
                    request.transport.close()
            case "reset":
                reset_by(request)
            case "half_open":
                await self._never_answer(request)
        return web.Response()  # nobody gets to read it

    async def _hold(self, request: web.Request, due_ns: int) -> None:
        due = asyncio.Event()
        self._agenda.at(due_ns, due.set)
        self._count(request, 1)
        try:
            await due.wait()
        finally:
            self._count(request, -1)

    async def _never_answer(self, request: web.Request) -> None:
        self._count(request, 1)
        try:
            while request.transport is not None:
                await asyncio.sleep(LOOK_S)
        finally:
            self._count(request, -1)

    def _count(self, request: web.Request, by: int) -> None:
        self._held[request.headers.get(SESSION_HEADER, "")] += by
        self._held = +self._held  # without those that have none left
        self.on_change()


def on_of(side: str, *, is_socket: bool) -> On:
    """The name of one side's REST or WebSocket."""
    if side == "spot":
        return "spot_ws" if is_socket else "spot_rest"
    return "futures_ws" if is_socket else "futures_rest"


def corrupted(text: str, chance: Random) -> str:
    """The frame cut somewhere, which no JSON parser accepts."""
    return text[: chance.randrange(1, max(2, len(text)))]


def _nobody() -> None:
    """Nobody is interested."""
