"""Prefect's view of `tasks/`: names, retries keyed on error type, artifacts and events. No rules of trading.

Each task is one line around the plain function of the same name. It imports that function when it runs: a flow that
lands a file should not wait for numba and matplotlib, nor one that trades for Great Expectations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.events import emit_event
from prefect.runtime import flow_run
from prefect.tasks import Task

from trading.errors import ExchangeUnavailable, WarehouseBusy

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from config.settings import Settings
    from tasks.backtests import BacktestSummary
    from tasks.publication import JournalsReport
    from tasks.session import SessionSummary
    from tasks.stages import StagesReport
    from warehouse.batches import BatchReport
    from warehouse.builds import Mode
    from warehouse.checks import CheckResult
    from warehouse.connection import PublishReport
    from warehouse.gate.validation import Verdict

P = ParamSpec("P")
R = TypeVar("R")

TEMPORARY = (WarehouseBusy, ExchangeUnavailable)  # nothing happened, and the same call may succeed later
RETRY_DELAYS_S = [2.0, 10.0, 30.0]

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
def validate_batch(settings: Settings, batch: BatchReport) -> Verdict | None:
    """The Great Expectations gate; a batch that does not pass is refused and stops the flow."""
    from tasks import candles

    return candles.validate_batch(settings, batch)


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


def tell(sentence: str) -> None:
    """One line in the run's log."""
    get_run_logger().info(sentence)


def note(facts: Mapping[str, str]) -> None:
    """What this run did, as a table in the UI; `make run` and `slipway status` read the same table."""
    create_table_artifact([{"fact": fact, "value": value} for fact, value in facts.items()], description="What it did")


def show(key: str, markdown: str) -> None:
    """A page in the UI, with pictures as data URIs; `key` is what its versions have in common."""
    create_markdown_artifact(markdown, key=key.replace("_", "-"))  # Prefect allows no underscore there


def announce(event: str, chain: str) -> None:
    """Let the triggers of prefect.yaml start what comes next, as part of the same chain."""
    emit_event(event, resource={"prefect.resource.id": "slipway.warehouse"}, payload={"chain": chain})


def this_run() -> str:
    """Id of the running flow: the name of a chain that begins here."""
    return str(flow_run.id)
