"""Lockstep: the market waits for registered sessions, and what they see depends on nothing else."""

import asyncio
import contextlib
import json
import random
import time

import aiohttp
import pytest
import websockets

from exchange.sandbox.session import address_of, open_session
from exchange.sandbox.units import SECOND_NS
from exchange.sandbox.wire.faults import Fault
from trading.errors import ExchangeUnavailable, InputUnusable

MINUTE_NS = 60_000_000_000
TRADES = json.dumps({"method": "subscribe", "params": {"channel": "trade", "symbol": ["BTC/USD", "ETH/USD"]}})
TICKERS = json.dumps({"event": "subscribe", "feed": "ticker", "product_ids": ["PF_XBTUSD", "PF_ETHUSD"]})


async def replay(urls, minutes, *, name="replay", delay_s=None, advances=True):
    """What a session sees and does in so many minutes: frames, timers and REST answers, in their order."""
    story = []

    async def read(stream, label):
        async for frame in stream:
            story.append((label, session.now_ns, frame))
            await asyncio.sleep(delay_s() if delay_s else 0)

    async def poll(http):
        while True:
            now_ns = await session.sleep_until(session.now_ns + 7 * MINUTE_NS)
            async with session.calling(), http.get(f"{urls.spot_rest}/0/public/Ticker?pair=XBTUSD") as reply:
                story.append(("rest", now_ns, await reply.text()))

    async with open_session(urls.control, name) as session, aiohttp.ClientSession() as http:
        async with session.working():
            sockets = await websockets.connect(urls.spot_ws), await websockets.connect(urls.futures_ws)
            streams = [await session.stream(address_of(one), one, one.send, one.close) for one in sockets]
            tasks = [asyncio.create_task(read(*pair)) for pair in zip(streams, ("spot", "futures"), strict=True)]
            tasks.append(asyncio.create_task(poll(http)))
            await streams[0].send(TRADES)
            await streams[1].send(TICKERS)
            await asyncio.sleep(0)
        end_ns = session.now_ns + minutes * MINUTE_NS
        if advances:
            await session.advance(end_ns)
        else:
            await session.sleep_until(end_ns)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for stream in streams:
            await stream.close()
    return story


def without_connection_ids(story):
    return [row for row in story if "connection_id" not in row[2]]


def test_a_session_sees_all_frames_and_timers_of_the_time_it_advances(serve):
    story = asyncio.run(replay(serve(drops_idle=False).urls, 60))

    labels = [label for label, _, _ in story]
    assert labels.count("rest") == 8
    assert labels.count("spot") > 100
    assert labels.count("futures") > 100
    assert [at for _, at, _ in story] == sorted(at for _, at, _ in story)


def test_a_timer_finds_the_market_where_it_asked_for_it(sandbox):
    async def wake() -> tuple[int, int]:
        async with open_session(sandbox.urls.control, "sleeper") as session:
            async with session.working():
                wanted_ns = session.now_ns + 90 * 1_000_000_001
                sleeper = asyncio.create_task(session.sleep_until(wanted_ns))
                await asyncio.sleep(0)
            await session.advance(wanted_ns + MINUTE_NS)
            return wanted_ns, await sleeper

    wanted_ns, woken_ns = asyncio.run(wake())

    assert woken_ns == wanted_ns


def test_the_same_bytes_arrive_at_a_client_that_takes_its_time(serve):
    chance = random.Random(7)
    swift = asyncio.run(replay(serve(drops_idle=False).urls, 20))
    slow = asyncio.run(replay(serve(drops_idle=False).urls, 20, delay_s=lambda: chance.random() * 0.01))

    assert slow == swift


def test_the_same_bytes_arrive_when_the_event_loops_are_busy(serve):
    async def burn():
        while True:
            time.sleep(chance.random() * 0.004)
            await asyncio.sleep(0)

    async def under_load(urls):
        load = asyncio.create_task(burn())
        try:
            return await replay(urls, 20)
        finally:
            load.cancel()

    chance = random.Random(8)
    calm = asyncio.run(replay(serve(drops_idle=False).urls, 20))
    busy_sandbox = serve(drops_idle=False)
    busy_sandbox.spawn(burn())
    busy = asyncio.run(under_load(busy_sandbox.urls))

    assert busy == calm


def test_two_sessions_keep_each_its_own_timers_and_frames(serve):
    async def both(urls):
        idler = asyncio.create_task(replay(urls, 20, name="idler", advances=False))
        while "idler" not in [seat.name for seat in up.sandbox.barrier.seats if seat.links]:
            await asyncio.sleep(0.01)
        driver = await replay(urls, 22, name="driver")
        return driver, await idler

    up = serve(drops_idle=False)
    driver, idler = asyncio.run(both(up.urls))

    end_ns = idler[-1][1]
    assert without_connection_ids(idler) == without_connection_ids([row for row in driver if row[1] <= end_ns])


