"""From complete spools into the warehouse: as files in Kraken's layout, by the way that every file goes."""

import csv
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache, partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from config.settings import Settings
from exchange.kraken.history import covered_from
from exchange.kraken.spool import Spool, key_of
from exchange.kraken.symbols import file_of_series, series_of_file
from tasks.backfill.fetching import raise_failures
from tasks.backfill.request import Failure, Request, Target, refuse_mixing, target_of, targets
from trading.errors import CheckFailed, InputUnusable, SetupFailed, SlipwayError
from warehouse.batches import BatchReport
from warehouse.connection import unit_of_work
from warehouse.gate import validation
from warehouse.gate.rates import validate_rates
from warehouse.gate.suites import Gate, open_gate
from warehouse.gate.validation import Verdict
from warehouse.intake import held, landing
from warehouse.intake.held import Connection
from warehouse.intake.layouts import ColumnMap
from warehouse.reference.funding import FundingHour, FundingReport, land_funding

COLUMNS = ("opened_at", "open", "high", "low", "close", "volume")
UNCOUNTED = ColumnMap(**{name: name for name in COLUMNS})  # of charts: they don't count trades


class LandedJob(NamedTuple):
    """What became of one complete spool, or of a batch that had landed before and was judged now.

    `has_news`: some candles were validated now. `is_earlier`: it was begun for another request, with a span of its own.
    """

    target: Target
    batches: tuple[BatchReport, ...]
    rates: FundingReport | None
    failures: tuple[Failure, ...]
    has_news: bool
    is_earlier: bool

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """Rows read, landed, unchanged, revised: candles, or funding rates."""
        told: list[BatchReport | FundingReport] = [*self.batches]
        if self.rates is not None:
            told.append(self.rates)
        read, landed = sum(each.rows_read for each in told), sum(each.rows_landed for each in told)
        return read, landed, sum(each.rows_unchanged for each in told), sum(each.rows_revised for each in told)


class Landed(NamedTuple):
    """What became of all spools that were complete."""

    jobs: tuple[LandedJob, ...]

    @property
    def has_news(self) -> bool:
        """Whether some candles were validated now."""
        return any(job.has_news for job in self.jobs)

    @property
    def is_earlier(self) -> bool:
        """Whether some job was begun for another request: what this one asks for may be left to fetch."""
        return any(job.is_earlier and not job.target.is_leftover for job in self.jobs)

    def followed_by(self, later: "Landed") -> "Landed":
        """One report of both."""
        return Landed((*self.jobs, *later.jobs))

    @property
    def failures(self) -> tuple[Failure, ...]:
        """What could not be landed, or was refused."""
        return tuple(failure for job in self.jobs for failure in job.failures)

    def raise_failures(self) -> None:
        """Raise one error for all of them, if there are any: see `fetching.raise_failures`."""
        raise_failures(self.failures, "landed")

    @property
    def sentences(self) -> tuple[str, ...]:
        """For the person who started it."""
        return tuple(f"{job.target.title}: {_counted(job)}" for job in self.jobs)


def land(settings: Settings, request: Request) -> Landed:
    """Land and validate what is complete of a request, job by job, and remove its spools. Safe to repeat at any point.

    A job that is refused holds up no other, and a series of it no other series. Its rows stay in `raw`, refused, so its
    spool goes too. What landed before and was not judged, because a kill came in between, is judged first.

    Raises:
        SetupFailed: the warehouse holds another venue's data.
    """
    unjudged = _unjudged(settings, request)
    gate = cache(lambda: open_gate(settings.paths.state / "gx"))  # takes seconds: once, and only if it is needed
    wanted, _ = targets(settings, request)
    judged = [_Landing(settings, request, target, gate).judge(batch) for target, batch in unjudged]
    landed = (_Landing(settings, request, target, gate).run() for target in wanted if target.spool.is_file())
    return Landed((*judged, *(job for job in landed if job is not None)))


def _unjudged(settings: Settings, request: Request) -> list[tuple[Target, held.Unjudged]]:
    """Batches of the venue that landed, were not judged, and have no spool any more that would be landed again.

    Raises SetupFailed: the warehouse holds another venue's data.
    """
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
        refuse_mixing(settings, held.sources(warehouse), request.venue)
        batches = held.unjudged(warehouse, f"{request.venue}-")
    named = [(target_of(batch.path.with_suffix(".sqlite")), batch) for batch in batches]
    return [(target, batch) for target, batch in named if target is not None and not target.spool.exists()]


def _counted(job: LandedJob) -> str:
    read, landed, unchanged, revised = job.counts
    if job.has_news and not job.batches:
        return "what an earlier run had landed, and not judged, was validated."
    bad = [reason for batch in job.batches for reason in batch.quarantined]
    quarantined = f", {len(bad):,} in quarantine ({bad[0]})" if bad else ""
    return f"{read:,} rows read, {landed:,} landed, {unchanged:,} unchanged, {revised:,} revised{quarantined}."


