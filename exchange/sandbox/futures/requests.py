"""What a client's frame asks for. There are no request ids: a request is known by its feed and products."""

from typing import NamedTuple

import orjson

SUBSCRIBE, UNSUBSCRIBE, CHALLENGE = "subscribe", "unsubscribe", "challenge"

RESOLUTIONS = {"1m": 1, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "4h": 240, "12h": 720, "1d": 1_440, "1w": 10_080}
CANDLES = {f"candles_trade_{resolution}": minutes for resolution, minutes in RESOLUTIONS.items()}
TICKER, TICKER_LITE, TRADE, BOOK, HEARTBEAT = "ticker", "ticker_lite", "trade", "book", "heartbeat"
PRODUCT_FEEDS = frozenset({TICKER, TICKER_LITE, TRADE, BOOK, *CANDLES})
PRIVATE_FEEDS = frozenset(
    {
        "account_balances_and_margins",
        "account_log",
        "balances",
        "deposits_withdrawals",
        "fills",
        "notifications_auth",
        "open_orders",
        "open_orders_verbose",
        "open_positions",
    }
)


class Request(NamedTuple):
    """A frame that could be read. Whether its feed and products exist is for the feed to say."""

    event: str  # SUBSCRIBE, UNSUBSCRIBE or CHALLENGE
    feed: str = ""
    products: tuple[str, ...] = ()  # upper case, each once, in the order they were asked for


def read(frame: str) -> Request | None:
    """The request in the frame; None when it is not JSON, or not JSON of a request."""
    try:
        message = orjson.loads(frame)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(message, dict):
        return None
    event, feed, products = message.get("event"), message.get("feed"), message.get("product_ids")
    if event == CHALLENGE:
        return Request(CHALLENGE) if isinstance(message.get("api_key"), str) else None
    if event not in (SUBSCRIBE, UNSUBSCRIBE) or not isinstance(feed, str):
        return None
    symbols = _symbols(products)
    return None if symbols is None else Request(event, feed, symbols)


def _symbols(products: object) -> tuple[str, ...] | None:
    if products is None:
        return ()
    if not isinstance(products, list) or not all(isinstance(product, str) for product in products):
        return None
    return tuple(dict.fromkeys(product.upper() for product in products))
