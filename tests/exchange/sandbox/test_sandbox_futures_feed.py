"""The futures WebSocket on a running sandbox in lockstep, spoken to without a client library."""

import itertools
import json
import urllib.request
from collections import defaultdict
from contextlib import closing

import pytest
from doses import examples
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from websockets.sync.client import connect

BTC, ETH = "PF_XBTUSD", "PF_ETHUSD"


class Client:
    """One connection. `frames` gives all that was sent so far: the answer to a challenge comes after it."""

    def __init__(self, sandbox):
        self.sandbox = sandbox
        self.socket = connect(sandbox.urls.futures_ws, ping_interval=None, max_size=None, max_queue=None)

    def close(self):
        self.socket.close()

    def say(self, **message):
        self.socket.send(json.dumps(message))

    def subscribe(self, feed, *products):
        self.say(event="subscribe", feed=feed, **({"product_ids": products} if products else {}))
        return self.frames()

    def unsubscribe(self, feed, *products):
        self.say(event="unsubscribe", feed=feed, **({"product_ids": products} if products else {}))
        return self.frames()

    def advance(self, seconds):
        """Let so much time pass, with a ping now and then: the venue drops who is silent for a minute."""
        while seconds > 0:
            self.sandbox.advance(min(seconds, 50))
            assert self.socket.ping().wait(10)
            seconds -= 50

    def frames(self):
        self.say(event="challenge", api_key="fence")  # pragma: allowlist secret
        found = []
        while (frame := json.loads(self.socket.recv(timeout=10))).get("event") != "challenge":
            found.append(frame)
        return found


@pytest.fixture
def client(sandbox):
    with closing(Client(sandbox)) as client:
        assert client.frames() == [{"event": "info", "version": 1}]
        yield client


def rest(sandbox, path):
    with urllib.request.urlopen(sandbox.urls.futures_rest + path, timeout=30) as reply:
        return json.loads(reply.read())


# --- subscribing


@pytest.mark.parametrize(
    ("feed", "first"),
    [
        ("ticker", "ticker"),
        ("ticker_lite", "ticker_lite"),
        ("trade", "trade_snapshot"),
        ("book", "book_snapshot"),
        ("candles_trade_1m", "candles_trade_1m_snapshot"),
        ("candles_trade_1w", "candles_trade_1w_snapshot"),
    ],
)
def test_a_subscription_is_acknowledged_and_begins_with_what_is(client, feed, first):
    ack, *opening = client.subscribe(feed, BTC.lower(), ETH)

    assert ack == {"event": "subscribed", "feed": feed, "product_ids": [BTC, ETH]}
    assert [(frame["feed"], frame["product_id"]) for frame in opening] == [(first, BTC), (first, ETH)]


def test_subscribing_again_is_an_alert_and_the_snapshot_once_more(client):
    client.subscribe("book", BTC)

    alert, snapshot = client.subscribe("book", BTC)
    assert alert == {"event": "alert", "message": "Already subscribed to feed, re-requesting"}
    assert snapshot["feed"] == "book_snapshot"


def test_only_new_products_are_acknowledged(client):
    client.subscribe("trade", BTC)

    frames = client.subscribe("trade", BTC, ETH)
    assert [frame.get("event") for frame in frames] == ["alert", "subscribed", None, None]
    assert frames[1]["product_ids"] == [ETH]


def test_nothing_comes_after_an_unsubscription(client):
    client.subscribe("trade", BTC)

    assert client.unsubscribe("trade", BTC) == [{"event": "unsubscribed", "feed": "trade", "product_ids": [BTC]}]
    client.advance(900)
    assert [frame for frame in client.frames() if frame.get("product_id")] == []


@pytest.mark.parametrize("feed", ["liquidations", "instruments", "funding", "ohlc", "", "TICKER", "candles_trade_2m"])
def test_feeds_that_do_not_exist_are_an_alert(client, feed):
    assert client.subscribe(feed, BTC) == [{"event": "alert", "message": "Couldn't subscribe to invalid feed"}]


@pytest.mark.parametrize("feed", ["fills", "open_orders", "open_positions", "balances", "account_log"])
def test_private_feeds_are_refused_whatever_is_signed(client, feed):
    client.say(event="subscribe", feed=feed, api_key="k", original_challenge="c", signed_challenge="s")

    assert client.frames() == [{"event": "alert", "message": "Failed to subscribe to authenticated feed"}]


