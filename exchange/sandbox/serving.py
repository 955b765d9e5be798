"""A sandbox for people: over files, rows or generated candles, with its addresses in a file, until told to end."""

import asyncio
import json
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from exchange.sandbox.market.facts import PAIRS, SpotPair, listed
from exchange.sandbox.market.generator import generated
from exchange.sandbox.market.market import MOMENTS_PER_CANDLE, Market
from exchange.sandbox.market.model import SourceCandle
from exchange.sandbox.market.sources import Row, candles_of, candles_of_rows
from exchange.sandbox.server import Sandbox
from exchange.sandbox.units import DAY_NS, MINUTE_NS
from trading.errors import InputUnusable

HISTORY_NS = 30 * DAY_NS  # of candles before the sandbox begins, unless its start is given
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
    candles = candles_of({file: pair for file, (pair, _) in named.items()}, intervals.pop())
    return _market_of(candles, [pair.instrument for pair, _ in named.values()], when or When(), seed, moments)


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


def _market_of(
    candles: Iterator[SourceCandle], instruments: Sequence[str], when: When, seed: int, moments: int
) -> Market:
    pairs, contracts = listed(instruments)
    candles = _within(candles, when)
    first = next(candles, None)
    if first is None:
        raise InputUnusable(f"There is no candle of {', '.join(instruments)} in what was asked for: widen the span.")
    begin_ns = first.opened_ns + HISTORY_NS if when.starts_ns is None else when.starts_ns
    shift_ns = 0 if when.now_ns is None else (when.now_ns - begin_ns) // DAY_NS * DAY_NS
    market = Market(
        _moved(chain([first], candles), shift_ns),
        pairs=pairs,
        contracts=contracts,
        seed=seed,
        starts_ns=begin_ns if when.now_ns is None else when.now_ns,
        moments_per_candle=moments,
    )
    if market.next_ns() is None:
        raise InputUnusable(
            f"The candles have ended when the sandbox starts, at {begin_ns} ns of their time: start earlier, or feed "
            "more. Unless a start is given it is 30 days into them."
        )
    return market


def _within(candles: Iterable[SourceCandle], when: When) -> Iterator[SourceCandle]:
    for candle in candles:
        if when.last_ns is not None and candle.opened_ns + candle.span_ns > when.last_ns:
            return
        if when.first_ns is None or candle.opened_ns >= when.first_ns:
            yield candle


def market_of_scenario(
    scenario: str, instruments: Iterable[str], *, seed: int, starts_ns: int, moments: int = MOMENTS_PER_CANDLE
) -> Market:
    """An endless generated market, with 30 days behind it. Raises InputUnusable: there is no such scenario."""
    pairs, contracts = listed(instruments)
    span_ns = GENERATED_MINUTES * MINUTE_NS
    opened_ns = (starts_ns - HISTORY_NS) // DAY_NS * DAY_NS
    candles = generated(scenario, pairs, seed=seed, opened_ns=opened_ns, span_ns=span_ns)
    return Market(candles, pairs=pairs, contracts=contracts, seed=seed, starts_ns=starts_ns, moments_per_candle=moments)


async def serve(sandbox: Sandbox, address_file: Path, say: Callable[[dict[str, str]], None]) -> None:
    """Run the sandbox until SIGINT or SIGTERM. Its addresses and keys are in `address_file` as long as it runs."""
    ends = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, ends.set)
    async with sandbox:
        addresses = {**sandbox.urls._asdict(), **KEYS}
        write(addresses, address_file)
        try:
            say(addresses)
            await asyncio.wait({asyncio.create_task(ends.wait()), *sandbox.work}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            remove(addresses, address_file)


def write(addresses: dict[str, str], file: Path) -> None:
    """Write the file at once: who reads it finds all of it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(f".{os.getpid()}")
    draft.write_text(json.dumps(addresses, indent=2) + "\n", encoding="utf-8")
    draft.replace(file)


def remove(addresses: dict[str, str], file: Path) -> None:
    """Remove the file, unless another sandbox has written it since."""
    if file.exists() and json.loads(file.read_text(encoding="utf-8")) == addresses:
        file.unlink()


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
