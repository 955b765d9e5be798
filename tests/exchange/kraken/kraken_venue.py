"""A sandbox and our client of it on one event loop, over a small market with gaps."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any, TypeVar

import aiohttp

from exchange.kraken.budget import Budget
from exchange.kraken.client import Patience, PublicClient, Urls
from exchange.sandbox.market.facts import listed
from exchange.sandbox.market.market import Market
from exchange.sandbox.market.model import SourceCandle
from exchange.sandbox.server import Sandbox
from exchange.sandbox.units import MINUTE_NS

T = TypeVar("T")
FIRST_NS = 1_795_132_800 * 10**9  # 2026-11-20T00:00:00Z
QUARTERS = 300  # of an hour, that are history: three days and three hours
STARTS_NS = FIRST_NS + QUARTERS * 15 * MINUTE_NS
PRICES = {"BTC/USD": 900_000, "DOGE/USD": 1_000_000}
HASTY = Patience(timeout_s=5.0, attempts=3, first_pause_s=0.01)
ONCE = Patience(timeout_s=5.0, attempts=1)


class HurriedClock:
    """A thousand seconds in one of the machine's, so that nobody waits long for a budget."""

    def now(self) -> int:
        return time.monotonic_ns()

    def sleep_until(self, at: int) -> None:
        raise AssertionError("this would hold up the event loop")


class Venue:
    """A running sandbox, a client of it, and the client's budget."""

    def __init__(self, sandbox: Sandbox, client: PublicClient, budget: Budget) -> None:
        self.sandbox = sandbox
        self.client = client
        self.budget = budget

    async def tell(self, path: str, **body: Any) -> None:
        """A word to the sandbox's control API."""
        async with (
            aiohttp.ClientSession() as http,
            http.post(self.sandbox.urls.control + path, json=body) as reply,
        ):
            assert reply.status < 300, await reply.text()


def with_venue(
    use: Callable[[Venue], Awaitable[T]],
    *,
    patience: Patience = HASTY,
    clock: Any = None,
    quarters: int = QUARTERS,
    **options: Any,
) -> T:
    """What `use` makes of a fresh venue."""

    async def run() -> T:
        market = market_with_gaps(quarters)
        settings = {"speed": None, "has_limits": False, **options}
        budget = Budget(clock(market) if clock else HurriedClock())
        async with Sandbox(market, **settings) as sandbox:
            urls = Urls(sandbox.urls.spot_rest, sandbox.urls.futures_rest)
            async with PublicClient(urls, budget, patience) as client:
                return await use(Venue(sandbox, client, budget))

    return asyncio.run(asyncio.wait_for(run(), 60))


def market_with_gaps(quarters: int = QUARTERS) -> Market:
    """Candles of 15 minutes, so many of them history. DOGE/USD doesn't trade in every fifth of them."""
    pairs, contracts = listed(PRICES)
    return Market(
        _candles(quarters), pairs=pairs, contracts=contracts, seed=3, starts_ns=FIRST_NS + quarters * 15 * MINUTE_NS
    )


def _candles(quarters: int) -> Any:
    chance = Random(7)
    prices = dict(PRICES)
    for quarter in range(quarters + 40):
        for instrument in PRICES:
            if instrument == "DOGE/USD" and quarter % 5 == 3:
                continue
            opened = prices[instrument]
            closed = opened + chance.randint(-300, 300)
            high, low = max(opened, closed) + chance.randint(0, 50), min(opened, closed) - chance.randint(0, 50)
            prices[instrument] = closed
            volume, trades = chance.randint(10**6, 10**10), chance.randint(5, 40)
            opened_ns = FIRST_NS + quarter * 15 * MINUTE_NS
            yield SourceCandle(instrument, opened_ns, 15 * MINUTE_NS, opened, high, low, closed, volume, trades)
