"""Futures REST and charts on a running sandbox: shapes, spellings, refusals, pages."""

import json
import urllib.error
import urllib.parse
import urllib.request

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exchange.sandbox.futures import charts, rest
from exchange.sandbox.futures.covered import FEEDS, REST
from exchange.sandbox.futures.requests import HEARTBEAT, PRIVATE_FEEDS, PRODUCT_FEEDS

V3, V4 = "/derivatives/api/v3", "/derivatives/api/v4"
EXECUTIONS = "/api/history/v3/market/PF_XBTUSD/executions"  # pragma: allowlist secret
DAY_S = 86_400


def ask(sandbox, path, *, method="GET", body=None):
    """Status, content type and text of the answer."""
    request = urllib.request.Request(sandbox.urls.futures_rest + path, body, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.status, reply.headers.get_content_type(), reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers.get_content_type(), error.read().decode()


def told(sandbox, path):
    """The JSON of an answer that is a success."""
    status, kind, text = ask(sandbox, path)
    assert (status, kind) == (200, "application/json"), text
    return json.loads(text)


def now_s(sandbox):
    return sandbox.ask("GET", "/state")["now_ns"] // 10**9


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("instruments", "instruments"),
        ("instruments?symbol=PF_ETHUSD", "instruments"),
        ("instruments/status", "instrumentStatus"),
        ("tickers", "tickers"),
    ],
)
def test_lists_have_a_row_for_every_contract(sandbox, path, key):
    answer = told(sandbox, f"{V3}/{path}")

    assert len(answer[key]) == 2
    assert (next(iter(answer)), answer["result"]) == ("result", "success")
    assert answer["serverTime"].endswith("Z")
    assert len(answer["serverTime"]) == len("2026-11-23T00:00:00.000Z")


@pytest.mark.parametrize("symbol", ["PF_XBTUSD", "pf_xbtusd", "Pf_XbtUsd"])
def test_symbols_are_read_in_any_case(sandbox, symbol):
    assert told(sandbox, f"{V3}/tickers/{symbol}")["ticker"]["symbol"] == "PF_XBTUSD"
    assert told(sandbox, f"{V3}/instruments/{symbol}/status")["tradeable"] == "PF_XBTUSD"
    assert told(sandbox, f"{V3}/orderbook?symbol={symbol}")["orderBook"]["bids"]
    assert told(sandbox, f"/api/charts/v1/trade/{symbol}/1h?count=1")["candles"]


def test_parameters_may_come_as_a_form_too(sandbox):
    status, _, text = ask(sandbox, f"{V3}/orderbook", body=b"symbol=PF_XBTUSD")

    assert status == 200
    assert "orderBook" in json.loads(text)


def test_the_book_is_arrays_best_first_and_not_crossed(sandbox):
    book = told(sandbox, f"{V3}/orderbook?symbol=PF_XBTUSD")["orderBook"]

    bids, asks = ([price for price, _ in book[side]] for side in ("bids", "asks"))
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert bids[0] < asks[0]


def test_history_goes_back_page_by_page_and_never_further_than_a_week(sandbox):
    page = told(sandbox, f"{V3}/history?symbol=PF_XBTUSD")["history"]
    older = told(sandbox, f"{V3}/history?symbol=PF_XBTUSD&lastTime={page[-1]['time']}")["history"]

    times = [trade["time"] for trade in (*page, *older)]
    assert len(page) == len(older) == 100
    assert times == sorted(set(times), reverse=True)
    weeks_ago_ms = (now_s(sandbox) - 7 * DAY_S) * 1000
    assert told(sandbox, f"{V3}/history?symbol=PF_XBTUSD&lastTime={weeks_ago_ms}")["history"] == []


@pytest.mark.parametrize("spelling", [f"{V4}/historicalfundingrates", f"{V3}/historical-funding-rates"])
def test_funding_rates_are_hourly_ascending_absolute_and_relative(sandbox, spelling):
    rates = told(sandbox, f"{spelling}?symbol=PF_XBTUSD")["rates"]

    hours = [rate["timestamp"] for rate in rates]
    assert hours == sorted(hours)
    assert all(hour.endswith(":00:00Z") for hour in hours)
    assert all(abs(rate["relativeFundingRate"]) <= 0.005 for rate in rates)
    assert rates[-1]["fundingRate"] == told(sandbox, f"{V3}/tickers/PF_XBTUSD")["ticker"]["fundingRate"]


