"""The control API: what it moves and changes, and how it says no."""

import asyncio
import json
import time
import urllib.request

import aiohttp
import pytest

from exchange.sandbox.market.facts import listed
from exchange.sandbox.market.market import Market
from exchange.sandbox.market.model import SourceCandle
from exchange.sandbox.server import Sandbox
from exchange.sandbox.serving import serve as run_by_itself
from exchange.sandbox.session import open_session
from exchange.sandbox.wire.faults import Fault
from trading.errors import InputUnusable

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
        ("POST", "/clock", b'{"pace": "accelerated", "speed": 1e300}', 400, "speed: "),
        ("POST", "/status", b'{"status": "asleep"}', 400, "online, maintenance"),
        ("POST", "/suspend", b'{"instruments": ["XBTUSD"]}', 400, "'XBTUSD' is not listed here: BTC/USD"),
        ("POST", "/suspend", b'{"instruments": []}', 400, "instruments"),
        ("POST", "/status", b'{"status": "maintenance", "until": 5}', 400, "`until` has to come after"),
        ("POST", "/skew", b'{"by_s": 1, "at": 4e18, "until": 4e18}', 400, "`until` has to come after"),
        ("POST", "/suspend", b'{"instruments": ["BTC/USD"], "at": 5, "until": 6}', 400, "`until` has to come after"),
        ("POST", "/faults", b'{"kind": "drop", "on": "spot_ws", "at": 10, "until": 5}', 400, "`until` has to come"),
        ("POST", "/faults", b'{"kind": "drop", "on": "spot_ws", "until": 5}', 400, "could never happen"),
        ("POST", "/faults", b'{"kind": "silence", "on": "spot_ws", "times": 3}', 400, "hits all that match"),
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


@pytest.mark.parametrize(
    "report",
    [
        {"timer_ns": "soon"},
        {"timer_ns": 1.5e18},
        {"calls": -1},
        {"calls": True},
        {"sent": {"127.0.0.1:1": "x"}},
        {"sent": {"127.0.0.1:1": -1}},
        {"stop": 99},
        {"mood": "good"},
    ],
)
def test_a_report_that_is_wrong_changes_nothing(serve, report):
    async def talk(up):
        async with aiohttp.ClientSession() as http, http.ws_connect(f"{up.urls.control}/session") as ws:
            await ws.send_json({"register": "muddler"})
            await ws.receive_json(timeout=5)
            stop = (await ws.receive_json(timeout=5))["stop"]
            sound = {"stop": stop, "sent": {}, "calls": 0, "timer_ns": up.sandbox.venue.now_ns() + HOUR_NS}
            await ws.send_json({"report": sound})
            await ws.send_json({"report": {**sound, **report}})
            answer = await ws.receive_json(timeout=5)
            return answer, sound, up.sandbox.barrier.seats[0].report._asdict()

    up = serve()
    answer, sound, kept = asyncio.run(talk(up))

    assert set(answer) == {"error"}
    assert kept == sound
    assert up.advance(60)


@pytest.mark.parametrize("message", [{"link": "127.0.0.1:1"}, {"report": {}}])
def test_who_is_not_registered_is_told_to(sandbox, message):
    async def talk():
        async with aiohttp.ClientSession() as http, http.ws_connect(f"{sandbox.urls.control}/session") as ws:
            await ws.send_json(message)
            return await ws.receive_json(timeout=5)

    assert '"register"' in asyncio.run(talk())["error"]


def test_a_connection_is_one_session_only(serve):
    async def register_twice(up):
        async with aiohttp.ClientSession() as http, http.ws_connect(f"{up.urls.control}/session") as ws:
            await ws.send_json({"register": "one"})
            await ws.receive_json(timeout=5)
            await ws.receive_json(timeout=5)  # the first stop
            await ws.send_json({"register": "two"})
            answer = await ws.receive_json(timeout=5)
            return answer, [seat.name for seat in up.sandbox.barrier.seats]

    up = serve()
    answer, seats = asyncio.run(register_twice(up))

    assert "session 'one' already" in answer["error"]
    assert seats == ["one"]
    assert up.ask("POST", "/advance", by_s=60, timeout_s=30)


