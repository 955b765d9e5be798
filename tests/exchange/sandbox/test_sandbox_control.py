"""The control API: what it moves and changes, and how it says no."""

import asyncio
import json
import time
import urllib.request

import aiohttp
import pytest

MINUTE_NS = 60_000_000_000
HOUR_NS = 60 * MINUTE_NS


def spot(up, method):
    with urllib.request.urlopen(f"{up.urls.spot_rest}/0/public/{method}", timeout=30) as reply:
        return json.loads(reply.read())["result"]


def futures(up, path):
    with urllib.request.urlopen(f"{up.urls.futures_rest}/derivatives/api/v3/{path}", timeout=30) as reply:
        return json.loads(reply.read())


def test_the_market_moves_by_seconds_and_to_times(sandbox):
    before_ns = sandbox.ask("GET", "/state")["now_ns"]

    assert sandbox.advance(90.5) == before_ns + 90_500_000_000
    assert sandbox.ask("POST", "/advance", to=before_ns + 2 * MINUTE_NS)["now_ns"] == before_ns + 2 * MINUTE_NS
    assert sandbox.ask("POST", "/advance", to="2023-01-12T06:00:00Z")["now"] == "2023-01-12T06:00:00.000000000Z"


def test_it_lists_itself(sandbox):
    endpoints = sandbox.ask("GET", "/")["endpoints"]

    assert {"POST /advance", "GET /state", "DELETE /faults/{number}"} <= set(endpoints)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "said"),
    [
        ("GET", "/nothing", None, 404, "GET /nothing: Not Found"),
        ("DELETE", "/advance", None, 405, "Method Not Allowed"),
        ("POST", "/advance", b"{", 400, "not JSON"),
        ("POST", "/advance", b"\xff", 400, "not JSON"),
        ("POST", "/advance", b"[]", 400, "valid dictionary"),
        ("POST", "/advance", b"{}", 400, "either `to` or `by_s`"),
        ("POST", "/advance", b'{"by": 5}', 400, "by: Extra inputs are not permitted"),
        ("POST", "/advance", b'{"by_s": -5}', 400, "by_s"),
        ("POST", "/advance", b'{"by_s": 1e300}', 400, "by_s"),
        ("POST", "/advance", b'{"by_s": NaN}', 400, "not JSON"),
        ("POST", "/advance", b'{"to": "yesterday"}', 400, "to:"),
        ("POST", "/advance", b'{"to": 5}', 400, "does not go back"),
        ("POST", "/advance", b'{"to": 1e30}', 400, "to:"),
        ("POST", "/resume", None, 409, "nothing to resume"),
        ("POST", "/clock", b'{"pace": "fast"}', 400, "pace"),
        ("POST", "/clock", b'{"pace": "accelerated"}', 400, "`speed` goes with"),
        ("POST", "/status", b'{"status": "asleep"}', 400, "online, maintenance"),
        ("POST", "/suspend", b'{"instruments": ["XBTUSD"]}', 400, "'XBTUSD' is not listed here: BTC/USD"),
        ("POST", "/suspend", b'{"instruments": []}', 400, "instruments"),
        ("POST", "/skew", b'{"by_s": "much"}', 400, "by_s"),
        ("POST", "/skew", b'{"by_s": 1e300}', 400, "by_s"),
        ("POST", "/drop", b'{"how": "close", "link": 1}', 404, "no link 1"),
        ("POST", "/faults", b'{"kind": "flood", "on": "spot_ws"}', 400, "is not one of"),
        ("POST", "/faults", b'{"kind": "corrupt", "on": "spot_rest"}', 400, "can't happen on spot_rest"),
        ("POST", "/faults", b'{"kind": "drop", "on": "spot"}', 400, "on:"),
        ("POST", "/faults", b'{"kind": "drop", "on": "spot_ws", "probability": 2}', 400, "probability"),
        ("DELETE", "/faults/99", None, 404, "no fault 99"),
        ("GET", "/session", None, 400, "WebSocket only"),
    ],
)
def test_it_says_no_in_a_sentence(sandbox, method, path, body, status, said):
    got, answer = sandbox.ask_roughly(method, path, body)

    assert (got, set(answer)) == (status, {"error"})
    assert said in answer["error"]


@pytest.mark.parametrize("text", ["x", "[]", '{"report": 5}', '{"register": ""}', '{"link": "nowhere"}', "{}"])
def test_a_session_that_talks_nonsense_is_told_so(sandbox, text):
    async def talk():
        async with aiohttp.ClientSession() as http, http.ws_connect(f"{sandbox.urls.control}/session") as ws:
            await ws.send_str(text)
            return await ws.receive_json(timeout=5)

    assert set(asyncio.run(talk())) == {"error"}


def test_the_clock_is_not_moved_by_two(serve):
    up = serve(speed=1.0)

    status, answer = up.ask_roughly("POST", "/advance", b'{"by_s": 5}')

    assert status == 409
    assert "POST /pause" in answer["error"]


def test_a_paused_clock_stands_still_and_can_be_moved(serve):
    up = serve(speed=100.0)
    stopped_ns = up.ask("POST", "/pause")["now_ns"]
    time.sleep(0.1)

    assert up.ask("GET", "/state")["now_ns"] == stopped_ns
    assert up.advance(60) == stopped_ns + MINUTE_NS
    up.ask("POST", "/resume")
    wait_for(lambda: up.ask("GET", "/state")["now_ns"] > stopped_ns + 2 * MINUTE_NS)


def test_real_time_passes_by_itself(serve):
    up = serve(speed=1.0)
    first_ns = up.ask("GET", "/state")["now_ns"]

    wait_for(lambda: up.ask("GET", "/state")["now_ns"] > first_ns)


