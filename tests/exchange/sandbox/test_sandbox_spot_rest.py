"""Spot REST on a running sandbox, asked as curl would."""

import json
from collections.abc import Callable
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spot_venue import STARTS_NS, Spot, is_silent, small_market

from exchange.sandbox.spot.covered import COVERED, Coverage
from exchange.sandbox.units import SECOND_NS

STARTS_S = STARTS_NS // SECOND_NS
INVALID = {"error": ["EGeneral:Invalid arguments"]}


@pytest.fixture(scope="module")
def spot(serve_shared: Callable[..., Any]) -> Spot:
    """One for all tests that only ask."""
    return after_90_seconds(serve_shared)


@pytest.fixture
def changeable(serve: Callable[..., Any]) -> Spot:
    """One of the test's own, to be told something."""
    return after_90_seconds(serve)


def after_90_seconds(serve: Callable[..., Any]) -> Spot:
    spot = Spot(serve(small_market()))
    spot.advance(90)
    return spot


# --- candles


def test_lists_720_committed_candles_and_the_running_one(spot: Spot) -> None:
    rows = spot.result("OHLC", pair="XBTUSD")["XXBTZUSD"]
    assert len(rows) == 721
    assert [row[0] for row in rows] == [STARTS_S + 60 - 60 * i for i in range(720, -1, -1)]


def test_gives_the_newest_candles_whatever_since_is(spot: Spot) -> None:
    newest = spot.result("OHLC", pair="XBTUSD")
    assert spot.result("OHLC", pair="XBTUSD", since=0) == newest
    assert spot.result("OHLC", pair="XBTUSD", since=-60) == newest


def test_names_the_last_committed_candle_as_last(spot: Spot) -> None:
    result = spot.result("OHLC", pair="XBTUSD", interval=5)
    assert result["last"] == result["XXBTZUSD"][-2][0]


def test_lists_candles_after_since_and_always_the_running_one(spot: Spot) -> None:
    result = spot.result("OHLC", pair="XBTUSD", since=STARTS_S - 120)
    assert [row[0] for row in result["XXBTZUSD"]] == [STARTS_S - 60, STARTS_S, STARTS_S + 60]
    only = spot.result("OHLC", pair="XBTUSD", since=STARTS_S + 10**6)
    assert [row[0] for row in only["XXBTZUSD"]] == [STARTS_S + 60]
    assert only["last"] == STARTS_S


def test_lists_a_zero_row_for_a_minute_without_trades(spot: Spot) -> None:
    silent_s = STARTS_S + 60 * next(minute for minute in range(-1, -9, -1) if is_silent("DOGE/USD", minute))
    before, silent = spot.result("OHLC", pair="XDGUSD", since=silent_s - 120)["XDGUSD"][:2]
    assert before[7] > 0
    assert silent == [silent_s, before[4], before[4], before[4], before[4], "0.0000000", "0.00000000", 0]


@pytest.mark.parametrize("interval", [1, 5, 15, 30, 60, 240, 1440, 10080, 21600])
def test_knows_the_venues_intervals(spot: Spot, interval: int) -> None:
    opened = spot.result("OHLC", pair="XBTUSD", interval=interval)["XXBTZUSD"][-1][0]
    assert opened == STARTS_S + 60 - (STARTS_S + 60) % (interval * 60)


@pytest.mark.parametrize("interval", ["0", "2", "720", "-1", "1.5", "x", "", "99999999999999999999"])
def test_refuses_other_intervals(spot: Spot, interval: str) -> None:
    assert spot.get("/0/public/OHLC", pair="XBTUSD", interval=interval) == INVALID


# --- names


@pytest.mark.parametrize(
    ("asked", "key"),
    [
        ("XBTUSD", "XXBTZUSD"),
        ("XXBTZUSD", "XXBTZUSD"),
        ("BTCUSD", "XXBTZUSD"),
        ("BTC/USD", "BTC/USD"),
        ("XDGUSD", "XDGUSD"),
        ("DOGEUSD", "XDGUSD"),
        ("DOGE/USD", "DOGE/USD"),
        ("xbtusd", "XXBTZUSD"),
        ("xXBTZusd", "XXBTZUSD"),
        ("doge/usd", "DOGE/USD"),
    ],
)
def test_answers_under_the_form_of_the_name_that_was_asked(spot: Spot, asked: str, key: str) -> None:
    assert set(spot.result("OHLC", pair=asked)) == {key, "last"}
    assert set(spot.result("Trades", pair=asked)) == {key, "last"}
    assert set(spot.result("Depth", pair=asked)) == {key}
    assert set(spot.result("Ticker", pair=asked)) == {key}
    assert set(spot.result("AssetPairs", pair=asked)) == {key}


