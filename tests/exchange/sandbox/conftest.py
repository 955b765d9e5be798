"""Small markets, and sandboxes that run beside the test, each in a thread and on ports of its own."""

import asyncio
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop

from exchange.sandbox.market.facts import listed
from exchange.sandbox.market.market import Market
from exchange.sandbox.market.sources import candles_of
from exchange.sandbox.server import Sandbox, Urls

SAMPLE = Path(__file__).resolve().parents[3] / "data" / "sample"
FIRST_NS = 1_672_531_200_000_000_000  # 2023-01-01, when the 15m files begin
DAY_NS = 86_400_000_000_000


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests of one module stay in one process, so that they share its sandbox and its market."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


class Running:
    """A sandbox in a thread of its own. `ask` speaks to its control API; `sandbox` is only to be looked at."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.left: list[str] = []  # tasks that outlived the sandbox
        self._loop = uvloop.new_event_loop()  # as `slipway sandbox` has it
        self._is_up = threading.Event()
        self._ends = asyncio.Event()
        self._error: BaseException | None = None
        self._others: list[asyncio.Task[None]] = []
        self._thread = threading.Thread(target=self._run)

    @property
    def urls(self) -> Urls:
        return self.sandbox.urls

    def start(self) -> None:
        self._thread.start()
        self._is_up.wait(30)
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._ends.set)
        self._thread.join(30)
        assert not self._thread.is_alive(), "the sandbox did not end"
        if self._error is not None:
            raise self._error

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Have something else run on the sandbox's own loop until it ends."""
        self._loop.call_soon_threadsafe(lambda: self._others.append(self._loop.create_task(work)))

    def ask(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        """What the control API answers; an error carries its sentence."""
        status, answer = self.ask_roughly(method, path, json.dumps(body).encode() if body else None)
        assert status < 300, answer
        return answer

    def ask_roughly(self, method: str, path: str, body: bytes | None) -> tuple[int, dict[str, Any]]:
        """Status and answer, whatever they are."""
        request = urllib.request.Request(self.urls.control + path, body, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as reply:
                return reply.status, json.loads(reply.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def advance(self, seconds: float) -> int:
        """Move the market by so many of its seconds; the time it is then, in nanoseconds."""
        return self.ask("POST", "/advance", by_s=seconds)["now_ns"]

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as error:  # noqa: BLE001  # raised in the test's thread
            self._error = error
        finally:
            self._is_up.set()
            self._loop.close()

    async def _serve(self) -> None:
        async with self.sandbox:
            self._is_up.set()
            await self._ends.wait()
        for task in self._others:
            task.cancel()
        await asyncio.sleep(0)
        self.left = [repr(task) for task in asyncio.all_tasks() if task is not asyncio.current_task()]


def sample_market_of(
    days: float = 10, *, instruments: tuple[str, ...] = ("BTC/USD", "ETH/USD"), seed: int = 1
) -> Market:
    pairs, contracts = listed(instruments)
    files = {SAMPLE / f"{pair.altname}_15.csv": pair for pair in pairs}
    starts_ns = FIRST_NS + round(days * DAY_NS)
    return Market(candles_of(files, 15), pairs=pairs, contracts=contracts, seed=seed, starts_ns=starts_ns)


@contextmanager
def running(sandbox: Sandbox) -> Iterator[Running]:
    up = Running(sandbox)
    up.start()
    try:
        yield up
    finally:
        up.stop()
    assert not up.left


@pytest.fixture(scope="session")
def sample_market() -> Callable[..., Market]:
    """Makes the market of the sample's 15m candles, with so many days of 2023 behind it."""
    return sample_market_of


@pytest.fixture
def serve(request: pytest.FixtureRequest) -> Callable[..., Running]:
    """Runs a sandbox of one's own until the test ends: over a market (default: the sample's), with any options."""
    return starter(request)


@pytest.fixture(scope="module")
def serve_shared(request: pytest.FixtureRequest) -> Callable[..., Running]:
    """Runs a sandbox as `serve` does, until the last test of the module ends: for tests that only ask."""
    return starter(request)


def starter(request: pytest.FixtureRequest) -> Callable[..., Running]:
    def start(market: Market | None = None, **options: Any) -> Running:
        context = running(Sandbox(market or sample_market_of(), **{"speed": None, "has_limits": False, **options}))
        up = context.__enter__()
        request.addfinalizer(lambda: context.__exit__(None, None, None))
        return up

    return start


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Running]:
    """One for all tests of a module: ten days of sample candles behind it, lockstep, without rate limits."""
    with running(Sandbox(sample_market_of(), speed=None, has_limits=False)) as up:
        yield up
