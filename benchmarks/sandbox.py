"""The sandbox as its users run it: a process of its own, over a generated market, with clients beside it.

Lockstep: a month of 15m candles of four instruments, one registered session that takes every change of them; each frame
is handed out in its turn, and the market waits for it. A hundred clients: raw sockets
that count frames, so that the machine's time goes to the server. Memory: what the server's grows by while it sends them
a million frames.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from benchmarks.table import Row, alone, at_least
from exchange.sandbox.session import Session, Stream, open_session

INSTRUMENTS = ("BTC/USD", "ETH/USD", "SOL/USD", "AVAX/USD")
CANDLES = {"method": "subscribe", "params": {"channel": "ohlc", "symbol": INSTRUMENTS, "interval": 15}}
TRADES = {"method": "subscribe", "params": {"channel": "trade", "symbol": INSTRUMENTS}}
DAY_NS = 86_400_000_000_000
HOUR_S = 3_600
DAYS = 30
CLIENTS = 100
ANSWERS = 1 + 2 * len(INSTRUMENTS)  # the status, and to each of two requests an acknowledgement by instrument
WARM_FRAMES, FRAMES = 100_000, 1_000_000
LOWEST_FRAMES_PER_S, HIGHEST_SECONDS, HIGHEST_START_S, HIGHEST_GROWTH_MIB = 3_000, 60, 2, 16
LONGEST_START_S = 30.0

Addresses = dict[str, str]


def measure() -> list[Row]:
    """Start, lockstep, a hundred clients, memory."""
    with sandbox() as (_, _, start_s):
        pass
    with sandbox("--generate", "range", *instruments(), "--speed", "lockstep", "--keep-idle") as (_, addresses, _):
        frames, seconds = asyncio.run(replay(addresses))
    with sandbox("--generate", "range", *instruments(), "--speed", "lockstep", "--keep-idle") as (
        process,
        addresses,
        _,
    ):
        fewest, per_s, growth_mib = asyncio.run(crowd(addresses, psutil.Process(process.pid)))
    return [
        alone("sandbox_start", start_s, "s", HIGHEST_START_S),
        at_least("sandbox_lockstep_frames", frames / seconds, "frames/s", LOWEST_FRAMES_PER_S),
        alone("sandbox_lockstep_month", seconds, "s", HIGHEST_SECONDS),
        at_least("sandbox_clients_served", fewest, "clients", CLIENTS),
        alone("sandbox_clients_frames", per_s, "frames/s"),
        alone("sandbox_memory_growth", growth_mib, "MiB", HIGHEST_GROWTH_MIB),
    ]


def instruments() -> list[str]:
    """The market's, as options."""
    return [option for name in INSTRUMENTS for option in ("--instrument", name)]


@contextmanager
def sandbox(*options: str) -> Iterator[tuple["subprocess.Popen[bytes]", Addresses, float]]:
    """A sandbox in a process of its own, its addresses, and the seconds from its start until they were there."""
    command = [str(Path(sys.executable).with_name("slipway")), "sandbox", *options]
    with tempfile.TemporaryDirectory() as home:
        file = Path(home) / ".slipway" / "sandbox.json"
        began = time.perf_counter()
        process = subprocess.Popen(command, env={**os.environ, "SLIPWAY_HOME": home}, stdout=subprocess.DEVNULL)
        try:
            while not file.exists():
                assert process.poll() is None, "the sandbox did not start"
                assert time.perf_counter() - began < LONGEST_START_S, "the sandbox did not start in time"
                time.sleep(0.005)
            yield process, json.loads(file.read_text(encoding="utf-8")), time.perf_counter() - began
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(LONGEST_START_S)


async def replay(addresses: Addresses) -> tuple[int, float]:
    """A month with one registered session: the frames it was handed, and the seconds."""
    frames = [0]
    async with open_session(addresses["control"], "bench") as session, aiohttp.ClientSession() as http:
        async with session.working():
            stream = await connect(session, http, addresses["spot_ws"])
            reader = asyncio.create_task(count(frames, stream))
            await stream.send(json.dumps(CANDLES))
            await asyncio.sleep(0)
        began = time.perf_counter()
        await session.advance(session.now_ns + DAYS * DAY_NS)
        seconds = time.perf_counter() - began
        reader.cancel()
        await asyncio.wait({reader})
    return frames[0], seconds


