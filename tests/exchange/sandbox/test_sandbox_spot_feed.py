"""WebSocket v2 on a running sandbox, as a client without habits sees it."""

import json
from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from itertools import groupby
from typing import Any
from zlib import crc32

import pytest
from doses import examples
from hypothesis import given
from hypothesis import strategies as st
from spot_venue import STARTS_NS, Client, Spot, is_silent, small_market
from websockets.exceptions import ConnectionClosed

MINUTE_S = 60


@pytest.fixture
def spot(serve: Callable[..., Any]) -> Spot:
    return Spot(serve(small_market()))


# --- the connection


def test_greets_with_its_status_and_a_large_connection_id(spot: Spot) -> None:
    with spot.client() as client:
        assert client.greeting["channel"] == "status"
        assert client.greeting["data"][0]["system"] == "online"
        assert client.greeting["data"][0]["connection_id"] > 2**53


def test_answers_a_ping_under_its_number(spot: Spot) -> None:
    with spot.client() as client:
        pong = client.ask(method="ping", req_id=7)
        assert (pong["method"], pong["req_id"]) == ("pong", 7)
        assert pong["time_in"] == pong["time_out"] == "2026-11-22T23:00:00.000000Z"
        assert "req_id" not in client.ask(method="ping")


def test_sends_heartbeats_only_to_those_who_subscribed(spot: Spot) -> None:
    with spot.client() as listening, spot.client() as quiet:
        listening.subscribe("instrument")
        spot.advance(1.5)
        assert listening.drain() == [{"channel": "heartbeat"}]
        assert quiet.drain() == []


def test_keeps_a_connection_that_listens_for_hours(spot: Spot) -> None:
    with spot.client() as client:
        client.subscribe("trade", "BTC/USD")
        spot.advance(3600)
        assert client.updates("trade")


def test_refuses_frames_beyond_the_rate(serve: Callable[..., Any]) -> None:
    spot = Spot(serve(small_market(), has_limits=True))
    with spot.client() as client:
        answers = [client.ask(method="ping", req_id=number) for number in range(202)]
        assert [answer.get("error") for answer in answers[199:]] == [None, "Exceeded msg rate", "Exceeded msg rate"]
        spot.advance(1)
        assert client.ask(method="ping")["method"] == "pong"


def test_tells_everyone_when_its_status_changes(spot: Spot) -> None:
    with spot.client() as client:
        client.subscribe("instrument")
        spot.running.ask("POST", "/status", status="cancel_only")
        status, instruments = client.drain()
        assert status["data"][0]["system"] == "cancel_only"
        assert status["data"][0]["connection_id"] == client.greeting["data"][0]["connection_id"]
        assert {pair["status"] for pair in instruments["data"]["pairs"]} == {"cancel_only"}


def test_ends_all_connections_for_maintenance_and_refuses_subscriptions(spot: Spot) -> None:
    with spot.client() as client:
        spot.running.ask("POST", "/status", status="maintenance")
        assert client.receive()["data"][0]["system"] == "maintenance"
        with pytest.raises(ConnectionClosed):
            client.receive()
    with spot.client() as client:
        assert client.greeting["data"][0]["system"] == "maintenance"
        assert client.subscribe("trade", "BTC/USD")["error"] == "EService:Unavailable"


def test_tells_of_a_pair_that_is_hidden_from_the_list_when_its_status_changes(spot: Spot) -> None:
    with spot.client() as client:
        client.subscribe("instrument")
        spot.running.ask("POST", "/hide", instruments=["ETH/USD"])
        assert client.drain() == []  # a list that lacks it is no news of the pair
        spot.running.ask("POST", "/suspend", instruments=["ETH/USD"])
        (message,) = client.drain()
    assert [(pair["symbol"], pair["status"]) for pair in message["data"]["pairs"]] == [("ETH/USD", "cancel_only")]


def test_tells_of_a_suspended_pair_in_the_list_of_instruments(spot: Spot) -> None:
    with spot.client() as client:
        client.subscribe("instrument")
        spot.running.ask("POST", "/suspend", instruments=["ETH/USD"])
        (message,) = client.drain()
    assert [(pair["symbol"], pair["status"]) for pair in message["data"]["pairs"]] == [("ETH/USD", "cancel_only")]


# --- subscriptions


