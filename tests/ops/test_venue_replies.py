"""What is kept of a reply: every digit, and no secret."""

import json
from typing import NamedTuple

import pytest
from doses import examples
from hypothesis import given
from hypothesis import strategies as st

from ops.venue.replies import keep, redacted, redacted_headers

CANARY = "CANARY-7f3a"
SECRET = (
    "api_key", "API-Sign", "apiSecret", "futures_secret", "token", "access_token", "signed_challenge", "Authent",
    "set-cookie", "nonce", "key", "otp", "original_challenge", "password", "privateKey", "Authorization",
)  # fmt: skip
HARMLESS = ("altname", "tick_size", "monkey", "assignment", "last", "signal", "design", "keys_of", "tokens")


class Reply(NamedTuple):
    url: str
    status: int
    headers: tuple[tuple[str, str], ...]
    messages: tuple[tuple[str, str], ...]


bodies = st.recursive(
    st.just(CANARY) | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=4), inner)
)


@examples(60)
@given(name=st.sampled_from(SECRET), body=bodies, depth=st.integers(0, 3))
def test_nothing_under_a_secret_name_is_kept_however_deep(name, body, depth):
    value = {name: body}
    for _ in range(depth):
        value = {"in": [value]}
    assert CANARY not in kept_text(json.dumps(value))


@pytest.mark.parametrize("name", HARMLESS)
def test_a_field_that_only_sounds_like_a_secret_is_kept(name):
    assert json.loads(kept_text(json.dumps({name: "word"}))) == {name: "word"}


def test_numbers_keep_their_digits():
    text = '{"a":0.10,"b":1e-8,"c":18125794168470749634,"d":[84001.0,-5],"e":null,"f":true,"g":"1.50"}'
    assert kept_text(text) == text


def test_a_header_nobody_knows_to_be_harmless_keeps_its_name_only():
    headers = [("Content-Type", "application/json"), ("Set-Cookie", CANARY), ("CF-RAY", CANARY), ("X-New", CANARY)]
    shown = redacted_headers(headers)
    assert shown[0] == ["Content-Type", "application/json"]
    assert [name for name, _ in shown] == [name for name, _ in headers]
    assert CANARY not in str(shown)


def test_of_a_page_only_the_beginning_is_kept():
    assert redacted("<html>" + "x" * 9_000) == "<html>" + "x" * 1_994


def test_a_kept_answer_says_what_was_asked_and_what_came(tmp_path):
    reply = Reply("http://h/0/public/Time", 200, (("Set-Cookie", CANARY),), (("", '{"token":"CANARY-7f3a","t":1.0}'),))
    path = keep(reply, "spot Time", tmp_path / "venue")
    assert path == tmp_path / "venue" / "spot-time.json"
    assert json.loads(path.read_text()) == {
        "question": "spot Time",
        "url": "http://h/0/public/Time",
        "status": 200,
        "headers": [["Set-Cookie", "[redacted]"]],
        "messages": [{"kind": "", "body": {"token": "[redacted]", "t": 1.0}}],
    }


def kept_text(text: str) -> str:
    import orjson

    return orjson.dumps(redacted(text)).decode()