def test_sessions_are_told_in_text(sandbox):
    async def listen():
        async with aiohttp.ClientSession() as http, http.ws_connect(f"{sandbox.urls.control}/session") as ws:
            await ws.send_json({"register": "reader"})
            return [(await ws.receive(5)).type for _ in range(2)]

    assert asyncio.run(listen()) == [aiohttp.WSMsgType.TEXT] * 2


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://elsewhere.example"}, {"Origin": "null"}, {"Host": "elsewhere.example"}]
)
@pytest.mark.parametrize(("method", "path"), [("GET", "/state"), ("POST", "/status"), ("GET", "/nothing")])
def test_a_web_page_is_not_let_in(sandbox, headers, method, path):
    async def ask():
        async with (
            aiohttp.ClientSession(headers=headers) as http,
            http.request(method, sandbox.urls.control + path, data=b'{"status": "maintenance"}') as reply,
        ):
            return reply.status, await reply.json()

    status, answer = asyncio.run(ask())

    assert (status, set(answer)) == (403, {"error"})
    assert sandbox.sandbox.venue.status == "online"


def test_a_web_page_gets_no_session(sandbox):
    async def connect():
        async with aiohttp.ClientSession() as http:
            await http.ws_connect(f"{sandbox.urls.control}/session", origin="https://elsewhere.example")

    with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
        asyncio.run(connect())


def test_localhost_is_a_name_of_the_control_api(sandbox):
    async def ask():
        port = sandbox.urls.control.rpartition(":")[2]
        async with (
            aiohttp.ClientSession(headers={"Host": f"localhost:{port}"}) as http,
            http.get(sandbox.urls.control) as reply,
        ):
            return reply.status

    assert asyncio.run(ask()) == 200


def test_a_candle_that_can_not_be_is_reported_by_the_advance_that_meets_it(serve):
    status, answer = serve(spoilt_market()).ask_roughly("POST", "/advance", b'{"by_s": 90000}')

    assert status == 400
    assert "BTC/USD" in answer["error"]


def test_a_clock_that_meets_a_candle_that_can_not_be_ends_the_sandbox_with_a_sentence(tmp_path):
    with pytest.raises(InputUnusable, match="BTC/USD"):
        asyncio.run(run_by_itself(Sandbox(spoilt_market(), speed=1e6), tmp_path / "sandbox.json", lambda *_: None))


def test_two_who_advance_at_once_move_the_market_by_both(serve):
    async def both(up):
        async with open_session(up.urls.control, "busy") as session:
            async with session.working():
                advances = [asyncio.create_task(asyncio.to_thread(up.advance, 60)) for _ in range(2)]
                await asyncio.sleep(0.2)  # so that both have been asked for while the market stands still
            await asyncio.gather(*advances)

    up = serve()
    before_ns = up.ask("GET", "/state")["now_ns"]
    asyncio.run(both(up))

    assert up.ask("GET", "/state")["now_ns"] == before_ns + 2 * MINUTE_NS


@pytest.mark.parametrize("kind", ["delay", "half_open"])
def test_an_advance_does_not_wait_for_a_request_that_a_fault_holds(serve, kind):
    async def ask_and_advance(up):
        async with aiohttp.ClientSession() as http:
            asking = asyncio.create_task(http.get(f"{up.urls.spot_rest}/0/public/Time"))
            while not up.sandbox.faults.held_requests:
                await asyncio.sleep(0.01)
            answer = await asyncio.to_thread(up.ask_roughly, "POST", "/advance", b'{"by_s": 60, "timeout_s": 10}')
            is_held = not asking.done()
            asking.cancel()
            return answer, is_held

    up = serve(faults=[Fault(kind=kind, on="spot_rest", delay_s=100.0)])
    (status, answer), is_held = asyncio.run(ask_and_advance(up))
    up.advance(100)

    assert (status, is_held) == (200, True), answer


def test_an_advance_to_the_end_of_a_delay_waits_for_the_answer(serve):
    async def ask_and_advance(up):
        async with aiohttp.ClientSession() as http:
            asking = asyncio.create_task(http.get(f"{up.urls.spot_rest}/0/public/Time"))
            while not up.sandbox.faults.held_requests:
                await asyncio.sleep(0.01)
            await asyncio.to_thread(up.advance, 100)
            return up.sandbox.pump.requests, (await asking).status

    up = serve(faults=[Fault(kind="delay", on="spot_rest", delay_s=100.0)])

    assert asyncio.run(ask_and_advance(up)) == (0, 200)


