"""One client's WebSocket, as the feeds see it: send without waiting, receive in order, and never more than so much.

What is sent waits in a queue of bounded size until the client takes it; a client that is too slow for it is cut off.
Times are the venue's. How many frames were sent, received and answered is counted, for the lockstep barrier.
"""

import asyncio
import socket
import struct
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Protocol

from aiohttp import WSCloseCode, WSMsgType, web

HIGHEST_WAITING_FRAMES = 20_000
HIGHEST_WAITING_BYTES = 8 * 2**20
HIGHEST_RECEIVED_BYTES = 64 * 2**10  # a subscription to every pair of the venue is shorter
FAREWELL_S = 1.0  # how long a client may take to answer a close
UNREAD = (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR)


class Interference(Protocol):
    """What may happen to a frame on its way out (`wire.faults`): it passes on what is left of it by `link.put`."""

    def frame(self, link: "Link", text: str) -> None: ...


class Link:
    """One WebSocket connection. `run` carries its frames; feeds use the rest."""

    def __init__(
        self,
        number: int,
        side: str,
        request: web.Request,
        now_ns: Callable[[], int],
        interference: Interference | None = None,
    ) -> None:
        self.id = number
        self.side = side  # "spot" or "futures"
        host, port = request.transport.get_extra_info("peername")[:2] if request.transport else ("", 0)
        self.client: str = host
        self.address = f"{host}:{port}"
        self.opened_ns = self.last_received_ns = self.last_sent_ns = now_ns()
        self.sent = 0  # frames handed to the socket
        self.accepted = 0  # frames that were, or will be, handed to it
        self.answered = 0  # frames of the client that the feed is done with
        self.is_waiting = False  # the feed has nothing left to do but to wait for the client's next frame
        self.is_open = True
        self.is_silent = False  # half open
        self.on_change: Callable[[Link], None] = _nobody  # told when any of these but `sent` has changed
        self._request = request
        self._now_ns = now_ns
        self._interference = interference
        self._socket = web.WebSocketResponse(
            timeout=FAREWELL_S,
            max_msg_size=HIGHEST_RECEIVED_BYTES,
            compress=False,
            autoping=False,
            autoclose=False,
        )
        self._waiting: deque[str] = deque()
        self._waiting_bytes = 0
        self._wake = asyncio.Event()
        self._close_with: tuple[int, str] | None = None
        self._has_left = False  # the client, or the connection

    # --- for feeds

    def send(self, text: str) -> None:
        """Send a frame, without waiting. Nothing happens on a closed link."""
        if not self.is_open:
            return
        if self._interference is None:
            self.put(text)
        else:
            self._interference.frame(self, text)

    def close(self, code: int = WSCloseCode.OK, reason: str = "") -> None:
        """Close the connection cleanly, after what was sent before. A half-open one stays as it is: nobody hears it."""
        if self.is_open and not self.is_silent:
            self.is_open = False
            self._close_with = code, reason
            self._wake.set()
            self.on_change(self)

    async def __aiter__(self) -> AsyncIterator[str]:
        """The client's frames until the link ends. A binary frame ends it; so does one that is too long (1009)."""
        while True:
            self._wait(True)
            try:
                message = await self._socket.receive()
            finally:
                self._wait(False)
            if message.type in UNREAD:
                self._has_left = True
                return
            if not self.is_open:
                continue  # until the client answers the farewell
            self.last_received_ns = self._now_ns()
            if message.type is WSMsgType.PING:
                await self._pong(message.data)
            elif message.type is WSMsgType.BINARY:
                self.close(WSCloseCode.UNSUPPORTED_DATA, "text frames only")
            elif message.type is WSMsgType.TEXT:
                yield message.data
                self.answered += 1

    # --- for the wire

    @property
    def waiting_frames(self) -> int:
        """Frames that the client has not taken yet."""
        return self.accepted - self.sent

    def put(self, text: str) -> None:
        """Queue a frame as it is, past all interference. A client for which too much waits is cut off."""
        if not self.is_open or self.is_silent:
            return
        self.last_sent_ns = self._now_ns()  # a frame that a fault has dropped was not sent: heartbeats go on
        self._waiting.append(text)
        self._waiting_bytes += len(text)
        self.accepted += 1
        if len(self._waiting) > HIGHEST_WAITING_FRAMES or self._waiting_bytes > HIGHEST_WAITING_BYTES:
            self.reset()
            return
        self._wake.set()
        self.on_change(self)

    def reset(self) -> None:
        """End the connection at once, by a TCP reset; what waits is lost."""
        self._end()
        reset_by(self._request)

    def fall_silent(self) -> None:
        """Leave the connection half open: what waits still goes out, then nothing is read or written any more."""
        self.is_silent = True
        if self._request.transport is not None:
            self._request.transport.pause_reading()
        self.on_change(self)

    def keep_alive(self) -> None:
        """Count as heard from just now, whatever the client did."""
        self.last_received_ns = self._now_ns()

    def shift(self, by_ns: int) -> None:
        """Follow a change of the venue's clock, which is no time that passed."""
        self.opened_ns += by_ns
        self.last_received_ns += by_ns
        self.last_sent_ns += by_ns

    async def run(self, serve: Callable[["Link"], Awaitable[None]]) -> web.WebSocketResponse:
        """Accept the connection and let `serve` have it until it ends; the response that aiohttp wants back."""
        await self._socket.prepare(self._request)
        writer = asyncio.create_task(self._write())
        try:
            await serve(self)
            if not self._has_left:
                self.close()
                async for _ in self:
                    pass  # until the client has taken its leave too
        finally:
            await self._stop(writer)
        return self._socket

    async def _write(self) -> None:
        """Hand the socket what waits, as fast as the client takes it; at the end say goodbye."""
        try:
            while self.is_open or self._waiting:
                await self._flush()
                await self._wake.wait()
            if self._close_with is not None:
                await self._say_goodbye(*self._close_with)
        except ConnectionError:
            self._end()

    async def _say_goodbye(self, code: int, reason: str) -> None:
        """Close, and give the client time to do so too: it could not answer on a connection that is gone."""
        await self._socket.send_frame(code.to_bytes(2) + reason.encode(), WSMsgType.CLOSE)
        await asyncio.sleep(FAREWELL_S)
        if self._request.transport is not None:
            self._request.transport.abort()

    async def _flush(self) -> None:
        self._wake.clear()
        while self._waiting:
            text = self._waiting.popleft()
            self._waiting_bytes -= len(text)
            await self._socket.send_str(text)
            self.sent += 1
        if not self.is_open:
            self._wake.set()

    async def _stop(self, writer: "asyncio.Task[None]") -> None:
        """Let nothing of the link live on."""
        self._end()
        writer.cancel()
        await asyncio.wait({writer})
        if self._close_with is None:
            await self._socket.close()
        elif self._request.transport is not None:
            self._request.transport.close()

    def _wait(self, is_waiting: bool) -> None:
        self.is_waiting = is_waiting
        if is_waiting:
            self.on_change(self)

    async def _pong(self, data: bytes) -> None:
        with suppress(ConnectionError):
            await self._socket.pong(data)

    def _drop_waiting(self) -> None:
        self._waiting.clear()
        self._waiting_bytes = 0
        self.accepted = self.sent

    def _end(self) -> None:
        self.is_open = False
        self._drop_waiting()
        self._wake.set()
        self.on_change(self)


def reset_by(request: web.Request) -> None:
    """End the connection of a request by a TCP reset. One that closes already only ends sooner."""
    if request.transport is None:
        return
    if not request.transport.is_closing():
        handle = request.transport.get_extra_info("socket")
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # abort without lingering
    request.transport.abort()


def _nobody(link: Link) -> None:
    """Nobody is interested in this link."""
