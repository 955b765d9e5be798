"""Kraken's public replies, from text to values. What does not fit the protocol is an error that names its field."""

import json
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from exchange.kraken.failures import UnreadableReply
from exchange.kraken.payloads import (
    AssetPair,
    Candle,
    Candles,
    ChartCandle,
    ChartPage,
    FundingRate,
    Instrument,
    ServerTime,
    SystemStatus,
    Ticker,
    Trade,
    TradePage,
)
from exchange.kraken.symbols import instrument_of

T = TypeVar("T")

SYSTEM_STATUS = TypeAdapter(SystemStatus)
SERVER_TIME = TypeAdapter(ServerTime)
ASSET_PAIRS = TypeAdapter(dict[str, AssetPair])
CANDLES = TypeAdapter(tuple[Candle, ...])
TRADES = TypeAdapter(tuple[Trade, ...])
WHOLE = TypeAdapter(int)
FLAG = TypeAdapter(bool)
INSTRUMENTS = TypeAdapter(tuple[Instrument, ...])
TICKERS = TypeAdapter(tuple[Ticker, ...])
FUNDING_RATES = TypeAdapter(tuple[FundingRate, ...])
CHART_CANDLES = TypeAdapter(tuple[ChartCandle, ...])
COLUMNS = {"OHLC": Candle._fields, "Trades": Trade._fields}


def exact_json(text: str) -> Any:
    """The JSON of a reply with every fractional number as the exact Decimal that was written; None: it is no JSON."""
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return None


def system_status(reply: Any) -> SystemStatus:
    """Raises UnreadableReply."""
    return _read(SYSTEM_STATUS, "SystemStatus", "result", _result("SystemStatus", reply))


def server_time(reply: Any) -> ServerTime:
    """Raises UnreadableReply."""
    return _read(SERVER_TIME, "Time", "result", _result("Time", reply))


def asset_pairs(reply: Any) -> tuple[AssetPair, ...]:
    """Raises UnreadableReply."""
    return tuple(_read(ASSET_PAIRS, "AssetPairs", "result", _result("AssetPairs", reply)).values())


def candles(reply: Any, instrument: str) -> Candles:
    """OHLC of an instrument, whatever spelling of it the reply is under. Raises UnreadableReply."""
    key, rows, last = _rows_and_last("OHLC", reply, instrument)
    parsed = _read(CANDLES, "OHLC", key, rows)
    last_closed_s = _read(WHOLE, "OHLC", "last", last)
    # The venue's last row is the candle still being traded. It is not data yet, whatever its times say.
    closed, forming = parsed[:-1], parsed[-1] if parsed else None
    if closed and closed[-1].opened_s > last_closed_s:
        raise UnreadableReply("OHLC", "last", f"is before the closed candle of {closed[-1].opened_s}", str(last))
    return Candles(instrument, closed, forming, last_closed_s)


def trade_page(reply: Any, instrument: str) -> TradePage:
    """Trades of an instrument, whatever spelling of it the reply is under. Raises UnreadableReply."""
    key, rows, last = _rows_and_last("Trades", reply, instrument)
    return TradePage(instrument, _read(TRADES, "Trades", key, rows), _read(WHOLE, "Trades", "last", last))


def instruments(reply: Any) -> tuple[Instrument, ...]:
    """Raises UnreadableReply."""
    return _read(INSTRUMENTS, "instruments", "instruments", _part("instruments", reply, "instruments"))


def tickers(reply: Any) -> tuple[Ticker, ...]:
    """Raises UnreadableReply."""
    return _read(TICKERS, "tickers", "tickers", _part("tickers", reply, "tickers"))


def funding_rates(reply: Any) -> tuple[FundingRate, ...]:
    """Raises UnreadableReply."""
    return _read(FUNDING_RATES, "historicalfundingrates", "rates", _part("historicalfundingrates", reply, "rates"))


def chart_page(reply: Any) -> ChartPage:
    """Raises UnreadableReply."""
    return ChartPage(
        _read(CHART_CANDLES, "charts", "candles", _part("charts", reply, "candles")),
        _read(FLAG, "charts", "more_candles", _part("charts", reply, "more_candles")),
    )


def closed_of_chart(candles: Iterable[ChartCandle], minutes: int, now_ms: int) -> tuple[ChartCandle, ...]:
    """Those whose interval has ended at `now_ms` of the venue's clock: the charts do not mark the one still forming."""
    return tuple(candle for candle in candles if candle.time + minutes * 60_000 <= now_ms)


def _rows_and_last(method: str, reply: Any, instrument: str) -> tuple[str, Any, Any]:
    """The key of the rows, the rows, and `last`."""
    result = _result(method, reply)
    keys = [key for key in result if key != "last"]
    # Rows under another name would be another pair's; to look only for one spelling would find none in silence.
    if len(keys) != 1 or instrument_of(keys[0]) != instrument:
        raise UnreadableReply(method, "result", f"has the keys {keys} instead of one for {instrument}", str(result))
    if "last" not in result:
        raise UnreadableReply(method, "last", "is missing", str(result))
    return keys[0], result[keys[0]], result["last"]


def _result(method: str, reply: Any) -> dict[str, Any]:
    result = _part(method, reply, "result")
    if not isinstance(result, dict):
        raise UnreadableReply(method, "result", "is no object", str(reply))
    return result


def _part(method: str, reply: Any, name: str) -> Any:
    # A missing list is not an empty one: it would be read as "nothing there".
    if not isinstance(reply, dict) or name not in reply:
        raise UnreadableReply(method, name, "is missing", str(reply))
    return reply[name]


def _read(adapter: TypeAdapter[T], method: str, place: str, value: Any) -> T:
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join([place, *(_named(method, depth, part) for depth, part in enumerate(first["loc"]))])
        raise UnreadableReply(method, field, f"is wrong ({first['msg']})", str(first["input"])) from error


def _named(method: str, depth: int, part: int | str) -> str:
    """A part of the place: in a row of an array the name that the documentation gives the column, not its number."""
    if depth == 1 and isinstance(part, int) and method in COLUMNS:
        return COLUMNS[method][part]
    return str(part)


def _no_number(text: str) -> Callable[[], None]:
    raise ValueError(f"{text} is no JSON")
