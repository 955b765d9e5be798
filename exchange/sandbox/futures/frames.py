"""Frames of the futures WebSocket that are not market data: greeting, acknowledgements, alerts, errors."""

from collections.abc import Sequence

import orjson

INVALID_FEED = "Couldn't subscribe to invalid feed"
PRIVATE_FEED = "Failed to subscribe to authenticated feed"
ALREADY_SUBSCRIBED = "Already subscribed to feed, re-requesting"
NOT_SUBSCRIBED = "Not subscribed to feed"
RATE_LIMITED = "rate_limited"

JSON_ERROR = "Json Error"
UNKNOWN_PRODUCT = "Invalid product id"
UNKNOWN_FEED = "Invalid feed"


def frame(body: object) -> str:
    """The text of one frame."""
    return orjson.dumps(body).decode()


def info() -> str:
    """The first frame on every connection."""
    return frame({"event": "info", "version": 1})


def acknowledged(event: str, feed: str, products: Sequence[str]) -> str:
    """`subscribed` or `unsubscribed`; a feed without products says none."""
    return frame({"event": event, "feed": feed, **({"product_ids": products} if products else {})})


def challenge(message: str) -> str:
    """What the client has to sign."""
    return frame({"event": "challenge", "message": message})


def alert(message: str) -> str:
    """How the venue says that a request failed: most of the time."""
    return frame({"event": "alert", "message": message})


def error(message: str) -> str:
    """How it says so when the request itself is wrong."""
    return frame({"event": "error", "message": message})


def heartbeat(now_ms: int) -> str:
    """One beat of the heartbeat feed."""
    return frame({"feed": "heartbeat", "time": now_ms})
