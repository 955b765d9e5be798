"""Prefect's view of `tasks/`: names, retries keyed on error type, artifacts and events. No rules of trading.

Each task is one line around the plain function of the same name. It imports that function when it runs: a flow that
lands a file should not wait for numba and matplotlib, nor one that trades for Great Expectations.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar, cast

import httpx
from prefect import get_run_logger
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import FlowRun, State, TaskRun
from prefect.events import emit_event
from prefect.flows import Flow
from prefect.runtime import flow_run
from prefect.tasks import Task
from prefect.utilities.callables import get_parameter_defaults

from tasks.logs import leave_out_stacks
from trading.errors import ExchangeUnavailable, WarehouseBusy

if TYPE_CHECKING:
    from datetime import date, datetime
    from pathlib import Path
    from uuid import UUID

    from config.settings import Dataset, Settings
    from ops.leftovers import Removed
    from tasks.backfill.board import Watch
    from tasks.backfill.landing import Landed
    from tasks.backfill.request import Request
    from tasks.backfill.time_sales import Rebuilt
    from tasks.backtests import BacktestSummary
    from tasks.publication import JournalsReport
    from tasks.research.sweeps import SweepSummary
    from tasks.revisions.alerting import Revised
    from tasks.session import SessionSummary
    from tasks.stages import StagesReport
    from tasks.universe.discovery import DiscoveryReport
    from tasks.upkeep.backups import BackupReport
    from tasks.upkeep.restores import DrillReport
    from tasks.upkeep.validation import DayReport
    from trading.ports import Severity
    from warehouse.batches import BatchReport
    from warehouse.builds import Mode
    from warehouse.checks import CheckResult
    from warehouse.connection import PublishReport
    from warehouse.gate.validation import Verdict
    from warehouse.upkeep.compaction import Compaction
    from warehouse.upkeep.retention import Forgotten

P = ParamSpec("P")
R = TypeVar("R")

TEMPORARY = (WarehouseBusy, ExchangeUnavailable)  # nothing happened, and the same call may succeed later
RETRY_DELAYS_S = [2.0, 10.0, 30.0]
PROGRESS_EVERY_S = 3.0

leave_out_stacks()  # here, since every flow imports this module, and Prefect nothing else of ours

# What a finished flow tells the rest of the chain; prefect.yaml names the same events.
CANDLES_LANDED: Final = "slipway.candles.landed"
MARTS_BUILT: Final = "slipway.marts.built"
BACKTEST_FINISHED: Final = "slipway.backtest.finished"


def is_temporary(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Whether a failed task may be tried again. Wrong data and unusable input stay what they are."""
    return isinstance(state.data, TEMPORARY)


def patiently(function: Callable[P, R]) -> Task[P, R]:
    """A task that waits out what is temporary; safe for a function that may run twice."""
    return Task(
        function,
        cache_policy=NO_CACHE,
        retries=len(RETRY_DELAYS_S),
        retry_delay_seconds=RETRY_DELAYS_S,
        retry_condition_fn=is_temporary,
    )


def once(function: Callable[P, R]) -> Task[P, R]:
    """A task that is never tried again from inside its flow."""
    return Task(function, cache_policy=NO_CACHE)


@patiently
def land_archive(settings: Settings, path: Path, columns: Mapping[str, str] | None) -> BatchReport:
    """Read a file or a folder of candles into raw, bad rows into quarantine."""
    from tasks import candles

    return candles.land_archive(settings, path, columns)


@patiently
def land_inbox(settings: Settings, path: Path, columns: Mapping[str, str] | None) -> BatchReport | None:
    """Read what is new in a folder into raw; what was refused before stays refused."""
    from tasks import candles

    return candles.land_inbox(settings, path, columns)


@patiently
def alert_unnamed(settings: Settings, path: Path, columns: Mapping[str, str] | None) -> tuple[str, ...]:
    """Files of an inbox that nobody can read are alerted, and named."""
    from tasks import candles

    return candles.alert_unnamed(settings, path, columns)


@patiently
def validate_batch(settings: Settings, batch: BatchReport) -> Verdict | None:
    """The SQL checks and the Great Expectations gate; instruments that do not pass are refused."""
    from tasks import candles

    return candles.validate_batch(settings, batch)


@patiently
def judge_left_over(settings: Settings) -> tuple[Verdict, ...]:
    """Judge what landed a while ago and was not judged; hardly ever anything."""
    from tasks import candles

    return candles.judge_left_over(settings)