@pytest.mark.parametrize("name", ["XBT/USD", "XDG/USD", "xbt/usd", "NOPE", "XBTUSD,ETHUSD", ""])
def test_refuses_names_that_are_no_pair(spot: Spot, name: str) -> None:
    assert spot.get("/0/public/OHLC", pair=name) == {"error": ["EQuery:Unknown asset pair"]}


def test_answers_in_display_form_with_asset_version_1(spot: Spot) -> None:
    pair = spot.result("AssetPairs", pair="XBTUSD", assetVersion=1)["BTC/USD"]
    assert (pair["base"], pair["quote"]) == ("BTC", "USD")
    assert "BTC/USD" in spot.result("OHLC", pair="XBTUSD", assetVersion=1)
    assert set(spot.result("Assets", assetVersion=1)) == {"BTC", "DOGE", "ETH", "USD"}


# --- lists


def test_lists_pairs_by_their_internal_names(spot: Spot) -> None:
    assert list(spot.result("AssetPairs")) == ["XXBTZUSD", "XDGUSD", "XETHZUSD"]
    assert list(spot.result("AssetPairs", pair="XBTUSD,ETHUSD")) == ["XXBTZUSD", "XETHZUSD"]


def test_lists_the_part_of_the_facts_that_was_asked_for(spot: Spot) -> None:
    assert set(spot.result("AssetPairs", pair="XBTUSD", info="leverage")["XXBTZUSD"]) == {
        "leverage_buy",
        "leverage_sell",
    }
    assert spot.result("AssetPairs", pair="XBTUSD", info="margin")["XXBTZUSD"] == {
        "margin_call": 80,
        "margin_level": 40,
    }
    fees = spot.result("AssetPairs", pair="XBTUSD", info="fees")["XXBTZUSD"]
    assert fees == {"fees": [], "fees_maker": [], "fee_volume_currency": "ZUSD"}
    assert spot.get("/0/public/AssetPairs", info="everything") == INVALID


def test_states_facts_as_the_venue_did(spot: Spot) -> None:
    assets = spot.result("Assets")
    assert {key: (asset["margin_rate"], asset["collateral_value"]) for key, asset in assets.items()} == {
        "XXBT": ("0.01", 0.99),
        "XXDG": ("0.02", 0.925),
        "XETH": ("0.02", 0.99),
        "ZUSD": ("0.036", 1.0),
    }
    assert (assets["XXDG"]["decimals"], assets["XXDG"]["display_decimals"]) == (8, 2)
    doge = spot.result("AssetPairs", pair="XDGUSD")["XDGUSD"]
    assert (doge["cost_decimals"], doge["ordermin"], doge["long_position_limit"]) == (9, "50", 30_000_000)


def test_has_no_tokenized_assets(spot: Spot) -> None:
    assert spot.result("AssetPairs", aclass_base="tokenized_asset") == {}
    assert spot.result("Assets", aclass="tokenized_asset") == {}


def test_knows_assets_by_all_their_names(spot: Spot) -> None:
    assert list(spot.result("Assets", asset="XBT,DOGE,ZUSD")) == ["XXBT", "XXDG", "ZUSD"]
    assert spot.get("/0/public/Assets", asset="NOPE") == {"error": ["EQuery:Unknown asset"]}


def test_states_every_ticker_when_none_is_asked_for(spot: Spot) -> None:
    assert list(spot.result("Ticker")) == ["XXBTZUSD", "XDGUSD", "XETHZUSD"]


# --- trades and books


@pytest.mark.parametrize("count", [100, 1000])
def test_every_page_of_trades_begins_with_those_of_the_last_time_of_the_page_before(spot: Spot, count: int) -> None:
    cursor, last, seen, repeated = "", "0", [], []
    while last != cursor:
        cursor = last
        page = spot.result("Trades", pair="XBTUSD", since=cursor, count=count)
        again = [row for row in page["XXBTZUSD"] if seen and row[6] <= seen[-1][6]]
        assert again == [row for row in seen[-count:] if row[2] == seen[-1][2]]
        repeated.append(len(again))
        seen += page["XXBTZUSD"][len(again) :]
        last = page["last"]
    assert [row[6] for row in seen] == list(range(1, len(seen) + 1))
    assert len(seen) > 10_000
    assert set(repeated[1:]) > {1}