@pytest.mark.parametrize(
    ("url", "frame"),
    [("spot_ws", {"method": "ping"}), ("futures_ws", {"event": "subscribe", "feed": "heartbeat"})],
)
def test_without_limits_frames_are_not_limited_either(serve, url, frame):
    async def chatter(up):
        async with aiohttp.ClientSession() as http, http.ws_connect(getattr(up.urls, url)) as ws:
            await ws.receive(5)  # the greeting
            for _ in range(300):
                await ws.send_json(frame)
            return [(await ws.receive(5)).data for _ in range(300)]

    answers = asyncio.run(chatter(serve(has_limits=False)))

    assert not [text for text in answers if "Exceeded" in text or "rate_limited" in text]


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


def test_what_was_there_before_a_change_is_there_after_it(serve):
    up = serve()
    up.ask("POST", "/status", status="cancel_only")
    up.ask("POST", "/suspend", instruments=["BTC/USD"])
    up.ask("POST", "/hide", instruments=["ETH/USD"])
    up.ask("POST", "/skew", by_s=5)
    before = conditions(up)
    until = before["now_ns"] + MINUTE_NS
    up.ask("POST", "/status", status="maintenance", until=until)
    up.ask("POST", "/suspend", instruments=["BTC/USD", "ETH/USD"], until=until)
    up.ask("POST", "/hide", instruments=["ETH/USD"], on=False, until=until)
    up.ask("POST", "/skew", by_s=-5, until=until)
    during = conditions(up)
    up.advance(60)

    assert (during["status"], during["suspended"], during["hidden"]) == ("maintenance", ["BTC/USD", "ETH/USD"], [])
    assert during["skew_s"] == -5
    assert conditions(up) == {**before, "now_ns": until}


def test_changes_may_overlap(serve):
    up = serve()
    now_ns = up.ask("GET", "/state")["now_ns"]
    up.ask("POST", "/status", status="post_only", until=now_ns + 2 * MINUTE_NS)
    up.ask("POST", "/status", status="cancel_only", at=now_ns + MINUTE_NS, until=now_ns + 3 * MINUTE_NS)

    seen = []
    for _ in range(4):
        seen.append(up.ask("GET", "/state")["status"])
        up.advance(60)

    assert seen == ["post_only", "cancel_only", "cancel_only", "online"]


def test_a_change_for_good_is_not_taken_back_by_an_earlier_one_that_ends(serve):
    up = serve()
    now_ns = up.ask("GET", "/state")["now_ns"]
    up.ask("POST", "/status", status="maintenance", until=now_ns + MINUTE_NS)
    up.ask("POST", "/status", status="post_only")
    up.advance(120)

    assert up.ask("GET", "/state")["status"] == "post_only"


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


@pytest.mark.parametrize(("how", "code"), [("close", 1001), ("reset", 1006)])
def test_connections_are_dropped_on_demand(serve, how, code):
    async def lose(up):
        async with aiohttp.ClientSession() as http, http.ws_connect(up.urls.spot_ws) as ws:
            number = (await ws.receive_json())["data"][0]["connection_id"]
            dropped = await asyncio.to_thread(up.ask, "POST", "/drop", how=how, link=number)
            await ws.receive(5)
            return dropped["dropped"] == [number], ws.close_code

    assert asyncio.run(lose(serve())) == (True, code)


def test_a_half_open_connection_hears_nothing_more(serve):
    async def call_into_the_void(up):
        async with aiohttp.ClientSession() as http, http.ws_connect(up.urls.spot_ws, autoping=False) as ws:
            number = (await ws.receive_json())["data"][0]["connection_id"]
            await ws.ping()
            heard = await ws.receive(5)
            await asyncio.to_thread(up.ask, "POST", "/drop", how="half_open", link=number)
            await ws.ping()
            await ws.send_json({"method": "ping"})
            with pytest.raises(TimeoutError):
                await ws.receive(0.3)
            return heard.type, next(iter(up.sandbox.links.values())).answered

    assert asyncio.run(call_into_the_void(serve())) == (aiohttp.WSMsgType.PONG, 0)


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