class _Landing:
    """The landing of one job."""

    def __init__(self, settings: Settings, request: Request, target: Target, gate: Callable[[], Gate]) -> None:
        self._settings = settings
        self._request = request
        self._target = target
        self._gate = gate
        self._unit_of_work = partial(unit_of_work, settings.paths.build, **settings.warehouse.model_dump())
        self._batches: list[BatchReport] = []
        self._rates: FundingReport | None = None
        self._failures: list[Failure] = []
        self._has_news = False
        self._is_earlier = False

    def run(self) -> LandedJob | None:
        """Land what the spool holds, and remove it; None when it is not complete."""
        try:
            with Spool(self._target.spool, None) as spool:
                if not spool.is_complete:
                    return None
                self._is_earlier = spool.job.asked_by != self._request.name
                with self._failing_alone():
                    self._land_rates(spool)
                self._land_candles(spool)
                spool.remove()
        except SlipwayError as error:
            self._fail(error)
        self._fail_refused()
        return self._landed()

    def judge(self, batch: held.Unjudged) -> LandedJob:
        """Validate what landed before."""
        try:
            self._validate(batch.batch_id, self._gate())
        except SlipwayError as error:
            self._fail(error)
        return self._landed()

    def _landed(self) -> LandedJob:
        batches, failures = tuple(self._batches), tuple(self._failures)
        return LandedJob(self._target, batches, self._rates, failures, self._has_news, self._is_earlier)

    def _fail(self, error: SlipwayError) -> None:
        self._failures.append(Failure(self._target.title, error))

    @contextmanager
    def _failing_alone(self) -> Iterator[None]:
        """What the venue told may be wrong: a failure of the job, which holds up nothing else of it."""
        try:
            yield
        except (InputUnusable, CheckFailed) as error:
            self._fail(error)

    def _fail_refused(self) -> None:
        """One failure for all series of the job that had no usable candle."""
        told = [str(refusal) for batch in self._batches for refusal in batch.refusals]
        if told:
            self._fail(InputUnusable(f"{len(told)} series had no usable candle. {' '.join(told)}"))

    def _land_rates(self, spool: Spool) -> None:
        contract = spool.job.instrument
        hours = [
            FundingHour(contract, _at(rate.began_s), Decimal(rate.rate), Decimal(rate.relative_rate))
            for rate in spool.rates()
        ]
        if not hours:
            return
        gate = None if key_of(contract, "1h") in spool.job.increments else self._gate()
        with self._unit_of_work() as warehouse:
            self._refuse_mixing(warehouse)
            verdict = self._judge_rates(warehouse, spool, hours, gate) if gate else None
            if verdict is None or verdict.passed:
                self._rates = land_funding(warehouse, hours, source=self._target.source, fetched_at=_fetched_at(spool))
        if verdict is not None:
            verdict.refuse_failed()

    def _refuse_mixing(self, warehouse: Connection) -> None:
        """Once more, under the lock: another first backfill may have landed since the request was made."""
        refuse_mixing(self._settings, held.sources(warehouse), self._request.venue)

    def _judge_rates(self, warehouse: Connection, spool: Spool, hours: Sequence[FundingHour], gate: Gate) -> Verdict:
        return validate_rates(
            warehouse,
            hours,
            run=f"{self._target.source}-{spool.job.instrument}-funding-{spool.job.until_s}",
            thresholds=self._settings.validation.model_dump(),
            checked_at=datetime.now(UTC),
            gate=gate,
        )

    def _land_candles(self, spool: Spool) -> None:
        """Series that are known from the same moment on are one batch: that moment is what the batch covers."""
        known = sorted(
            (covered_from(spool, series, timeframe), series, timeframe) for series, timeframe in spool.series()
        )
        for covered_s, group in groupby(known, itemgetter(0)):
            parts = [(series, timeframe) for _, series, timeframe in group]
            is_increment = all(key_of(*part) in spool.job.increments for part in parts)
            with _written(spool, parts, self._target.spool.with_suffix(".landing")) as folder, self._failing_alone():
                self._land_files(folder, (_at(covered_s), _at(spool.job.until_s)), spool, is_increment=is_increment)

    def _land_files(self, folder: Path, covers: tuple[datetime, datetime], spool: Spool, *, is_increment: bool) -> None:
        """SQL checks for every batch; Great Expectations for those that don't merely go on from what is held."""
        is_counted = spool.job.dataset != "charts"
        with self._unit_of_work() as warehouse:
            self._refuse_mixing(warehouse)
            batch = landing.land(
                warehouse,
                folder,
                source=self._target.source,
                series_of=series_of_file,
                columns=None if is_counted else UNCOUNTED,
                fetched_at=_fetched_at(spool),
                scratch=self._settings.paths.build.parent,
                covers=covers,
            )
        self._batches.append(batch)
        if batch.state == "landed":
            self._validate(batch.batch_id, None if is_increment else self._gate())

    def _validate(self, batch_id: str, gate: Gate | None) -> None:
        """Raises CheckFailed: it, or a part of it, was refused."""
        with self._unit_of_work() as warehouse:
            verdict = validation.validate(
                warehouse,
                batch_id,
                checks=self._settings.paths.sql / "checks" / "batches",
                thresholds=self._settings.validation.model_dump(),
                checked_at=datetime.now(UTC),
                gate=gate,
            )
        self._has_news |= verdict.state != "refused"
        verdict.refuse_failed()


@contextmanager
def _written(spool: Spool, parts: Sequence[tuple[str, str]], folder: Path) -> Iterator[Path]:
    """Some series of a spool as files of a folder, for as long as they are needed. Raises SetupFailed: no room."""
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for series, timeframe in parts:
            _write(spool, series, timeframe, folder)
    except OSError as error:
        raise SetupFailed(f"{folder} can't be written: {error.strerror}. Make room, and start it again.") from error
    yield folder
    shutil.rmtree(folder)


def _write(spool: Spool, series: str, timeframe: str, folder: Path) -> None:
    """One series as a file, row by row. What has no count of trades has a header line that says so."""
    is_counted = spool.job.dataset != "charts"
    with (folder / file_of_series(series, timeframe)).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if not is_counted:
            writer.writerow(COLUMNS)
        for row in spool.candles(series, timeframe):
            writer.writerow(row[2:] if is_counted else row[2:-1])


def _fetched_at(spool: Spool) -> datetime:
    """By our clock; but what had closed by the venue's is not still open because ours is slow."""
    return max(datetime.now(UTC), _at(spool.job.until_s))


def _at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
