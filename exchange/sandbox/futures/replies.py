"""Answers of futures REST: every JSON one says `result` and `serverTime`, and errors come in three shapes.

The oldest shape is a word under HTTP 200; the newer gateway answers with HTTP 400 or 404 and a list of errors; charts
answer in plain text.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from urllib.parse import parse_qsl

import orjson
from aiohttp import web

from exchange.sandbox.venue import MAINTENANCE, Venue
from exchange.sandbox.wire.edge import turned_away
from exchange.sandbox.wire.numbers import rfc3339

MILLISECONDS = 3  # fractional digits of serverTime
INVALID_ARGUMENT = 11  # the gateway's code
HIGHEST_FIELDS = 100  # of a form
VENUE = "/derivatives"  # what answers in maintenance by itself; charts and market history lie behind the edge then

Json = dict[str, object]
Handler = Callable[[web.Request], Awaitable[web.Response]]


class Refusal(Exception):
    """The request can't be served as asked; carries the answer that says so."""

    def __init__(self, reply: web.Response) -> None:
        super().__init__(reply.text)
        self.reply = reply


def answering(handler: Handler, venue: Venue) -> Handler:
    """The handler, with a refusal that it raises as its answer, while the venue is not in maintenance."""

    @wraps(handler)
    async def answered(request: web.Request) -> web.Response:
        if venue.status == MAINTENANCE:
            return unavailable(request, venue.now_ns())
        try:
            return await handler(request)
        except Refusal as refusal:
            return refusal.reply

    return answered


async def arguments(request: web.Request, now_ns: int) -> Mapping[str, str]:
    """The request's parameters: the query's and those of a form body, which some clients send with a GET too.

    Raises Refusal: the body is not encoded as it says, or has more fields than any request.
    """
    try:
        body = (await request.read()).decode("utf-8", "replace")
        found = dict(parse_qsl(body, keep_blank_values=True, max_num_fields=HIGHEST_FIELDS))
    except (web.RequestPayloadError, ValueError):
        raise Refusal(word(now_ns, "Bad Request")) from None
    return {**found, **{name: request.query.getone(name) for name in request.query}}


def plain(body: object, http: int = 200) -> web.Response:
    """JSON without the envelope: charts and market history."""
    return web.Response(status=http, body=orjson.dumps(body), content_type="application/json")


def success(now_ns: int, body: Json) -> web.Response:
    """The usual answer around `body`."""
    return plain({"result": "success", **body, "serverTime": rfc3339(now_ns, MILLISECONDS)})


def word(now_ns: int, error: str) -> web.Response:
    """The oldest shape: one word, perhaps with the name of an argument, under HTTP 200."""
    return plain({"result": "error", "error": error, "serverTime": rfc3339(now_ns, MILLISECONDS)})


def invalid(now_ns: int, argument: str) -> web.Response:
    """The gateway's answer to an argument it can't accept."""
    return _gateway(now_ns, 400, "BAD_REQUEST", INVALID_ARGUMENT, f"Argument invalid: {argument}")


def unavailable(request: web.Request, now_ns: int) -> web.Response:
    """A word, from what is down itself; from the edge in front of it a page, where clients expect JSON."""
    if request.path.startswith(VENUE):
        return word(now_ns, "Unavailable")
    return turned_away(503, "Service Unavailable")


def not_found(now_ns: int) -> web.Response:
    """The gateway's answer to a path it doesn't know."""
    return _gateway(now_ns, 404, "NOT_FOUND", 0, "404 NOT_FOUND")


def text(sentence: str) -> web.Response:
    """A refusal of the charts."""
    return web.Response(status=400, text=sentence)


def field(name: str) -> web.Response:
    """The charts' refusal of a query field."""
    return plain({"type": "Invalid arguments", "field": name}, 400)


def _gateway(now_ns: int, http: int, status: str, code: int, message: str) -> web.Response:
    body = {
        "status": status,
        "result": "error",
        "errors": [{"code": code, "message": message}],
        "serverTime": rfc3339(now_ns, MILLISECONDS),
    }
    return plain(body, http)
