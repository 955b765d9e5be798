"""Frames of WebSocket v2 clients, read."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.sandbox.spot.requests import (
    MALFORMED,
    NOT_HERE,
    UNKNOWN_EVENT,
    WRONG_DEPTH,
    WRONG_INTERVAL,
    Ping,
    Refusal,
    Request,
    read_frame,
    refusal_of_parameters,
)


def test_reads_a_subscription_with_all_its_parameters() -> None:
    params = {"channel": "ohlc", "symbol": ["BTC/USD", "ETH/USD"], "interval": 15, "snapshot": False}
    frame = _frame(method="subscribe", params=params, req_id=7)
    assert read_frame(frame) == Request("subscribe", "ohlc", ("BTC/USD", "ETH/USD"), 15, 0, "", False, 7)


@pytest.mark.parametrize(
    ("channel", "snapshot", "depth", "trigger"),
    [("book", True, 10, ""), ("ticker", True, 0, "trades"), ("trade", False, 0, "")],
)
def test_fills_in_what_the_client_left_out(channel: str, snapshot: bool, depth: int, trigger: str) -> None:
    frame = _frame(method="subscribe", params={"channel": channel, "symbol": ["BTC/USD"]})
    assert read_frame(frame) == Request("subscribe", channel, ("BTC/USD",), 0, depth, trigger, snapshot, None)


def test_reads_a_ping_with_and_without_a_number() -> None:
    assert read_frame(_frame(method="ping", req_id=3)) == Ping(3)
    assert read_frame(_frame(method="ping")) == Ping(None)


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '"ping"', "{}", '{"method":7}', '{"method":"subscribe"}'])
def test_calls_what_it_cannot_read_malformed(text: str) -> None:
    answer = read_frame(text)
    assert isinstance(answer, Refusal)
    assert answer.error == MALFORMED


@pytest.mark.parametrize(
    "params",
    [
        {"channel": "trade"},
        {"channel": "trade", "symbol": "BTC/USD"},
        {"channel": "trade", "symbol": []},
        {"channel": "trade", "symbol": [1]},
        {"channel": "trade", "symbol": ["BTC/USD"], "snapshot": 1},
        {"channel": "ohlc", "symbol": ["BTC/USD"], "interval": "1"},
        {"channel": "ohlc", "symbol": ["BTC/USD"], "interval": True},
        {"channel": "ticker", "symbol": ["BTC/USD"], "event_trigger": []},
        {"channel": 1},
    ],
)
def test_calls_parameters_of_a_wrong_type_malformed(params: object) -> None:
    assert read_frame(_frame(method="subscribe", params=params, req_id=1)) == Refusal(MALFORMED, "subscribe", 1)


def test_knows_no_other_methods_and_channels() -> None:
    assert read_frame(_frame(method="explode")) == Refusal(UNKNOWN_EVENT, "explode", None)
    assert read_frame(_frame(method="subscribe", params={"channel": "tea"})) == Refusal(UNKNOWN_EVENT, "subscribe")


def test_sends_private_requests_to_the_other_endpoint() -> None:
    assert read_frame(_frame(method="subscribe", params={"channel": "executions"})) == Refusal(NOT_HERE, "subscribe")
    assert read_frame(_frame(method="add_order", params={}, req_id=2)) == Refusal(NOT_HERE, "add_order", 2)


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"channel": "ohlc", "interval": 720}, WRONG_INTERVAL),
        ({"channel": "ohlc", "interval": 0}, WRONG_INTERVAL),
        ({"channel": "ohlc", "interval": 21600}, None),
    ],
)
def test_refuses_other_intervals_for_each_symbol(params: dict[str, object], error: str | None) -> None:
    request = read_frame(_frame(method="subscribe", params={**params, "symbol": ["BTC/USD"]}))
    assert isinstance(request, Request)
    assert refusal_of_parameters(request) == error


def test_candles_without_an_interval_are_those_of_a_minute() -> None:
    request = read_frame(_frame(method="subscribe", params={"channel": "ohlc", "symbol": ["BTC/USD"]}))
    assert isinstance(request, Request)
    assert request.interval_minutes == 1


@pytest.mark.parametrize("depth", [0, 11, -10, 10**9])
def test_refuses_other_depths_for_all_symbols_at_once(depth: int) -> None:
    frame = _frame(method="subscribe", params={"channel": "book", "symbol": ["BTC/USD"], "depth": depth}, req_id=1)
    assert read_frame(frame) == Refusal(WRONG_DEPTH, "subscribe", 1)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
frames = st.fixed_dictionaries(
    {},
    optional={
        "method": st.sampled_from(["subscribe", "unsubscribe", "ping"]) | values,
        "req_id": values,
        "params": values
        | st.fixed_dictionaries(
            {},
            optional={
                "channel": st.sampled_from(["ohlc", "trade", "ticker", "book", "instrument", "level3"]) | values,
                "symbol": st.lists(st.sampled_from(["BTC/USD"]) | values, max_size=3) | values,
                "interval": values,
                "depth": values,
                "event_trigger": values,
                "snapshot": values,
            },
        ),
    },
)


@given(frame=frames)
def test_reads_any_json_without_stumbling(frame: object) -> None:
    assert isinstance(read_frame(json.dumps(frame)), Ping | Request | Refusal)


@given(text=st.text())
def test_reads_any_text_without_stumbling(text: str) -> None:
    assert isinstance(read_frame(text), Ping | Request | Refusal)


def _frame(**fields: object) -> str:
    return json.dumps(fields)
