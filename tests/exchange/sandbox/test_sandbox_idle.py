"""Connections that say nothing: when the venue drops them, and when it can't expect to hear from them."""

import asyncio
from contextlib import closing

import pytest
from websockets.asyncio.client import connect
from websockets.sync.client import connect as connect_stranger

from exchange.sandbox.session import address_of, open_session
from exchange.sandbox.units import SECOND_NS

HOUR_S = 3600
BOTH = pytest.mark.parametrize("side", ["spot_ws", "futures_ws"])
PING = {"spot_ws": '{"method":"ping"}', "futures_ws": "{}"}


def is_kept(up, side, seconds, *, speaks_every_s=None):
    """Whether a registered session's connection outlives so many seconds in lockstep."""

    async def live():
        async with open_session(up.urls.control, "quiet") as session:

            async def read():
                async for _ in stream:
                    pass

            async def speak():
                while True:
                    await session.sleep_until(session.now_ns + speaks_every_s * SECOND_NS)
                    await stream.send(PING[side])

            async with session.working():
                socket = await connect(up.urls._asdict()[side])
                stream = await session.stream(address_of(socket), socket, socket.send, socket.close)
                tasks = [asyncio.create_task(work) for work in (read(), *([speak()] if speaks_every_s else []))]
                await asyncio.sleep(0)
            await session.advance(session.now_ns + seconds * SECOND_NS)
            was_kept = not stream.has_ended
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await stream.close()
            return was_kept

    return asyncio.run(live())


@BOTH
def test_a_session_that_says_nothing_for_a_minute_is_dropped(serve, side):
    assert is_kept(serve(), side, 59)
    assert not is_kept(serve(), side, 65)


@BOTH
def test_a_session_that_speaks_every_50_seconds_of_the_market_is_kept(serve, side):
    assert is_kept(serve(), side, 300, speaks_every_s=50)


@BOTH
def test_a_session_may_be_silent_where_nobody_is_dropped(serve, side):
    assert is_kept(serve(drops_idle=False), side, 300)


@BOTH
@pytest.mark.parametrize("speed", [None, 1.0])
def test_a_client_that_lives_by_its_own_clock_is_not_outrun_by_an_advance(serve, side, speed):
    up = serve(speed=speed)
    if speed is not None:
        up.ask("POST", "/pause")
    with closing(connect_stranger(up.urls._asdict()[side])) as socket:
        socket.recv(10)
        up.advance(HOUR_S)
        assert [link.is_open for link in up.sandbox.links.values()] == [True]