def test_answers_for_every_symbol_by_itself(spot: Spot) -> None:
    with spot.client() as client:
        symbols = ["BTC/USD", "XBT/USD", "ETH/USD"]
        params = {"channel": "ohlc", "symbol": symbols, "interval": 1, "snapshot": False}
        client.send(method="subscribe", params=params, req_id=3)
        first, refused, last = client.receive(), client.receive(), client.receive()
    assert first["result"]["symbol"] == "BTC/USD"
    assert first["result"]["warnings"] == ["timestamp is deprecated, use interval_begin"]
    assert last["result"]["symbol"] == "ETH/USD"
    assert first["req_id"] == refused["req_id"] == last["req_id"] == 3
    assert refused["error"] == "Currency pair not supported XBT/USD"
    assert refused["symbol"] == "XBT/USD"
    assert "result" not in refused


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"channel": "ohlc", "interval": 3}, "Subscription ohlc interval not supported"),
        ({"channel": "trade"}, "Already subscribed"),
    ],
)
def test_refuses_a_symbol_in_the_venues_words(spot: Spot, params: dict[str, Any], error: str) -> None:
    with spot.client() as client:
        client.subscribe("trade", "BTC/USD")
        refused = client.ask(method="subscribe", params={**params, "symbol": ["BTC/USD"]})
    assert refused["error"] == error
    assert refused["success"] is False
    assert refused["symbol"] == "BTC/USD"


def test_refuses_a_depth_once_for_all_symbols(spot: Spot) -> None:
    with spot.client() as client:
        params = {"channel": "book", "symbol": ["BTC/USD", "ETH/USD"], "depth": 3}
        client.send(method="subscribe", params=params, req_id=3)
        (refused,) = client.drain()
    assert set(refused) == {"error", "method", "req_id", "success", "time_in", "time_out"}
    assert (refused["error"], refused["success"]) == ("Subscription depth not supported", False)


@pytest.mark.parametrize("symbol", ["NOPE", "XBTUSD", "*", "btc/usd", "XDG/USD"])
def test_tells_a_symbol_of_another_form_from_one_that_is_not_listed(spot: Spot, symbol: str) -> None:
    reason = "Currency pair not supported" if "/" in symbol else "Currency pair not in ISO 4217-A3 format"
    with spot.client() as client:
        refused = client.subscribe("trade", symbol)
    assert (refused["error"], refused["symbol"]) == (f"{reason} {symbol}", symbol)


def test_takes_several_intervals_on_one_connection(spot: Spot) -> None:
    with spot.client() as client:
        assert client.subscribe("ohlc", "BTC/USD", interval=1)["success"]
        assert client.subscribe("ohlc", "BTC/USD", interval=5)["success"]
        assert client.subscribe("ohlc", "BTC/USD", interval=5)["error"] == "Already subscribed"
        spot.advance(60)
        assert {message["data"][0]["interval"] for message in client.updates("ohlc")} == {1, 5}


def test_sends_nothing_more_after_an_unsubscription(spot: Spot) -> None:
    with spot.client() as client:
        client.subscribe("ohlc", "BTC/USD", interval=1)
        params = {"channel": "ohlc", "symbol": ["BTC/USD"], "interval": 1}
        assert client.ask(method="unsubscribe", params=params)["result"] == {
            "channel": "ohlc", "interval": 1, "symbol": "BTC/USD",
        }  # fmt: skip
        assert client.ask(method="unsubscribe", params=params)["error"] == "Subscription Not Found"
        spot.advance(30)
        assert client.drain() == []


def test_forgets_subscriptions_with_the_connection(spot: Spot) -> None:
    with spot.client() as client:
        client.subscribe("trade", "BTC/USD")
    with spot.client() as client:
        spot.advance(30)
        assert client.drain() == []


def test_sends_all_subscribers_the_same_text(spot: Spot) -> None:
    with spot.client() as first, spot.client() as second:
        for client in (first, second):
            client.subscribe("trade", "BTC/USD")
            client.subscribe("ticker", "BTC/USD")
        spot.advance(60)
        assert first.drain() == second.drain() != []


# --- candles and trades


def test_streams_candles_that_are_the_sum_of_the_streamed_trades(spot: Spot) -> None:
    with spot.client() as client:
        client.subscribe("trade", "BTC/USD")
        client.subscribe("ohlc", "BTC/USD", interval=5)
        spot.advance(900)
        messages = client.drain()
    candles: dict[str, Any] = {}
    trades: list[Any] = []
    for message in messages:
        if message["channel"] == "ohlc":
            (candle,) = message["data"]
            candles[candle["interval_begin"]] = candle
            assert candle == {**candle, **_candle_of(trades, candle["interval_begin"])}
        elif message["channel"] == "trade":
            trades += message["data"]
    rows = spot.result("OHLC", pair="BTC/USD", interval=5)["BTC/USD"][-4:-1]
    assert [[str(c[k]) for k in ("open", "high", "low", "close", "vwap")] for c in candles.values()] == [
        row[1:6] for row in rows
    ]
    assert [f"{candle['volume']:.8f}" for candle in candles.values()] == [row[6] for row in rows]
    assert [trade["trade_id"] for trade in trades] == list(range(trades[0]["trade_id"], trades[-1]["trade_id"] + 1))