@patiently
def rebuild_archive(
    settings: Settings, path: Path, *, instrument: str | None, since: datetime | None, until: datetime | None
) -> Rebuilt:
    """Make candles of an archive of trades and read them into raw; a pair that can't be used holds up no other."""
    from tasks.backfill import time_sales

    return time_sales.rebuild_archive(settings, path, instrument=instrument, since=since, until=until)


@patiently
def nothing_to_fetch(settings: Settings, venue: str | None) -> str:
    """Why a routine backfill has nothing to do; empty when it has."""
    from tasks.backfill import request

    return request.nothing_to_fetch(settings, venue)


@patiently
def backfill_request(
    settings: Settings,
    *,
    venue: str | None,
    instruments: Sequence[str] | None,
    datasets: Sequence[Dataset] | None,
    since: datetime | None,
    trades_hours: int | None,
    addresses: Path | None,
) -> Request:
    """What to fetch, with what was left out filled in."""
    from tasks.backfill import request

    return request.request_of(
        settings,
        venue=venue,
        instruments=instruments,
        datasets=datasets,
        since=since,
        trades_hours=trades_hours,
        addresses=addresses,
    )


@patiently
def fetch_history(settings: Settings, request: Request) -> None:
    """Fetch all jobs into their spools; what was fetched before is not fetched again."""
    from tasks.backfill import fetching

    fetching.fetch(settings, request, watch=_progress_page())


@patiently
def land_history(settings: Settings, request: Request) -> Landed:
    """Land and validate every spool that is complete."""
    from tasks.backfill import landing

    return landing.land(settings, request)


@patiently
def discover_markets(
    settings: Settings, venue: str | None, *, addresses: Path | None, shrink_is_believed: bool
) -> DiscoveryReport:
    """Ask for the lists of markets and keep them; what is not believed is alerted."""
    from tasks.universe import discovery

    return discovery.discover(settings, venue, addresses=addresses, shrink_is_believed=shrink_is_believed)


@patiently
def build_all(settings: Settings, mode: Mode) -> StagesReport:
    """Staging, features and marts, in the order of their inputs."""
    from tasks import stages

    return stages.build_all(settings, mode)


@patiently
def check_all(settings: Settings) -> tuple[CheckResult, ...]:
    """Every SQL check; the offending rows are the error message."""
    from tasks import stages

    return stages.check_all(settings, run=this_run())


@patiently
def alert_revised_decisions(settings: Settings) -> tuple[Revised, ...]:
    """Tell of candles that were revised after a session had decided upon them."""
    from tasks.revisions import alerting

    return alerting.alert_revised_decisions(settings)


@patiently
def publish(settings: Settings) -> PublishReport:
    """Put a read-only copy where people query it."""
    from tasks import candles

    return candles.publish(settings)


@patiently
def run_backtest(
    settings: Settings,
    strategy: Path,
    *,
    instruments: tuple[str, ...] | None,
    first: datetime | None,
    last: datetime | None,
    timeframe: str | None,
    parameters: Mapping[str, object] | None,
) -> BacktestSummary:
    """Trade one strategy file over the published candles; report and rows."""
    from tasks import backtests

    return backtests.run_backtest(
        settings,
        strategy,
        instruments=instruments,
        first=first,
        last=last,
        timeframe=timeframe,
        parameters=parameters,
    )


@patiently
def run_sweep(settings: Settings, strategy: Path, **asked: Any) -> SweepSummary:
    """Try many sets of parameters of one strategy file. Begun again, it goes on where it was."""
    from tasks.research import sweeps

    said = _percent_page("sweep")
    return sweeps.run_sweep(settings, sweeps.Ask(strategy, **asked), lambda at: said(at.share, at.text))


def session_settings(profile: str) -> Settings:
    """The settings of a session; if they can't be used, an alert says so."""
    from tasks import startup

    return startup.session_settings(profile)


@once
def run_session(settings: Settings) -> SessionSummary:
    """One bounded session. Never tried again from inside: a new run starts by recovering."""
    from tasks import session

    return session.run_session(settings)


@patiently
def publish_journals(settings: Settings) -> JournalsReport:
    """What the journals have grown by, as rows of `marts.journal`."""
    from tasks import publication

    return publication.publish_journals(settings)


@patiently
def validate_day(settings: Settings, day: date | None) -> DayReport:
    """One day of what is published, before Great Expectations; what is out of range is alerted."""
    from tasks.upkeep import validation

    return validation.validate_day(settings, day)


