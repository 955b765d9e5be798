"""The texts that WebSocket v2 sends. Numbers are exact decimals, times RFC 3339 with 6 or 9 digits of the second."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import orjson
from orjson import Fragment

from exchange.sandbox.market.facts import SpotPair
from exchange.sandbox.market.model import VOLUME_DECIMALS, Bar, Level, SpotQuote, Trades
from exchange.sandbox.spot.replies import average_points
from exchange.sandbox.spot.requests import Request
from exchange.sandbox.units import MINUTE_NS
from exchange.sandbox.wire.numbers import decimal_text, rfc3339

HEARTBEAT = '{"channel":"heartbeat"}'
SNAPSHOT, UPDATE = "snapshot", "update"
WARNINGS = {
    "ohlc": ["timestamp is deprecated, use interval_begin"],
    "instrument": ["tick_size is deprecated, use price_increment"],
}
PERCENT_DECIMALS = 2
INTERVALS_KEPT = 1_024


def status(system: str, connection_id: int) -> str:
    """What every connection is greeted with, and told again when the venue's status changes."""
    data = {
        "version": "2.0.10",
        "system": system,
        "api_version": "v2",
        "connection_id": connection_id,
        "upcoming_maintenance": [],
        "emergency": [],
    }
    return _text({"channel": "status", "type": UPDATE, "data": [data]})


def pong(req_id: int | None, now_ns: int) -> str:
    """Answer to a ping."""
    return _text({"method": "pong", **_req_id(req_id), **_handled(now_ns)})


def accepted(request: Request, symbol: str, now_ns: int) -> str:
    """One symbol of a request was accepted; `symbol` is empty where the channel knows none."""
    result: dict[str, Any] = {"channel": request.channel}
    if request.channel == "book":
        result["depth"] = request.depth
    if request.channel == "ticker":
        result["event_trigger"] = request.trigger
    if request.channel == "ohlc":
        result["interval"] = request.interval_minutes
    if request.method == "subscribe":
        result["snapshot"] = request.snapshot
    if symbol:
        result["symbol"] = symbol
    if request.method == "subscribe" and request.channel in WARNINGS:
        result["warnings"] = WARNINGS[request.channel]
    answer = {"method": request.method, **_req_id(request.req_id), "result": result, "success": True}
    return _text({**answer, **_handled(now_ns)})


def refused(error: str, method: str | None, symbol: str | None, req_id: int | None, now_ns: int) -> str:
    """A request, or one symbol of it, was refused. There is no `result` then."""
    answer: dict[str, Any] = {"error": error}
    if method is not None:
        answer["method"] = method
    answer |= {**_req_id(req_id), "success": False}
    if symbol is not None:
        answer["symbol"] = symbol
    return _text({**answer, **_handled(now_ns)})


def trades(pair: SpotPair, kind: str, listed: Trades) -> str:
    """Trades in their order. The text is put together by hand: there may be hundreds in one message."""
    rows = zip(*(column.tolist() for column in listed), strict=True)
    data = ",".join(_trade(pair, *row) for row in rows)
    return f'{{"channel":"trade","type":"{kind}","data":[{data}]}}'


def ticker(pair: SpotPair, kind: str, quote: SpotQuote) -> str:
    """Best prices, the last one, and the last 24 hours."""
    decimals, day = pair.price_decimals, quote.rolling
    change = quote.last - day.open
    data = {
        "symbol": pair.instrument,
        "bid": _number(quote.bid.price, decimals),
        "bid_qty": _number(quote.bid.quantity, VOLUME_DECIMALS),
        "ask": _number(quote.ask.price, decimals),
        "ask_qty": _number(quote.ask.quantity, VOLUME_DECIMALS),
        "last": _number(quote.last, decimals),
        "volume": _number(day.volume, VOLUME_DECIMALS),
        "vwap": _number(average_points(day.turnover, day.volume), decimals),
        "low": _number(day.low, decimals),
        "high": _number(day.high, decimals),
        "change": _number(change, decimals),
        "change_pct": _number(_percent_points(change, day.open), PERCENT_DECIMALS),
        "trades": day.trades,
        "timestamp": rfc3339(quote.last_ns, 6),
    }
    return _text({"channel": "ticker", "type": kind, "data": [data]})


