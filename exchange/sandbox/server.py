"""The sandbox as a running server: spot, futures and control, each on a loopback port of its own."""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from random import Random
from types import TracebackType
from typing import NamedTuple, Self

from aiohttp import WSCloseCode, web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.log import server_logger
from aiohttp.typedefs import Handler, Middleware

from exchange.sandbox import control
from exchange.sandbox.barrier import Barrier
from exchange.sandbox.futures import charts
from exchange.sandbox.futures import rest as futures_rest
from exchange.sandbox.futures.feed import FuturesFeed
from exchange.sandbox.futures.replies import not_found, unavailable
from exchange.sandbox.market.market import Market
from exchange.sandbox.operation import Operation
from exchange.sandbox.pump import Pump
from exchange.sandbox.spot import rest as spot_rest
from exchange.sandbox.spot.feed import Manners, SpotFeed
from exchange.sandbox.spot.refusal import UNAVAILABLE
from exchange.sandbox.venue import Venue
from exchange.sandbox.wire.agenda import Agenda
from exchange.sandbox.wire.budget import Budget
from exchange.sandbox.wire.edge import HIGHEST_LINE_BYTES, edge
from exchange.sandbox.wire.faults import Fault, FaultPlan
from exchange.sandbox.wire.link import FAREWELL_S, Link
from trading.errors import SetupFailed

HOST = "127.0.0.1"  # never another: nobody else is to reach it
SPOT_SOCKET, FUTURES_SOCKET = "/v2", "/ws/v1"
SPOT_REQUESTS, SPOT_REQUESTS_PER_S = 15.0, 1.0  # at once, and then; per client, and per client and pair
LOG = server_logger.getChild("sandbox")
FIRST_LINK = 2**63  # connection ids of the venue do not fit into a float, nor into a signed integer


class Ports(NamedTuple):
    """Where to listen; 0 is any free port."""

    spot: int = 0
    futures: int = 0
    control: int = 0


class Urls(NamedTuple):
    """Where the sandbox is. REST URLs are hosts only, to which clients add their paths."""

    spot_rest: str
    spot_ws: str
    futures_rest: str
    futures_ws: str
    control: str


