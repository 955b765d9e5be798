"""A client's side of the lockstep barrier: what a program does so that the sandbox's market waits for it.

```python
async with open_session(control_url, "paper") as session:
    http = aiohttp.ClientSession(headers=session.headers)  # so that the sandbox knows whose requests they are
    async with session.working():
        socket = await websockets.connect(spot_ws)
        stream = await session.stream(address_of(socket), socket, socket.send, socket.close)
    async for text in stream:
        ...  # busy until it asks for the next frame
    await session.sleep_until(at_ns)  # a timer; busy until it sleeps again
    async with session.calling():
        ...  # waits for an answer of the venue, `http.get(...)`
    await session.advance(to_ns)
```

A task that a frame or a timer has woken is busy until it asks the session for the next one, or ends. One frame or
timer is handed out at a time: at each stop the frames of the first stream, then of the next, then the timers that are
due, in the order of their times. When nothing is left the session reports so, and the market may move on. So what a
program does depends on what it was sent, never on the machine. A frame must be asked for by the task that handles it:
on Python 3.11 `asyncio.wait_for` would put another task in between.

A request that a fault holds is answered only when the market has moved on. So the market does not wait for it, if it
carries the session's `headers`; without them it is a stranger's, and the market would wait for its answer for ever.

Whoever writes a client in another language speaks four messages, JSON in text frames over `ws://<control>/session`.
The first three are the client's. A message that is wrong is answered by `{"error": "<sentence>"}` and changes nothing.

- `{"register": "paper"}`, once and first; the answer is `{"registered": "paper", "now_ns": 17…, "headers": {…}}`, with
  the venue's time and what the session's REST requests carry.
- `{"link": "127.0.0.1:50123"}` after the WebSocket with this local end was opened; the answer repeats it.
- `{"report": {"stop": 7, "sent": {"127.0.0.1:50123": 2}, "calls": 0, "timer_ns": null}}` when nothing is left to do,
  and again when that has changed: the last announcement it knows, by link how many frames it has sent so far, how many
  requests it waits for, and when its next timer is due or null. It has no answer.
- `{"stop": 8, "now_ns": 17…, "frames": {"127.0.0.1:50123": [31, 2, "open"]}}` announces a stop, from 1 on: the venue's
  time and, by link, how many frames were sent to the session so far, how many of its own are answered, and whether the
  link is `open`, `silent` (half open) or `ended`. The market waits for the report that names this stop.
"""

import asyncio
import heapq
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import aiohttp
import orjson

from trading.errors import ExchangeUnavailable, InputUnusable

Task = asyncio.Task[Any]


@asynccontextmanager
async def open_session(control_url: str, name: str) -> AsyncIterator["Session"]:
    """Register with the sandbox whose control API is at this URL, until the block is left.

    Raises ExchangeUnavailable: it can't be reached; InputUnusable: the name is taken.
    """
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout()) as http:
        try:
            socket = await http.ws_connect(f"{control_url}/session")
        except aiohttp.ClientError as error:
            raise ExchangeUnavailable(
                f"The sandbox's control API at {control_url} can't be reached: {error}"
            ) from error
        session = Session(control_url, http, socket)
        work = asyncio.create_task(session.listen()), asyncio.create_task(session.keep_up())
        try:
            answer = await session.say({"register": name})
            session.now_ns, session.headers = answer["now_ns"], answer["headers"]
            yield session
        finally:
            for task in work:
                task.cancel()
            await asyncio.wait(work)
            await socket.close()