def test_the_market_waits_for_an_answer_that_a_session_waits_for(serve):
    async def wait(urls):
        async with open_session(urls.control, "caller") as session:
            answered = asyncio.Event()

            async def call():
                async with session.working(), session.calling():
                    await answered.wait()

            call_task = asyncio.create_task(call())
            await asyncio.sleep(0.05)
            start_ns = session.now_ns
            advance = asyncio.create_task(session.advance(start_ns + MINUTE_NS))
            done, _ = await asyncio.wait({advance}, timeout=0.3)
            stood_still = not done
            answered.set()
            await call_task
            return stood_still, await advance - start_ns

    assert asyncio.run(wait(serve().urls)) == (True, MINUTE_NS)


def test_an_advance_says_which_session_does_not_come_to_an_end(serve):
    async def hang(up):
        async with open_session(up.urls.control, "sleepyhead") as session, session.working():
            body = json.dumps({"by_s": 60, "timeout_s": 0.2}).encode()
            return await asyncio.to_thread(up.ask_roughly, "POST", "/advance", body)

    status, answer = asyncio.run(hang(serve()))

    assert status == 504
    assert "session 'sleepyhead' has not handled what it was told" in answer["error"]


def test_a_session_that_dies_holds_nobody_up(serve):
    async def die(urls):
        async with open_session(urls.control, "mayfly") as session, session.working():
            await asyncio.sleep(0)

    up = serve()
    asyncio.run(die(up.urls))
    before_ns = up.ask("GET", "/state")["now_ns"]

    assert up.advance(60) == before_ns + MINUTE_NS


def test_a_session_that_dies_in_its_turn_lets_the_others_have_theirs(serve):
    async def wait_for_the_dead(up):
        async with contextlib.AsyncExitStack() as life:
            first = await life.enter_async_context(open_session(up.urls.control, "mayfly"))  # has its turn first
            async with open_session(up.urls.control, "heir") as second:
                wanted_ns = second.now_ns + MINUTE_NS
                holds = asyncio.Event()
                dying = await start(first, hold(first, wanted_ns, holds))
                sleeper = await start(second, second.sleep_until(wanted_ns))
                advance = asyncio.create_task(second.advance(wanted_ns + MINUTE_NS))
                await holds.wait()
                was_waiting = not sleeper.done() and not advance.done()
                await life.aclose()
                dying.cancel()
                return was_waiting, await sleeper - wanted_ns, await advance - wanted_ns

    async def start(session, work):
        async with session.working():
            task = asyncio.create_task(work)
            await asyncio.sleep(0)
        return task

    async def hold(session, until_ns, holds):
        await session.sleep_until(until_ns)
        holds.set()
        await asyncio.Event().wait()

    assert asyncio.run(wait_for_the_dead(serve())) == (True, 0, MINUTE_NS)


def test_a_name_is_given_once(sandbox):
    async def register_twice():
        async with open_session(sandbox.urls.control, "one"), open_session(sandbox.urls.control, "one"):
            pass

    with pytest.raises(InputUnusable, match="can't be called 'one'"):
        asyncio.run(register_twice())


def test_a_connection_that_the_venue_does_not_know_is_refused(sandbox):
    async def declare():
        async with open_session(sandbox.urls.control, "liar") as session:
            await session.stream("127.0.0.1:1", aiter(websockets.connect("ws://nowhere")), None, None)

    with pytest.raises(InputUnusable, match=r"from 127\.0\.0\.1:1"):
        asyncio.run(declare())


def test_a_session_needs_a_sandbox():
    async def search():
        async with open_session("http://127.0.0.1:1", "lost"):
            pass

    with pytest.raises(ExchangeUnavailable, match="can't be reached"):
        asyncio.run(search())


def test_sleepers_are_told_that_the_sandbox_has_ended(serve):
    async def outlive(up):
        async with open_session(up.urls.control, "survivor") as session:
            sleeper = asyncio.create_task(session.sleep_until(session.now_ns + 10**15))
            await asyncio.sleep(0.05)
            await asyncio.to_thread(up.stop)
            await sleeper

    with pytest.raises(ExchangeUnavailable, match="has ended"):
        asyncio.run(outlive(serve()))


def test_in_real_time_a_session_is_told_the_time(serve):
    async def watch(urls):
        async with open_session(urls.control, "watcher") as session:
            wanted_ns = session.now_ns + 5 * 10**9
            return wanted_ns, await session.sleep_until(wanted_ns), session.now_ns

    up = serve(speed=50.0)
    wanted_ns, woken_ns, told_ns = asyncio.run(watch(up.urls))

    assert wanted_ns <= woken_ns <= told_ns <= up.ask("GET", "/state")["now_ns"]