def test_says_nothing_about_an_interval_without_trades(spot: Spot) -> None:
    minutes = 20
    with spot.client() as client:
        client.subscribe("ohlc", "DOGE/USD", interval=1)
        spot.advance(minutes * MINUTE_S)
        streamed = {candle["interval_begin"] for message in client.updates("ohlc") for candle in message["data"]}
    traded = [minute for minute in range(minutes) if not is_silent("DOGE/USD", minute)]
    assert sorted(streamed) == [f"2026-11-22T23:{minute:02d}:00.000000000Z" for minute in traded]
    rows = spot.result("OHLC", pair="XDGUSD", since=STARTS_NS // 10**9 - 1)["XDGUSD"]
    assert len(rows) == minutes + 1


def test_shows_traded_candles_as_far_as_twelve_intervals_back(spot: Spot) -> None:
    spot.advance(MINUTE_S + 59)
    with spot.client() as client:
        client.subscribe("ohlc", "DOGE/USD", interval=1, snapshot=True)
        snapshot = client.receive()
    begins = [candle["interval_begin"] for candle in snapshot["data"]]
    assert snapshot["type"] == "snapshot"
    assert begins == sorted(begins)
    assert (begins[0], begins[-1]) == ("2026-11-22T22:49:00.000000000Z", "2026-11-22T23:01:00.000000000Z")
    assert len(begins) == 13 - sum(is_silent("DOGE/USD", minute) for minute in range(-11, 2))
    assert all(candle["trades"] for candle in snapshot["data"])


def test_tells_the_time_of_a_snapshot_by_the_clock_that_acknowledged_it(spot: Spot) -> None:
    spot.running.ask("POST", "/skew", by_s=-120)
    with spot.client() as client:
        acknowledged = client.subscribe("ohlc", "BTC/USD", interval=1, snapshot=True)
        snapshot = client.receive()
    assert snapshot["timestamp"].startswith(acknowledged["time_out"].rstrip("Z"))


def test_shows_the_last_fifty_trades_oldest_first(spot: Spot) -> None:
    with spot.client() as client:
        client.subscribe("trade", "BTC/USD", snapshot=True)
        ids = [trade["trade_id"] for trade in client.receive()["data"]]
        spot.advance(60)
        assert client.updates("trade")[0]["data"][0]["trade_id"] == ids[-1] + 1
    assert ids == list(range(ids[0], ids[0] + 50))


# --- ticker and book


def test_tells_the_ticker_after_every_trade_or_when_the_best_price_changed(serve: Callable[..., Any]) -> None:
    spot = Spot(serve(small_market(is_flat=True)))
    with spot.client() as by_trades, spot.client() as by_best:
        by_trades.subscribe("ticker", "BTC/USD")
        by_best.subscribe("ticker", "BTC/USD", event_trigger="bbo", snapshot=True)
        first = by_best.receive()
        spot.advance(120)
        every, told = by_trades.updates("ticker"), by_best.updates("ticker")
    assert len(told) < len(every)
    changes = [best for best, _ in groupby(map(_best, [first, *every]))][1:]
    assert [_best(message) for message in told] == changes


@pytest.mark.parametrize("depth", [10, 25])
def test_keeps_the_book_of_a_client_true_to_its_checksum(spot: Spot, depth: int) -> None:
    with spot.client() as client:
        client.subscribe("book", "BTC/USD", depth=depth, snapshot=True)
        book = _ClientsBook(client.receive(), depth)
        spot.advance(300)
        updates = client.updates("book")
        for message in updates:
            book.update(message)
    assert len(updates) > 20
    reply = spot.result("Depth", pair="BTC/USD", count=depth)["BTC/USD"]
    assert [Decimal(price) for price, _, _ in reply["asks"]] == sorted(book.asks)
    assert [Decimal(price) for price, _, _ in reply["bids"]] == sorted(book.bids, reverse=True)


def test_shows_one_who_comes_later_a_book_that_the_next_update_fits(spot: Spot) -> None:
    with spot.client() as first:
        first.subscribe("book", "BTC/USD")
        spot.advance(100.7)
        with spot.client() as second:
            second.subscribe("book", "BTC/USD", snapshot=True)
            book = _ClientsBook(second.receive(), 10)
            spot.advance(100)
            for message in second.updates("book"):
                book.update(message)


# --- instruments


def test_shows_assets_and_pairs_without_old_names(spot: Spot) -> None:
    with spot.client() as client:
        client.subscribe("instrument", snapshot=True)
        data = client.receive()["data"]
    assert [asset["id"] for asset in data["assets"]] == ["BTC", "DOGE", "ETH", "USD"]
    assert {asset["class"] for asset in data["assets"]} == {"currency"}
    assert [pair["symbol"] for pair in data["pairs"]] == ["BTC/USD", "DOGE/USD", "ETH/USD"]
    assert data["pairs"][0]["tick_size"] == data["pairs"][0]["price_increment"] == 0.1
    assert [pair["ws_display_price_precision"] for pair in data["pairs"]] == [1, 7, 2]


def test_writes_small_increments_with_an_exponent(spot: Spot) -> None:
    with spot.client() as client:
        client.ask(method="subscribe", params={"channel": "instrument"})
        text = str(client.connection.recv(10))
    assert '"qty_increment":1e-08,' in text
    assert '"qty_min":5e-05}' in text
    assert '"price_increment":1e-07,' in text


# --- anything


def test_says_the_same_bytes_for_the_same_seed(serve: Callable[..., Any]) -> None:
    assert _bytes_of(Spot(serve(small_market()))) == _bytes_of(Spot(serve(small_market())))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)
