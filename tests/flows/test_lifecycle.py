"""Backup, drill and tidying up as Prefect runs them; and what Prefect itself keeps, and for how long.

Prefect is imported where it is used: it takes seconds, and of several test processes only one runs these tests.
"""

import importlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from config.settings import Settings, load_settings
from ops.backups.folders import backups
from ops.journal import JournalReader, Kind
from ops.orchestrator import Orchestrator
from tasks.startup import marked_as_told
from trading.errors import CheckFailed, SetupFailed
from warehouse.connection import unit_of_work

pytestmark = pytest.mark.xdist_group("prefect")

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def api_url() -> Iterator[str]:
    """A server of these tests' own."""
    from prefect.settings import PREFECT_API_URL
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield str(PREFECT_API_URL.value())


@pytest.fixture
def log_of_runs(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """What flows log, which goes to Prefect only."""
    importlib.import_module("flows.lifecycle")  # with it Prefect sets its handlers, and takes away all others
    logger = logging.getLogger("prefect.flow_runs")
    logger.addHandler(caplog.handler)
    yield caplog
    logger.removeHandler(caplog.handler)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Of a home with a warehouse."""
    monkeypatch.setenv("SLIPWAY_HOME", str(tmp_path))
    settings = load_settings()
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()):
        return settings


def test_prefects_own_server_keeps_runs_as_long_as_the_settings_say() -> None:
    code = (
        "import json\nfrom prefect.settings import get_current_settings\nserver = get_current_settings().server\n"
        "vacuum = server.services.db_vacuum\n"
        "print(json.dumps([sorted(vacuum.enabled_vacuum_types), vacuum.retention_period.days,"
        " server.events.retention_period.days]))"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_TEST_MODE"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == [["events", "flow_runs", "orphans"], load_settings().lifecycle.run_days, 7]


def test_a_person_is_told_of_a_flow_that_failed(settings: Settings) -> None:
    told_of("backup", failed(message="There is not enough room."))
    (alert,) = alerts(settings, "backup")
    assert (alert["title"], alert["severity"]) == ("backup failed", "warning")
    assert alert["body"].startswith("There is not enough room.\nMend what is named above; then start backup again")


def test_a_person_is_told_of_a_flow_that_was_killed(settings: Settings) -> None:
    told_of("tidy", crashed(message="Process exited with status code: -9."))
    (alert,) = alerts(settings, "tidy")
    assert alert["title"] == "tidy was killed"
    assert "status code: -9" in alert["body"]


def test_what_the_run_raised_is_told_in_its_own_words(settings: Settings) -> None:
    told_of("drill", failed(data=CheckFailed("Ten rows are gone."), message="Flow run encountered an exception: …"))
    (alert,) = alerts(settings, "drill")
    assert alert["body"].startswith("Ten rows are gone.\n")


def test_what_an_alert_said_before_is_not_said_again(settings: Settings) -> None:
    told_of("drill", failed(data=marked_as_told(CheckFailed("Ten rows are gone.")), message="…"))
    assert alerts(settings, "drill") == []


@pytest.mark.deep  # a server of their own takes a while
@pytest.mark.usefixtures("api_url")
def test_a_backup_that_cant_be_made_tells_a_person_once(settings: Settings) -> None:
    from flows import lifecycle

    settings.paths.backups.write_text("in the way")
    for _ in range(2):
        with pytest.raises(SetupFailed, match="no new backup"):
            lifecycle.backup()
    (alert,) = alerts(settings, "backup")
    assert "no new backup" in alert["body"]


@pytest.mark.deep  # a server of their own takes a while
def test_the_flows_back_up_prove_it_and_tidy_up(
    settings: Settings, api_url: str, log_of_runs: pytest.LogCaptureFixture
) -> None:
    from flows import lifecycle

    lifecycle.backup()
    lifecycle.drill()
    lifecycle.tidy()
    (folder,) = backups(settings.paths.backups)
    facts = facts_by_flow(api_url)
    assert facts["backup"]["backup"] == facts["drill"]["restored"] == str(folder)
    assert facts["tidy"]["Prefect runs"] == "0"
    assert {f"{what}: {count}" for what, count in facts["tidy"].items()} <= {*log_of_runs.messages}


@pytest.mark.deep  # a server of their own takes a while
def test_old_runs_of_ours_go_with_their_artifacts_and_others_stay(settings: Settings, api_url: str) -> None:
    from prefect import tags

    from flows import lifecycle

    with tags("slipway"):
        lifecycle.tidy()
    lifecycle.tidy()
    later = datetime.now(UTC) + timedelta(days=1)
    with Orchestrator(api_url) as server:
        ours, others = runs(server, "slipway"), runs(server) - runs(server, "slipway")
        (run,) = ours
        assert server.facts(run)
        assert server.forget_runs("slipway", later - timedelta(days=2)) == 0
        assert server.forget_runs("slipway", later) == 1
        assert server.facts(run) == {}
        assert runs(server) == others


def told_of(flow: str, state: Any) -> None:
    """What Prefect does at the end of a run that a deployment began: it has no parameters but those of prefect.yaml."""
    from prefect.client.schemas.objects import FlowRun

    from flows import lifecycle
    from tasks.catalog import tell_of_failure

    tell_of_failure(getattr(lifecycle, flow), FlowRun(flow_id=uuid4(), parameters={}), state)


def failed(**given: Any) -> Any:
    from prefect.states import Failed

    return Failed(**given)


def crashed(**given: Any) -> Any:
    from prefect.states import Crashed

    return Crashed(**given)


def alerts(settings: Settings, flow: str) -> list[Mapping[str, Any]]:
    file = settings.paths.journals / f"{flow}.sqlite"
    if not file.exists():
        return []
    with JournalReader(file) as journal:
        return [row.values for row in journal.rows(kinds=[Kind.ALERT])]


def facts_by_flow(api_url: str) -> dict[str, dict[str, str]]:
    with Orchestrator(api_url) as server:
        flows = {flow["id"]: flow["name"] for flow in server._ask("POST", "/flows/filter", {})}
        found = server._ask("POST", "/flow_runs/filter", {})
        return {flows[run["flow_id"]]: facts for run in found if (facts := server.facts(run["id"]))}


def runs(server: Orchestrator, *tagged: str) -> set[str]:
    asked = {"flow_runs": {"tags": {"all_": [*tagged]}}} if tagged else {}
    return {run["id"] for run in server._ask("POST", "/flow_runs/filter", asked)}