@pytest.mark.parametrize(
    "path", ["/derivatives/api/v3/historicalfundingrates?symbol=PF_XBTUSD", "/", "/derivatives/api/v9"]
)
def test_unknown_paths_get_the_gateways_404(sandbox, path):
    status, _, text = ask(sandbox, path)

    assert status == 404
    assert json.loads(text) | {"serverTime": ""} == {
        "status": "NOT_FOUND",
        "result": "error",
        "errors": [{"code": 0, "message": "404 NOT_FOUND"}],
        "serverTime": "",
    }


@pytest.mark.parametrize(
    "path",
    [
        f"{V3}/orderbook?symbol=PF_NONE",
        f"{V3}/history?symbol=",
        f"{V3}/tickers/BTC-USD",
        f"{V3}/instruments/x/status",
        f"{V4}/historicalfundingrates?symbol=XBTUSD",
    ],
)
def test_unknown_symbols_are_an_invalid_argument(sandbox, path):
    status, _, text = ask(sandbox, path)

    assert (status, json.loads(text)["errors"]) == (400, [{"code": 11, "message": "Argument invalid: symbol"}])


@pytest.mark.parametrize(
    ("path", "word"),
    [
        (f"{V3}/orderbook", "requiredArgumentMissing: symbol"),
        (f"{V3}/history?symbol=PF_XBTUSD&lastTime=yesterday", "invalidArgument: lastTime"),
        (f"{V3}/history?symbol=PF_XBTUSD&lastTime=2026-13-01T00:00:00Z", "invalidArgument: lastTime"),
        (f"{V3}/sendorder", "authenticationError"),
        ("/api/history/v2/orders", "authenticationError"),
    ],
)
def test_older_endpoints_refuse_in_a_word(sandbox, path, word):
    status, _, text = ask(sandbox, path)

    assert (status, json.loads(text)["error"], json.loads(text)["result"]) == (200, word, "error")


def test_a_suspended_contract_is_listed_and_not_tradeable(serve):
    sandbox = serve()
    sandbox.ask("POST", "/suspend", instruments=["PF_ETHUSD"])

    tradeable = {row["symbol"]: row["tradeable"] for row in told(sandbox, f"{V3}/instruments")["instruments"]}
    assert tradeable == {"PF_XBTUSD": True, "PF_ETHUSD": False}
    assert told(sandbox, f"{V3}/tickers/PF_ETHUSD")["ticker"]["suspended"] is True


def test_a_hidden_contract_is_in_no_list_but_answers(serve):
    sandbox = serve()
    sandbox.ask("POST", "/hide", instruments=["PF_ETHUSD"])

    assert [row["symbol"] for row in told(sandbox, f"{V3}/tickers")["tickers"]] == ["PF_XBTUSD"]
    assert told(sandbox, "/api/charts/v1/mark") == ["PF_XBTUSD"]
    assert told(sandbox, f"{V3}/tickers/PF_ETHUSD")["ticker"]["symbol"] == "PF_ETHUSD"


def test_in_maintenance_everything_is_unavailable(serve):
    sandbox = serve()
    sandbox.ask("POST", "/status", status="maintenance")

    assert told(sandbox, f"{V3}/tickers")["error"] == "Unavailable"
    for path in ("/api/charts/v1/trade/PF_XBTUSD/1h", EXECUTIONS):
        with pytest.raises(urllib.error.HTTPError, match="503"):
            urllib.request.urlopen(sandbox.urls.futures_rest + path)


def test_in_post_only_mode_every_row_says_so(serve):
    sandbox = serve()
    sandbox.ask("POST", "/status", status="post_only")

    assert {row["postOnly"] for row in told(sandbox, f"{V3}/tickers")["tickers"]} == {True}
    assert {row["postOnly"] for row in told(sandbox, f"{V3}/instruments")["instruments"]} == {True}


def test_a_wrong_clock_shows_in_the_server_time_and_not_in_the_trades(serve):
    sandbox = serve()
    before = told(sandbox, f"{V3}/tickers/PF_XBTUSD")
    sandbox.ask("POST", "/skew", by_s=-3600)

    after = told(sandbox, f"{V3}/tickers/PF_XBTUSD")
    assert after["serverTime"] < before["serverTime"]
    assert after["ticker"] == before["ticker"]


# --- executions


