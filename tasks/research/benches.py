"""Sets of parameters, tried in processes beside one another: each opens the same publication, and is handed sets."""

import multiprocessing
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from datetime import datetime
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple

from config.settings import Settings
from reports.model import metrics_of
from tasks.backtests import simulated
from tasks.market import History, Traded, history_of, read_traded, within
from tasks.research.spaces import Set
from trading.errors import SetupFailed, SlipwayError
from trading.metrics.returns import daily_returns
from trading.model import E8
from warehouse.strategies.loading import Strategy, with_parameters
from warehouse.strategies.running import Publication, publication
from warehouse.sweeps import MEASURES, Measured, SetResult, Window

ALONE = 4  # so few sets are tried before a second process has begun


class Place(NamedTuple):
    """All that a process needs to try sets; it is handed over once."""

    settings: Settings
    source: Path
    strategy: Strategy
    windows: tuple[Window, ...]
    instruments: tuple[str, ...]
    timeframe: str | None
    first: datetime | None
    last: datetime | None
    processes: int | None  # None: as many as there are processors


class _Bench(NamedTuple):
    """What is open in the process that tries sets."""

    place: Place
    connection: Publication
    traded: Traded


# Of a process of a pool: what it has open as long as it lives.
_held = ExitStack()
_here: list[_Bench] = []


@contextmanager
def tried(place: Place, numbered: Sequence[tuple[int, Set]]) -> Iterator[Iterator[SetResult]]:
    """Results as they come: made here when they are few, else in processes beside one another."""
    processes = min(place.processes or os.cpu_count() or 1, len(numbered))
    if processes <= 1 or len(numbered) <= ALONE:
        with _bench(place) as bench:
            yield (_try_set(bench, *each) for each in numbered)
        return
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _begin_process, (place,))
    try:
        trials = [pool.submit(_try_here, each) for each in numbered]
        yield (trial.result() for trial in as_completed(trials))
    except BrokenProcessPool as error:
        raise SetupFailed(
            "A process of the sweep was killed, perhaps for want of memory. What it had told is kept: start the same "
            "sweep again, with fewer processes."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _begin_process(place: Place) -> None:
    """In a new process: open what it needs, and end when the one that began it is gone."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_end_after, args=(parent,), daemon=True).start()
    _here.append(_held.enter_context(_bench(place)))


def _end_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)  # nobody is there to be told anything


@contextmanager
def _bench(place: Place) -> Iterator[_Bench]:
    limit = place.settings.warehouse.memory_limit
    with publication(place.source, threads=1, memory_limit=limit) as connection:  # they share the processors
        traded = read_traded(place.settings, connection, place.instruments, place.timeframe, place.first, place.last)
        yield _Bench(place, connection, traded)


def _try_here(numbered: tuple[int, Set]) -> SetResult:
    return _try_set(_here[0], *numbered)


def _try_set(bench: _Bench, number: int, varied: Set) -> SetResult:
    """What a set comes to in every window. One that can't be used says why, and holds up no other."""
    place = bench.place
    try:
        strategy = with_parameters(place.strategy, varied)
        history = history_of(place.settings, bench.connection, strategy, bench.traded)
    except SlipwayError as error:
        return SetResult(number, varied, (), str(error))
    return SetResult(number, varied, tuple(_measured(place.settings, history, window) for window in place.windows))


def _measured(settings: Settings, history: History, window: Window) -> Measured:
    part = within(history, window.first, window.last)
    if part is None:
        return Measured({}, None)
    run = simulated(part, settings)
    starting_usd = part.market.account.cash_e8 / E8
    metrics = metrics_of(run.trades, run.equity, starting_usd)._asdict()
    daily = daily_returns(run.equity["at"].dt.epoch("us").to_numpy(), run.equity["equity_usd"].to_numpy(), starting_usd)
    return Measured({name: metrics[name] for name in MEASURES}, None if daily is None else daily.tolist())
