"""The deployments on a real Prefect server and worker, as `make run` starts them.

Prefect is imported where it is used: it takes seconds, and of several test processes only one runs these tests.
"""

import contextlib
import io
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import httpx
import psutil
import pytest

from config.settings import ROOT, load_settings
from ops import stack
from ops.journal import JournalReader, Kind
from ops.orchestrator import FlowRun, Orchestrator
from ops.run import Board, Venue, follow, run
from ops.stack import Stack
from trading.errors import CheckFailed, SetupFailed, WarehouseBusy
from warehouse.connection import reading

pytestmark = [pytest.mark.xdist_group("prefect"), pytest.mark.timeout(1200)]

ROWS = 3000  # of 15m candles: a month
SANDBOX = Venue("sandbox", ("BTC/USD",), is_sandbox=True)
CRON = ("backfill/venue", "ingest/inbox", "transform/build", "backtest/ema-cross", "trade/paper")


class Slipway(NamedTuple):
    """What `make run` has left behind."""

    home: Path
    archive: Path
    environment: dict[str, str]
    code: int
    said: str

    @property
    def state(self) -> Path:
        return self.home / ".slipway"

    @property
    def up(self) -> Stack:
        found = stack.read(self.state)
        assert found is not None
        return found

    def run_of(self, deployment: str, **parameters: object) -> FlowRun:
        """One run of a deployment, to its end."""
        return self.ended(self.begun(deployment, **parameters))

    def begun(self, deployment: str, **parameters: object) -> FlowRun:
        with Orchestrator(self.up.api_url) as server:
            ids = {found.name: found.id for found in server.deployments()}
            return server.start_run(ids[deployment], parameters)

    def ended(self, run: FlowRun) -> FlowRun:
        deadline = time.monotonic() + 120
        with Orchestrator(self.up.api_url) as server:
            while not run.is_final:
                assert time.monotonic() < deadline, f"run {run.id} is still {run.state_name}"
                time.sleep(0.2)
                run = server.run(run.id)
        return run

    def process_of(self, run: FlowRun) -> psutil.Process:
        """The process that the worker has begun for a run."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            for process in psutil.process_iter():
                with contextlib.suppress(psutil.Error):
                    if process.environ().get("PREFECT__FLOW_RUN_ID") == run.id:
                        return process
            time.sleep(0.05)
        raise AssertionError(f"run {run.id} has no process")

    def alerted(self, flow: str) -> str:
        """Title of the one alert of a flow; it comes after the run has its last state."""
        deadline = time.monotonic() + 60
        file = self.state / "journals" / f"{flow}.sqlite"
        while time.monotonic() < deadline:
            if file.is_file():
                with contextlib.suppress(SetupFailed), JournalReader(file) as journal:
                    if alerts := [*journal.rows(kinds=[Kind.ALERT])]:
                        return str(alerts[-1].values["title"])
            time.sleep(0.1)
        raise AssertionError(f"nobody was told of {flow}")


@pytest.fixture(scope="module")
def slipway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slipway]:
    """A home in which `slipway run` has run once, over a month of real candles."""
    home = tmp_path_factory.mktemp("slipway home")
    archive = home / "archive"
    archive.mkdir()
    for name in ("XBTUSD_15.csv", "ETHUSD_15.csv"):
        with (load_settings().paths.sample / name).open() as candles:
            (archive / name).write_text("".join(islice(candles, ROWS)))
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    environment["SLIPWAY_HOME"] = str(home)
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            code = run(ROOT, home / ".slipway", archive, SANDBOX, version="test", environment=environment)
        yield Slipway(home, archive, environment, code, said.getvalue())
    finally:
        stack.stop(home / ".slipway", print)
        assert not [process for process in psutil.process_iter() if _lives_in(process, home)]


class Idle(NamedTuple):
    """Runs that change nothing in the warehouse, side by side."""

    again: FlowRun  # the same archive
    empty: FlowRun  # an inbox without a file
    sweep: FlowRun  # two sets of parameters


@pytest.fixture(scope="module")
def idle(slipway: Slipway, tmp_path_factory: pytest.TempPathFactory) -> Idle:
    begun = (
        slipway.begun("ingest/archive", path=str(slipway.archive)),
        slipway.begun("ingest/inbox", path=str(tmp_path_factory.mktemp("inbox"))),
        slipway.begun("sweep/ema-cross-sets", vary=["stop_atr=1,2"], folds=2),
    )
    return Idle(*map(slipway.ended, begun))


def chains_that_landed(slipway: Slipway) -> set[str]:
    """Of all runs that announced new candles."""
    from tasks.catalog import CANDLES_LANDED

    asked = {"filter": {"event": {"name": [CANDLES_LANDED]}, "occurred": {"since": "2020-01-01T00:00:00Z"}}}
    reply = httpx.post(f"{slipway.up.api_url}/events/filter", json={**asked, "limit": 50}, trust_env=False)
    return {event["payload"]["chain"] for event in reply.raise_for_status().json()["events"]}


def test_one_command_takes_candles_through_the_whole_chain(slipway: Slipway) -> None:
    assert slipway.code == 0, slipway.said
    titles = (
        "land and validate",
        "universe",
        "backfill",
        "build and publish",
        "backtest of Smart Money",
        "backtest",
        "paper session",
    )
    assert [title for title in titles if f"{title}: done" not in slipway.said] == []
    assert "From files to fills: 6,000 rows landed" in slipway.said
    assert slipway.up.ui_url in slipway.said
    published = slipway.home / "warehouse" / "slipway.duckdb"
    assert published.is_file()
    with reading(published) as warehouse:
        sessions = warehouse.execute("select count(distinct session), count(*) > 0 from marts.journal").fetchone()
    assert sessions == (1, True)


def test_it_looks_at_the_markets_of_its_venue_and_publishes_them_with_the_candles(slipway: Slipway) -> None:
    with reading(slipway.home / "warehouse" / "slipway.duckdb") as warehouse:
        universe = warehouse.execute("select source, instrument, contract, is_member from marts.universe").fetchall()
        listed = warehouse.execute("select market, instrument from marts.listings order by all").fetchall()
    assert ("sandbox-rest", "BTC/USD", "PF_XBTUSD", True) in universe
    assert {("spot", "BTC/USD"), ("futures", "PF_XBTUSD")} <= {*listed}


def test_every_run_of_the_chain_carries_its_name(slipway: Slipway) -> None:
    with Orchestrator(slipway.up.api_url) as server:
        ids = {found.name: found.id for found in server.deployments()}
        chains = [
            {run.parameters.get("chain") for run in server.newest_runs(ids[name])} - {None}
            for name in (
                "ingest/archive",
                "backfill/venue",
                "transform/build",
                "backtest/smc",
                "backtest/ema-cross",
                "trade/paper",
            )
        ]
    assert len(set.intersection(*chains)) == 1, chains


def test_what_the_venue_told_lands_beside_the_archive_and_changes_none_of_its_candles(slipway: Slipway) -> None:
    with reading(slipway.home / "warehouse" / "slipway.duckdb") as warehouse:
        told = warehouse.execute("select distinct source from raw.batches").fetchall()
        believed = warehouse.execute(
            "select distinct source from marts.candles where timeframe = '15m' and not starts_with(instrument, 'PF_')"
        ).fetchall()
        revised = warehouse.execute("select sum(rows_revised) from raw.batches").fetchone()
    assert {source for (source,) in told} == {"kraken", "sandbox-rest", "sandbox-trades", "sandbox-charts"}
    assert (believed, revised) == ([("kraken",)], (0,))


def test_cron_deployments_get_scheduled_runs(slipway: Slipway) -> None:
    with Orchestrator(slipway.up.api_url) as server:
        ids = {found.name: found.id for found in server.deployments()}
        for name in CRON:
            deadline = time.monotonic() + 60
            while not (scheduled := server.scheduled_runs(ids[name])):
                assert time.monotonic() < deadline, f"the scheduler has given {name} no run"
                time.sleep(0.5)
            assert all(run.expected_at is not None for run in scheduled)
            assert max(run.expected_at for run in scheduled if run.expected_at) > datetime.now(UTC)


def test_landing_the_same_archive_again_lands_nothing(slipway: Slipway, idle: Idle) -> None:
    assert idle.again.state_type == "COMPLETED", idle.again.message
    with Orchestrator(slipway.up.api_url) as server:
        assert server.facts(idle.again.id)["rows landed"] == "0"
    assert idle.again.id not in chains_that_landed(slipway)


def test_a_sweep_tries_its_sets_and_says_what_the_best_is_worth(slipway: Slipway, idle: Idle) -> None:
    assert idle.sweep.state_type == "COMPLETED", idle.sweep.message
    with Orchestrator(slipway.up.api_url) as server:
        facts = server.facts(idle.sweep.id)
    assert facts["sets"] == "2"
    assert facts["best by sharpe"].startswith("stop_atr=")
    assert "Walked forward" in facts["worth"]
    assert Path(facts["rows"]).is_file()
    assert Path(facts["report"]).is_file()


def test_a_bad_input_fails_its_flow_and_stops_the_chain_there(slipway: Slipway, tmp_path: Path) -> None:
    bad = tmp_path / "XBTUSD_15.csv"
    bad.write_text("this is not a candle\n")
    with Orchestrator(slipway.up.api_url) as server:
        board = Board(Silent())
        starts = {"ingest/archive": lambda: {"path": str(bad), "chain": "a-bad-chain"}}
        outcome = follow(server, slipway.up, slipway.state, starts, board)
    assert outcome.finished == ()
    assert outcome.failure.startswith("ingest/archive ended as Failed. InputUnusable: ")
    assert "XBTUSD_15.csv" in outcome.failure
    _, _, run_id = outcome.failure.partition(f"{slipway.up.ui_url}/runs/flow-run/")
    with Orchestrator(slipway.up.api_url) as server:
        deadline = time.monotonic() + 30  # log lines arrive in batches
        log = ""
        while "InputUnusable: XBTUSD_15.csv was refused" not in log:
            assert time.monotonic() < deadline, log
            log = "\n".join(server.log_lines(run_id.strip(), 50))
            time.sleep(0.2)
    assert "Traceback" not in log
    assert "a-bad-chain" not in chains_that_landed(slipway)


def test_an_empty_inbox_is_fine_and_starts_nothing(slipway: Slipway, idle: Idle) -> None:
    assert idle.empty.state_type == "COMPLETED", idle.empty.message
    with Orchestrator(slipway.up.api_url) as server:
        deadline = time.monotonic() + 10  # log lines arrive in batches
        while not any("Nothing to land" in line for line in server.log_lines(idle.empty.id, 50)):
            assert time.monotonic() < deadline
            time.sleep(0.2)
    assert idle.empty.id not in chains_that_landed(slipway)


@pytest.mark.parametrize(
    ("deployment", "parameters"),
    [
        ("ingest/archive", {"path": 3}),
        ("ingest/archive", {"path": "x", "columns": {"opened_at": "time"}}),
        ("transform/build", {"mode": "sometimes"}),
        ("backtest/ema-cross", {"timeframe": "7m"}),
        ("backtest/ema-cross", {"strategy": "../../etc/passwd"}),
    ],
)
def test_the_server_refuses_parameters_of_the_wrong_type(
    slipway: Slipway, deployment: str, parameters: dict[str, object]
) -> None:
    with pytest.raises(SetupFailed, match="The Prefect server refused"):
        slipway.run_of(deployment, **parameters)


def test_tries_again_what_is_temporary_and_nothing_else(slipway: Slipway, monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect import flow
    from prefect.settings import PREFECT_API_URL, PREFECT_RESULTS_LOCAL_STORAGE_PATH, temporary_settings

    from tasks import catalog

    monkeypatch.setattr(catalog, "RETRY_DELAYS_S", [0.0, 0.0, 0.0])
    calls: list[str] = []

    def busy_twice() -> str:
        calls.append("busy")
        if calls.count("busy") < 3:
            raise WarehouseBusy("held by another process")
        return "done"

    def wrong() -> None:
        calls.append("wrong")
        raise CheckFailed("one row is wrong")

    @flow
    def patience() -> str:
        return catalog.patiently(busy_twice)()

    @flow
    def no_patience() -> None:
        catalog.patiently(wrong)()

    results = slipway.home / "results"
    with temporary_settings({PREFECT_API_URL: slipway.up.api_url, PREFECT_RESULTS_LOCAL_STORAGE_PATH: results}):
        assert patience() == "done"
        with pytest.raises(CheckFailed):
            no_patience()
    assert (calls.count("busy"), calls.count("wrong")) == (3, 1)


def test_a_killed_worker_is_noticed_and_start_brings_it_back_without_its_missed_runs(slipway: Slipway) -> None:
    before = slipway.up
    assert before.worker is not None
    psutil.Process(before.worker.pid).kill()
    while stack.is_alive(before.worker, before.token):
        time.sleep(0.05)
    with Orchestrator(before.api_url) as server:
        starts = {"ingest/archive": lambda: {"path": "x", "chain": "y"}}
        outcome = follow(server, before, slipway.state, starts, Board(Silent()))
        assert outcome.failure.startswith("The Prefect worker has ended meanwhile.")
        missed = _schedule_an_hour_ago(server)
    said: list[str] = []
    after = stack.start(ROOT, slipway.state, slipway.environment, said.append)
    assert after.server == before.server
    assert after.worker != before.worker
    assert "1 scheduled run was missed" in said[0]
    with Orchestrator(after.api_url) as server:
        assert server.run(missed).state_name == "Missed"


def test_starting_what_already_runs_changes_nothing(slipway: Slipway) -> None:
    said: list[str] = []
    exported = {**slipway.environment, "PREFECT_API_URL": slipway.up.api_url}  # as `make run` tells people to
    assert stack.start(ROOT, slipway.state, exported, said.append) == slipway.up
    assert said == []


def test_a_run_of_a_deployment_that_fails_tells_a_person(slipway: Slipway) -> None:
    (slipway.home / "backups").write_text("in the way")
    assert slipway.run_of("backup/nightly").state_type == "FAILED"
    assert slipway.alerted("backup") == "backup failed"


def test_a_run_of_a_deployment_that_is_killed_tells_a_person(slipway: Slipway) -> None:
    run = slipway.begun("drill/weekly")
    slipway.process_of(run).kill()
    assert slipway.ended(run).state_type == "CRASHED"
    assert slipway.alerted("drill") == "drill was killed"


@pytest.mark.deep
def test_an_inbox_lands_what_is_good_names_what_is_bad_and_is_not_poisoned_by_it(
    slipway: Slipway, tmp_path: Path
) -> None:
    at_rest = time.time() - 3600
    hours = (load_settings().paths.sample / "XBTUSD_60.csv").read_text().splitlines(keepends=True)
    (tmp_path / "XBTUSD_60.csv").write_text("".join(hours[-50:]))
    (tmp_path / "ETHUSD_60.csv").write_text("this is not a candle\n")
    (tmp_path / "mine.csv").write_text("nobody knows of what\n")
    for file in tmp_path.iterdir():
        os.utime(file, (at_rest, at_rest))
    first = slipway.run_of("ingest/inbox", path=str(tmp_path))
    assert first.state_type == "FAILED"
    assert "ETHUSD_60.csv" in first.message
    with Orchestrator(slipway.up.api_url) as server:
        assert server.facts(first.id)["rows landed"] == "50"
    assert slipway.run_of("ingest/inbox", path=str(tmp_path)).state_type == "COMPLETED"
    with JournalReader(slipway.state / "journals" / "ingest.sqlite") as journal:
        told = [row.values["title"] for row in journal.rows(kinds=[Kind.ALERT])]
    assert told.count("files in the inbox not read") == 1


def test_runs_whose_processes_are_gone_are_given_up(slipway: Slipway) -> None:
    assert slipway.up.worker is not None
    psutil.Process(slipway.up.worker.pid).kill()  # so that no schedule begins a run meanwhile; last test of this module
    with Orchestrator(slipway.up.api_url) as server:
        server.end_lost_runs()  # what a schedule had begun
        flow_id = server._ask("POST", "/flows/", {"name": "lost"})["id"]
        lost = [{"flow_id": flow_id, "state": {"type": state}} for state in ("PENDING", "RUNNING", "SCHEDULED")]
        ids = [server._ask("POST", "/flow_runs/", run)["id"] for run in lost]
        assert server.end_lost_runs() == 2
        assert [server.run(run_id).state_type for run_id in ids] == ["CRASHED", "CRASHED", "SCHEDULED"]
        assert server.run(ids[0]).state_name == "Lost"
        assert server.end_lost_runs() == 0


class Silent:
    """A screen that nobody looks at."""

    def say(self, sentence: str) -> None: ...

    def show(self, steps: object) -> None: ...


def _schedule_an_hour_ago(server: Orchestrator) -> str:
    """A cron run whose time passed while nobody was there, as the scheduler would have left it."""
    ids = {found.name: found.id for found in server.deployments()}
    at = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    state = {"type": "SCHEDULED", "state_details": {"scheduled_time": at}}
    asked = {"state": state, "tags": ["auto-scheduled"]}
    run_id: str = server._ask("POST", f"/deployments/{ids['transform/build']}/create_flow_run", asked)["id"]
    return run_id


def _lives_in(process: psutil.Process, home: Path) -> bool:
    try:
        return process.environ().get("SLIPWAY_HOME") == str(home)
    except psutil.Error:
        return False
