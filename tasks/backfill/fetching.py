"""From the venue into spools: all jobs at once on one event loop, under one rate budget."""

import asyncio
import json
import math
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime

from config.settings import Settings
from exchange.kraken.admission import SECOND_US
from exchange.kraken.budget import Budget
from exchange.kraken.client import MINUTES, Patience, PublicClient, Timeframe, Urls
from exchange.kraken.history import collect, series_of
from exchange.kraken.spool import Job, Spool
from ops.clock import SystemClock, as_datetime
from tasks.backfill.board import Board, Look, Watch, tell
from tasks.backfill.request import Failure, Request, Target, targets
from trading.errors import CheckFailed, ExchangeUnavailable, InputUnusable, SetupFailed, SlipwayError, WarehouseBusy
from trading.ports import Clock
from warehouse.connection import unit_of_work
from warehouse.intake import held

AT_ONCE = 16  # jobs: each has a file open, and waits for the venue most of the time
QUARTER_S = 900
SETTLING_S = 5  # how long the venue may take to show the last trade before a close
FOR_LATER = (ExchangeUnavailable, WarehouseBusy)
WORST_FIRST = (SetupFailed, CheckFailed, InputUnusable)

Newest = Sequence[datetime | None]  # of each series of a job; None: the warehouse holds none of it


def fetch(settings: Settings, request: Request, *, watch: Watch | None = None, clock: Clock | None = None) -> None:
    """Fetch all that is asked for into spools. One job that fails holds up no other; all are named at the end.

    `clock` is that of the rate budget.

    Raises:
        ExchangeUnavailable, WarehouseBusy: of some job, or of all; the same call goes on where they stopped.
        CheckFailed, InputUnusable: of some job, and no other is for later.
        SetupFailed: the venue has no address.
    """
    raise_failures(attempt(settings, request, watch=watch, clock=clock), "fetched")


def attempt(
    settings: Settings, request: Request, *, watch: Watch | None = None, clock: Clock | None = None
) -> tuple[Failure, ...]:
    """The same, with the jobs that failed as a result.

    Raises:
        ExchangeUnavailable: the venue does not even say what time it is.
        SetupFailed: it has no address.
    """
    wanted, failures = targets(settings, request)
    return (*failures, *asyncio.run(_fetch_all(settings, request, wanted, watch, clock or SystemClock())))


def raise_failures(failures: Sequence[Failure], done: str) -> None:
    """Raise one error for all of them, of the kind that says best what to do next: try again, if that may help any."""
    for kind in (*FOR_LATER, *WORST_FIRST):
        if any(isinstance(each.error, kind) for each in failures):
            told = "\n".join(f"{each.title}: {each.error}" for each in failures)
            raise kind(f"{len(failures)} of the jobs failed; all others were {done}.\n{told}")
    assert not failures, failures


