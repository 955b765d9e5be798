"""What a client may do to its connection, and what becomes of it."""

import asyncio
import contextlib
import json
import socket
import time

import aiohttp
import pytest

from exchange.sandbox.wire import link as links
from exchange.sandbox.wire.link import Link

ALL_TRADES = {"method": "subscribe", "params": {"channel": "trade", "symbol": ["BTC/USD", "ETH/USD"]}}


def speak(urls, *frames, url=None):
    """What the venue answers to frames, until it hangs up or has nothing more to say; texts, then the close code."""

    async def run():
        texts = []
        async with aiohttp.ClientSession() as http, http.ws_connect(url or urls.spot_ws) as ws:
            for frame in frames:
                await (ws.send_bytes(frame) if isinstance(frame, bytes) else ws.send_str(frame))
            with contextlib.suppress(TimeoutError):
                while (message := await ws.receive(0.5)).type is aiohttp.WSMsgType.TEXT:
                    texts.append(message.data)
            return texts, ws.close_code

    return asyncio.run(run())


@pytest.mark.parametrize("side", ["spot_ws", "futures_ws"])
def test_a_frame_that_is_too_long_ends_the_connection(sandbox, side):
    _, code = speak(sandbox.urls, "x" * (links.HIGHEST_RECEIVED_BYTES + 1), url=getattr(sandbox.urls, side))

    assert code == 1009


@pytest.mark.parametrize("side", ["spot_ws", "futures_ws"])
def test_a_binary_frame_ends_the_connection(sandbox, side):
    _, code = speak(sandbox.urls, b"\x00\x01", url=getattr(sandbox.urls, side))

    assert code == 1003


def test_a_ping_frame_is_answered(sandbox):
    async def ping():
        async with (
            aiohttp.ClientSession() as http,
            http.ws_connect(sandbox.urls.futures_ws, autoping=False) as ws,
        ):
            await ws.receive(5)
            await ws.ping(b"are you there")
            return await ws.receive(5)

    answer = asyncio.run(ping())

    assert (answer.type, answer.data) == (aiohttp.WSMsgType.PONG, b"are you there")


def test_a_plain_request_to_a_websocket_path_is_refused(sandbox):
    async def get():
        async with aiohttp.ClientSession() as http:
            address = sandbox.urls.spot_ws.replace("ws://", "http://")
            async with http.get(address) as reply:
                return reply.status

    assert asyncio.run(get()) == 400


def test_a_client_that_does_not_read_is_cut_off_and_nobody_else_notices(serve, monkeypatch):
    monkeypatch.setattr(links, "HIGHEST_WAITING_BYTES", 256 * 2**10)
    up = serve(drops_idle=False)
    lazy = lazy_client(up.urls.spot_ws)
    try:
        wait_for(lambda: len(up.sandbox.links) == 1)
        lazy_link = next(iter(up.sandbox.links.values()))
        most = 0

        async def watch():
            nonlocal most
            async with aiohttp.ClientSession() as http, http.ws_connect(up.urls.spot_ws) as ws:
                await ws.send_json(ALL_TRADES)
                heard = 0
                for _ in range(60):
                    await asyncio.to_thread(up.advance, 6 * 3600)
                    most = max(most, lazy_link._waiting_bytes)
                    with contextlib.suppress(TimeoutError):
                        while (await ws.receive(0.05)).type is aiohttp.WSMsgType.TEXT:
                            heard += 1
                    if not lazy_link.is_open:
                        break
                return heard, ws.closed

        heard, is_closed = asyncio.run(watch())
    finally:
        lazy.close()

    assert not lazy_link.is_open
    assert most <= 256 * 2**10
    assert heard > 100
    assert not is_closed
    wait_for(lambda: not up.sandbox.links)


def test_a_hundred_clients_come_and_go(serve):
    async def crowd(urls):
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
            sockets = await asyncio.gather(*(http.ws_connect(urls.spot_ws) for _ in range(100)))
            greetings = await asyncio.gather(*(ws.receive_json() for ws in sockets))
            await asyncio.gather(*(ws.close() for ws in sockets))
        return {greeting["data"][0]["connection_id"] for greeting in greetings}

    up = serve()
    ids = asyncio.run(crowd(up.urls))

    assert len(ids) == 100
    assert all(number > 2**53 for number in ids)
    wait_for(lambda: not up.sandbox.links)


def test_open_connections_are_closed_when_the_sandbox_ends(serve):
    async def outlive(up):
        async with aiohttp.ClientSession() as http:
            sockets = [await http.ws_connect(url) for url in (up.urls.spot_ws, up.urls.futures_ws)]
            for ws in sockets:
                await ws.receive(5)
            stopping = asyncio.create_task(asyncio.to_thread(up.stop))
            codes = []
            for ws in sockets:
                while (await ws.receive(10)).type is aiohttp.WSMsgType.TEXT:
                    pass
                codes.append(ws.close_code)
            await stopping
            return codes

    up = serve()

    assert asyncio.run(outlive(up)) == [1001, 1001]
    assert up.left == []
    assert not up.sandbox.links


def test_nothing_is_sent_on_a_link_that_has_ended():
    class Request:
        transport = None

    async def send():
        link = Link(1, "spot", Request(), lambda: 0)
        link.close()
        link.send("too late")
        return link.accepted

    assert asyncio.run(send()) == 0


def lazy_client(url):
    """A client that subscribes to everything, and never reads a byte."""
    host, _, port = url.removeprefix("ws://").removesuffix("/v2").partition(":")
    lazy = socket.socket()
    lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    lazy.connect((host, int(port)))
    lazy.sendall(
        b"GET /v2 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: " + b"A" * 22 + b"==\r\n\r\n"
    )
    text = json.dumps(ALL_TRADES).encode()
    lazy.sendall(b"\x81" + bytes([0x80 | 126]) + len(text).to_bytes(2, "big") + bytes(4) + text)
    return lazy


def wait_for(condition):
    for _ in range(500):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("waited in vain")
