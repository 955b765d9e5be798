"""Every fault, as a client of the venue meets it."""

import asyncio
import contextlib
import json

import aiohttp
import pytest

from exchange.sandbox.wire.faults import Fault

CANDLES = {"method": "subscribe", "params": {"channel": "ohlc", "symbol": ["BTC/USD"], "interval": 15}}
UPDATE = '"channel":"ohlc","type":"update"'
TICKER = "/0/public/Ticker?pair=XBTUSD"
MINUTE_S = 60


async def frames(up, seconds=600):
    """What a client that watches candles gets in so many seconds of the market, and how its connection ended."""
    texts = []
    async with aiohttp.ClientSession() as http, http.ws_connect(up.urls.spot_ws) as ws:
        await ws.send_json(CANDLES)
        texts += [(await ws.receive(5)).data for _ in range(3)]
        await asyncio.to_thread(up.advance, seconds)
        with contextlib.suppress(TimeoutError):
            while True:
                message = await ws.receive(0.3)
                if message.type is not aiohttp.WSMsgType.TEXT:
                    return texts, message.type, message.data or ws.close_code
                texts.append(message.data)
        return texts, None, None


def updates(up, seconds=600):
    texts, _, _ = asyncio.run(frames(up, seconds))
    return [text for text in texts if UPDATE in text]


@pytest.fixture(scope="module")
def clean(sandbox):
    """The updates of the first ten minutes without any fault."""
    return updates(sandbox)


@pytest.fixture
def with_fault(serve):
    """A sandbox with one fault in force."""
    return lambda **fault: serve(faults=[Fault(**{"on": "spot_ws", "match": UPDATE, **fault})])


def test_a_frame_is_dropped(with_fault, clean):
    assert updates(with_fault(kind="drop", nth=3)) == clean[:2] + clean[3:]


def test_a_channel_falls_silent_on_a_live_connection(serve, clean):
    up = serve()
    up.ask("POST", "/faults", kind="silence", on="spot_ws", match='"channel":"ohlc"')
    texts, ended_by, _ = asyncio.run(silent(up))

    assert ended_by is None
    assert not [text for text in texts if '"ohlc","type"' in text]
    assert texts.count('{"channel":"heartbeat"}') >= len(clean)  # at every stop, in place of what was dropped


async def silent(up):
    texts = []
    async with aiohttp.ClientSession() as http, http.ws_connect(up.urls.spot_ws) as ws:
        await ws.send_json(CANDLES)
        await ws.receive(5)
        await asyncio.to_thread(up.advance, 600)
        with contextlib.suppress(TimeoutError):
            while (message := await ws.receive(0.3)).type is aiohttp.WSMsgType.TEXT:
                texts.append(message.data)
            return texts, message.type, ws.close_code
        return texts, None, None


def test_a_frame_is_duplicated(with_fault, clean):
    assert updates(with_fault(kind="duplicate", nth=2)) == [*clean[:2], *clean[1:]]


def test_a_frame_is_overtaken_by_the_next(with_fault, clean):
    assert updates(with_fault(kind="reorder", nth=2)) == [clean[0], clean[2], clean[1], *clean[3:]]


def test_every_frame_is_overtaken_by_the_next(with_fault, clean):
    swapped = updates(with_fault(kind="reorder", times=None))

    assert swapped[:4] == [clean[1], clean[0], clean[3], clean[2]]
    assert sorted(swapped) == sorted(clean[: len(swapped)])


def test_a_frame_that_waits_to_be_overtaken_is_sent_when_the_fault_is_lifted(serve, clean):
    up = serve(faults=[Fault(kind="reorder", on="spot_ws", match=UPDATE, nth=len(clean))])
    assert updates(up) == clean[:-1]

    async def lifted():
        async with aiohttp.ClientSession() as http, http.ws_connect(up.urls.spot_ws) as ws:
            await ws.send_json(CANDLES)
            [await ws.receive(5) for _ in range(3)]
            up.ask("POST", "/faults", kind="reorder", on="spot_ws", match=UPDATE)
            await asyncio.to_thread(up.advance, MINUTE_S)
            await asyncio.to_thread(up.ask, "DELETE", "/faults")
            while UPDATE not in (text := (await ws.receive(5)).data):
                pass
            return text

    assert UPDATE in asyncio.run(lifted())


def test_a_frame_is_corrupted(with_fault, clean):
    texts, _, _ = asyncio.run(frames(with_fault(kind="corrupt", nth=1)))

    broken = texts[3]
    assert clean[0].startswith(broken)
    assert broken != clean[0]
    with pytest.raises(json.JSONDecodeError):
        json.loads(broken)


def test_a_frame_is_delayed_by_the_markets_time(with_fault, clean):
    delayed = updates(with_fault(kind="delay", nth=1, delay_s=100.0))

    assert sorted(delayed) == sorted(clean)
    assert delayed.index(clean[0]) == 1  # one comes every 56 seconds


def test_the_connection_is_closed(with_fault):
    texts, ended_by, code = asyncio.run(frames(with_fault(kind="close", nth=3)))

    assert sum(UPDATE in text for text in texts) == 2
    assert (ended_by, code) == (aiohttp.WSMsgType.CLOSE, 1001)


def test_the_connection_is_reset(with_fault):
    texts, ended_by, code = asyncio.run(frames(with_fault(kind="reset", nth=3)))

    assert sum(UPDATE in text for text in texts) == 2
    assert ended_by in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
    assert code == 1006