def test_a_fault_is_listed_as_it_was_ordered_with_what_is_left_of_it(serve):
    up = serve()
    order = {
        "kind": "silence",
        "on": "spot_ws",
        "match": "BTC",
        "nth": 2,
        "probability": 0.5,
        "at": 5,
        "until": up.ask("GET", "/state")["now_ns"] + MINUTE_NS,
    }
    listed = up.ask("POST", "/faults", **order)
    assert {key: listed[key] for key in order} == order
    assert (listed["times"], listed["left"]) == (None, None)
    up.advance(60)
    assert up.ask("GET", "/faults")["faults"][0]["left"] == 0


def test_a_fault_that_is_used_up_has_nothing_left_and_is_forgotten_when_there_are_many(serve):
    up = serve()
    numbers = []
    for _ in range(105):
        numbers.append(up.ask("POST", "/faults", kind="unavailable", on="spot_rest", match="Time")["number"])
        with urllib.request.urlopen(f"{up.urls.spot_rest}/0/public/Time", timeout=30) as reply:
            assert json.loads(reply.read())["error"]
    endless = up.ask("POST", "/faults", kind="unavailable", on="spot_rest", times=3)

    listed = up.ask("GET", "/faults")["faults"]
    assert [fault["number"] for fault in listed] == [*numbers[-100:], endless["number"]]
    assert [fault["left"] for fault in listed] == [0] * 100 + [3]
    assert [standing.number for standing in up.sandbox.faults.standing] == [endless["number"]]
    assert up.ask("DELETE", "/faults") == {"faults": []}
    assert up.ask("GET", "/faults") == {"faults": []}


def test_a_connection_that_was_left_half_open_on_demand_is_given_up_after_an_hour(serve):
    async def lose(up):
        async with aiohttp.ClientSession() as http, http.ws_connect(up.urls.spot_ws) as ws:
            await ws.receive(5)
            await asyncio.to_thread(up.ask, "POST", "/drop", how="half_open")
            await asyncio.to_thread(up.advance, 3500)
            kept = len(up.sandbox.links)
            await asyncio.to_thread(up.advance, 200)
            ended_by = (await ws.receive(5)).type
            await asyncio.to_thread(wait_for, lambda: not up.sandbox.links)
            return kept, ended_by, len(up.sandbox.links)

    kept, ended_by, left = asyncio.run(lose(serve()))
    assert (kept, left) == (1, 0)
    assert ended_by in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)


def test_links_and_sessions_are_shown(serve):
    async def look(up):
        async with aiohttp.ClientSession() as http, http.ws_connect(up.urls.spot_ws) as ws:
            await ws.receive(5)
            return await asyncio.to_thread(up.ask, "GET", "/state")

    (link,) = asyncio.run(look(serve()))["links"]

    assert (link["side"], link["sent"], link["waiting"]) == ("spot", 1, 0)


def conditions(up):
    state = up.ask("GET", "/state")
    return {key: state[key] for key in ("now_ns", "status", "suspended", "hidden", "skew_s")}


def spoilt_market():
    """A market with a candle of too small a volume, some hours after its start."""
    span_ns = HOUR_NS // 4
    pairs, contracts = listed(["BTC/USD"])
    candles = (
        SourceCandle("BTC/USD", number * span_ns, span_ns, 837000, 840000, 830000, 838000, *traded)
        for number in range(300)
        for traded in [(1, 30_000) if number == 120 else (10**12, 30_000)]
    )
    return Market(candles, pairs=pairs, contracts=contracts, seed=1, starts_ns=100 * span_ns)


def wait_for(condition):
    for _ in range(500):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("waited in vain")


def test_a_change_of_the_past_is_made_at_once_and_a_later_one_stands(serve):
    up = serve()
    up.ask("POST", "/status", status="maintenance", at="2020-01-01T00:00:00Z")
    assert up.ask("GET", "/state")["status"] == "maintenance"
    up.ask("POST", "/status", status="online")
    up.advance(60)
    assert up.ask("GET", "/state")["status"] == "online"
