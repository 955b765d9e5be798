"""The control API: for whoever runs the sandbox, on a port of its own, never on the venue's.

Bodies and answers are JSON; an error is `{"error": "<what is wrong and what to do>"}` with a status that fits.
`GET /` lists what there is; `commands` says what each body may hold. Web pages are not let in: a browser says in
`Origin` where a page comes from, and in `Host` the name under which the page knows this port.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import orjson
from aiohttp import WSCloseCode, web
from aiohttp.typedefs import Handler

from exchange.sandbox.barrier import Seat
from exchange.sandbox.commands import (
    Advance,
    Clock,
    Command,
    Drop,
    FaultOrder,
    Instruments,
    Refused,
    Scheduled,
    Skew,
    Status,
    checked,
)
from exchange.sandbox.operation import End
from exchange.sandbox.seating import Seating
from exchange.sandbox.units import SECOND_NS
from exchange.sandbox.wire.faults import FaultPlan
from exchange.sandbox.wire.link import Link
from exchange.sandbox.wire.numbers import rfc3339
from trading.errors import InputUnusable

if TYPE_CHECKING:
    from exchange.sandbox.server import Sandbox

Body = TypeVar("Body", bound=Command)
Json = dict[str, Any]


def application(sandbox: "Sandbox") -> web.Application:
    """The control API over a running sandbox."""
    return Control(sandbox).application()


class Control:
    """The commands over one sandbox."""

    def __init__(self, sandbox: "Sandbox") -> None:
        self._sandbox = sandbox
        self._seating = Seating(sandbox.barrier, sandbox.links, sandbox.venue.now_ns)

    def application(self) -> web.Application:
        """All paths."""
        application = web.Application(middlewares=(_in_json, _for_programs))
        application.router.add_routes(
            [
                web.get("/", self.index),
                web.get("/state", self.state),
                web.post("/advance", self.advance),
                web.post("/pause", self.pause),
                web.post("/resume", self.resume),
                web.post("/clock", self.clock),
                web.post("/status", self.status),
                web.post("/suspend", self.suspend),
                web.post("/hide", self.hide),
                web.post("/skew", self.skew),
                web.post("/drop", self.drop),
                web.get("/faults", self.faults),
                web.post("/faults", self.add_fault),
                web.delete("/faults", self.clear_faults),
                web.delete("/faults/{number:[0-9]+}", self.remove_fault),
                web.get("/session", self._seating.serve),
            ]
        )
        application.on_shutdown.append(self._seating.close)
        return application

    async def index(self, request: web.Request) -> web.Response:
        """What there is."""
        resources = request.app.router.resources()
        routes = [f"{route.method} {resource.canonical}" for resource in resources for route in resource]
        return _json({"endpoints": sorted(route for route in routes if not route.startswith("HEAD"))})

    async def state(self, _: web.Request) -> web.Response:
        """Everything that can be asked about: clock, venue, links, sessions, faults."""
        sandbox = self._sandbox
        market = sandbox.venue.market
        return _json(
            {
                **self._now(),
                "next_ns": market.next_ns(),
                "pairs": list(market.pairs),
                "contracts": list(market.contracts),
                "status": sandbox.venue.status,
                "suspended": sorted(sandbox.venue.suspended),
                "hidden": sorted(sandbox.venue.hidden),
                "skew_s": sandbox.venue.skew_ns / SECOND_NS,
                "links": [_link(link) for link in sandbox.links.values()],
                "sessions": [self._session(seat) for seat in sandbox.barrier.seats],
                "unsettled": sandbox.barrier.unsettled(),
                "held_requests": sandbox.faults.held_requests,
                "faults": sandbox.faults.listed(),
            }
        )

    async def advance(self, request: web.Request) -> web.Response:
        """Move the market, and answer when all registered sessions are done with it."""
        command = await _body(request, Advance)
        pump = self._sandbox.pump
        if pump.moves_by_itself:
            raise Refused("The clock runs by itself: POST /pause, or /clock with pace lockstep, before /advance.", 409)
        try:
            async with asyncio.timeout(command.timeout_s):
                await pump.advance(lambda now_ns: _goal_ns(command, now_ns))
        except TimeoutError:
            reason = self._sandbox.barrier.unsettled() or "clients that are not registered don't fall silent"
            raise Refused(f"Not done after {command.timeout_s:g} s: {reason}.", 504) from None
        return _json(self._now())

    async def pause(self, _: web.Request) -> web.Response:
        """Stop the clock."""
        self._sandbox.pump.turn(speed=self._sandbox.pump.speed, is_paused=True)
        return _json(self._now())

    async def resume(self, _: web.Request) -> web.Response:
        """Let the clock go on."""
        if self._sandbox.pump.speed is None:
            raise Refused("In lockstep there is nothing to resume: POST /advance moves the market.", 409)
        self._sandbox.pump.turn(speed=self._sandbox.pump.speed, is_paused=False)
        return _json(self._now())

    async def clock(self, request: web.Request) -> web.Response:
        """Choose how time passes."""
        command = await _body(request, Clock)
        self._sandbox.pump.turn(speed=command.market_speed(), is_paused=False)
        return _json(self._now())

    async def status(self, request: web.Request) -> web.Response:
        """Put the venue in a mode."""
        command = await _body(request, Status)
        set_status = self._sandbox.operation.set_status
        return self._do(command, lambda is_for_good: set_status(command.status, is_for_good=is_for_good))

    async def suspend(self, request: web.Request) -> web.Response:
        """Take instruments off trading."""
        command = await self._instruments(request)
        suspend = self._sandbox.operation.suspend
        return self._do(
            command,
            lambda is_for_good: suspend(command.instruments, is_suspended=command.on, is_for_good=is_for_good),
        )

    async def hide(self, request: web.Request) -> web.Response:
        """Leave instruments out of the lists of markets."""
        command = await self._instruments(request)
        hide = self._sandbox.operation.hide
        return self._do(
            command,
            lambda is_for_good: hide(command.instruments, is_hidden=command.on, is_for_good=is_for_good),
        )

    async def skew(self, request: web.Request) -> web.Response:
        """Have the venue's clock be wrong."""
        command = await _body(request, Skew)
        skew = self._sandbox.operation.skew
        by_ns = round(command.by_s * SECOND_NS)
        return self._do(command, lambda is_for_good: skew(by_ns, is_for_good=is_for_good))

    async def drop(self, request: web.Request) -> web.Response:
        """End connections."""
        command = await _body(request, Drop)
        links = [link for link in self._sandbox.links.values() if command.link in (None, link.id)]
        if command.link is not None and not links:
            raise Refused(f"There is no link {command.link}: GET /state lists them.", 404)
        for link in links:
            _end(link, command.how, self._sandbox.faults)
        return _json({"dropped": [link.id for link in links]})

    async def faults(self, _: web.Request) -> web.Response:
        """The faults in force and the latest that are over, and what they have done."""
        return _json({"faults": self._sandbox.faults.listed()})

    async def add_fault(self, request: web.Request) -> web.Response:
        """Put a fault in force."""
        order, now_ns = await _body(request, FaultOrder), self._sandbox.venue.market.now_ns
        if order.until is not None and order.until <= now_ns:
            raise Refused(f"`until` has to come after now, {rfc3339(now_ns, 9)}: such a fault could never happen.")
        return _json(self._sandbox.faults.add(order.fault()).listed(now_ns), status=201)

    async def clear_faults(self, _: web.Request) -> web.Response:
        """Lift all faults."""
        self._sandbox.faults.clear()
        return _json({"faults": []})

    async def remove_fault(self, request: web.Request) -> web.Response:
        """Lift one fault."""
        number = int(request.match_info["number"])
        if not self._sandbox.faults.remove(number):
            raise Refused(f"There is no fault {number}: GET /faults lists them.", 404)
        return await self.faults(request)

    async def _instruments(self, request: web.Request) -> Instruments:
        command = await _body(request, Instruments)
        market = self._sandbox.venue.market
        known = [*market.pairs, *market.contracts]
        for name in command.instruments:
            if name not in known:
                raise Refused(f"{name!r} is not listed here: {', '.join(known)} are.")
        return command

    def _do(self, command: Scheduled, change: Callable[[bool], End]) -> web.Response:
        """Make a change now or when it is time. It gets whether it is for good, and returns what ends it."""
        agenda, until_ns = self._sandbox.agenda, command.until
        begins_ns = command.begins_ns(self._sandbox.venue.market.now_ns)
        if until_ns is not None and until_ns <= begins_ns:
            raise Refused(f"`until` has to come after the change, which is made at {rfc3339(begins_ns, 9)}.")

        def begin() -> None:
            end = change(until_ns is None)
            if until_ns is not None:
                agenda.at(until_ns, end)

        if command.at is None or command.at <= self._sandbox.venue.market.now_ns:
            begin()  # what is due already must not come after a later command
        else:
            agenda.at(command.at, begin)
        return _json(self._now())

    def _now(self) -> Json:
        pump, venue = self._sandbox.pump, self._sandbox.venue
        pace = "lockstep" if pump.speed is None else "real" if pump.speed == 1 else "accelerated"
        return {
            "now_ns": venue.market.now_ns,
            "now": rfc3339(venue.market.now_ns, 9),
            "pace": pace,
            "speed": pump.speed,
            "paused": pump.is_paused,
        }

    def _session(self, seat: Seat) -> Json:
        return {
            "name": seat.name,
            "links": [link.id for link in seat.links.values()],
            "timer_ns": seat.timer_ns,
            "calls": seat.report.calls if seat.report else 0,
            "stop": seat.told.stop,
        }


