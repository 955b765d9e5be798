"""Seats at the barrier: the WebSocket over which a session of lockstep registers, names its links, and reports.

JSON messages in text frames; `session.py` is the client, and its text lists them.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
from aiohttp import WSCloseCode, WSMsgType, web

from exchange.sandbox.barrier import Announcement, Barrier, Seat
from exchange.sandbox.commands import Refused, SessionReport, checked
from exchange.sandbox.wire.faults import SESSION_HEADER
from exchange.sandbox.wire.link import FAREWELL_S, Link

Json = dict[str, Any]


class Seating:
    """Who sits at one barrier. `links` are the venue's, by the client's address; `now_ns` is its clock."""

    def __init__(self, barrier: Barrier, links: Mapping[str, Link], now_ns: Callable[[], int]) -> None:
        self._barrier = barrier
        self._links = links
        self._now_ns = now_ns
        self._sockets: set[web.WebSocketResponse] = set()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One connection: one session, until it ends. Raises Refused: it is no WebSocket."""
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
            self._barrier.leave(seat)
        return socket

    async def close(self, _: web.Application) -> None:
        """Hang up on every session."""
        for socket in tuple(self._sockets):
            await socket.close(code=WSCloseCode.GOING_AWAY, message=b"the sandbox ends")

    def _heard(self, seat: Seat, text: str) -> str:
        """Take in what a session says; the answer, if it gets one."""
        try:
            match orjson.loads(text):
                case {"report": dict(report)}:
                    self._report(seat, report)
                    return ""
                case {"register": str(name)}:
                    return _text(self._register(seat, name))
                case {"link": str(address)}:
                    return _text(self._declare(seat, address))
                case other:
                    return _error(f"A session says register, link or report; this is none: {other!r:.200}")
        except orjson.JSONDecodeError as error:
            return _error(f"That is not JSON: {error}.")
        except Refused as refused:
            return _error(str(refused))

    def _report(self, seat: Seat, said: Json) -> None:
        self._refuse_unregistered(seat)
        report = checked(SessionReport, said).report()
        if report.stop > seat.told.stop:
            raise Refused(f"Stop {report.stop} has not been announced yet: the last was {seat.told.stop}.")
        seat.report = report
        self._barrier.stir(seat)

    def _register(self, seat: Seat, name: str) -> Json:
        if seat in self._barrier.seats:
            raise Refused(f"This connection is session {seat.name!r} already: open another for {name!r}.")
        if not name or any(name == other.name for other in self._barrier.seats):
            raise Refused(f"A session can't be called {name!r}: another is, or it is no name.")
        seat.name = name
        self._barrier.sit(seat)
        return {"registered": name, "now_ns": self._now_ns(), "headers": {SESSION_HEADER: seat.key}}

    def _declare(self, seat: Seat, address: str) -> Json:
        self._refuse_unregistered(seat)
        if address not in self._links:
            raise Refused(f"No connection to the venue comes from {address}.")
        self._barrier.own(seat, self._links[address])
        return {"link": address}

    def _refuse_unregistered(self, seat: Seat) -> None:
        if seat not in self._barrier.seats:
            raise Refused('Say {"register": "<a name>"} first.')


def _telling(socket: web.WebSocketResponse) -> Callable[[Announcement], Awaitable[None]]:
    async def tell(news: Announcement) -> None:
        await socket.send_str(_text({"stop": news.stop, "now_ns": news.now_ns, "frames": news.frames}))

    return tell


def _error(sentence: str) -> str:
    return _text({"error": sentence})


def _text(message: Json) -> str:
    return orjson.dumps(message).decode()