params = st.fixed_dictionaries(
    {"channel": st.sampled_from(["ohlc", "trade", "ticker", "book", "instrument", "status"]) | values},
    optional={
        "symbol": st.lists(st.sampled_from(["BTC/USD", "ETH/USD", "XBT/USD"]), max_size=3) | values,
        "interval": st.sampled_from([1, 5]) | values,
        "depth": st.sampled_from([10, 1000]) | values,
        "snapshot": st.booleans() | values,
    },
)
frames = st.text(max_size=20) | st.fixed_dictionaries(
    {"method": st.sampled_from(["subscribe", "unsubscribe", "add_order"]) | values},
    optional={"params": params | values, "req_id": values},
).map(json.dumps)


@examples(50)
@given(sent=st.lists(frames, max_size=5))
def test_answers_any_frames_and_stays(sandbox: Any, sent: list[str]) -> None:
    with Spot(sandbox).client() as client:
        for frame in sent:
            client.connection.send(frame)
        for answer in client.drain():
            assert "channel" in answer or isinstance(answer["success"], bool)


def _best(message: Any) -> list[float]:
    return [message["data"][0][key] for key in ("bid", "bid_qty", "ask", "ask_qty")]


class _ClientsBook:
    """A book as a client keeps it, which checks every checksum."""

    def __init__(self, snapshot: Any, depth: int) -> None:
        self.bids: dict[Decimal, Decimal] = {}
        self.asks: dict[Decimal, Decimal] = {}
        self._depth = depth
        assert snapshot["type"] == "snapshot"
        assert len(snapshot["data"][0]["bids"]) == len(snapshot["data"][0]["asks"]) == depth
        self.update(snapshot)

    def update(self, message: Any) -> None:
        (data,) = message["data"]
        self.bids = self._updated(self.bids, data["bids"], is_bid=True)
        self.asks = self._updated(self.asks, data["asks"], is_bid=False)
        best = [*sorted(self.asks.items())[:10], *sorted(self.bids.items(), reverse=True)[:10]]
        text = "".join(
            f"{price:.1f}".replace(".", "") + f"{qty:.8f}".replace(".", "").lstrip("0") for price, qty in best
        )
        assert crc32(text.encode()) == data["checksum"]

    def _updated(self, side: dict[Decimal, Decimal], levels: Any, *, is_bid: bool) -> dict[Decimal, Decimal]:
        changed = {Decimal(str(level["price"])): Decimal(f"{level['qty']:.8f}") for level in levels}
        kept = [item for item in (side | changed).items() if item[1]]
        return dict(sorted(kept, reverse=is_bid)[: self._depth])


def _candle_of(trades: list[Any], interval_begin: str, minutes: int = 5) -> dict[str, Any]:
    """Open, high, low, close, volume and count of those trades that lie in the interval."""
    by_interval = defaultdict(list)
    for trade in trades:
        hour, minute = trade["timestamp"][:14], int(trade["timestamp"][14:16])
        by_interval[f"{hour}{minute // minutes * minutes:02d}:00.000000000Z"].append(trade)
    own = by_interval[interval_begin]
    prices = [trade["price"] for trade in own]
    return {
        "open": prices[0],
        "high": max(prices),
        "low": min(prices),
        "close": prices[-1],
        "volume": float(sum(Decimal(f"{trade['qty']:.8f}") for trade in own)),
        "trades": len(own),
    }


def _bytes_of(spot: Spot) -> list[Any]:
    with spot.client() as client:
        for channel in ("trade", "ticker", "book"):
            client.subscribe(channel, "BTC/USD", "ETH/USD")
        client.subscribe("ohlc", "BTC/USD", interval=1)
        spot.advance(120)
        return [client.greeting, *_raw(client)]


def _raw(client: Client) -> list[str]:
    client.send(method="ping", req_id=99)
    received = []
    while '"req_id":99' not in (text := str(client.connection.recv(10))):
        received.append(text)
    return received
