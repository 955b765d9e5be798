"""From the venue into spools: all jobs at once on one event loop, under one rate budget."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

from config.settings import Settings
from exchange.kraken.budget import Budget
from exchange.kraken.client import Patience, PublicClient, Urls
from exchange.kraken.history import collect
from exchange.kraken.spool import Job, Spool
from ops.clock import SystemClock
from tasks.backfill.board import Board, Look, Watch, tell
from tasks.backfill.planning import plan
from tasks.backfill.request import Failure, Request, Target, targets
from tasks.sandboxes.presence import refuse_ended
from trading.errors import CheckFailed, ExchangeUnavailable, InputUnusable, SetupFailed, SlipwayError, WarehouseBusy
from trading.ports import Clock
from warehouse.connection import unit_of_work
from warehouse.intake import held

AT_ONCE = 16  # jobs: each has a file open, and waits for the venue most of the time
QUARTER_S = 900
LEFTOVER_S = 120  # of one run: what nobody asks for now must not hold up for hours what somebody does
FURTHEST_AHEAD = timedelta(days=30)  # of a sandbox; a real venue may have been left alone for years
SETTLING_S = 5  # how long the venue may take to show the last trade before a close
FOR_LATER = (ExchangeUnavailable, WarehouseBusy)
WORST_FIRST = (SetupFailed, CheckFailed, InputUnusable)


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
        InputUnusable: all that is asked for is still to come.
        SetupFailed: it has no address.
    """
    wanted, failures = targets(settings, request)
    return (*failures, *asyncio.run(_fetch_all(settings, request, wanted, watch, clock or SystemClock())))


def raise_failures(failures: Sequence[Failure], done: str) -> None:
    """Raise one error for all of them, of the kind that says best what to do next: try again, if that may help any."""
    for kind in (*FOR_LATER, *WORST_FIRST):
        if any(isinstance(each.error, kind) for each in failures):
            told = "\n".join(f"{each.title}: {each.error}" for each in failures)
            raise kind(f"{len(failures)} of the jobs failed; whatever else was asked for is {done}.\n{told}")
    assert not failures, failures


def urls_of(settings: Settings, request: Request) -> Urls:
    """Where the venue is.

    Raises SetupFailed: no sandbox runs, or one was killed and has left its addresses, or something else than those.
    """
    venue = settings.venues[request.venue]
    if venue.spot_url is not None and venue.futures_url is not None:
        return Urls(venue.spot_url, venue.futures_url)
    assert venue.addresses is not None, "a venue has URLs or a file of them"
    file = request.addresses or settings.paths.state / venue.addresses
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        urls = Urls(told["spot_rest"], told["futures_rest"])
        refuse_ended(urls.spot, file)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SetupFailed(f"No sandbox is running: there is no {file}. `slipway sandbox` starts one.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise SetupFailed(f"{file} holds no addresses of a sandbox: end it and start it again.") from error
    return urls


async def _fetch_all(
    settings: Settings, request: Request, wanted: Sequence[Target], watch: Watch | None, clock: Clock
) -> list[Failure]:
    venue = settings.venues[request.venue]
    patience = Patience(timeout_s=venue.timeout_s, attempts=venue.attempts)
    places, budget = asyncio.Semaphore(AT_ONCE), Budget(clock)
    async with PublicClient(urls_of(settings, request), budget, patience) as client:
        now_s = (await client.server_time()).unixtime
        _refuse_future(request, now_s)
        _refuse_other_market(settings, request, now_s)
        jobs, failures = plan(settings, request, wanted, (now_s - SETTLING_S) // QUARTER_S * QUARTER_S)
        board = Board(target.title for target, _ in jobs)
        async with _watched(lambda: Look(board.states(), budget.snapshot()), watch):
            ended = await asyncio.gather(*(_attempt(client, board, places, *each) for each in jobs))
    return [*failures, *(failure for failure in ended if failure)]


def _refuse_future(request: Request, now_s: int) -> None:
    """Raise InputUnusable when all that is asked for is still to come, by the venue's clock."""
    if request.since is not None and request.since.timestamp() >= now_s:
        now = datetime.fromtimestamp(now_s, UTC)
        raise InputUnusable(
            f"There is nothing to fetch since {request.since.astimezone(UTC):%Y-%m-%d %H:%M} UTC: that is in the "
            f"future of {request.venue}, whose clock says {now:%Y-%m-%d %H:%M}. Say an earlier time."
        )


def _refuse_other_market(settings: Settings, request: Request, now_s: int) -> None:
    """Raise SetupFailed when a sandbox's clock is far ahead of what the warehouse holds of it.

    Every sandbox is the same venue by its name. One that plays another year is another market, and years without a
    candle would lie between the two.
    """
    if settings.venues[request.venue].addresses is None or not settings.paths.build.is_file():
        return
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
        told_last = held.told_last(warehouse, f"{request.venue}-")
    now = datetime.fromtimestamp(now_s, UTC)
    if told_last is not None and now - told_last > FURTHEST_AHEAD:
        raise SetupFailed(
            f"The sandbox's clock says {now:%Y-%m-%d %H:%M}, and this warehouse holds its market until "
            f"{told_last:%Y-%m-%d %H:%M}: that is another market. Start the sandbox near there, with `slipway sandbox "
            f"--start {told_last:%Y-%m-%d}`, or give this one a home of its own: SLIPWAY_HOME=<another folder>."
        )


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


async def _attempt(
    client: PublicClient, board: Board, places: asyncio.Semaphore, target: Target, job: Job
) -> Failure | None:
    async with places:
        board.begin(target.title)
        try:
            with Spool(target.spool, job) as spool:
                with suppress(_OutOfTime):
                    async with _limited(LEFTOVER_S if target.is_leftover else None):
                        await collect(
                            client, spool, lambda progress: board.advance(target.title, progress.rows, progress.share)
                        )
                board.end(target.title, "done" if spool.is_complete else "waiting")
        except SlipwayError as error:
            board.end(target.title, "failed")
            return Failure(target.title, error)
        return None


class _OutOfTime(Exception):
    """A leftover has had its time of this run; the next one goes on after its last page."""


@asynccontextmanager
async def _limited(limit_s: float | None) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(limit_s) as limit:
            yield
    except TimeoutError as error:
        if limit.expired():
            raise _OutOfTime from error
        raise
