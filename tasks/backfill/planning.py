"""What each job of a request spans: from what the warehouse holds on, and nothing that was told already."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from config.settings import Settings
from exchange.kraken.admission import SECOND_US
from exchange.kraken.client import MINUTES, Timeframe
from exchange.kraken.history import parts_of, series_of
from exchange.kraken.spool import Job, key_of
from ops.clock import as_datetime
from tasks.backfill.request import Failure, Request, Target
from trading.errors import CheckFailed
from warehouse.connection import unit_of_work
from warehouse.intake import held

FIRST_PAUSE, LONGEST_PAUSE = timedelta(hours=1), timedelta(days=1)  # after a history that was refused

Part = tuple[str, Timeframe]  # a series, in one timeframe


class Plan(NamedTuple):
    """The jobs to be done, and what is not asked for now because it was refused lately."""

    jobs: tuple[tuple[Target, Job], ...]
    failures: tuple[Failure, ...]


def plan(settings: Settings, request: Request, wanted: Sequence[Target], until_s: int) -> Plan:
    """A job for each target, up to `until_s`, the last quarter of an hour that has closed by the venue's clock.

    Left out is what has been told up to that very time already: a run that is started again does nothing twice. So is
    a whole history that was refused, for a while. A job that was begun before is always done.
    """
    jobs: list[tuple[Target, Job]] = []
    failures: list[Failure] = []
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
        for target in wanted:
            known = _known(warehouse, target)
            job = _job(settings, request, target, until_s, known)
            paused = {} if target.spool.exists() or _asks_for_a_span(request, target) else _paused(target, job, known)
            if paused:
                failures.append(Failure(target.title, CheckFailed(_told(target, paused))))
                job = _without(job, paused)
            if target.spool.exists() or (job.from_s and not _is_told(warehouse, request, target, job)):
                jobs.append((target, job))
    return Plan(tuple(jobs), tuple(failures))


class _Known(NamedTuple):
    """What the warehouse holds of a target, part by part; what it lacks has no entry."""

    newest: Mapping[held.Series, datetime]  # whoever told it
    told_until: Mapping[held.Series, datetime]  # by the target's own source
    refused: Mapping[held.Series, held.Refused]


def _known(warehouse: held.Connection, target: Target) -> _Known:
    series = series_of(target.dataset, target.instrument)
    if not series:
        newest_rate = held.newest_rate(warehouse, target.instrument)
        rates: dict[held.Series, datetime] = {}
        if newest_rate is not None:
            rates = dict.fromkeys(parts_of(target.dataset, target.instrument), newest_rate)
        return _Known(rates, rates, {})
    return _Known(
        held.newest_candles(warehouse, series),
        held.told_until(warehouse, target.source, series),
        held.refused(warehouse, target.source, series),
    )


def _job(settings: Settings, request: Request, target: Target, until_s: int, known: _Known) -> Job:
    parts = parts_of(target.dataset, target.instrument)
    begins = {part: _begin(settings, request, part[1], known.newest.get(part)) for part in parts}
    if target.dataset == "trades":  # candles of all timeframes are made of the same ones
        hours = request.trades_hours
        first_s = begins[target.instrument, "15m"] if hours is None else until_s - hours * 3_600
        begins = dict.fromkeys(parts, first_s)
    increments = _increments(settings, begins, known)
    return Job(
        target.dataset,
        target.instrument,
        {key_of(*part): begin_s for part, begin_s in begins.items()},
        until_s,
        tuple(key_of(*part) for part in increments),
        request.name,
    )


def _begin(settings: Settings, request: Request, timeframe: Timeframe, newest: datetime | None) -> int:
    """When the first candle to be fetched opens."""
    span_s = MINUTES[timeframe] * 60
    if request.since is not None:
        return math.ceil(request.since.timestamp() / span_s) * span_s
    return _goes_on(settings, timeframe, newest)


def _goes_on(settings: Settings, timeframe: Timeframe, newest: datetime | None) -> int:
    """Where a series is taken up again: an overlap before the newest candle held, or else at the venue's beginning."""
    if newest is None:
        return 0
    return max(0, round(newest.timestamp()) - settings.backfill.overlap_candles * MINUTES[timeframe] * 60)


def _increments(settings: Settings, begins: Mapping[Part, int], known: _Known) -> tuple[Part, ...]:
    """The parts that go back no further than the overlap, to where the target's own source was believed.

    What others told is no proof of it: after an archive, what a venue tells first is judged as a whole history.
    """
    found = []
    for part, begin_s in begins.items():
        reached, goes_on_s = known.told_until.get(part), _goes_on(settings, part[1], known.newest.get(part))
        if reached is not None and goes_on_s <= begin_s <= reached.timestamp():
            found.append(part)
    return tuple(found)


def _asks_for_a_span(request: Request, target: Target) -> bool:
    return request.since is not None or (target.dataset == "trades" and request.trades_hours is not None)


def _paused(target: Target, job: Job, known: _Known) -> dict[Part, tuple[held.Refused, datetime]]:
    """The parts whose whole history was refused lately, and until when they are left alone: longer each time."""
    now = max(datetime.now(UTC), as_datetime(job.until_s * SECOND_US))  # as the refused batch was dated
    paused = {}
    for part in parts_of(target.dataset, target.instrument):
        told = known.refused.get(part)
        if told is None or key_of(*part) in job.increments:
            continue
        until = told.last_at + min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(told.times - 1, 10))
        if now < until:
            paused[part] = told, until
    return paused


def _told(target: Target, paused: Mapping[Part, tuple[held.Refused, datetime]]) -> str:
    parts = "; ".join(
        f"{series} {timeframe} was refused in {told.times} batch(es), the last {told.last_batch}, and is not asked for "
        f"before {until:%Y-%m-%d %H:%M} UTC"
        for (series, timeframe), (told, until) in paused.items()
    )
    return f"{parts}. `checks.results` and `raw.quarantine` say why. To fetch {target.title} at once, give a --since."


def _without(job: Job, paused: Mapping[Part, object]) -> Job:
    """The job without some parts. Trades make candles of all timeframes or of none."""
    gone = set(job.from_s) if job.dataset == "trades" else {key_of(*part) for part in paused}
    return job._replace(from_s={key: begin_s for key, begin_s in job.from_s.items() if key not in gone})


def _is_told(warehouse: held.Connection, request: Request, target: Target, job: Job) -> bool:
    """Whether the target's source has told of all quarters of an hour up to the job's end already."""
    begins_s = {name: job.from_s.get(key_of(name, "15m")) for name in series_of(target.dataset, target.instrument)}
    spans = {
        name: tuple(as_datetime(at_s * SECOND_US) for at_s in (begin_s, job.until_s))
        for name, begin_s in begins_s.items()
        if begin_s is not None
    }
    if not _asks_for_a_span(request, target):
        spans = {name: (until, until) for name, (_, until) in spans.items()}
    return bool(spans) and all(
        held.covers(warehouse, target.source, name, "15m", (first, last)) for name, (first, last) in spans.items()
    )