def test_the_clock_can_be_changed_while_it_runs(serve):
    up = serve(speed=1.0)
    now_ns = up.ask("POST", "/clock", pace="accelerated", speed=3600.0)["now_ns"]
    wait_for(lambda: up.ask("GET", "/state")["now_ns"] > now_ns + HOUR_NS / 4)

    assert up.ask("POST", "/clock", pace="lockstep")["pace"] == "lockstep"


def test_the_venue_is_put_into_maintenance_and_back(serve):
    up = serve()
    up.ask("POST", "/status", status="maintenance")
    assert spot(up, "SystemStatus")["status"] == "maintenance"

    up.ask("POST", "/status", status="online")

    assert spot(up, "SystemStatus")["status"] == "online"


def test_a_change_comes_and_goes_at_its_time(serve):
    up = serve()
    now_ns = up.ask("GET", "/state")["now_ns"]
    up.ask("POST", "/status", status="post_only", at=now_ns + MINUTE_NS, until=now_ns + 3 * MINUTE_NS)

    seen = []
    for _ in range(4):
        seen.append(up.ask("GET", "/state")["status"])
        up.advance(60)

    assert seen == ["online", "post_only", "post_only", "online"]


def test_an_instrument_is_suspended(serve):
    up = serve()
    up.ask("POST", "/suspend", instruments=["PF_XBTUSD"])

    rows = {row["symbol"]: row["suspended"] for row in futures(up, "tickers")["tickers"]}
    assert rows == {"PF_XBTUSD": True, "PF_ETHUSD": False}
    up.ask("POST", "/suspend", instruments=["PF_XBTUSD"], on=False)
    assert not futures(up, "tickers/PF_XBTUSD")["ticker"]["suspended"]


def test_the_list_of_markets_is_incomplete(serve):
    up = serve()
    up.ask("POST", "/hide", instruments=["ETH/USD", "PF_ETHUSD"])

    assert list(spot(up, "AssetPairs")) == ["XXBTZUSD"]
    assert [row["symbol"] for row in futures(up, "instruments")["instruments"]] == ["PF_XBTUSD"]
    up.ask("POST", "/hide", instruments=["ETH/USD", "PF_ETHUSD"], on=False)
    assert len(spot(up, "AssetPairs")) == 2


def test_the_venues_clock_is_wrong(serve):
    up = serve()
    right_s = spot(up, "Time")["unixtime"]
    up.ask("POST", "/skew", by_s=-120)

    assert spot(up, "Time")["unixtime"] == right_s - 120
    assert up.ask("GET", "/state")["now_ns"] == right_s * 10**9


def test_a_wrong_clock_makes_no_connection_idle(serve):
    async def jump(up):
        async with aiohttp.ClientSession() as http, http.ws_connect(up.urls.futures_ws) as ws:
            await ws.receive(5)
            await asyncio.to_thread(up.ask, "POST", "/skew", by_s=3600)
            await asyncio.to_thread(up.advance, 1)
            await ws.send_json({"event": "subscribe", "feed": "heartbeat"})
            return (await ws.receive_json(timeout=5))["event"]

    assert asyncio.run(jump(serve())) == "subscribed"


@pytest.mark.parametrize(("drops_idle", "is_open"), [(True, False), (False, True)])
def test_connections_without_a_word_are_dropped_or_kept(serve, drops_idle, is_open):
    async def idle(up):
        async with aiohttp.ClientSession() as http, http.ws_connect(up.urls.futures_ws) as ws:
            await ws.receive(5)
            await asyncio.to_thread(up.advance, 120)
            await asyncio.sleep(0.1)
            return any(link.is_open for link in up.sandbox.links.values())

    assert asyncio.run(idle(serve(drops_idle=drops_idle))) is is_open


@pytest.mark.parametrize(("how", "code"), [("close", 1001), ("reset", 1006)])
def test_connections_are_dropped_on_demand(serve, how, code):
    async def lose(up):
        async with aiohttp.ClientSession() as http, http.ws_connect(up.urls.spot_ws) as ws:
            number = (await ws.receive_json())["data"][0]["connection_id"]
            dropped = await asyncio.to_thread(up.ask, "POST", "/drop", how=how, link=number)
            await ws.receive(5)
            return dropped["dropped"] == [number], ws.close_code

    assert asyncio.run(lose(serve())) == (True, code)


def test_faults_are_listed_with_what_they_hit_and_lifted(serve):
    up = serve()
    number = up.ask("POST", "/faults", kind="unavailable", on="spot_rest", match="Time", nth=2)["number"]
    with urllib.request.urlopen(f"{up.urls.spot_rest}/0/public/Time", timeout=30):
        pass
    with urllib.request.urlopen(f"{up.urls.spot_rest}/0/public/Time", timeout=30):
        pass

    listed = up.ask("GET", "/faults")["faults"]
    assert [(fault["kind"], fault["matched"], fault["hit"]) for fault in listed] == [("unavailable", 2, 1)]
    assert up.ask("DELETE", f"/faults/{number}") == {"faults": []}


def test_links_and_sessions_are_shown(serve):
    async def look(up):
        async with aiohttp.ClientSession() as http, http.ws_connect(up.urls.spot_ws) as ws:
            await ws.receive(5)
            return await asyncio.to_thread(up.ask, "GET", "/state")

    (link,) = asyncio.run(look(serve()))["links"]

    assert (link["side"], link["sent"], link["waiting"]) == ("spot", 1, 0)


def wait_for(condition):
    for _ in range(500):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("waited in vain")
