"""The control API: for whoever runs the sandbox, on a port of its own, never on the venue's.

Bodies and answers are JSON; an error is `{"error": "<what is wrong and what to do>"}` with a status that fits.
`GET /` lists what there is; `commands` says what each body may hold. Web pages are not let in: a browser says in
`Origin` where a page comes from, and in `Host` the name under which the page knows this port.
"""

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

import orjson
from aiohttp import WSCloseCode, WSMsgType, web
from aiohttp.typedefs import Handler
from pydantic import BaseModel, ValidationError

from exchange.sandbox.barrier import Announcement, Seat
from exchange.sandbox.commands import (
    Advance,
    Clock,
    Command,
    Drop,
    FaultOrder,
    Instruments,
    Scheduled,
    SessionReport,
    Skew,
    Status,
)
from exchange.sandbox.operation import End
from exchange.sandbox.units import SECOND_NS
from exchange.sandbox.wire.faults import SESSION_HEADER, Standing
from exchange.sandbox.wire.link import FAREWELL_S, Link
from exchange.sandbox.wire.numbers import rfc3339
from trading.errors import InputUnusable

if TYPE_CHECKING:
    from exchange.sandbox.server import Sandbox

Body = TypeVar("Body", bound=Command)
Message = TypeVar("Message", bound=BaseModel)
Json = dict[str, Any]


class Refused(Exception):
    """A command that can't be obeyed; its text says why and what to do."""

    def __init__(self, sentence: str, status: int = 400) -> None:
        super().__init__(sentence)
        self.status = status


def application(sandbox: "Sandbox") -> web.Application:
    """The control API over a running sandbox."""
    return Control(sandbox).application()


class Control:
    """The commands over one sandbox."""

    def __init__(self, sandbox: "Sandbox") -> None:
        self._sandbox = sandbox
        self._sockets: set[web.WebSocketResponse] = set()  # of sessions

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
                web.get("/session", self.session),
            ]
        )
        application.on_shutdown.append(self._close_sessions)
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
                "faults": [_standing(standing) for standing in sandbox.faults.standing],
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
            _end(link, command.how)
        return _json({"dropped": [link.id for link in links]})

    async def faults(self, _: web.Request) -> web.Response:
        """The faults in force, and what they have done."""
        return _json({"faults": [_standing(standing) for standing in self._sandbox.faults.standing]})

    async def add_fault(self, request: web.Request) -> web.Response:
        """Put a fault in force."""
        return _json(_standing(self._sandbox.faults.add((await _body(request, FaultOrder)).fault())), status=201)

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

    async def session(self, request: web.Request) -> web.StreamResponse:
        """A session of the lockstep barrier (`session.py` is its client): JSON messages over WebSocket."""
        if request.headers.get("Upgrade", "").lower() != "websocket":
            raise Refused("/session speaks WebSocket only.")
        socket = web.WebSocketResponse(compress=False, timeout=FAREWELL_S)
        await socket.prepare(request)
        self._sockets.add(socket)
        seat = Seat("", _telling(socket))
        try:
            async for message in socket:
                answer = self._heard(seat, message.data) if message.type is WSMsgType.TEXT else _error("Speak text.")
                if answer:
                    await socket.send_str(answer)
        finally:
            self._sockets.discard(socket)
            self._sandbox.barrier.leave(seat)
        return socket

    def _heard(self, seat: Seat, text: str) -> str:
        """Take in what a session says; the answer, if it gets one."""
        try:
            match orjson.loads(text):
                case {"register": str(name)}:
                    return _text(self._register(seat, name))
                case {"link": str(address)}:
                    return _text(self._declare(seat, address))
                case {"report": dict(report)}:
                    self._report(seat, report)
                    return ""
                case other:
                    return _error(f"A session says register, link or report; this is none: {other!r:.200}")
        except orjson.JSONDecodeError as error:
            return _error(f"That is not JSON: {error}.")
        except Refused as refused:
            return _error(str(refused))

    def _register(self, seat: Seat, name: str) -> Json:
        barrier = self._sandbox.barrier
        if seat in barrier.seats:
            raise Refused(f"This connection is session {seat.name!r} already: open another for {name!r}.")
        if not name or any(name == other.name for other in barrier.seats):
            raise Refused(f"A session can't be called {name!r}: another is, or it is no name.")
        seat.name = name
        barrier.sit(seat)
        return {"registered": name, "now_ns": self._sandbox.venue.now_ns(), "headers": {SESSION_HEADER: seat.key}}

    def _declare(self, seat: Seat, address: str) -> Json:
        self._refuse_unregistered(seat)
        if address not in self._sandbox.links:
            raise Refused(f"No connection to the venue comes from {address}.")
        self._sandbox.barrier.own(seat, self._sandbox.links[address])
        return {"link": address}

    def _report(self, seat: Seat, said: Json) -> None:
        self._refuse_unregistered(seat)
        report = _checked(SessionReport, said).report()
        if report.stop > seat.told.stop:
            raise Refused(f"Stop {report.stop} has not been announced yet: the last was {seat.told.stop}.")
        seat.report = report
        self._sandbox.barrier.stir(seat)

    def _refuse_unregistered(self, seat: Seat) -> None:
        if seat not in self._sandbox.barrier.seats:
            raise Refused('Say {"register": "<a name>"} first.')

    async def _close_sessions(self, _: web.Application) -> None:
        for socket in tuple(self._sockets):
            await socket.close(code=WSCloseCode.GOING_AWAY, message=b"the sandbox ends")

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
        command = _checked(kind, orjson.loads(await request.read() or b"{}"))
    except orjson.JSONDecodeError as error:
        raise Refused(f"The body is not JSON: {error}.") from error
    if command.contradiction():
        raise Refused(command.contradiction())
    return command


def _checked(kind: type[Message], said: Any) -> Message:
    try:
        return kind.model_validate(said)
    except ValidationError as error:
        raise Refused("; ".join(_sentence(problem) for problem in error.errors()) + ".") from error


def _goal_ns(command: Advance, now_ns: int) -> int:
    goal_ns = command.goal_ns(now_ns)
    if goal_ns < now_ns:
        raise Refused(f"Time does not go back: it is {rfc3339(now_ns, 9)} already.")
    return goal_ns


def _sentence(problem: Any) -> str:
    place = ".".join(str(part) for part in problem["loc"])
    return f"{place}: {problem['msg']}" if place else str(problem["msg"])


def _telling(socket: web.WebSocketResponse) -> Any:
    async def tell(news: Announcement) -> None:
        await socket.send_str(_text({"stop": news.stop, "now_ns": news.now_ns, "frames": news.frames}))

    return tell


def _end(link: Link, how: str) -> None:
    if how == "close":
        link.close(WSCloseCode.GOING_AWAY, "CloudFlare WebSocket proxy restarting")
    elif how == "reset":
        link.reset()
    else:
        link.fall_silent()


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


def _standing(standing: Standing) -> Json:
    return {"number": standing.number, **asdict(standing.fault), "matched": standing.matched, "hit": standing.hit}


def _json(body: Json, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), content_type="application/json", status=status)


def _error(sentence: str) -> str:
    return _text({"error": sentence})


def _text(message: Json) -> str:
    return orjson.dumps(message).decode()
