"""A sandbox for people: over files, rows or generated candles, with its addresses in a file, until told to end."""

import asyncio
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from uvloop import new_event_loop

from exchange.sandbox.addresses import Addresses, Place, on_file
from exchange.sandbox.market.facts import PAIRS, SpotPair, listed
from exchange.sandbox.market.generator import generated
from exchange.sandbox.market.market import MOMENTS_PER_CANDLE, Market
from exchange.sandbox.market.model import END_OF_TIME_NS, SourceCandle
from exchange.sandbox.market.sources import Row, candles_of, candles_of_rows
from exchange.sandbox.server import Sandbox
from exchange.sandbox.units import DAY_NS, MINUTE_NS, SECOND_NS
from exchange.sandbox.wire.numbers import rfc3339
from trading.errors import InputUnusable

HISTORY_NS = 30 * DAY_NS  # of candles before the sandbox begins, unless its start is given
FIRST_START_NS = HISTORY_NS + DAY_NS  # no candle comes before 1970
GENERATED_MINUTES = 15
MOMENTS_IN_REAL_TIME = 90  # of a candle: with 15 minutes something trades every ten seconds, and people see it move
# Of accounts that nobody has: they sign, and open nothing but this sandbox.
FUTURES_SECRET = "l3QdGXi0CQ2m0KSbP8OkiOROLsfziRN5pVebk3SeMkHLDPoo7Fh0LPVt4aTUs5wVcP5zzVMzz/oviu7Ej0gieg=="  # pragma: allowlist secret  # noqa: E501, S105
SPOT_SECRET = "e7sVREtDsHdNePQPcslLL5H8WaMwIX5Kb6UwqMANNNTlvX/CDYMiJcx9FTF42/plRiJxSQo3rCjfizgJiI40sA=="  # pragma: allowlist secret  # noqa: E501, S105
KEYS = {
    "futures_key": "sim-futures-key-0001",
    "futures_secret": FUTURES_SECRET,
    "spot_key": "sim-spot-key-0001",
    "spot_secret": SPOT_SECRET,
}


class When(NamedTuple):
    """Which candles are fed, and where the venue's clock begins. Times are ns since 1970; None leaves it open."""

    first_ns: int | None = None  # candles opened at this time or later
    last_ns: int | None = None  # candles closed at this time or before
    starts_ns: int | None = None  # on the clock of the candles; None: 30 days into them
    now_ns: int | None = None  # the candles are moved by whole days, so that the venue's clock begins at this time


def market_of_files(
    files: Sequence[Path],
    *,
    seed: int,
    when: When | None = None,
    minutes: int | None = None,
    moments: int = MOMENTS_PER_CANDLE,
) -> Market:
    """The market of files named as Kraken names them, `XBTUSD_15.csv`, all of one interval: `minutes`, if given.

    Raises InputUnusable: a file is missing, has another name or interval, or its candles end before the start.
    """
    named = {file: _named(file) for file in files}
    intervals = {interval for _, interval in named.values()}
    if len(intervals) != 1 or minutes not in (None, *intervals):
        wanted = "one interval" if minutes is None else f"{minutes} minutes"
        raise InputUnusable(f"The files have candles of {sorted(intervals)} minutes: give files of {wanted}.")
    when = when or When()
    candles = candles_of({file: pair for file, (pair, _) in named.items()}, intervals.pop(), when.first_ns or 0)
    return _market_of(candles, [pair.instrument for pair, _ in named.values()], when, seed, moments)


def market_of_rows(
    rows: Iterable[Row],
    instruments: Sequence[str],
    *,
    seed: int,
    when: When | None = None,
    moments: int = MOMENTS_PER_CANDLE,
) -> Market:
    """The market of a table's candles of one timeframe, in the order of time, then of instrument.

    Raises InputUnusable: a row or instrument can't be used, or the candles end before the start.
    """
    candles = candles_of_rows(rows, listed(instruments)[0])
    return _market_of(candles, instruments, when or When(), seed, moments)


def market_of_scenario(
    scenario: str, instruments: Iterable[str], *, seed: int, starts_ns: int, moments: int = MOMENTS_PER_CANDLE
) -> Market:
    """An endless generated market, with 30 days behind it.

    Raises InputUnusable: there is no such scenario, or no market can start then.
    """
    pairs, contracts = listed(instruments)
    starts_ns = _refuse_start(starts_ns)
    span_ns = GENERATED_MINUTES * MINUTE_NS
    opened_ns = (starts_ns - HISTORY_NS) // DAY_NS * DAY_NS
    candles = generated(scenario, pairs, seed=seed, opened_ns=opened_ns, span_ns=span_ns)
    return Market(candles, pairs=pairs, contracts=contracts, seed=seed, starts_ns=starts_ns, moments_per_candle=moments)


