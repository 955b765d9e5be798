"""The daily batch: one day of what is published, before Great Expectations. It takes nothing back and tells people."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from config.settings import Settings
from tasks.alerting import alert
from tasks.startup import marked_as_told
from trading.errors import CheckFailed
from warehouse.connection import reading, unit_of_work
from warehouse.gate.daily_suites import DAILY_SUITES, take_day
from warehouse.gate.suites import Examined, examine, measure, open_gate, store

FLOW = "validate"


@dataclass(frozen=True)
class DayReport:
    """What was found of one day, suite by suite."""

    day: date
    suites: tuple[Examined, ...]
    docs: Path  # index of the Data Docs

    @property
    def run(self) -> str:
        """What `checks.results` calls it."""
        return _run_of(self.day)

    @property
    def failed(self) -> tuple[str, ...]:
        """Each expectation that was not met, with the series that did not meet it."""
        return tuple(
            f"{each.suite}, {result.name}: {result.offenders:,} offender(s)\n{result.detail}"
            for each in self.suites
            for result in each.results
            if not result.passed
        )

    @property
    def instruments(self) -> tuple[str, ...]:
        """Those that did not meet some expectation."""
        return tuple(sorted({name for each in self.suites for r in each.results for name in r.instruments or ()}))

    @property
    def sentences(self) -> tuple[str, ...]:
        """For the log."""
        expectations = sum(len(each.results) for each in self.suites)
        return (
            f"{self.day}: {expectations - len(self.failed)} of {expectations} expectations were met.",
            *self.failed,
            f"Data Docs: {self.docs}",
        )

    def refuse_failed(self) -> None:
        """Raise CheckFailed, with the offending series, when an expectation was not met."""
        if self.failed:
            raise marked_as_told(CheckFailed("\n".join([_title(self), *self.failed])))  # `validate_day` has alerted


def validate_day(settings: Settings, day: date | None = None) -> DayReport:
    """Judge one day (UTC) of what is published, keep the results, and alert once if something is out of range.

    Nothing is unpublished: `refuse_failed` of the report ends the run. `day` left out is yesterday.

    Raises:
        WarehouseBusy: another process held the build file for the whole bounded wait; no result was kept.
        SetupFailed: nothing was published yet, or the journal of the alerts can't be opened.
    """
    day = day or datetime.now(UTC).date() - timedelta(days=1)
    gate = open_gate(settings.paths.state / "gx")
    perpetuals = {name: each.futures for name, each in settings.instruments.items()}
    simulated = [name for name, venue in settings.venues.items() if venue.addresses is not None]
    with reading(settings.paths.published) as published:
        take_day(published, day, perpetuals, datasets=settings.backfill.datasets, simulated=simulated)
        measured = [measure(published, suite) for suite in DAILY_SUITES]
    examined, docs = examine(gate, _run_of(day), measured, settings.validation.model_dump())
    report = DayReport(day, examined, docs)
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
        store(warehouse, report.run, examined, datetime.now(UTC))
    if report.failed:
        _alert(settings, report)
    return report


def _alert(settings: Settings, report: DayReport) -> None:
    alert(
        settings,
        FLOW,
        key=f"day-refused:{report.day}",
        severity="warning",
        title=_title(report),
        body="\n".join((*report.failed, f"Data Docs: {report.docs}")),
    )


def _run_of(day: date) -> str:
    return f"day-{day}"


def _title(report: DayReport) -> str:
    names = ", ".join(report.instruments)
    return f"{report.day}: {len(report.failed)} expectation(s) not met by {names}"