@web.middleware
async def _in_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error as a sentence in JSON."""
    try:
        return await handler(request)
    except Refused as refused:
        return _json({"error": str(refused)}, status=refused.status)
    except InputUnusable as error:  # a candle that can't be, on the way of an advance
        return _json({"error": str(error)}, status=400)
    except web.HTTPException as error:
        return _json(
            {"error": f"{request.method} {request.path}: {error.reason}. GET / lists what there is."}, error.status
        )


@web.middleware
async def _for_programs(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse web pages: those that say where they come from, and those for which another name leads here."""
    port = request.transport.get_extra_info("sockname")[1] if request.transport else 0
    if "Origin" in request.headers:
        raise Refused("The control API is for programs: a request with an Origin comes from a web page.", 403)
    if request.headers.get("Host", "").lower() not in (f"127.0.0.1:{port}", f"localhost:{port}"):
        raise Refused(f"The control API is called 127.0.0.1:{port} or localhost:{port}, and nothing else.", 403)
    return await handler(request)


async def _body(request: web.Request, kind: type[Body]) -> Body:
    """The request's body as a command. Raises Refused: it is not JSON, or not this command."""
    try:
        command = checked(kind, orjson.loads(await request.read() or b"{}"))
    except web.RequestPayloadError as error:
        raise Refused("The body is not encoded as its headers say.") from error
    except orjson.JSONDecodeError as error:
        raise Refused(f"The body is not JSON: {error}.") from error
    if command.contradiction():
        raise Refused(command.contradiction())
    return command


def _goal_ns(command: Advance, now_ns: int) -> int:
    goal_ns = command.goal_ns(now_ns)
    if goal_ns < now_ns:
        raise Refused(f"Time does not go back: it is {rfc3339(now_ns, 9)} already.")
    return goal_ns


def _end(link: Link, how: str, faults: FaultPlan) -> None:
    if how == "close":
        link.close(WSCloseCode.GOING_AWAY, "CloudFlare WebSocket proxy restarting")
    elif how == "reset":
        link.reset()
    else:
        faults.half_open(link)


def _link(link: Link) -> Json:
    return {
        "id": link.id,
        "side": link.side,
        "address": link.address,
        "opened_ns": link.opened_ns,
        "sent": link.sent,
        "waiting": link.waiting_frames,
        "received": link.answered,
        "silent": link.is_silent,
    }


def _json(body: Json, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), content_type="application/json", status=status)