def test_executions_page_back_by_token_without_a_gap_or_a_repeat(sandbox):
    first = told(sandbox, f"{EXECUTIONS}?count=300")
    second = told(sandbox, f"{EXECUTIONS}?count=300&continuation_token={first['continuationToken']}")
    both = told(sandbox, f"{EXECUTIONS}?count=600")

    assert first["len"] == 300
    assert first["elements"] + second["elements"] == both["elements"]


def test_executions_name_the_next_page_in_a_header_too(sandbox):
    with urllib.request.urlopen(f"{sandbox.urls.futures_rest}{EXECUTIONS}?count=3", timeout=30) as reply:
        assert reply.headers["Next-Continuation-Token"] == json.loads(reply.read())["continuationToken"]


@pytest.mark.parametrize(("count", "given"), [(1000, 1000), (1001, 1000), (10**9, 1000)])
def test_a_page_of_executions_has_a_thousand_at_most_whatever_is_wished_for(sandbox, count, given):
    assert told(sandbox, f"{EXECUTIONS}?count={count}")["len"] == given


def test_executions_in_ascending_order_begin_at_since(sandbox):
    since_ms = (now_s(sandbox) - 2 * DAY_S) * 1000
    forward = told(sandbox, f"{EXECUTIONS}?sort=asc&since={since_ms}&count=700")
    until_ms = forward["elements"][-1]["timestamp"] + 1
    backward = told(sandbox, f"{EXECUTIONS}?since={since_ms}&before={until_ms}")

    assert forward["len"] == 700
    assert forward["elements"] == backward["elements"][::-1][:700]
    onward = told(sandbox, f"{EXECUTIONS}?sort=asc&count=5&continuation_token={forward['continuationToken']}")
    assert onward["elements"][0]["timestamp"] >= forward["elements"][-1]["timestamp"]
    assert onward["elements"][0] not in forward["elements"]


@pytest.mark.parametrize("query", ["sort=up", "count=0", "count=x", "since=-1", "before=x", "continuation_token=!"])
def test_executions_name_the_argument_they_refuse(sandbox, query):
    status, _, text = ask(sandbox, f"{EXECUTIONS}?{query}")

    name = query.partition("=")[0]
    assert (status, json.loads(text)["errors"][0]["message"]) == (400, f"Argument invalid: {name}")


# --- charts


def test_charts_list_tick_types_symbols_and_resolutions(sandbox):
    assert told(sandbox, "/api/charts/v1/") == ["mark", "spot", "trade"]
    assert told(sandbox, "/api/charts/v1/trade") == ["PF_XBTUSD", "PF_ETHUSD"]
    assert told(sandbox, "/api/charts/v1/mark/PF_XBTUSD") == ["1m", "5m", "15m", "30m", "1h", "4h", "12h", "1d", "1w"]


@pytest.mark.parametrize("tick", ["trade", "mark", "spot"])
def test_charts_are_asked_in_seconds_and_answer_in_milliseconds_and_text(sandbox, tick):
    from_s = now_s(sandbox) // 3600 * 3600 - 10 * 3600
    answer = told(sandbox, f"/api/charts/v1/{tick}/PF_XBTUSD/1h?from={from_s}&to={from_s + 4 * 3600}")

    assert [candle["time"] for candle in answer["candles"]] == [(from_s + hour * 3600) * 1000 for hour in range(5)]
    assert answer["more_candles"] is False
    assert all(isinstance(candle[key], str) for candle in answer["candles"] for key in ("open", "close", "volume"))
    assert tick == "trade" or {candle["volume"] for candle in answer["candles"]} == {"0"}


def test_a_month_is_a_minute_because_resolutions_are_read_in_any_case(sandbox):
    assert told(sandbox, "/api/charts/v1/trade/PF_XBTUSD/1M") == told(sandbox, "/api/charts/v1/trade/PF_XBTUSD/1m")


def test_a_chart_from_the_middle_of_a_quarter_hour_begins_there(sandbox):
    from_s = now_s(sandbox) // 900 * 900 - DAY_S + 420

    first = told(sandbox, f"/api/charts/v1/mark/PF_XBTUSD/1m?from={from_s}&count=1")["candles"][0]
    assert first["time"] < (from_s + 480) * 1000


