"""The budget as its users meet it: waiting, penalties, numbers."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from exchange.kraken.admission import SECOND_US, Call, Charge, Pool, Priority
from exchange.kraken.budget import LONGEST_PENALTY_US, Budget
from exchange.kraken.costs import derivatives_call, futures_call, spot_call
from exchange.kraken.failures import RateLimited
from ops.clock import SteppedClock


class Bench:
    """A budget on a clock that the test moves."""

    def __init__(self) -> None:
        self.clock = SteppedClock()
        self.budget = Budget(self.clock, chance=lambda: 1.0)
        self.made: list[str] = []

    async def make(self, name: str, call: Call, error: Exception | None = None) -> None:
        async with self.budget.spent(call):
            self.made.append(name)
            await asyncio.sleep(0)  # the others begin meanwhile
            if error is not None:
                raise error

    def begin(self, name: str, call: Call) -> "asyncio.Task[None]":
        return asyncio.create_task(self.make(name, call))

    async def later(self, seconds: float) -> None:
        """Move the clock, and give the budget the time to see it."""
        self.clock.sleep_until(self.clock.now() + round(seconds * SECOND_US))
        await asyncio.sleep(0.12)

    async def refused(self, call: Call, *, everywhere: bool = False) -> None:
        with pytest.raises(RateLimited):
            await self.make("refused", call, RateLimited("no", everywhere=everywhere))


def with_bench(use: Callable[[Bench], Awaitable[None]]) -> None:
    async def run() -> None:
        bench = Bench()
        await use(bench)
        assert not bench.budget.snapshot()["all"]["waiting_read"], "a test leaves nobody waiting"

    asyncio.run(asyncio.wait_for(run(), 30))


def test_the_second_call_waits_for_the_window_of_the_first() -> None:
    async def use(bench: Bench) -> None:
        await bench.make("first", spot_call())
        second = bench.begin("second", spot_call())
        await bench.later(0)
        await bench.later(0.9)
        assert bench.made == ["first"]
        await bench.later(0.2)
        await second
        assert bench.budget.snapshot()["all"]["waited_s"] == pytest.approx(1.1)

    with_bench(use)


def test_a_call_that_gives_up_waiting_leaves_its_place() -> None:
    async def use(bench: Bench) -> None:
        await bench.make("first", spot_call())
        second, third = bench.begin("second", spot_call()), bench.begin("third", spot_call())
        await bench.later(0)
        second.cancel()
        await bench.later(1.1)
        await third
        assert bench.made == ["first", "third"]

    with_bench(use)


def test_a_call_that_is_cancelled_in_the_moment_it_may_go_frees_its_claim() -> None:
    async def use(bench: Bench) -> None:
        call = Call(Priority.READ, (Charge("one", Pool(1, SECOND_US, (1, 1, 1)), 1),))
        first = bench.begin("first", call)
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        assert bench.budget.snapshot()["one"]["in_flight"] == 0

    with_bench(use)


def test_a_rate_limit_closes_the_pool_for_twice_as_long_each_time() -> None:
    async def use(bench: Bench) -> None:
        for penalty_s in (1, 2, 4):
            await bench.refused(spot_call("BTC/USD"))
            assert bench.budget.snapshot()["spot BTC/USD"]["closed_s"] == penalty_s
            await bench.later(penalty_s + 1)
        await bench.make("well", spot_call("BTC/USD"))
        assert bench.budget.snapshot()["spot BTC/USD"]["refusals"] == 0

    with_bench(use)


def test_a_penalty_has_an_end() -> None:
    async def use(bench: Bench) -> None:
        for _ in range(12):
            await bench.refused(futures_call())
            bench.clock.sleep_until(bench.clock.now() + LONGEST_PENALTY_US)
        await bench.make("well", futures_call())

    with_bench(use)


def test_calls_that_were_under_way_do_not_make_a_penalty_longer() -> None:
    async def use(bench: Bench) -> None:
        await asyncio.gather(*(bench.refused(futures_call()) for _ in range(5)))
        assert bench.budget.snapshot()["futures"]["closed_s"] == 1
        assert bench.budget.snapshot()["all"]["refused"] == 5

    with_bench(use)


def test_a_limit_of_one_pair_leaves_the_others_alone() -> None:
    async def use(bench: Bench) -> None:
        await bench.refused(spot_call("BTC/USD"))
        await bench.make("other", spot_call("ETH/USD"))
        assert bench.made == ["refused", "other"]

    with_bench(use)


def test_a_limit_of_the_edge_holds_up_every_pair() -> None:
    async def use(bench: Bench) -> None:
        await bench.refused(spot_call("BTC/USD"), everywhere=True)
        other = bench.begin("other", spot_call("ETH/USD"))
        await bench.later(0.5)
        assert bench.made == ["refused"]
        await bench.later(1)
        await other

    with_bench(use)


def test_a_cancel_tries_again_sooner_than_a_read() -> None:
    async def use(bench: Bench) -> None:
        for _ in range(4):
            await bench.refused(derivatives_call(Priority.ORDER, 10))
            bench.clock.sleep_until(bench.clock.now() + 10 * SECOND_US)
        await bench.refused(derivatives_call(Priority.ORDER, 10))  # closed for 16 s now
        read = bench.begin("read", derivatives_call(Priority.READ, 2))
        cancel = bench.begin("cancel", derivatives_call(Priority.PROTECT, 10))
        await bench.later(1.1)
        await cancel
        assert bench.made[-1] == "cancel"
        await bench.later(16)
        await read

    with_bench(use)


def test_its_state_is_plain_numbers() -> None:
    async def use(bench: Bench) -> None:
        async with bench.budget.spent(derivatives_call(Priority.ORDER, 10)):
            state = bench.budget.snapshot()
        assert state["all"]["calls"] == 1
        assert (state["derivatives"]["in_flight"], state["derivatives"]["limit"]) == (10, 500)
        assert all(type(number) is float for numbers in state.values() for number in numbers.values())

    with_bench(use)
