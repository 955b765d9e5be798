"""The exact texts of WebSocket v2 and the rows of REST."""

import numpy as np
import pytest

from exchange.sandbox.market.facts import SpotPair, listed
from exchange.sandbox.market.model import Bar, Day, Level, SpotQuote, Trades
from exchange.sandbox.spot import messages, replies
from exchange.sandbox.spot.arguments import Arguments
from exchange.sandbox.spot.refusal import Refused
from exchange.sandbox.spot.requests import Request
from exchange.sandbox.units import SECOND_NS

BTC, DOGE = listed(["BTC/USD", "DOGE/USD"])[0]
AT_NS = 1_795_388_461_000_020_003  # 2026-11-22T23:01:01.000020003Z
MINUTE_NS = 60 * SECOND_NS
OPENED_NS = AT_NS // MINUTE_NS * MINUTE_NS
BAR = Bar(OPENED_NS, 900101, 900150, 900012, 900033, 120340000, 900079 * 120340000, 42)
TRADES = Trades(
    np.array([AT_NS - 2_000, AT_NS]),
    np.array([900101, 900102]),
    np.array([1, 2_50000000]),
    np.array([True, False]),
    np.array([False, True]),
    np.array([7, 8]),
)


def test_writes_a_candle_with_the_end_of_its_interval_as_timestamp() -> None:
    assert messages.candles(BTC, "update", [BAR], 1, AT_NS) == (
        '{"channel":"ohlc","type":"update","timestamp":"2026-11-22T23:01:01.000020003Z","data":[{"symbol":"BTC/USD",'
        '"open":90010.1,"high":90015.0,"low":90001.2,"close":90003.3,"trades":42,"volume":1.20340000,"vwap":90007.9,'
        '"interval_begin":"2026-11-22T23:01:00.000000000Z","interval":1,"timestamp":"2026-11-22T23:02:00.000000Z"}]}'
    )


def test_writes_trades_with_all_decimals_and_microseconds() -> None:
    assert messages.trades(BTC, "snapshot", TRADES) == (
        '{"channel":"trade","type":"snapshot","data":['
        '{"symbol":"BTC/USD","side":"buy","price":90010.1,"qty":0.00000001,"ord_type":"limit","trade_id":7,'
        '"timestamp":"2026-11-22T23:01:01.000018Z"},'
        '{"symbol":"BTC/USD","side":"sell","price":90010.2,"qty":2.50000000,"ord_type":"market","trade_id":8,'
        '"timestamp":"2026-11-22T23:01:01.000020Z"}]}'
    )


def test_writes_a_ticker_of_the_last_24_hours() -> None:
    assert messages.ticker(BTC, "update", _quote()) == (
        '{"channel":"ticker","type":"update","data":[{"symbol":"BTC/USD","bid":90010.0,"bid_qty":0.50000000,'
        '"ask":90010.1,"ask_qty":1.25000000,"last":90010.1,"volume":30.00000000,"vwap":90400.0,"low":89000.0,'
        '"high":91000.0,"change":-489.9,"change_pct":-0.54,"trades":900,"timestamp":"2026-11-22T23:01:01.000020Z"}]}'
    )


def test_acknowledges_candles_with_a_warning() -> None:
    request = Request("subscribe", "ohlc", ("BTC/USD",), 5, 0, "", True, 9)
    assert messages.accepted(request, "BTC/USD", AT_NS) == (
        '{"method":"subscribe","req_id":9,"result":{"channel":"ohlc","interval":5,"snapshot":true,"symbol":"BTC/USD",'
        '"warnings":["timestamp is deprecated, use interval_begin"]},"success":true,'
        '"time_in":"2026-11-22T23:01:01.000020Z","time_out":"2026-11-22T23:01:01.000020Z"}'
    )


def test_refuses_a_symbol_without_a_result() -> None:
    assert messages.refused("Currency pair not supported XBT/USD", "subscribe", "XBT/USD", None, AT_NS) == (
        '{"error":"Currency pair not supported XBT/USD","method":"subscribe","success":false,"symbol":"XBT/USD",'
        '"time_in":"2026-11-22T23:01:01.000020Z","time_out":"2026-11-22T23:01:01.000020Z"}'
    )