def test_a_page_holds_2000_candles_the_oldest_from_there_and_the_newest_without_a_begin(sandbox):
    from_s = now_s(sandbox) - 5 * DAY_S
    path = "/api/charts/v1/mark/PF_XBTUSD/1m"
    page = told(sandbox, f"{path}?from={from_s}")
    newest = told(sandbox, path)

    assert (len(page["candles"]), page["more_candles"]) == (2000, True)
    assert page["candles"][0]["time"] < (from_s + 900) * 1000
    assert (len(newest["candles"]), newest["more_candles"]) == (2000, True)
    assert newest["candles"][-1]["time"] > (now_s(sandbox) - 900) * 1000


def test_pages_one_after_the_other_are_the_whole_chart(sandbox):
    path, from_s = "/api/charts/v1/trade/PF_XBTUSD/15m", 0
    times = []
    while True:
        page = told(sandbox, f"{path}?from={from_s}&count=250")
        times += [candle["time"] for candle in page["candles"]]
        if not page["more_candles"]:
            break
        from_s = times[-1] // 1000 + 900

    assert times == [candle["time"] for candle in told(sandbox, f"{path}?from=0")["candles"]]
    assert len(times) > 900


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("bid", "Invalid tick type"),
        ("bid/PF_XBTUSD/1m", "Invalid tick type"),
        ("trade/PF_NONE", "Invalid instrument"),
        ("trade/PF_NONE/1m", "Invalid instrument"),
        ("trade/PF_XBTUSD/2m", "Invalid resolution"),
        ("trade/PF_XBTUSD/1m?from=soon", '{"type":"Invalid arguments","field":"from"}'),
        ("trade/PF_XBTUSD/1m?count=0", '{"type":"Invalid arguments","field":"count"}'),
    ],
)
def test_charts_refuse_in_plain_text_or_name_the_field(sandbox, path, text):
    status, kind, answer = ask(sandbox, f"/api/charts/v1/{path}")

    assert (status, answer) == (400, text)
    assert kind == ("application/json" if "{" in text else "text/plain")


# --- anything else

words = st.text(st.characters(codec="utf-8"), max_size=12)
numbers = st.integers(-(10**20), 10**20).map(str)
known = st.sampled_from(["PF_XBTUSD", "asc", "desc", "1m", "MQ==", "2023-01-05T00:00:00Z"])
queries = st.dictionaries(
    st.sampled_from(["symbol", "lastTime", "from", "to", "count", "since", "before", "sort", "continuation_token"])
    | words,
    known | numbers | words,
    max_size=5,
)
paths = st.sampled_from(
    [
        *(f"{V3}/{name}" for name in ("instruments", "tickers", "orderbook", "history", "feeschedules", "fills")),
        f"{V4}/historicalfundingrates",
        EXECUTIONS,
        "/api/charts/v1/trade/PF_XBTUSD/1h",
        "/api/charts/v1/mark/PF_XBTUSD/1d",
        "/api/charts/v1/spot/PF_ETHUSD/1w",
    ]
) | st.lists(words.filter(lambda word: word not in {"", ".", ".."}), max_size=4).map(
    lambda parts: "/" + "/".join(urllib.parse.quote(part, safe="") for part in parts)
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=paths, query=queries, method=st.sampled_from(["GET", "POST", "PUT", "DELETE"]), body=st.binary(max_size=40))
def test_whatever_is_asked_the_answer_is_the_venues(sandbox, path, query, method, body):
    status, kind, text = ask(sandbox, f"{path}?{urllib.parse.urlencode(query)}", method=method, body=body)

    assert status in {200, 400, 404}
    assert kind == "text/plain" or json.loads(text) is not None


def test_the_table_of_coverage_names_every_public_path(sandbox):
    venue = sandbox.sandbox.venue
    routes = (*rest.routes(venue), *charts.routes(venue))
    served = {route.path for route in routes if route.path != charts.PREFIX}
    claimed = {entry.name.removeprefix("GET ") for entry in REST if entry.standing != "not"}

    assert claimed <= served
    assert {path for path in served - claimed if not private(path)} == {
        "/api/history/v2/market/{symbol}/executions"  # named in a remark
    }


def private(path):
    return path.removeprefix(f"{V3}/") in rest.PRIVATE or (path.startswith("/api/history") and "market" not in path)


def test_the_table_of_coverage_names_every_feed():
    def names(is_served):
        return {
            name
            for entry in FEEDS
            if (entry.standing != "not") == is_served
            for name in entry.name.removeprefix("WebSocket v1 ").split(", ")
        }

    assert names(True) >= PRODUCT_FEEDS | {HEARTBEAT}
    assert names(False) == PRIVATE_FEEDS