async def connect(session: Session, http: aiohttp.ClientSession, url: str) -> Stream:
    """A WebSocket to the venue that belongs to the session."""
    socket = await http.ws_connect(url)
    host, port = socket.get_extra_info("sockname")[:2]
    return await session.stream(f"{host}:{port}", aiter(socket), socket.send_str, socket.close)


async def count(frames: list[int], stream: Stream) -> None:
    """Count a stream's frames."""
    async for _ in stream:
        frames[0] += 1


async def crowd(addresses: Addresses, server: Any) -> tuple[int, float, float]:
    """A hundred clients: how many got every frame, frames a second, MiB that the server grew by after it was warm."""
    async with clients(addresses) as counters, aiohttp.ClientSession(timeout=aiohttp.ClientTimeout()) as http:
        await subscribed(counters)
        await until(http, addresses, counters, WARM_FRAMES)
        before, began, first = server.memory_info().rss, time.perf_counter(), total(counters)
        await until(http, addresses, counters, first + FRAMES)
        seconds, sent = time.perf_counter() - began, total(counters) - first
        growth = server.memory_info().rss - before
        most = max(counter.frames for counter in counters)
        complete = sum(counter.frames == most and not counter.is_lost for counter in counters)
    return complete, sent / seconds, growth / 2**20


async def until(http: aiohttp.ClientSession, addresses: Addresses, counters: "list[Counter]", frames: int) -> None:
    """Move the market until the clients have so many frames together, and all that was sent."""
    while total(counters) < frames:
        async with http.post(f"{addresses['control']}/advance", json={"by_s": HOUR_S}) as reply:
            assert reply.status == 200, await reply.text()
        await settled(counters)


async def subscribed(counters: "list[Counter]") -> None:
    """Wait for everybody's acknowledgements: who is subscribed later has missed what came before."""
    while min(counter.frames for counter in counters) < ANSWERS:
        await asyncio.sleep(0.02)
    await settled(counters)


async def settled(counters: "list[Counter]") -> None:
    """Wait until nothing comes any more."""
    before = -1
    while total(counters) != before:
        before = total(counters)
        await asyncio.sleep(0.02)


def total(counters: "list[Counter]") -> int:
    """Frames of all clients."""
    return sum(counter.frames for counter in counters)


@asynccontextmanager
async def clients(addresses: Addresses) -> "AsyncIterator[list[Counter]]":
    """A hundred of them, subscribed to candles and trades."""
    host, port = addresses["spot_ws"].removeprefix("ws://").removesuffix("/v2").split(":")
    loop = asyncio.get_running_loop()
    pairs = [await loop.create_connection(Counter, host, int(port)) for _ in range(CLIENTS)]
    yield [counter for _, counter in pairs]
    for transport, _ in pairs:
        transport.abort()


class Counter(asyncio.Protocol):
    """The cheapest client there is: shakes hands, subscribes, and counts frames without reading them."""

    def __init__(self) -> None:
        self.frames = 0
        self.is_lost = False
        self._is_greeted = False
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade, and at once for the feeds."""
        assert isinstance(transport, asyncio.Transport)
        transport.write(
            b"GET /v2 HTTP/1.1\r\nHost: sandbox\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + b64encode(bytes(16)) + b"\r\n\r\n"
        )
        for request in (CANDLES, TRADES):
            text = json.dumps(request).encode()
            transport.write(b"\x81" + bytes([0x80 | 126]) + len(text).to_bytes(2, "big") + bytes(4) + text)

    def data_received(self, data: bytes) -> None:
        """Step over the frames by their lengths."""
        rest = self._rest + data
        if not self._is_greeted:
            head, found, rest = rest.partition(b"\r\n\r\n")
            if not found:
                self._rest = head
                return
            self._is_greeted = True
        position = 0
        while (end := _end_of_frame(rest, position)) is not None:
            position = end
            self.frames += 1
        self._rest = rest[position:]

    def connection_lost(self, exc: Exception | None) -> None:
        """The server has cut it off, or the measurement is over."""
        del exc
        self.is_lost = True


def _end_of_frame(data: bytes, start: int) -> int | None:
    """Where the frame that starts here ends; None if it is not complete."""
    if len(data) < start + 2:
        return None
    length, begin = data[start + 1] & 0x7F, start + 2
    extended = {126: 2, 127: 8}.get(length, 0)
    if extended:
        begin += extended
        length = int.from_bytes(data[start + 2 : begin], "big")
    end = begin + length
    return end if len(data) >= end else None
