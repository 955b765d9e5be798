"""A sandbox over a small market beside the test, homes without a warehouse yet, and what a warehouse holds."""

import asyncio
import hashlib
import json
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest

from config.settings import Settings, load_settings
from exchange.sandbox.market.facts import listed
from exchange.sandbox.market.market import Market
from exchange.sandbox.market.model import SourceCandle
from exchange.sandbox.server import Sandbox
from exchange.sandbox.units import MINUTE_NS
from tasks.backfill.fetching import attempt
from tasks.backfill.landing import Landed, land
from tasks.backfill.request import request_of
from warehouse.connection import unit_of_work

FIRST_NS = 1_795_132_800 * 10**9  # 2026-11-20T00:00:00Z
QUARTERS = 300  # of an hour, that are history
PRICES = {"BTC/USD": 900_000, "ETH/USD": 300_000}
ALL = ("ohlc", "trades", "charts", "funding")
CONTRACTS = ("PF_XBTUSD", "PF_ETHUSD")
SERIES = ("BTC/USD", "ETH/USD", *CONTRACTS, *(f"{name}.{kind}" for name in CONTRACTS for kind in ("mark", "spot")))
BY_THE_CLOCK = ("fetched_at", "batch_id", "batch_or_run", "checked_at", "path", "detail", "made_at")


class HurriedClock:
    """A thousand seconds in one of the machine's, so that nobody waits long for a budget."""

    def now(self) -> int:
        return time.monotonic_ns()

    def sleep_until(self, at: int) -> None:
        raise AssertionError("this would hold up the event loop")


class Running:
    """A sandbox in a thread of its own, in lockstep: it stands still until it is told to advance."""

    def __init__(self, addresses: Path, faults: Sequence[Any]) -> None:
        self.addresses = addresses
        self._sandbox = Sandbox(_market(), speed=None, has_limits=False, faults=faults)
        self._loop = asyncio.new_event_loop()
        self._is_up, self._ends = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()))

    def advance(self, seconds: float) -> None:
        body = json.dumps({"by_s": seconds}).encode()
        with urllib.request.urlopen(f"{self._sandbox.urls.control}/advance", body, timeout=60) as reply:
            assert reply.status == 200

    def start(self) -> None:
        self._thread.start()
        assert self._is_up.wait(60)
        urls = self._sandbox.urls
        self.addresses.write_text(json.dumps({"spot_rest": urls.spot_rest, "futures_rest": urls.futures_rest}))

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._ends.set)
        self._thread.join(60)
        self._loop.close()

    async def _serve(self) -> None:
        async with self._sandbox:
            self._is_up.set()
            await self._ends.wait()


@contextmanager
def running(addresses: Path, faults: Sequence[Any] = ()) -> Iterator[Running]:
    """A fresh sandbox, 400 seconds into a candle, whose addresses are in a file."""
    up = Running(addresses, faults)
    up.start()
    try:
        up.advance(400)
        yield up
    finally:
        up.stop()


def backfilled(settings: Settings, addresses: Path, **asked: Any) -> Landed:
    """What comes of a backfill that must succeed."""
    asked = {"venue": "sandbox", "datasets": ALL, "instruments": ["BTC/USD"], "addresses": addresses, **asked}
    request = request_of(settings, **asked)
    assert attempt(settings, request, clock=HurriedClock()) == ()
    landed = land(settings, request)
    assert landed.failures == ()
    return landed


def settings_at(home: Path) -> Settings:
    """Settings whose paths lie in a home of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLIPWAY_HOME", str(home))
        return load_settings()


def primed(home: Path) -> Settings:
    """A home that holds the first candle of each series, and a rate: what follows are increments, which need no GX.

    Who has told of it are the sandbox's sources, but the batch is nobody's: no venue is chosen yet.
    """
    settings = settings_at(home)
    first = datetime.fromtimestamp(FIRST_NS // 10**9, UTC)
    told = [
        (name, timeframe, source)
        for name in SERIES
        for source in (("sandbox-charts",) if name.startswith(CONTRACTS) else ("sandbox-rest", "sandbox-trades"))
        for timeframe in ("15m", "1h", "4h", "1d")
    ]
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
        warehouse.execute(
            "insert into raw.batches values ('first', 'own', 'x', 'x', ?, 'validated', 32, 32, 0, 0, 0, '')", [first]
        )
        for number, (instrument, timeframe, source) in enumerate(told, 1):
            warehouse.execute(
                "insert into raw.files values (?, 'first', ?, 'x', ?, ?, 900000000, ?, 'validated', ?, ?, 1, 0)",
                [number, source, instrument, timeframe, first, first, first],
            )
            if source != "sandbox-trades":
                warehouse.execute("insert into raw.candle_rows values (?, ?, 1, 1, 1, 1, 1, 1, false)", [number, first])
        for contract in CONTRACTS:
            warehouse.execute(
                "insert into raw.funding_rates values (?, ?, 1, 0.001, false, 'own', ?)", [contract, first, first]
            )
    return settings


def contents(settings: Settings) -> dict[str, str]:
    """By table, a hash of its rows, without columns that tell when and where."""
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
        tables = warehouse.execute(
            "select table_schema, table_name from information_schema.tables where table_type = 'BASE TABLE'"
        ).fetchall()
        found = {}
        for schema, table in tables:
            columns = warehouse.execute(
                "select column_name from information_schema.columns where table_schema = ? and table_name = ?",
                [schema, table],
            ).fetchall()
            kept = [name for (name,) in columns if name not in BY_THE_CLOCK]
            rows = warehouse.execute(f"select {', '.join(kept)} from {schema}.{table} order by all").fetchall()
            found[f"{schema}.{table}"] = f"{len(rows)} rows {hashlib.sha256(repr(rows).encode()).hexdigest()}"
    return found


def candles(settings: Settings, query: str) -> list[Any]:
    """The answer to a query of the build file."""
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
        return warehouse.execute(query).fetchall()


def _market() -> Market:
    pairs, contracts = listed(PRICES)
    return Market(_candles(), pairs=pairs, contracts=contracts, seed=3, starts_ns=FIRST_NS + QUARTERS * 15 * MINUTE_NS)


def _candles() -> Iterator[SourceCandle]:
    """ETH/USD doesn't trade in every fifth of them."""
    chance = Random(7)
    prices = dict(PRICES)
    for quarter in range(QUARTERS + 40):
        for instrument in PRICES:
            if instrument == "ETH/USD" and quarter % 5 == 3:
                continue
            opened = prices[instrument]
            closed = opened + chance.randint(-300, 300)
            high, low = max(opened, closed) + chance.randint(0, 50), min(opened, closed) - chance.randint(0, 50)
            prices[instrument] = closed
            volume, trades = chance.randint(10**6, 10**10), chance.randint(5, 40)
            opened_ns = FIRST_NS + quarter * 15 * MINUTE_NS
            yield SourceCandle(instrument, opened_ns, 15 * MINUTE_NS, opened, high, low, closed, volume, trades)
