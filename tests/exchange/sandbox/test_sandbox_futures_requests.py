"""What clients may say on the futures WebSocket, and how it is read."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.sandbox.futures.requests import CHALLENGE, SUBSCRIBE, Request, read

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def test_reads_symbols_in_any_case_and_each_once():
    frame = '{"event":"subscribe","feed":"ticker","product_ids":["pf_xbtusd","PF_XBTUSD","Pf_EthUsd"]}'

    assert read(frame) == Request(SUBSCRIBE, "ticker", ("PF_XBTUSD", "PF_ETHUSD"))


def test_reads_a_challenge_for_any_key():
    assert read('{"event":"challenge","api_key":"anything at all"}') == Request(CHALLENGE)


def test_ignores_the_credentials_of_a_subscription():
    frame = '{"event":"subscribe","feed":"fills","api_key":"k","original_challenge":"c","signed_challenge":"s"}'

    assert read(frame) == Request(SUBSCRIBE, "fills")


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "ping",
        "[]",
        "7",
        "null",
        "{}",
        '{"event":"ping"}',
        '{"event":"subscribe"}',
        '{"event":"subscribe","feed":7}',
        '{"event":["subscribe"],"feed":"ticker"}',
        '{"event":"subscribe","feed":"ticker","product_ids":"PF_XBTUSD"}',
        '{"event":"subscribe","feed":"ticker","product_ids":[7]}',
        '{"event":"challenge"}',
        '{"event":"challenge","api_key":7}',
        "[" * 100_000,
        '"\ud800"',
    ],
)
def test_reads_nothing_from_what_is_no_request(frame):
    assert read(frame) is None


@given(st.text())
def test_any_text_is_a_request_or_nothing(frame):
    assert read(frame) is None or isinstance(read(frame), Request)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "event": ANY_JSON | st.sampled_from(["subscribe", "unsubscribe", "challenge"]),
            "feed": ANY_JSON,
            "product_ids": ANY_JSON | st.lists(st.text()),
            "api_key": ANY_JSON,
        },
    )
)
def test_any_object_is_a_request_or_nothing(message):
    frame = json.dumps(message)

    assert read(frame) is None or isinstance(read(frame), Request)