def test_the_connection_is_left_half_open(with_fault):
    texts, ended_by, _ = asyncio.run(frames(with_fault(kind="half_open", nth=3)))

    assert sum(UPDATE in text for text in texts) == 2
    assert ended_by is None


def test_a_half_open_connection_hears_nothing_of_its_end_and_is_given_up_after_an_hour(serve):
    up = serve(faults=[Fault(kind="half_open", on="futures_ws", match='"feed":"ticker"', nth=3)])

    async def story():
        async with aiohttp.ClientSession() as http, http.ws_connect(up.urls.futures_ws) as ws:
            await ws.send_json({"event": "subscribe", "feed": "ticker", "product_ids": ["PF_XBTUSD"]})
            [await ws.receive(5) for _ in range(3)]  # greeting, acknowledgement, first ticker
            await asyncio.to_thread(up.advance, 30 * MINUTE_S)
            with contextlib.suppress(TimeoutError):
                return (await ws.receive(0.3)).type
            links = len(up.ask("GET", "/state")["links"])
            await asyncio.to_thread(up.advance, 31 * MINUTE_S)
            return links, len(up.ask("GET", "/state")["links"])

    assert asyncio.run(story()) == (1, 0)


def test_the_handshake_is_refused(with_fault):
    up = with_fault(kind="too_many_requests", match="/v2")

    with pytest.raises(aiohttp.WSServerHandshakeError, match="429"):
        asyncio.run(frames(up))
    assert asyncio.run(frames(up))


def test_chance_is_seeded(serve):
    def story():
        fault = Fault(kind="drop", on="spot_ws", match=UPDATE, times=None, probability=0.5)
        return updates(serve(seed=5, faults=[fault]))

    first = story()

    assert story() == first
    assert 0 < len(first) < 10


def test_a_fault_keeps_to_its_time(serve, clean):
    up = serve()
    now_ns = up.ask("GET", "/state")["now_ns"]
    minute_ns = MINUTE_S * 10**9
    window = {"at": now_ns + 3 * minute_ns, "until": now_ns + 6 * minute_ns}
    up.ask("POST", "/faults", kind="drop", on="spot_ws", match=UPDATE, times=None, **window)

    assert updates(up) == [*clean[:3], *clean[6:]]


def get(up, path=TICKER, side="spot_rest", timeout_s=5.0):
    """Status, content type and text of a reply; the error's name if there is none."""

    async def fetch():
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        async with aiohttp.ClientSession(timeout=timeout) as http:
            try:
                async with http.get(getattr(up.urls, side) + path) as reply:
                    return reply.status, reply.content_type, await reply.text()
            except (aiohttp.ClientError, TimeoutError) as error:
                return type(error).__name__

    return asyncio.run(fetch())


@pytest.fixture
def rest_fault(serve):
    return lambda **fault: serve(faults=[Fault(**{"on": "spot_rest", "match": "Ticker", **fault})])


def test_a_request_meets_429_without_json(rest_fault):
    up = rest_fault(kind="too_many_requests", times=2)

    assert get(up)[:2] == (429, "text/html")
    assert get(up)[0] == 429
    assert get(up)[0] == 200


@pytest.mark.parametrize("status", [502, 503, 520])
def test_a_request_meets_a_page_of_the_edge(rest_fault, status):
    got, kind, text = get(rest_fault(kind="server_error", status=status))

    assert (got, kind) == (status, "text/html")
    assert text.startswith("<html>")


def test_spot_says_that_it_is_unavailable(rest_fault):
    status, _, text = get(rest_fault(kind="unavailable"))

    assert (status, json.loads(text)) == (200, {"error": ["EService:Unavailable"]})


def test_charts_are_unavailable_as_in_maintenance(rest_fault):
    up = rest_fault(kind="unavailable", on="futures_rest", match="/api/")
    by_fault = get(up, "/api/charts/v1/trade", "futures_rest")
    up.ask("POST", "/status", status="maintenance")

    assert by_fault == get(up, "/api/charts/v1/trade", "futures_rest")
    assert by_fault[:2] == (503, "text/html")


def test_futures_says_that_it_is_unavailable(rest_fault):
    up = rest_fault(kind="unavailable", on="futures_rest", match="tickers", times=3)
    path = "/derivatives/api/v3/tickers"
    answers = [json.loads(get(up, path, "futures_rest")[2]) for _ in range(4)]

    assert [answer.get("error") for answer in answers] == ["Unavailable"] * 3 + [None]
    assert answers[0]["result"] == "error"


def test_other_requests_are_spared(rest_fault):
    assert get(rest_fault(kind="server_error"), "/0/public/Time")[0] == 200


@pytest.mark.parametrize("kind", ["close", "reset"])
def test_the_connection_ends_without_an_answer(rest_fault, kind):
    up = rest_fault(kind=kind, times=None)  # aiohttp asks again when a connection ends like this

    assert get(up) in ("ServerDisconnectedError", "ClientOSError", "ClientConnectionResetError")


def test_a_request_is_never_answered(rest_fault):
    up = rest_fault(kind="half_open")

    assert get(up, timeout_s=0.3) == "TimeoutError"


def test_a_request_is_answered_when_the_markets_time_has_passed(rest_fault):
    async def wait(up):
        call = asyncio.create_task(asyncio.to_thread(get, up, timeout_s=20))
        while not up.sandbox.faults.held_requests:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(up.ask, "POST", "/clock", pace="accelerated", speed=1000.0)
        return await call

    assert asyncio.run(wait(rest_fault(kind="delay", delay_s=60.0)))[0] == 200