def test_greets_with_a_connection_id_beyond_53_bits() -> None:
    assert messages.status("online", 2**63 + 5) == (
        '{"channel":"status","type":"update","data":[{"version":"2.0.10","system":"online","api_version":"v2",'
        '"connection_id":9223372036854775813,"upcoming_maintenance":[],"emergency":[]}]}'
    )


def test_lists_candles_in_seconds_and_text() -> None:
    running = Bar(OPENED_NS + MINUTE_NS, 900033, 900033, 900033, 900033, 0, 0, 0)
    assert replies.candles(BTC, "XXBTZUSD", [BAR, running], 1) == {
        "XXBTZUSD": [
            [1795388460, "90010.1", "90015.0", "90001.2", "90003.3", "90007.9", "1.20340000", 42],
            [1795388520, "90003.3", "90003.3", "90003.3", "90003.3", "0.0", "0.00000000", 0],
        ],
        "last": 1795388460,
    }


def test_lists_trades_with_a_cursor_in_nanoseconds() -> None:
    assert replies.trades(BTC, "BTC/USD", TRADES, 0) == {
        "BTC/USD": [
            ["90010.10000", "0.00000001", 1795388461.0000181, "b", "l", "", 7],
            ["90010.20000", "2.50000000", 1795388461.00002, "s", "m", "", 8],
        ],
        "last": "1795388461000020003",
    }


def test_gives_the_cursor_back_when_there_are_no_more_trades() -> None:
    nothing = Trades(*(column[:0] for column in TRADES))
    assert replies.trades(BTC, "XXBTZUSD", nothing, AT_NS) == {"XXBTZUSD": [], "last": str(AT_NS)}


def test_pads_prices_of_the_tape_to_five_decimals_and_cuts_none() -> None:
    assert replies.tape_price(BTC, 900101) == "90010.10000"
    assert replies.tape_price(DOGE, 701234) == "0.0701234"


def test_lists_a_ticker_of_today_and_of_24_hours() -> None:
    assert replies.ticker(BTC, _quote()) == {
        "a": ["90010.10000", "1", "1.000"],
        "b": ["90010.00000", "1", "1.000"],
        "c": ["90010.10000", "0.01000000"],
        "v": ["10.00000000", "30.00000000"],
        "p": ["90200.00000", "90400.00000"],
        "t": [300, 900],
        "l": ["90000.00000", "89000.00000"],
        "h": ["90700.00000", "91000.00000"],
        "o": "90100.00000",
    }


def test_tells_the_time_with_a_year_of_two_digits() -> None:
    assert replies.server_time(AT_NS) == {"unixtime": 1795388461, "rfc1123": "Sun, 22 Nov 26 23:01:01 +0000"}


@pytest.mark.parametrize(
    ("text", "since_ns"),
    [("0", 0), ("1795388461", 1795388461 * SECOND_NS), ("1795388461.5", 1795388461_500000000), (str(AT_NS), AT_NS)],
)
def test_takes_since_of_trades_in_seconds_or_nanoseconds(text: str, since_ns: int) -> None:
    assert Arguments({"since": text}).since_ns("since") == since_ns


def test_takes_a_since_before_1970_as_the_beginning() -> None:
    assert Arguments({"since": "-60"}).since_seconds_ns("since") == 0  # ccxt asks so for since=0


@pytest.mark.parametrize("text", ["", "x", "1e3", "٣", "1,000", "99999999999999999999", "NaN", " 1"])
def test_refuses_what_is_no_number(text: str) -> None:
    with pytest.raises(Refused, match="EGeneral:Invalid arguments"):
        Arguments({"since": text}).since_seconds_ns("since")


def _quote(pair: SpotPair = BTC) -> SpotQuote:
    return SpotQuote(
        instrument=pair.instrument,
        bid=Level(900100, 50000000),
        ask=Level(900101, 125000000),
        last=900101,
        last_volume=1000000,
        last_ns=AT_NS,
        today=Day(901000, 907000, 900000, 10_00000000, 902000 * 10_00000000, 300),
        rolling=Day(905000, 910000, 890000, 30_00000000, 904000 * 30_00000000, 900),
    )