def test_lists_the_last_trades_without_since(spot: Spot) -> None:
    page = spot.result("Trades", pair="XBTUSD")
    assert len(page["XXBTZUSD"]) == 1000
    newest = [row for row in page["XXBTZUSD"] if row[2] == page["XXBTZUSD"][-1][2]]
    assert spot.result("Trades", pair="XBTUSD", since=page["last"]) == {"XXBTZUSD": newest, "last": page["last"]}
    assert spot.result("Trades", pair="XBTUSD", count=3)["XXBTZUSD"] == page["XXBTZUSD"][-3:]


def test_takes_since_in_seconds_as_well(spot: Spot) -> None:
    by_seconds = spot.result("Trades", pair="XBTUSD", since=STARTS_S)
    assert by_seconds == spot.result("Trades", pair="XBTUSD", since=STARTS_NS)
    assert by_seconds["XXBTZUSD"][0][2] > STARTS_S


@pytest.mark.parametrize("since", ["9999999999999999999", "9223372036854775807", "9999999999999999999.999"])
def test_has_nothing_after_the_end_of_time(spot: Spot, since: str) -> None:
    assert spot.result("Trades", pair="XBTUSD", since=since) == {"XXBTZUSD": [], "last": str(2**63 - 1)}
    assert len(spot.result("OHLC", pair="XBTUSD", since=since)["XXBTZUSD"]) == 1


@pytest.mark.parametrize("count", ["0", "1001", "x", "-5"])
def test_refuses_other_counts_of_trades(spot: Spot, count: str) -> None:
    assert spot.get("/0/public/Trades", pair="XBTUSD", count=count) == INVALID


def test_gives_as_many_levels_as_asked_for(spot: Spot) -> None:
    book = spot.result("Depth", pair="XBTUSD", count=7)["XXBTZUSD"]
    assert len(book["bids"]) == len(book["asks"]) == 7
    prices = [float(level[0]) for level in (*reversed(book["bids"]), *book["asks"])]
    assert prices == sorted(prices)


# --- the rest


def test_needs_a_pair(spot: Spot) -> None:
    for method in ("OHLC", "Trades", "Depth"):
        assert spot.get(f"/0/public/{method}") == INVALID


def test_knows_no_other_method(spot: Spot) -> None:
    unknown = {"error": ["EGeneral:Unknown method"]}
    for path in ("/0/public/Spread?pair=XBTUSD", "/0/public/Nope", "/0/public/Time/", "/0/public/", "/1/else"):
        assert spot.reply(Request(spot.rest + path)) == unknown
    assert spot.reply(Request(f"{spot.rest}/0/public/Time", method="DELETE")) == unknown


@pytest.mark.parametrize("entry", [one for one in COVERED if "/0/public/" in one.name], ids=lambda one: one.name)
def test_answers_the_methods_that_the_table_calls_covered_and_no_others(spot: Spot, entry: Coverage) -> None:
    for method in entry.name.partition("/0/public/")[2].split(", "):
        errors = spot.get(f"/0/public/{method}", pair="XBTUSD")["error"]
        assert (errors == ["EGeneral:Unknown method"]) == (entry.standing == "not")


def test_has_no_valid_key_yet(spot: Spot) -> None:
    request = Request(f"{spot.rest}/0/private/Balance", data=b"nonce=1", headers={"API-Key": "x", "API-Sign": "y"})
    assert spot.reply(request) == {"error": ["EAPI:Invalid key"]}


def test_is_unavailable_during_maintenance_but_says_so(changeable: Spot) -> None:
    changeable.running.ask("POST", "/status", status="maintenance")
    assert changeable.get("/0/public/OHLC", pair="XBTUSD") == {"error": ["EService:Unavailable"]}
    assert changeable.result("SystemStatus")["status"] == "maintenance"
    assert changeable.result("Time")["unixtime"] == STARTS_S + 90


def test_leaves_hidden_pairs_out_of_lists_only(changeable: Spot) -> None:
    changeable.running.ask("POST", "/hide", instruments=["BTC/USD"])
    assert list(changeable.result("AssetPairs")) == list(changeable.result("Ticker")) == ["XDGUSD", "XETHZUSD"]
    assert list(changeable.result("AssetPairs", pair="XBTUSD")) == ["XXBTZUSD"]
    assert list(changeable.result("Ticker", pair="XBTUSD,ETHUSD")) == ["XXBTZUSD", "XETHZUSD"]
    assert len(changeable.result("OHLC", pair="XBTUSD")["XXBTZUSD"]) == 721


def test_lists_a_suspended_pair_as_cancel_only(changeable: Spot) -> None:
    changeable.running.ask("POST", "/suspend", instruments=["BTC/USD"])
    statuses = {key: pair["status"] for key, pair in changeable.result("AssetPairs").items()}
    assert statuses == {"XXBTZUSD": "cancel_only", "XDGUSD": "online", "XETHZUSD": "online"}