class Stream:
    """The frames of one WebSocket, each handed out when it is its turn."""

    def __init__(
        self,
        session: "Session",
        address: str,
        frames: AsyncIterator[Any],
        send: Callable[[str], Awaitable[None]],
        close: Callable[[], Awaitable[Any]],
    ) -> None:
        self.address = address
        self.sent = 0
        self.taken = 0
        self.is_read = False  # somebody waits for its next frame
        self.has_ended = False
        self.arrived: asyncio.Future[None] | None = None  # a frame that waits for its turn, or the end
        self._session = session
        self._frames = frames
        self._send = send
        self._close = close

    async def send(self, text: str) -> None:
        """Send a frame; the market waits for the venue's answer."""
        self.sent += 1
        await self._send(text)

    async def close(self) -> None:
        """Close the connection from this side."""
        self._end()
        await self._close()

    async def __aiter__(self) -> AsyncIterator[Any]:
        """The frames until the connection ends."""
        while True:
            frame = await self._next()
            if frame is None:
                return
            yield frame

    async def _next(self) -> Any | None:
        """The next frame, when it is its turn; None at the end. What ends the connection is raised at its turn too."""
        self._session.rest()
        self.is_read = True
        frame, error = None, None
        try:
            try:
                frame = await anext(self._frames, None)
            except Exception as problem:  # noqa: BLE001  # of whatever library reads the socket; raised below
                error = problem
            if not self.has_ended:
                await self._turn()
        finally:
            self.is_read = False
            self._session.stir()
        if frame is None:
            self._end()
        if error is not None:
            raise error
        return None if self.has_ended else frame

    def _end(self) -> None:
        self.has_ended = True
        self._session.forget(self)

    async def _turn(self) -> None:
        """Wait until it is this stream's turn, and take the frame."""
        if not self._session.is_turn_of(self):
            self.arrived = asyncio.get_running_loop().create_future()
            self._session.stir()
            try:
                await self.arrived
            finally:
                self.arrived = None
        self.taken += 1
        self._session.wake(current_task())


