"""What prefect.yaml and the flows say about themselves must fit together; no server is needed to see it.

Prefect is imported where it is used: it takes seconds, and of several test processes only one runs these tests.
"""

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from trading.errors import (
    CheckFailed,
    ExchangeUnavailable,
    InputUnusable,
    OutcomeUnknown,
    SetupFailed,
    TradingHalted,
    WarehouseBusy,
)

pytestmark = pytest.mark.xdist_group("prefect")

ROOT = Path(__file__).resolve().parent.parent.parent
DEPLOYMENTS: list[dict[str, Any]] = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
NAMES = [deployment["name"] for deployment in DEPLOYMENTS]
SCHEDULED = [deployment for deployment in DEPLOYMENTS if "schedules" in deployment]

each_deployment = pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=NAMES)


@pytest.fixture(scope="module")
def flows() -> dict[str, Any]:
    """The flows as Prefect loads them, whose folder then lies at the front of `sys.path`."""
    from prefect.flows import load_flow_from_entrypoint

    before = list(sys.path)
    loaded = {
        d["entrypoint"]: load_flow_from_entrypoint(str(ROOT / d["entrypoint"]), use_placeholder_flow=False)
        for d in DEPLOYMENTS
    }
    sys.path[:] = before
    return loaded


@pytest.fixture(scope="module")
def tasks() -> dict[str, Any]:
    """The tasks that flows are made of."""
    from prefect.tasks import Task

    from tasks import catalog

    return {name: value for name, value in vars(catalog).items() if isinstance(value, Task)}


@each_deployment
def test_says_what_it_is_for_and_checks_its_parameters(deployment: dict[str, Any]) -> None:
    assert deployment["description"]
    assert "slipway" in deployment["tags"]
    assert deployment["enforce_parameter_schema"] is True
    assert deployment["work_pool"]["job_variables"]["stream_output"] is False


@each_deployment
def test_names_only_parameters_that_its_flow_has(deployment: dict[str, Any], flows: dict[str, Any]) -> None:
    known = inspect.signature(flows[deployment["entrypoint"]].fn).parameters
    given = set(deployment.get("parameters", {}))
    triggered = {name for trigger in deployment.get("triggers", []) for name in trigger["parameters"]}
    assert given | triggered <= set(known)


@each_deployment
def test_every_parameter_is_typed_and_explained(deployment: dict[str, Any], flows: dict[str, Any]) -> None:
    flow = flows[deployment["entrypoint"]]
    assert flow.parameters.properties
    for name, described in flow.parameters.properties.items():
        assert described.get("description"), f"{flow.name}: {name}"
    assert flow.version


@pytest.mark.parametrize("deployment", SCHEDULED, ids=[deployment["name"] for deployment in SCHEDULED])
def test_runs_in_utc_after_a_candle_has_closed_and_one_at_a_time(deployment: dict[str, Any]) -> None:
    from prefect.client.schemas.schedules import CronSchedule

    for schedule in deployment["schedules"]:
        CronSchedule(cron=schedule["cron"], timezone=schedule["timezone"])
        assert schedule["timezone"] == "UTC"
        minutes = [int(minute) for minute in schedule["cron"].split()[0].split(",")]
        assert all(0 < minute % 15 < 10 for minute in minutes)
    assert deployment["concurrency_limit"] == 1


@pytest.mark.parametrize("deployment", SCHEDULED, ids=[deployment["name"] for deployment in SCHEDULED])
def test_a_run_that_nobody_waits_for_tells_a_person_when_it_fails_or_is_killed(
    deployment: dict[str, Any], flows: dict[str, Any]
) -> None:
    flow = flows[deployment["entrypoint"]]
    for hooks in (flow.on_failure_hooks, flow.on_crashed_hooks):
        assert [hook.__name__ for hook in hooks] in (["tell_of_failure"], ["tell_of_lost_session"]), flow.name


def test_every_event_that_starts_something_is_one_that_a_flow_announces() -> None:
    from tasks import catalog

    awaited = {event for d in DEPLOYMENTS for trigger in d.get("triggers", []) for event in trigger["expect"]}
    assert awaited == {catalog.CANDLES_LANDED, catalog.MARTS_BUILT, catalog.BACKTEST_FINISHED}


@pytest.mark.parametrize("error", [WarehouseBusy("held"), ExchangeUnavailable("no answer")])
def test_what_is_temporary_is_tried_again(error: Exception, tasks: dict[str, Any]) -> None:
    from prefect.states import Failed

    for name, task in tasks.items():
        if task.retries:
            assert task.retry_condition_fn is not None
            assert task.retry_condition_fn(task, None, Failed(data=error)), name


@pytest.mark.parametrize(
    "error",
    [CheckFailed("x"), InputUnusable("x"), SetupFailed("x"), OutcomeUnknown("x"), TradingHalted("x"), OSError()],
)
def test_what_would_fail_again_is_not_tried_again(error: Exception, tasks: dict[str, Any]) -> None:
    from prefect.states import Failed

    for name, task in tasks.items():
        assert not task.retries or not task.retry_condition_fn(task, None, Failed(data=error)), name


def test_a_trading_session_is_never_repeated_from_inside(tasks: dict[str, Any]) -> None:
    assert tasks["run_session"].retries == 0
    assert {name for name, task in tasks.items() if not task.retries} == {"run_session"}


def test_the_flow_files_load_no_heavy_library() -> None:
    heavy = ("great_expectations", "matplotlib", "numba", "talib", "polars", "pandas")
    code = (
        "import sys\nfrom prefect.flows import load_flow_from_entrypoint\n"
        f"for entrypoint in {sorted({d['entrypoint'] for d in DEPLOYMENTS})!r}:\n"
        "    load_flow_from_entrypoint(entrypoint, use_placeholder_flow=False)\n"
        f"print(*[name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()) == (0, []), done.stderr
