"""What is asked: every public call and feed that this project uses, of two pairs and one contract. Read-only, unsigned.

Paths are those of `ops.venue.shapes`: `result.*[]` is any row of any pair of a result.
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

Side = Literal["spot", "futures"]
Frame = dict[str, Any]

PAIR, PAIRS = "XBTUSD", "XBTUSD,ETHUSD"
SYMBOL, SYMBOLS = "BTC/USD", frozenset({"BTC/USD", "ETH/USD"})
ASSETS, ASSET_IDS = "XBT,ETH,USD", frozenset({"BTC", "ETH", "USD"})
CONTRACT, CONTRACTS = "PF_XBTUSD", frozenset({"PF_XBTUSD", "PF_ETHUSD"})
NO_NAME = "NOTHING"
DERIVATIVES, CHARTS = "/derivatives/api", "/api/charts/v1"
NOTHING: Mapping[str, Any] = {}
NO_KEYS: frozenset[str] = frozenset()
BY_NAME = {"result": NO_KEYS}
BY_NAME_AND_LAST = {"result": frozenset({"last"})}


class Reading(NamedTuple):
    """What the JSON of a reply does not say by itself."""

    named: Mapping[str, frozenset[str]] = NOTHING  # where objects are keyed by names; which of their keys are none
    rows: frozenset[str] = frozenset()  # where arrays are rows: every place has a meaning of its own
    only: Mapping[str, tuple[str, frozenset[str]]] = NOTHING  # where of a long list only these are looked at


PLAIN = Reading()


class Call(NamedTuple):
    """A GET. `pair` is our name of the pair in whose pool the venue counts it; empty: in that of the address."""

    name: str
    side: Side
    path: str
    query: Mapping[str, str] = NOTHING
    pair: str = ""
    reading: Reading = PLAIN


class Listening(NamedTuple):
    """A while on a WebSocket: what is said there, and which messages are waited for.

    Those of `by_chance` come only when something happens in time.
    """

    name: str
    side: Side
    says: tuple[Frame, ...]
    waits_for: frozenset[str]
    by_chance: frozenset[str]
    reading: Reading = PLAIN


def _spot(method: str, query: Mapping[str, str] = NOTHING, pair: str = "", reading: Reading = PLAIN) -> Call:
    return Call(f"spot {method}", "spot", f"/0/public/{method}", query, pair, reading)


def _unknown(side: Side, path: str, query: Mapping[str, str] = NOTHING) -> Call:
    """What is answered to who names something that there is not."""
    return Call(f"{side} {path.rpartition('/')[2]} of nothing", side, path, query)


def _futures(name: str, path: str, reading: Reading = PLAIN, *, of_contract: bool = False) -> Call:
    return Call(f"futures {name}", "futures", path, {"symbol": CONTRACT} if of_contract else {}, reading=reading)


def _spot_subscription(channel: str, **more: object) -> Frame:
    return {"method": "subscribe", "params": {"channel": channel, **more}, "req_id": 1}


def _futures_subscription(feed: str) -> Frame:
    return {"event": "subscribe", "feed": feed, "product_ids": [CONTRACT]}


CALLS: tuple[Call, ...] = (
    _spot("SystemStatus"),
    _spot("Time"),
    _spot("Assets", {"asset": ASSETS}, reading=Reading(BY_NAME)),
    _spot("AssetPairs", {"pair": PAIRS}, reading=Reading(BY_NAME, frozenset({"result.*.fees[]"}))),
    _spot("OHLC", {"pair": PAIR, "interval": "15"}, SYMBOL, Reading(BY_NAME_AND_LAST, frozenset({"result.*[]"}))),
    _spot("Trades", {"pair": PAIR}, SYMBOL, Reading(BY_NAME_AND_LAST, frozenset({"result.*[]"}))),
    _spot("Ticker", {"pair": PAIRS}, reading=Reading(BY_NAME, frozenset(f"result.*.{key}" for key in "abcvptlh"))),
    _spot(
        "Depth",
        {"pair": PAIR, "count": "10"},
        reading=Reading(BY_NAME, frozenset({"result.*.asks[]", "result.*.bids[]"})),
    ),
    _futures(
        "instruments",
        f"{DERIVATIVES}/v3/instruments",
        Reading(named={"instruments[].marginSchedules": NO_KEYS}, only={"instruments": ("symbol", CONTRACTS)}),
    ),
    _futures(
        "instruments/status",
        f"{DERIVATIVES}/v3/instruments/status",
        Reading(only={"instrumentStatus": ("tradeable", CONTRACTS)}),
    ),
    _futures("status of a contract", f"{DERIVATIVES}/v3/instruments/{CONTRACT}/status"),
    _futures("tickers", f"{DERIVATIVES}/v3/tickers", Reading(only={"tickers": ("symbol", CONTRACTS)})),
    _futures("ticker of a contract", f"{DERIVATIVES}/v3/tickers/{CONTRACT}"),
    _futures(
        "orderbook",
        f"{DERIVATIVES}/v3/orderbook",
        Reading(rows=frozenset({"orderBook.asks[]", "orderBook.bids[]"})),
        of_contract=True,
    ),
    _futures("history", f"{DERIVATIVES}/v3/history", of_contract=True),
    _futures("historical-funding-rates", f"{DERIVATIVES}/v3/historical-funding-rates", of_contract=True),
    _futures("historicalfundingrates", f"{DERIVATIVES}/v4/historicalfundingrates", of_contract=True),
    _futures("charts", f"{CHARTS}/"),
    *(_futures(f"{chart} chart", f"{CHARTS}/{chart}/{CONTRACT}/15m") for chart in ("trade", "mark", "spot")),
    _unknown("spot", "/0/public/Depth", {"pair": NO_NAME}),
    _unknown("spot", "/0/public/Nothing"),
    _unknown("futures", f"{DERIVATIVES}/v3/orderbook", {"symbol": NO_NAME}),
    _unknown("futures", f"{DERIVATIVES}/v3/nothing"),
)

SPOT_CHANNELS = ("ticker", "ohlc", "trade", "book")
SPOT_UPDATES = frozenset(f"{channel} update" for channel in SPOT_CHANNELS)
SPOT_FEED = Listening(
    "spot WebSocket v2",
    "spot",
    says=(
        {"method": "ping", "req_id": 1},
        _spot_subscription("ticker", symbol=[SYMBOL]),
        _spot_subscription("ohlc", symbol=[SYMBOL], interval=15),
        _spot_subscription("trade", symbol=[SYMBOL], snapshot=True),
        _spot_subscription("book", symbol=[SYMBOL], depth=10),
        _spot_subscription("instrument"),
        _spot_subscription("trade", symbol=["NO/NAME"]),
    ),
    waits_for=frozenset({"status update", "pong", "subscribe refused"})
    | {f"subscribe {channel}" for channel in (*SPOT_CHANNELS, "instrument")}
    | {f"{channel} snapshot" for channel in (*SPOT_CHANNELS, "instrument")}
    | SPOT_UPDATES,
    by_chance=SPOT_UPDATES | {"instrument update", "heartbeat"},
    reading=Reading(
        only={
            "instrument snapshot.data.assets": ("id", ASSET_IDS),
            "instrument snapshot.data.pairs": ("symbol", SYMBOLS),
        }
    ),
)
CANDLES = "candles_trade_15m"
CONTRACT_FEEDS = ("ticker", "ticker_lite", "trade", "book", CANDLES)
FUTURES_FEED = Listening(
    "futures WebSocket v1",
    "futures",
    says=(*map(_futures_subscription, CONTRACT_FEEDS), {"event": "subscribe", "feed": "heartbeat"}),
    waits_for=frozenset({"info", "heartbeat", *CONTRACT_FEEDS})
    | {f"subscribed {feed}" for feed in (*CONTRACT_FEEDS, "heartbeat")}
    | {f"{feed}_snapshot" for feed in ("trade", "book", CANDLES)},
    by_chance=frozenset({"trade", "book", CANDLES}),
)
LISTENINGS: tuple[Listening, ...] = (SPOT_FEED, FUTURES_FEED)


def kind_of(side: Side, message: object) -> str:
    """What a message on a WebSocket is, in a word or two: messages of one kind have one shape."""
    if not isinstance(message, dict):
        return "no object"
    words = _spot_words(message) if side == "spot" else _futures_words(message)
    return " ".join(str(word) for word in words if word is not None) or "unknown"


def _spot_words(message: Frame) -> tuple[object, object]:
    if "channel" in message:
        return message["channel"], message.get("type")
    if message.get("success") is False:
        return message.get("method"), "refused"
    result = message.get("result")
    return message.get("method"), result.get("channel") if isinstance(result, dict) else None


def _futures_words(message: Frame) -> tuple[object, object]:
    return message.get("event"), message.get("feed")