@pytest.mark.parametrize("products", [(), ("PF_NONE",), (BTC, "BTC/USD")])
def test_unknown_products_are_an_error(client, products):
    assert client.subscribe("ticker", *products) == [{"event": "error", "message": "Invalid product id"}]
    assert client.unsubscribe("ticker", *products) == [{"event": "error", "message": "Invalid product id"}]


def test_what_was_not_subscribed_to_can_not_be_left(client):
    assert client.unsubscribe("ticker", BTC) == [{"event": "alert", "message": "Not subscribed to feed"}]
    assert client.unsubscribe("nothing", BTC) == [{"event": "error", "message": "Invalid feed"}]


def test_what_is_no_request_is_a_json_error(client):
    client.socket.send("{")

    assert client.frames() == [{"event": "error", "message": "Json Error"}]


def test_every_challenge_is_another_one(client):
    client.say(event="challenge", api_key="a key that nobody has")  # pragma: allowlist secret
    one = json.loads(client.socket.recv(timeout=10))
    client.say(event="challenge", api_key="a key that nobody has")  # pragma: allowlist secret
    two = json.loads(client.socket.recv(timeout=10))

    assert one["event"] == two["event"] == "challenge"
    assert one["message"] != two["message"]
    assert len(one["message"]) == 36


# --- what comes


def test_the_trade_snapshot_is_newest_first_and_the_feed_goes_on_from_it(client, sandbox):
    _, snapshot = client.subscribe("trade", BTC)
    client.advance(900)
    trades = [frame for frame in client.frames() if frame.get("feed") == "trade"]

    seqs = [trade["seq"] for trade in snapshot["trades"]]
    assert seqs == list(range(seqs[0], seqs[0] - 100, -1))
    assert [trade["seq"] for trade in trades] == list(range(seqs[0] + 1, seqs[0] + 1 + len(trades)))
    assert trades


def test_streamed_trades_add_up_to_the_streamed_candles_and_to_the_chart(client, sandbox):
    now_s = sandbox.ask("GET", "/state")["now_ns"] // 10**9
    client.subscribe("candles_trade_15m", BTC)
    client.subscribe("trade", BTC)
    opened_ms = now_s // 900 * 900_000 + 900_000
    client.advance(1800)
    frames = client.frames()

    trades = [
        frame for frame in frames if frame["feed"] == "trade" and opened_ms <= frame["time"] < opened_ms + 900_000
    ]
    candle = [f for f in frames if f["feed"] == "candles_trade_15m" and f["candle"]["time"] == opened_ms][-1]["candle"]
    prices = [trade["price"] for trade in trades]
    added = [
        opened_ms,
        prices[0],
        max(prices),
        min(prices),
        prices[-1],
        round(sum(trade["qty"] for trade in trades), 4),
    ]
    assert [candle["time"], *(float(candle[key]) for key in ("open", "high", "low", "close", "volume"))] == added
    path = f"/api/charts/v1/trade/{BTC}/15m?from={opened_ms // 1000}&to={opened_ms // 1000}"
    charted = rest(sandbox, path)["candles"][0]
    assert {key: float(value) for key, value in charted.items()} == {key: float(value) for key, value in candle.items()}


def test_the_book_feed_leads_without_a_gap_to_the_book_that_rest_shows(client, sandbox):
    _, snapshot = client.subscribe("book", BTC)
    held = {side: {level["price"]: level["qty"] for level in snapshot[side]} for side in ("bids", "asks")}
    client.advance(300)
    changes = [frame for frame in client.frames() if frame["feed"] == "book"]
    for change in changes:
        held["bids" if change["side"] == "buy" else "asks"][change["price"]] = change["qty"]

    assert snapshot["tickSize"] is None
    assert [change["seq"] for change in changes] == list(range(snapshot["seq"] + 1, snapshot["seq"] + 1 + len(changes)))
    assert changes
    shown = rest(sandbox, f"/derivatives/api/v3/orderbook?symbol={BTC}")["orderBook"]
    for side, levels in shown.items():
        assert {price: size for price, size in held[side].items() if size} == dict(map(tuple, levels))