class Session:
    """A registered session. Times are the venue's, in nanoseconds."""

    def __init__(self, control_url: str, http: aiohttp.ClientSession, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.now_ns = 0
        self.headers: dict[str, str] = {}  # of its requests to the venue, all of which belong into `calling`
        self._control_url = control_url
        self._http = http
        self._socket = socket
        self._streams: dict[str, Stream] = {}
        self._told: dict[str, tuple[int, int, str]] = {}  # by stream: frames sent, ours that are answered, its fate
        self._stop = 0
        self._reported: dict[str, Any] = {}
        self._busy: dict[Task, int] = {}
        self._known: set[Task] = set()  # those that tell us when they end
        self._calls = 0
        self._timers: list[tuple[int, int, asyncio.Future[None], Task]] = []
        self._numbers = count()
        self._is_stirred = asyncio.Event()
        self._answer: asyncio.Future[dict[str, Any]] | None = None
        self._speaking = asyncio.Lock()
        self._has_hung_up = False  # the sandbox

    # --- for programs

    async def stream(
        self,
        address: str,
        frames: AsyncIterator[Any],
        send: Callable[[str], Awaitable[None]],
        close: Callable[[], Awaitable[Any]],
    ) -> Stream:
        """A WebSocket to the venue as this session's own; `address` is its local end, "127.0.0.1:50123".

        Declare it before anything is read from it, while the session is `working`. Raises InputUnusable: the venue
        knows no connection from there.
        """
        stream = Stream(self, address, aiter(frames), send, close)
        self._streams[address] = stream
        self._told.pop(address, None)  # of an earlier connection from there
        try:
            await self.say({"link": address})
        except InputUnusable:
            del self._streams[address]
            raise
        return stream

    async def sleep_until(self, at_ns: int) -> int:
        """Sleep until the venue's clock says so; the time it is then. A time that has passed is due at once."""
        task = current_task()
        self.rest()
        due = asyncio.get_running_loop().create_future()
        heapq.heappush(self._timers, (at_ns, next(self._numbers), due, task))
        self.stir()
        try:
            await due
        finally:
            self.stir()
        return self.now_ns

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Keep the market, and everything else of this session, waiting while the block runs."""
        task = current_task()
        self.wake(task)
        try:
            yield
        finally:
            self._release(task)

    @asynccontextmanager
    async def calling(self) -> AsyncIterator[None]:
        """Around a wait for the venue's answer: a REST call with `headers`, or a frame that another task reads."""
        task = current_task()
        held = self._busy.pop(task, 0)
        self._calls += 1
        self.stir()
        try:
            yield
        finally:
            self._calls -= 1
            if held:
                self._busy[task] = held
            self.stir()

    async def advance(self, to_ns: int) -> int:
        """Move the market and return when every registered session is done with it; the time it is then."""
        self.rest()
        async with self._http.post(f"{self._control_url}/advance", data=orjson.dumps({"to": to_ns})) as reply:
            answer = orjson.loads(await reply.read())
        if "error" in answer:
            raise InputUnusable(answer["error"])
        self.now_ns = max(self.now_ns, int(answer["now_ns"]))  # a session that nothing happened to was told nothing
        return self.now_ns

    # --- for streams and timers

    def is_turn_of(self, stream: Stream) -> bool:
        """Whether this stream's next frame is what is handed out next."""
        return not self._busy and self._is_told_all() and self._next_stream() is stream

    def wake(self, task: Task) -> None:
        """Note that this task has something to do."""
        if task not in self._known:
            self._known.add(task)
            task.add_done_callback(self._forget)
        self._busy[task] = self._busy.get(task, 0) + 1

    def rest(self) -> None:
        """The task that runs asks for more: it is done with what it had."""
        self._busy.pop(current_task(), None)
        self.stir()

    def forget(self, stream: Stream) -> None:
        """Let go of a stream that has ended."""
        if self._streams.get(stream.address) is stream:
            del self._streams[stream.address]
        self.stir()

    def stir(self) -> None:
        """Something has changed: see what can be done next."""
        self._is_stirred.set()

    # --- with the sandbox

    async def say(self, message: dict[str, Any]) -> dict[str, Any]:
        """Tell the sandbox something, and wait for its answer. Raises InputUnusable with the sandbox's sentence."""
        async with self._speaking:
            self._answer = asyncio.get_running_loop().create_future()
            await self._socket.send_str(orjson.dumps(message).decode())
            answer = await self._answer
        if "error" in answer:
            raise InputUnusable(answer["error"])
        return answer

    async def listen(self) -> None:
        """Take in what the sandbox says, until it hangs up."""
        async for message in self._socket:
            said = orjson.loads(message.data)
            if "stop" in said:
                self._stop, self.now_ns, self._told = said["stop"], said["now_ns"], said["frames"]
                if not self._go_on():
                    self.stir()
            elif self._answer is not None and not self._answer.done():
                self._answer.set_result(said)
        self._has_hung_up = True
        waiting = [self._answer, *(due for _, _, due, _ in self._timers), *(s.arrived for s in self._streams.values())]
        for future in waiting:
            if future is not None and not future.done():
                future.set_exception(ExchangeUnavailable("The sandbox has ended, and its clock with it."))

    async def keep_up(self) -> None:
        """Hand out what is due, one after the other; report when nothing is left."""
        while not self._has_hung_up:
            await self._is_stirred.wait()
            self._is_stirred.clear()
            if not self._go_on():
                await self._report()

    def _go_on(self) -> bool:
        """Hand out what is next, if it is time for it; whether anything is still to be done before a report."""
        return bool(self._busy) or not self._is_told_all() or self._hand_out_frame() or self._fire_timer()

    def _is_told_all(self) -> bool:
        """Whether the sandbox has answered every frame that was sent, and said what else it has sent until then."""
        for address, stream in self._streams.items():
            _, answered, fate = self._told.get(address, (0, -1, "open"))
            if fate == "open" and answered < stream.sent:
                return False
        return True

    def _hand_out_frame(self) -> bool:
        """Give the next frame to whoever waits for it; whether there is one to wait for."""
        stream = self._next_stream()
        if stream is not None and stream.arrived is not None and not stream.arrived.done():
            stream.arrived.set_result(None)
        return stream is not None

    def _next_stream(self) -> Stream | None:
        """The first stream that is read and has a frame, or its end, to come."""
        for address, stream in self._streams.items():
            frames, _, fate = self._told.get(address, (0, 0, "open"))
            if stream.is_read and stream.taken < frames + (fate == "ended"):
                return stream
        return None

    def _fire_timer(self) -> bool:
        while self._timers and (self._timers[0][2].done() or self._timers[0][0] <= self.now_ns):
            _, _, due, task = heapq.heappop(self._timers)
            if not due.done():
                self.wake(task)
                due.set_result(None)
                return True
        return False

    async def _report(self) -> None:
        report = {
            "stop": self._stop,
            "sent": {address: stream.sent for address, stream in self._streams.items()},
            "calls": self._calls,
            "timer_ns": self._timers[0][0] if self._timers else None,
        }
        if report != self._reported and not self._socket.closed:
            self._reported = report
            await self._socket.send_str(orjson.dumps({"report": report}).decode())

    def _release(self, task: Task) -> None:
        if self._busy.get(task, 0) > 1:
            self._busy[task] -= 1
        else:
            self._busy.pop(task, None)
        self.stir()

    def _forget(self, task: Task) -> None:
        self._known.discard(task)
        self._busy.pop(task, None)
        self.stir()


def address_of(socket: Any) -> str:
    """The local end of a connection of the `websockets` package, as `Session.stream` wants it."""
    host, port = socket.local_address[:2]
    return f"{host}:{port}"


def current_task() -> Task:
    """The task that runs. A session's methods are called from tasks only."""
    task = asyncio.current_task()
    assert task is not None
    return task