def urls_of(settings: Settings, request: Request) -> Urls:
    """Where the venue is. Raises SetupFailed: no sandbox runs, or it has left something else than its addresses."""
    venue = settings.venues[request.venue]
    if venue.spot_url is not None and venue.futures_url is not None:
        return Urls(venue.spot_url, venue.futures_url)
    assert venue.addresses is not None, "a venue has URLs or a file of them"
    file = request.addresses or settings.paths.state / venue.addresses
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        return Urls(told["spot_rest"], told["futures_rest"])
    except FileNotFoundError as error:
        raise SetupFailed(f"No sandbox is running: there is no {file}. `slipway sandbox` starts one.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise SetupFailed(f"{file} holds no addresses of a sandbox: end it and start it again.") from error


async def _fetch_all(
    settings: Settings, request: Request, wanted: Sequence[Target], watch: Watch | None, clock: Clock
) -> list[Failure]:
    venue = settings.venues[request.venue]
    patience = Patience(timeout_s=venue.timeout_s, attempts=venue.attempts)
    places, budget = asyncio.Semaphore(AT_ONCE), Budget(clock)
    async with PublicClient(urls_of(settings, request), budget, patience) as client:
        now_s = (await client.server_time()).unixtime
        jobs = _jobs(settings, request, wanted, (now_s - SETTLING_S) // QUARTER_S * QUARTER_S)
        board = Board(target.title for target, _ in jobs)
        async with _watched(lambda: Look(board.states(), budget.snapshot()), watch):
            ended = await asyncio.gather(*(_attempt(client, board, places, *each) for each in jobs))
    return [failure for failure in ended if failure]


@asynccontextmanager
async def _watched(look: Callable[[], Look], watch: Watch | None) -> AsyncIterator[None]:
    if watch is None:
        yield
        return
    telling = asyncio.create_task(tell(look, watch))
    try:
        yield
    finally:
        telling.cancel()
        with suppress(asyncio.CancelledError):
            await telling


def _jobs(settings: Settings, request: Request, wanted: Sequence[Target], until_s: int) -> list[tuple[Target, Job]]:
    """What each target spans: up to the last quarter of an hour that has closed by the venue's clock.

    Left out is what has been told up to that very time already: a run that is started again does nothing twice.
    """
    jobs = []
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
        for target in wanted:
            job = _job(settings, request, target, until_s, _newest(warehouse, target))
            if target.spool.exists() or not _is_told(warehouse, request, target, job):
                jobs.append((target, job))
    return jobs


def _newest(warehouse: held.Connection, target: Target) -> dict[Timeframe, Newest]:
    """What the warehouse holds of a target."""
    series = series_of(target.dataset, target.instrument)
    if not series:
        newest_rate = held.newest_rate(warehouse, target.instrument)
        return {timeframe: [newest_rate] for timeframe in MINUTES}
    newest = held.newest_candles(warehouse, series)
    return {timeframe: [newest.get((name, timeframe)) for name in series] for timeframe in MINUTES}


def _job(settings: Settings, request: Request, target: Target, until_s: int, newest: Mapping[Timeframe, Newest]) -> Job:
    is_increment = request.since is None and None not in newest["15m"]
    begins: dict[str, int] = {
        timeframe: _begin(settings, request, timeframe, newest[timeframe]) for timeframe in MINUTES
    }
    if target.dataset == "trades":  # candles of all timeframes are made of the same ones
        hours = request.trades_hours
        begins = dict.fromkeys(begins, begins["15m"] if hours is None else until_s - hours * 3_600)
    return Job(target.dataset, target.instrument, begins, until_s, is_increment)


def _begin(settings: Settings, request: Request, timeframe: Timeframe, newest: Newest) -> int:
    """When the first candle to be fetched opens."""
    span_s = MINUTES[timeframe] * 60
    if request.since is not None:
        return math.ceil(request.since.timestamp() / span_s) * span_s
    known = [at for at in newest if at is not None]
    if len(known) < len(newest):
        return 0
    return max(0, round(min(known).timestamp()) - settings.backfill.overlap_candles * span_s)


def _is_told(warehouse: held.Connection, request: Request, target: Target, job: Job) -> bool:
    """Whether the target's source has told of all quarters of an hour up to the job's end already."""
    asks_for_a_span = request.since or (target.dataset == "trades" and request.trades_hours)
    span = (job.from_s["15m"] if asks_for_a_span else job.until_s), job.until_s
    first, last = (as_datetime(at_s * SECOND_US) for at_s in span)
    series = series_of(target.dataset, target.instrument)
    return bool(series) and all(held.covers(warehouse, target.source, name, "15m", (first, last)) for name in series)


async def _attempt(
    client: PublicClient, board: Board, places: asyncio.Semaphore, target: Target, job: Job
) -> Failure | None:
    async with places:
        board.begin(target.title)
        try:
            with Spool(target.spool, job) as spool:
                await collect(
                    client, spool, lambda progress: board.advance(target.title, progress.rows, progress.share)
                )
        except SlipwayError as error:
            board.end(target.title, "failed")
            return Failure(target.title, error)
        board.end(target.title, "done")
        return None