@pytest.mark.parametrize("kind", ["close", "reset"])
def test_a_session_meets_the_end_of_its_connection_at_the_same_place(serve, kind):
    async def until_the_end(urls, delay_s):
        story = []

        async def read(stream):
            with contextlib.suppress(websockets.ConnectionClosed):
                async for frame in stream:
                    story.append((session.now_ns, frame))
                    await asyncio.sleep(delay_s)
            story.append((session.now_ns, "the end"))

        async with open_session(urls.control, "victim") as session:
            async with session.working():
                socket = await websockets.connect(urls.spot_ws)
                stream = await session.stream(address_of(socket), socket, socket.send, socket.close)
                reader = asyncio.create_task(read(stream))
                await stream.send(TRADES)
            await session.advance(session.now_ns + 10 * MINUTE_NS)
            await reader
        return story

    fault = Fault(kind=kind, on="spot_ws", match='"channel":"trade","type"', nth=5)
    stories = [asyncio.run(until_the_end(serve(faults=[fault]).urls, delay_s)) for delay_s in (0, 0.02)]

    assert stories[0] == stories[1]
    assert sum('"channel":"trade","type"' in frame for _, frame in stories[0]) == 4
    assert stories[0][-1][1] == "the end"


def test_a_request_that_is_held_does_not_hold_up_the_market(serve):
    async def call(urls):
        async with (
            open_session(urls.control, "patient") as session,
            aiohttp.ClientSession(headers=session.headers) as http,
        ):

            async def fetch():
                async with session.calling(), http.get(f"{urls.spot_rest}/0/public/Time") as reply:
                    await reply.read()
                return session.now_ns

            async with session.working():
                start_ns = session.now_ns
                fetching = asyncio.create_task(fetch())
                await asyncio.sleep(0)
            await session.advance(start_ns + 10 * MINUTE_NS)
            return await fetching - start_ns

    fault = Fault(kind="delay", on="spot_rest", delay_s=90.0)

    assert asyncio.run(call(serve(faults=[fault]).urls)) == 90 * 10**9


@pytest.mark.parametrize("holder", ["a stranger", "another session"])
def test_a_request_of_others_that_is_held_pays_for_no_call(serve, holder):
    async def call(up, delay_s):
        async with (
            open_session(up.urls.control, "other") as other,
            open_session(up.urls.control, "caller") as caller,
            aiohttp.ClientSession(headers=other.headers if holder == "another session" else {}) as their_http,
            aiohttp.ClientSession(headers=caller.headers) as http,
        ):

            async def hang():
                async with other.calling(), their_http.get(held_url(up)):
                    pass

            async def ask():
                async with caller.calling():
                    await asyncio.sleep(delay_s)  # a slow machine, before the bytes leave
                    async with http.get(f"{up.urls.spot_rest}/0/public/Time") as reply:
                        return (await reply.json())["result"]["unixtime"]

            hanging = asyncio.create_task(hang() if holder == "another session" else their_http.get(held_url(up)))
            while not up.sandbox.faults.held_requests:
                await asyncio.sleep(0.01)
            start_s = caller.now_ns // 10**9
            async with caller.working():
                asking = asyncio.create_task(ask())
                await asyncio.sleep(0)
            advance = asyncio.create_task(caller.advance(caller.now_ns + 60 * MINUTE_NS))
            answered_s = await asking - start_s
            await advance
            hanging.cancel()
            return answered_s

    fault = Fault(kind="half_open", on="spot_rest", match="SystemStatus")
    swift, slow = (asyncio.run(call(serve(faults=[fault]), delay_s)) for delay_s in (0, 0.2))

    assert swift == slow == 0


def test_an_advance_names_the_session_whose_request_is_held_as_a_strangers(serve):
    async def call(up):
        async with open_session(up.urls.control, "nameless") as session, aiohttp.ClientSession() as http:

            async def ask():
                async with session.calling(), http.get(held_url(up)):
                    pass

            async with session.working():
                asking = asyncio.create_task(ask())
                await asyncio.sleep(0)
            body = b'{"by_s": 60, "timeout_s": 0.3}'
            answer = await asyncio.to_thread(up.ask_roughly, "POST", "/advance", body)
            asking.cancel()
            return answer

    status, answer = asyncio.run(call(serve(faults=[Fault(kind="half_open", on="spot_rest")])))

    assert status == 504
    assert "session 'nameless' waits for 1 answers, of which faults hold 0 that carry its header" in answer["error"]


def held_url(up):
    return f"{up.urls.spot_rest}/0/public/SystemStatus"


def test_a_session_knows_the_time_when_its_advance_returns(sandbox):
    async def story():
        async with open_session(sandbox.urls.control, "clock") as session:
            times = [(await session.advance(session.now_ns + 7 * SECOND_NS), session.now_ns) for _ in range(20)]
            later = await session.sleep_until(session.now_ns - SECOND_NS)
            return times, later

    times, later = asyncio.run(story())
    assert all(returned == known for returned, known in times)
    assert later == times[-1][1]