def test_a_book_that_is_subscribed_to_later_goes_on_with_the_same_numbers(client, sandbox):
    _, first = client.subscribe("book", BTC)
    client.advance(120)
    last = [first, *client.frames()][-1]
    with closing(Client(sandbox)) as other:
        assert other.subscribe("book", BTC)[-1]["seq"] == last["seq"]
    client.unsubscribe("book", BTC)
    assert client.subscribe("book", BTC)[-1]["seq"] > last["seq"]


def test_a_ticker_comes_at_most_once_a_second_and_says_what_rest_says(client, sandbox):
    _, ticker = client.subscribe("ticker", BTC)
    client.advance(120)
    tickers = [ticker, *client.frames()]

    times = [frame["time"] for frame in tickers]
    assert all(later - earlier >= 1000 for earlier, later in itertools.pairwise(times))
    assert len(times) > 2
    shown = rest(sandbox, f"/derivatives/api/v3/tickers/{BTC}")["ticker"]
    assert (tickers[-1]["bid"], tickers[-1]["ask"]) == (shown["bid"], shown["ask"])
    assert tickers[-1]["funding_rate"] == shown["fundingRate"]
    assert abs(tickers[-1]["relative_funding_rate"] * shown["indexPrice"] / shown["fundingRate"] - 1) < 0.1
    assert tickers[-1]["next_funding_rate_time"] % 3_600_000 == 0


def test_heartbeats_come_to_who_asks_for_them(client, sandbox):
    assert client.subscribe("heartbeat") == [{"event": "subscribed", "feed": "heartbeat"}]
    client.advance(180)

    beats = client.frames()
    assert {frozenset(beat) for beat in beats} == {frozenset({"feed", "time"})}


def test_a_suspension_is_told_by_the_ticker(serve):
    sandbox = serve()
    with closing(Client(sandbox)) as client:
        client.subscribe("ticker", BTC)
        sandbox.ask("POST", "/suspend", instruments=[BTC])
        client.advance(60)
        assert client.frames()[-1]["suspended"] is True


def test_tickers_keep_coming_when_the_clock_is_set_back(serve):
    sandbox = serve()
    with closing(Client(sandbox)) as client:
        client.subscribe("ticker", BTC)
        sandbox.ask("POST", "/skew", by_s=-3600)
        client.advance(100)
        assert client.frames()


def test_the_same_seed_gives_the_same_bytes(serve):
    assert heard_by_a_new_client(serve()) == heard_by_a_new_client(serve())


def heard_by_a_new_client(sandbox):
    with closing(Client(sandbox)) as client:
        for feed in ("trade", "ticker", "book", "candles_trade_5m"):
            client.say(event="subscribe", feed=feed, product_ids=[BTC, ETH])
        client.advance(300)
        client.say(event="challenge", api_key="the end")  # pragma: allowlist secret
        heard = [client.socket.recv(timeout=10)]
        while '"challenge"' not in heard[-1]:
            heard.append(client.socket.recv(timeout=10))
    assert len(heard) > 500
    return heard


# --- limits


def test_more_than_a_hundred_requests_in_a_second_are_dropped_with_an_alert(serve):
    sandbox = serve(has_limits=True)
    with closing(Client(sandbox)) as client:
        for _ in range(101):
            client.say(event="unsubscribe", feed="heartbeat")
        answers = [json.loads(client.socket.recv(timeout=10)).get("message") for _ in range(1 + 101)]

        assert answers == [None, *["Not subscribed to feed"] * 100, "rate_limited"]
        sandbox.advance(1)
        assert client.frames() == []


# --- anything else

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3), max_leaves=5
)
requests = st.fixed_dictionaries(
    {"event": st.sampled_from(["subscribe", "unsubscribe", "challenge"]) | anything},
    optional={
        "feed": st.sampled_from(["ticker", "trade", "book", "heartbeat", "candles_trade_1h", "fills"]) | anything,
        "product_ids": st.lists(st.sampled_from([BTC, ETH, "pf_xbtusd", "x"]), max_size=3) | anything,
        "api_key": anything,
    },
).map(json.dumps)


@examples(60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frames=st.lists(requests | st.text(), max_size=5))
def test_whatever_is_sent_the_connection_answers_and_lives(sandbox, frames):
    with closing(Client(sandbox)) as client:
        for frame in frames:
            client.socket.send(frame)
        answered = defaultdict(int)
        for answer in [*client.frames(), *client.frames()]:
            answered[answer.get("event", answer.get("feed"))] += 1
        assert answered["info"] == 1 or "challenge" in "".join(frames)