class Sandbox:
    """A venue over a market, as an async context manager; inside it, `urls` say where it listens.

    `speed` is market seconds per second, None is lockstep. `has_limits` is whether request and frame rates are limited,
    `drops_idle` whether connections without a word are closed, as the venue does after a minute of its time; a market
    that runs faster than real time never does, one in lockstep to registered sessions only. Raises SetupFailed when a
    port is taken.
    """

    urls: Urls
    work: tuple["asyncio.Task[None]", ...]  # never ends while all is well

    def __init__(
        self,
        market: Market,
        *,
        speed: float | None = 1.0,
        seed: int = 0,
        ports: Ports = Ports(),  # noqa: B008  # a value
        has_limits: bool = True,
        drops_idle: bool = True,
        faults: Iterable[Fault] = (),
    ) -> None:
        self.venue = Venue(market)
        self.links: dict[str, Link] = {}  # those that are open, by the client's address
        self.agenda = Agenda()
        self.faults = FaultPlan(self.agenda, lambda: market.now_ns, seed)
        self.barrier = Barrier(self.venue.now_ns)
        feeds = SpotFeed(self.venue, manners(has_limits)), FuturesFeed(self.venue, has_limits=has_limits)
        self.pump = Pump(
            self.venue,
            feeds,
            self.agenda,
            self.barrier,
            self._open_links,
            lambda: self.faults.held_requests,
            speed=speed,
            drops_idle=drops_idle,
        )
        self.operation = Operation(self.venue, feeds, self._open_links)
        self._spot_feed, self._futures_feed = feeds
        self._spot_budget = Budget(SPOT_REQUESTS if has_limits else None, SPOT_REQUESTS_PER_S)
        self._ports = ports
        self._next_link = FIRST_LINK + Random(seed).randrange(2**40) * 2**16  # noqa: S311  # not a secret
        self._stack = AsyncExitStack()
        self.barrier.held_requests = self.faults.held_requests_of
        self.barrier.tells_time = lambda: self.pump.moves_by_itself
        self.faults.on_change = self.barrier.stir
        for fault in faults:
            self.faults.add(fault)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            futures = await listen(stack, self._futures(), self._ports.futures)
            spot = await listen(stack, self._spot(), self._ports.spot)
            operator = await listen(stack, control.application(self), self._ports.control)
            stack.push_async_callback(self._hang_up)
            self.work = asyncio.create_task(self.barrier.run()), asyncio.create_task(self.pump.run())
            for task in self.work:
                stack.push_async_callback(cancelled, task)
            self._stack = stack.pop_all()
        self.urls = Urls(
            spot_rest=f"http://{HOST}:{spot}",
            spot_ws=f"ws://{HOST}:{spot}{SPOT_SOCKET}",
            futures_rest=f"http://{HOST}:{futures}",
            futures_ws=f"ws://{HOST}:{futures}{FUTURES_SOCKET}",
            control=f"http://{HOST}:{operator}",
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def _spot(self) -> web.Application:
        faults = self.faults.middleware("spot", lambda _: spot_rest.refusal(UNAVAILABLE))
        application = web.Application(middlewares=(self._counting, edge, faults))
        application.router.add_get(SPOT_SOCKET, self._socket("spot", self._spot_feed.serve))
        application.router.add_routes(spot_rest.routes(self.venue, self._spot_budget))
        application.router.add_route("*", "/{path:.*}", spot_rest.unknown)
        return application

    def _futures(self) -> web.Application:
        async def unknown(_: web.Request) -> web.Response:
            return not_found(self.venue.now_ns())

        faults = self.faults.middleware("futures", lambda request: unavailable(request, self.venue.now_ns()))
        application = web.Application(middlewares=(self._counting, edge, faults))
        application.router.add_get(FUTURES_SOCKET, self._socket("futures", self._futures_feed.serve))
        application.router.add_routes(futures_rest.routes(self.venue))
        application.router.add_routes(charts.routes(self.venue))
        application.router.add_route("*", "/{path:.*}", unknown)
        return application

    @property
    def _counting(self) -> Middleware:
        """Counts the requests that are being answered; a connection that stays is none."""

        @web.middleware
        async def count(request: web.Request, handler: Handler) -> web.StreamResponse:
            if is_socket(request):
                return await handler(request)
            self.pump.requests += 1
            try:
                return await handler(request)
            finally:
                self.pump.requests -= 1

        return count

    def _socket(self, side: str, serve: Callable[[Link], Awaitable[None]]) -> Handler:
        async def connect(request: web.Request) -> web.StreamResponse:
            if not is_socket(request):
                return web.Response(status=400, text="This path speaks WebSocket only.")
            self._next_link += 1
            link = Link(self._next_link, side, request, self.venue.now_ns, self.faults)
            link.on_change = self.barrier.notice
            self.links[link.address] = link
            try:
                return await link.run(serve)
            finally:
                del self.links[link.address]
                self.faults.forget(link)

        return connect

    def _open_links(self) -> Iterable[Link]:
        return self.links.values()

    async def _hang_up(self) -> None:
        """Close every link, politely where the client listens."""
        for link in tuple(self.links.values()):
            if link.is_silent:
                link.reset()
            link.close(WSCloseCode.GOING_AWAY, "the sandbox ends")
        for _ in range(round(4 * FAREWELL_S / 0.01)):
            if not self.links:
                return
            await asyncio.sleep(0.01)


def manners(has_limits: bool) -> Manners:
    """What spot demands of a WebSocket."""
    return Manners() if has_limits else Manners(frames_at_once=sys.maxsize)


def is_socket(request: web.Request) -> bool:
    """Whether the request asks for a WebSocket."""
    return request.headers.get("Upgrade", "").lower() == "websocket"


async def listen(stack: AsyncExitStack, application: web.Application, port: int) -> int:
    """Serve on a loopback port until the stack is left; the port.

    Raises SetupFailed: the port is taken.
    """
    LOG.addFilter(is_ours)
    runner = web.AppRunner(
        application, access_log=None, logger=LOG, shutdown_timeout=FAREWELL_S, max_line_size=HIGHEST_LINE_BYTES
    )
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    try:
        await web.TCPSite(runner, HOST, port).start()
    except OSError as error:
        raise SetupFailed(f"Port {port} on {HOST} can't be used ({error.strerror}): choose another.") from error
    listening: int = runner.addresses[0][1]
    return listening


def is_ours(record: logging.LogRecord) -> bool:
    """Whether a failure is the sandbox's own. Broken HTTP is the client's, who is told; nobody else needs to know."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError | web.RequestPayloadError)


async def cancelled(task: "asyncio.Task[None]") -> None:
    """Cancel a task and wait for its end. What it died of before is raised."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.result()
