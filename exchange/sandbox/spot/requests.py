"""What a WebSocket v2 client asks for, read from its frames; or in which words it is refused."""

from typing import Any, NamedTuple

import orjson

MALFORMED = "Malformed request"
UNKNOWN_EVENT = "Event(s) not found"
NOT_HERE = "Private data and trading are unavailable on this endpoint. Try ws-auth.kraken.com"
WRONG_INTERVAL = "Subscription ohlc interval not supported"
WRONG_DEPTH = "Subscription depth not supported"

# The first is the default, as of depths and triggers; here that of WebSocket v1: v2 does not say what its own is.
INTERVALS_MINUTES = (1, 5, 15, 30, 60, 240, 1440, 10080, 21600)
DEPTHS = (10, 25, 100, 500, 1000)
TRIGGERS = ("trades", "bbo")
SHOWS_AT_ONCE = {"ticker": True, "book": True, "ohlc": True, "instrument": True, "trade": False}
PRIVATE_CHANNELS = frozenset({"executions", "balances", "orders", "level3"})
PRIVATE_METHODS = frozenset(
    {
        "add_order",
        "amend_order",
        "batch_add",
        "batch_cancel",
        "cancel_all",
        "cancel_all_orders_after",
        "cancel_order",
        "edit_order",
    }
)


class Ping(NamedTuple):
    """A ping of the application, not of the protocol."""

    req_id: int | None


class Request(NamedTuple):
    """Subscribe to a channel, or end that. `symbols` is empty for the channel that knows none."""

    method: str  # subscribe or unsubscribe
    channel: str
    symbols: tuple[str, ...]
    interval_minutes: int  # ohlc; 0 elsewhere
    depth: int  # book; 0 elsewhere
    trigger: str  # ticker; empty elsewhere
    snapshot: bool
    req_id: int | None


class Refusal(NamedTuple):
    """A frame that is answered with an error as a whole."""

    error: str
    method: str | None = None
    req_id: int | None = None


class _Wrong(Exception):
    """Something in the frame makes it unusable; the text is the venue's word for it."""


def read_frame(text: str) -> Ping | Request | Refusal:
    """Read one frame. Never raises: what can't be read is a refusal."""
    try:
        frame = orjson.loads(text)
    except orjson.JSONDecodeError:
        return Refusal(MALFORMED)
    if not isinstance(frame, dict) or not isinstance(frame.get("method"), str):
        return Refusal(MALFORMED)
    method, req_id = frame["method"], frame.get("req_id")
    if req_id is not None and (not isinstance(req_id, int) or isinstance(req_id, bool)):
        return Refusal(MALFORMED, method)
    try:
        return Ping(req_id) if method == "ping" else _request(method, frame.get("params"), req_id)
    except _Wrong as wrong:
        return Refusal(str(wrong), method, req_id)


def refusal_of_parameters(request: Request) -> str | None:
    """What is refused for each symbol by itself, after the symbol."""
    is_wrong = request.channel == "ohlc" and request.interval_minutes not in INTERVALS_MINUTES
    return WRONG_INTERVAL if is_wrong else None


def _request(method: str, params: Any, req_id: int | None) -> Request:
    if method in PRIVATE_METHODS:
        raise _Wrong(NOT_HERE)
    if method not in ("subscribe", "unsubscribe"):
        raise _Wrong(UNKNOWN_EVENT)
    _demand(isinstance(params, dict) and isinstance(params.get("channel"), str))
    channel = params["channel"]
    if channel in PRIVATE_CHANNELS:
        raise _Wrong(NOT_HERE)
    if channel not in SHOWS_AT_ONCE:
        raise _Wrong(UNKNOWN_EVENT)
    snapshot = params.get("snapshot", SHOWS_AT_ONCE[channel])
    _demand(isinstance(snapshot, bool))
    return Request(
        method=method,
        channel=channel,
        symbols=() if channel == "instrument" else _symbols(params.get("symbol")),
        interval_minutes=_whole(params.get("interval", INTERVALS_MINUTES[0])) if channel == "ohlc" else 0,
        depth=_depth(params.get("depth", DEPTHS[0])) if channel == "book" else 0,
        trigger=_trigger(params.get("event_trigger", TRIGGERS[0])) if channel == "ticker" else "",
        snapshot=snapshot,
        req_id=req_id,
    )


def _symbols(symbols: Any) -> tuple[str, ...]:
    _demand(isinstance(symbols, list) and bool(symbols) and all(isinstance(symbol, str) for symbol in symbols))
    return tuple(symbols)


def _whole(number: Any) -> int:
    _demand(isinstance(number, int) and not isinstance(number, bool))
    return int(number)


def _depth(depth: Any) -> int:
    """A wrong one is refused once for all symbols, unlike a wrong interval."""
    if _whole(depth) not in DEPTHS:
        raise _Wrong(WRONG_DEPTH)
    return int(depth)


def _trigger(trigger: Any) -> str:
    _demand(trigger in TRIGGERS)
    return str(trigger)


def _demand(holds: bool) -> None:
    if not holds:
        raise _Wrong(MALFORMED)