def candles(pair: SpotPair, kind: str, bars: Iterable[Bar], minutes: int, at_ns: int) -> str:
    """Candles; `at_ns` is the trade that caused the message, or when the snapshot was taken.

    The deprecated `timestamp` of a candle is the END of its interval. Put together by hand like trades: in a
    lockstep replay nothing is written more often.
    """
    data = ",".join([_candle(pair, bar, minutes) for bar in bars])
    return f'{{"channel":"ohlc","type":"{kind}","timestamp":"{rfc3339(at_ns, 9)}","data":[{data}]}}'


def book(pair: SpotPair, kind: str, bids: Iterable[Level], asks: Iterable[Level], checksum: int, at_ns: int) -> str:
    """A whole book, or the levels that changed. `checksum` is of the book that the client then has."""
    data = {
        "symbol": pair.instrument,
        "bids": _levels(pair, bids),
        "asks": _levels(pair, asks),
        "checksum": checksum,
        "timestamp": rfc3339(at_ns, 6),
    }
    return _text({"channel": "book", "type": kind, "data": [data]})


def instruments(kind: str, data: dict[str, Any]) -> str:
    """The instrument channel. Its data is an object, not a list."""
    return _text({"channel": "instrument", "type": kind, "data": data})


def _trade(pair: SpotPair, time_ns: int, price: int, volume: int, is_buy: bool, is_market: bool, trade_id: int) -> str:
    return (
        f'{{"symbol":"{pair.instrument}","side":"{"buy" if is_buy else "sell"}",'
        f'"price":{decimal_text(price, pair.price_decimals)},"qty":{decimal_text(volume, VOLUME_DECIMALS)},'
        f'"ord_type":"{"market" if is_market else "limit"}","trade_id":{trade_id},'
        f'"timestamp":"{rfc3339(time_ns, 6)}"}}'
    )


def _percent_points(change: int, base: int) -> int:
    """In hundredths of a percent, rounded half away from zero."""
    points = (2 * abs(change) * 10_000 + base) // (2 * base) if base else 0
    return points if change >= 0 else -points


def _candle(pair: SpotPair, bar: Bar, minutes: int) -> str:
    decimals = pair.price_decimals
    return (
        f'{{"symbol":"{pair.instrument}","open":{decimal_text(bar.open, decimals)},'
        f'"high":{decimal_text(bar.high, decimals)},"low":{decimal_text(bar.low, decimals)},'
        f'"close":{decimal_text(bar.close, decimals)},"trades":{bar.trades},'
        f'"volume":{decimal_text(bar.volume, VOLUME_DECIMALS)},'
        f'"vwap":{decimal_text(average_points(bar.turnover, bar.volume), decimals)},'
        f"{_interval(bar.opened_ns, minutes)}}}"
    )


@lru_cache(INTERVALS_KEPT)
def _interval(opened_ns: int, minutes: int) -> str:
    """What all messages about one interval have in common, whatever the pair."""
    ends = rfc3339(opened_ns + minutes * MINUTE_NS, 6)
    return f'"interval_begin":"{rfc3339(opened_ns, 9)}","interval":{minutes},"timestamp":"{ends}"'


def _levels(pair: SpotPair, levels: Iterable[Level]) -> list[dict[str, Fragment]]:
    return [
        {"price": _number(level.price, pair.price_decimals), "qty": _number(level.quantity, VOLUME_DECIMALS)}
        for level in levels
    ]


def _number(points: int, decimals: int) -> Fragment:
    return Fragment(decimal_text(points, decimals))


def _req_id(req_id: int | None) -> dict[str, int]:
    return {} if req_id is None else {"req_id": req_id}


def _handled(now_ns: int) -> dict[str, str]:
    """When the request came and when the answer left; no venue time passes in between."""
    now = rfc3339(now_ns, 6)
    return {"time_in": now, "time_out": now}


def _text(message: dict[str, Any]) -> str:
    return orjson.dumps(message).decode()