def test_tells_a_wrong_time_when_its_clock_is_wrong(changeable: Spot) -> None:
    changeable.running.ask("POST", "/skew", by_s=-2)
    assert changeable.result("Time")["unixtime"] == STARTS_S + 88


def test_limits_requests_by_client_and_candles_and_trades_by_pair(serve: Callable[..., Any]) -> None:
    spot = Spot(serve(small_market(), has_limits=True))
    errors = [spot.get("/0/public/Time")["error"] for _ in range(16)]
    assert errors[14:] == [[], ["EAPI:Rate limit exceeded"]]
    errors = [spot.get("/0/public/OHLC", pair=name, interval=60)["error"] for name in ("XBTUSD", "btc/usd") * 8]
    assert errors[14:] == [[], ["EGeneral:Too many requests"]]
    assert spot.get("/0/public/OHLC", pair="ETHUSD")["error"] == []
    spot.advance(1)
    assert spot.get("/0/public/Time")["error"] == []


def test_takes_public_methods_by_post_too(spot: Spot) -> None:
    expected = spot.result("OHLC", pair="XBTUSD", interval=60)
    form = Request(f"{spot.rest}/0/public/OHLC", data=b"pair=XBTUSD&interval=60")
    body = json.dumps({"pair": "XBTUSD", "interval": 60}).encode()
    of_json = Request(f"{spot.rest}/0/public/OHLC", data=body, headers={"Content-Type": "application/json"})
    assert spot.reply(form)["result"] == spot.reply(of_json)["result"] == expected


@pytest.mark.parametrize("body", [b"{", b"[1]", b'{"pair": {}}', b"\xff"])
def test_refuses_a_body_that_is_no_flat_object(spot: Spot, body: bytes) -> None:
    request = Request(f"{spot.rest}/0/public/OHLC", data=body, headers={"Content-Type": "application/json"})
    assert spot.reply(request) == INVALID


def test_refuses_a_body_that_is_not_encoded_as_it_says(spot: Spot) -> None:
    request = Request(f"{spot.rest}/0/public/Time", data=b"abc", headers={"Content-Encoding": "gzip"})
    assert spot.reply(request) == INVALID


@pytest.mark.parametrize("path", ["/0/public/Time", "/0/private/Balance", "/anything"])
def test_the_edge_takes_no_body_of_megabytes(spot: Spot, path: str) -> None:
    with pytest.raises(HTTPError, match="413") as refused:
        spot.reply(Request(f"{spot.rest}{path}", data=b"a" * 2_000_000))
    assert_is_a_page(refused.value)
    assert spot.result("Time")


def test_the_edge_takes_no_body_of_megabytes_that_hides_its_length(spot: Spot) -> None:
    parts = (b"a" * 100_000 for _ in range(20))
    with pytest.raises(HTTPError, match="413") as refused:
        spot.reply(Request(f"{spot.rest}/0/public/Time", data=parts))  # in chunks: its length is not known before
    assert_is_a_page(refused.value)


@pytest.mark.parametrize("length", [33_000, 500_000])
def test_the_edge_takes_no_url_beyond_32_kilobytes(spot: Spot, length: int) -> None:
    with pytest.raises(HTTPError, match="414") as refused:
        spot.get("/0/public/OHLC", pair="X" * length)
    assert_is_a_page(refused.value)
    assert spot.get("/0/public/OHLC", pair="X" * 30_000) == {"error": ["EQuery:Unknown asset pair"]}


def assert_is_a_page(refused: HTTPError) -> None:
    with refused:
        assert refused.headers.get_content_type() == "text/html"
        assert refused.read().startswith(b"<html>")


names = st.sampled_from(["pair", "interval", "since", "count", "info", "asset", "assetVersion", "aclass_base"])


@given(
    method=st.sampled_from(["OHLC", "Trades", "Depth", "Ticker", "Assets", "AssetPairs", "Time"]),
    query=st.dictionaries(names, st.sampled_from(["XBTUSD", "0", "1", "info", ","]) | st.text(max_size=30)),
    body=st.none() | st.binary(max_size=50),
)
def test_answers_any_query_in_the_venues_envelope(
    sandbox: Any, method: str, query: dict[str, str], body: bytes | None
) -> None:
    spot = Spot(sandbox)
    encoded = urlencode(query, errors="surrogatepass")
    reply = spot.reply(Request(f"{spot.rest}/0/public/{method}?{encoded}", data=body))
    assert reply["error"] == [] or reply["error"][0].startswith(("EGeneral:Invalid arguments", "EQuery:Unknown asset"))