def run(sandbox: Sandbox, address_file: Path, say: Callable[[Addresses, Place], None]) -> None:
    """`serve`, on the loop that moves a month in lockstep in the least time."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(serve(sandbox, address_file, say))


async def serve(sandbox: Sandbox, address_file: Path, say: Callable[[Addresses, Place], None]) -> None:
    """Run the sandbox until SIGINT or SIGTERM. Its addresses and keys are on file as long as it runs.

    The file is `address_file`, or one beside it while another sandbox has that; `say` is told which.
    """
    ends = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, ends.set)
    async with sandbox:
        addresses = {**sandbox.urls._asdict(), **KEYS}
        with on_file(addresses, address_file) as place:
            say(addresses, place)
            await asyncio.wait({asyncio.create_task(ends.wait()), *sandbox.work}, return_when=asyncio.FIRST_COMPLETED)


def _market_of(
    candles: Iterator[SourceCandle], instruments: Sequence[str], when: When, seed: int, moments: int
) -> Market:
    pairs, contracts = listed(instruments)
    candles = _within(candles, when)
    first = next(candles, None)
    if first is None:
        raise InputUnusable(f"There is no candle of {', '.join(instruments)} in what was asked for: widen the span.")
    begin_ns = first.opened_ns + HISTORY_NS if when.starts_ns is None else when.starts_ns
    if begin_ns <= first.opened_ns:
        raise InputUnusable(
            f"The sandbox can't start at {rfc3339(begin_ns, 0)}: its candles begin at {rfc3339(first.opened_ns, 0)}. "
            "Start later, or feed candles from earlier on."
        )
    starts_ns = _refuse_start(begin_ns if when.now_ns is None else when.now_ns)
    shift_ns = 0 if when.now_ns is None else (when.now_ns - begin_ns) // DAY_NS * DAY_NS
    market = Market(
        _moved(_refuse_ended(chain([first], candles), instruments, begin_ns), shift_ns),
        pairs=pairs,
        contracts=contracts,
        seed=seed,
        starts_ns=starts_ns,
        moments_per_candle=moments,
    )
    if market.next_ns() is None:
        raise _ended(instruments, begin_ns)
    return market


def _refuse_start(starts_ns: int) -> int:
    """The time, if the market can tell it from others. Raises InputUnusable: it can't."""
    if not FIRST_START_NS <= starts_ns < END_OF_TIME_NS:
        span = f"{rfc3339(FIRST_START_NS, 0)} to {rfc3339(END_OF_TIME_NS, 0)}"
        raise InputUnusable(
            f"The sandbox can't start at {starts_ns // SECOND_NS} s after 1970: give a day from {span}."
        )
    return starts_ns


def _refuse_ended(candles: Iterator[SourceCandle], instruments: Sequence[str], begin_ns: int) -> Iterable[SourceCandle]:
    """The same candles. Raises InputUnusable: those of an instrument have ended then, and it would never trade."""
    taken: list[SourceCandle] = []
    ended = set(instruments)
    for candle in candles:
        taken.append(candle)
        if candle.opened_ns + candle.span_ns > begin_ns:
            ended.discard(candle.instrument)
        if not ended:
            return chain(taken, candles)
    raise _ended(ended, begin_ns)


def _ended(instruments: Iterable[str], begin_ns: int) -> InputUnusable:
    return InputUnusable(
        f"The candles have ended when the sandbox starts, at {rfc3339(begin_ns, 0)} of their time: those of "
        f"{', '.join(sorted(instruments))}. Start earlier, feed more, or leave these out. "
        "Unless a start is given it is 30 days into the candles."
    )


def _within(candles: Iterable[SourceCandle], when: When) -> Iterator[SourceCandle]:
    for candle in candles:
        if when.last_ns is not None and candle.opened_ns + candle.span_ns > when.last_ns:
            return
        if when.first_ns is None or candle.opened_ns >= when.first_ns:
            yield candle


def _named(file: Path) -> tuple[SpotPair, int]:
    """Pair and minutes that a file's name states."""
    pair_name, _, minutes = file.stem.rpartition("_")
    pair = next((pair for pair in PAIRS if pair.altname == pair_name), None)
    if pair is None or not minutes.isdecimal():
        known = ", ".join(pair.altname for pair in PAIRS)
        raise InputUnusable(f"{file.name} is not named like XBTUSD_15.csv: pair ({known}), minutes.")
    return pair, int(minutes)


def _moved(candles: Iterable[SourceCandle], by_ns: int) -> Iterator[SourceCandle]:
    return (candle._replace(opened_ns=candle.opened_ns + by_ns) for candle in candles)