@patiently
def back_up(settings: Settings) -> BackupReport:
    """Warehouse and journals into a new backup, read back and compared."""
    from tasks.upkeep import backups

    return backups.back_up(settings)


@patiently
def rehearse_restore(settings: Settings) -> DrillReport:
    """The newest backup restored into a scratch folder, and compared."""
    from tasks.upkeep import restores

    return restores.rehearse_restore(settings)


@patiently
def forget_old_rows(settings: Settings) -> Forgotten:
    """What the warehouse holds past its limit."""
    from tasks.upkeep import tidying

    return tidying.forget_old_rows(settings)


@patiently
def compact(settings: Settings) -> Compaction:
    """The build file written anew, if enough of it is free."""
    from tasks.upkeep import tidying

    return tidying.compact(settings)


@patiently
def forget_old_files(settings: Settings) -> Removed:
    """Logs, reports and leftovers past their limit."""
    from tasks.upkeep import tidying

    return tidying.forget_old_files(settings)


@patiently
def forget_old_runs(settings: Settings) -> int:
    """Our own runs past their limit, with their logs and artifacts."""
    from tasks.upkeep import tidying

    return tidying.forget_old_runs(settings)


def tell_of_failure(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """For `on_failure` and `on_crashed` of a flow that nobody waits for: a person is told, once it has ended for good.

    A killed process runs no code of its own; then the worker calls this, if it still lives.
    """
    _tell_of_end(flow, flow_run, state, "warning")


def tell_of_lost_session(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """The same of a session: nobody may believe in one that isn't there."""
    _tell_of_end(flow, flow_run, state, "critical")


def _tell_of_end(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any], severity: Severity) -> None:
    from tasks import alerting

    given = get_parameter_defaults(flow.fn) | flow_run.parameters  # a deployment's run has only what prefect.yaml names
    failed = alerting.FailedRun(
        flow.name,
        flow_run.name,
        state.timestamp.date(),
        state.message or "",
        _raised(state),
        is_killed=state.is_crashed(),
    )
    alerting.alert_failed_run(given["profile"], failed, severity)


def _raised(state: State[Any]) -> BaseException | None:
    """What ended the run, as long as its process lives; elsewhere only the state's message is left of it."""
    raised = getattr(state.data, "result", state.data)  # Prefect wraps it when it leaves a flow
    return raised if isinstance(raised, BaseException) else None


def tell(sentence: str) -> None:
    """One line in the run's log."""
    get_run_logger().info(sentence)


def note(facts: Mapping[str, str]) -> None:
    """What this run did, as a table in the UI; `make run` and `slipway status` read the same table."""
    create_table_artifact([{"fact": fact, "value": value} for fact, value in facts.items()], description="What it did")


def show(key: str, markdown: str) -> None:
    """A page in the UI, with pictures as data URIs; `key` is what its versions have in common."""
    create_markdown_artifact(markdown, key=key.replace("_", "-"))  # Prefect allows no underscore there


def _progress_page() -> Watch:
    """The progress of a backfill, for whoever looks at it in the UI."""
    from tasks.backfill.board import Watch

    said = _percent_page("backfill")
    return Watch(lambda look: said(look.share, look.text), PROGRESS_EVERY_S)


def _percent_page(key: str) -> Callable[[float, str], None]:
    """A progress artifact of this run, told a share and a text; not more often than anybody reads."""
    made: list[UUID] = []
    told_at = [-PROGRESS_EVERY_S]

    def show_progress(share: float, text: str) -> None:
        if share < 1 and time.monotonic() - told_at[0] < PROGRESS_EVERY_S:
            return
        told_at[0] = time.monotonic()
        percent = round(100 * share, 1)
        try:
            if made:
                update_progress_artifact(made[0], percent, description=text)
            else:
                made.append(cast("UUID", create_progress_artifact(percent, key=key, description=text)))
        except httpx.HTTPError as error:  # the server is restarted in the middle of a backfill of hours: so what
            get_run_logger().warning("The progress is not shown: %s", error)

    return show_progress


def announce(event: str, chain: str) -> None:
    """Let the triggers of prefect.yaml start what comes next, as part of the same chain."""
    emit_event(event, resource={"prefect.resource.id": "slipway.warehouse"}, payload={"chain": chain})


def this_run() -> str:
    """Id of the running flow: the name of a chain that begins here."""
    return str(flow_run.id)
