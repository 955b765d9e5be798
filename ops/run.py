"""`make run`: the whole way once, through the deployments.

It starts what has to run in the background, lets Prefect do the work, watches it through the API, and sums up. Every
wait is bounded, and a wait that ends in vain says where to look.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from ops import loopback, stack
from ops.orchestrator import FlowRun, Orchestrator
from ops.progress import Screen, Step, screen
from ops.stack import Say, Stack
from ops.summary import Finished, Outcome, print_summary
from trading.errors import SetupFailed

NEEDED_GB = 1.0
POLL_S = 0.5
DEPLOY_WAIT_S = 180.0
WAITS = {"AwaitingConcurrencySlot": "waits for another run of it", "Late": "waits for the worker"}
TRIGGER_WAIT_S = 180.0  # from the event of one flow to the run of the next; the server on SQLite can stall for a minute


class Link(NamedTuple):
    """One deployment of the chain, how long a person should have to wait for it, and what is started beside it.

    What is started beside another has its own place in the chain, where it is waited for.
    """

    deployment: str
    title: str
    wait_s: float
    beside: tuple[str, ...] = ()


CHAIN = (
    Link("ingest/archive", "land and validate", 600.0, beside=("universe/discover",)),
    Link("universe/discover", "universe", 600.0),
    Link("backfill/venue", "backfill", 600.0),
    Link("transform/build", "build and publish", 600.0),
    Link("backtest/smc", "backtest of Smart Money", 600.0),
    Link("backtest/ema-cross", "backtest", 600.0),
    Link("trade/paper", "paper session", 600.0),
)
DATASETS = ("ohlc", "charts", "funding", "trades")
TRADES_HOURS = 3  # the busiest day has fifty pages of them, and the venue gives one in a second
WIDTH_OF_A_LOG = 160
BEFORE = ("server and worker", "deployments")


# By deployment, what `make run` starts it with, known when its turn comes; all others are started by events.
Starts = Mapping[str, Callable[[], Mapping[str, Any]]]


class Venue(NamedTuple):
    """Whom the backfill asks, by name, for which instruments; and whether that is a sandbox, to be started with it."""

    name: str
    instruments: tuple[str, ...]
    is_sandbox: bool


class Failed(Exception):
    """The chain did not come to its end; the text says where and why."""


def run(root: Path, state: Path, sample: Path, venue: Venue, *, version: str, environment: Mapping[str, str]) -> int:
    """Take the sample candles, and what a venue tells after them, through the whole chain; the exit code.

    Args:
        root: The checkout.
        state: Where processes, logs and reports lie.
        sample: The candles to land.
        venue: Where the backfill comes from.
        version: Of the code; another one is deployed again.
        environment: As the user has set it; may name PREFECT_API_URL or SLIPWAY_PORT.

    Raises:
        SetupFailed: the machine lacks something, or the server or the worker does not come up.
    """
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH_OF_A_LOG)
    began = time.monotonic()
    refuse_full_disk(state)
    try:
        with screen(console) as shown:
            board = Board(shown)
            board.begin(BEFORE[0])
            up = stack.start(root, state, environment, shown.say)
            ours = stack.environment_of(up, state, environment)
            with Orchestrator(up.api_url) as server, _market(venue, state, sample, ours) as addresses:
                board.begin(BEFORE[1])
                deploy(server, up, root, state, version, environment, shown.say)
                outcome = follow(server, up, state, _starts(sample, venue, addresses, uuid.uuid4().hex), board)
    except KeyboardInterrupt:
        console.print("Interrupted. What was started goes on in the background: make status, make stop.")
        raise
    print_summary(console, outcome, up, seconds=time.monotonic() - began)
    return 1 if outcome.failure else 0


def refuse_full_disk(state: Path) -> None:
    """Refuse before a database has filled the last gigabyte."""
    standing = next(folder for folder in (state, *state.parents) if folder.exists())
    free_gb = shutil.disk_usage(standing).free / 1e9
    if free_gb < NEEDED_GB:
        raise SetupFailed(
            f"Not enough disk space at {state}: {free_gb:.1f} GB are free, {NEEDED_GB:.0f} GB are needed."
        )


def deploy(
    server: Orchestrator, up: Stack, root: Path, state: Path, version: str, environment: Mapping[str, str], say: Say
) -> None:
    """Apply prefect.yaml, unless this server has it already as it is.

    Raises:
        SetupFailed: `prefect deploy` refused; the sentence holds what it said.
    """
    note = state / "deployed.json"
    with stack.one_at_a_time(state, say):  # two at once would leave every trigger twice
        wanted = _fingerprint(root, version)
        if _noted(note) != {"fingerprint": wanted, "deployments": _deployment_ids(server)}:
            _deploy_all(stack.environment_of(up, state, environment), root, stack.log_path(state, "deploy"))
            made = {"fingerprint": wanted, "deployments": _deployment_ids(server)}
            note.write_text(json.dumps(made), encoding="utf-8")


def follow(server: Orchestrator, up: Stack, state: Path, starts: Starts, board: "Board") -> Outcome:
    """Start what is to be started and watch the chain, named by its `chain`, to its end, or to where it broke."""
    ids = _deployment_ids(server)
    finished: list[Finished] = []
    runs: dict[str, FlowRun] = {}
    chain = ""
    try:
        for link in CHAIN:
            board.begin(link.title)
            for deployment in (link.deployment, *link.beside):
                if deployment in starts and deployment not in runs:
                    parameters = starts[deployment]()
                    chain = parameters.get("chain", chain)
                    runs[deployment] = server.start_run(ids[deployment], parameters)
            began = runs.get(link.deployment) or _started_by_event(server, up, state, link, ids[link.deployment], chain)
            ended = _watch(server, up, state, link, began, board)
            finished.append(Finished(link.title, ended.run_seconds, server.facts(ended.id)))
    except (Failed, SetupFailed) as failure:
        board.fail()
        return Outcome(tuple(finished), str(failure))
    board.finish()
    return Outcome(tuple(finished), "")


def _market(
    venue: Venue, state: Path, sample: Path, environment: Mapping[str, str]
) -> AbstractContextManager[Callable[[], Path] | None]:
    """A sandbox that starts while the rest goes on; nothing for a venue that is there already."""
    return loopback.sandbox(state, sample, environment) if venue.is_sandbox else nullcontext()


def _starts(sample: Path, venue: Venue, addresses: Callable[[], Path] | None, chain: str) -> Starts:
    def universe() -> dict[str, Any]:
        told = None if addresses is None else str(addresses())
        return {"venue": venue.name, "addresses": told, "is_routine": False}

    def backfill() -> dict[str, Any]:
        return {
            **universe(),
            "instruments": list(venue.instruments),
            "datasets": list(DATASETS),
            "trades_hours": TRADES_HOURS,
            "chain": chain,
        }

    # The archive is not announced: the build is to follow when the backfill has landed too.
    archive = {"path": str(sample), "announces": False, "chain": chain}
    return {"ingest/archive": lambda: archive, "universe/discover": universe, "backfill/venue": backfill}


def _deploy_all(environment: Mapping[str, str], root: Path, log: Path) -> None:
    command = (sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as sink:
        try:
            done = subprocess.run(
                command,
                cwd=root,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                timeout=DEPLOY_WAIT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            silence = f"`prefect deploy --all` did not end in {DEPLOY_WAIT_S:.0f} s."
            raise SetupFailed(f"{silence}\n{stack.tail(log)}") from error
    if done.returncode != 0:
        raise SetupFailed(f"`prefect deploy --all` failed.\n{stack.tail(log, 30)}")


def _watch(server: Orchestrator, up: Stack, state: Path, link: Link, run: FlowRun, board: "Board") -> FlowRun:
    """The run once it has ended well."""
    url = f"{up.ui_url}/runs/flow-run/{run.id}"
    deadline = time.monotonic() + link.wait_s
    while not run.is_final:
        _refuse_dead_worker(up, state)
        if time.monotonic() > deadline:
            lines = "\n".join(f"  {line}" for line in server.log_lines(run.id, 10))
            raise Failed(f"{link.deployment} did not end within {link.wait_s:.0f} s; it goes on at {url}\n{lines}")
        time.sleep(POLL_S)
        run = server.run(run.id)
        board.remark(_remark(server, run))
    if run.state_type != "COMPLETED":
        raise Failed(f"{link.deployment} ended as {run.state_name}. {run.reason}\nIts page: {url}")
    return run


def _started_by_event(
    server: Orchestrator, up: Stack, state: Path, link: Link, deployment_id: str, chain: str
) -> FlowRun:
    """The run that a trigger has started for this chain."""
    deadline = time.monotonic() + TRIGGER_WAIT_S
    while time.monotonic() < deadline:
        for run in server.newest_runs(deployment_id):
            if run.parameters.get("chain") == chain:
                return run
        _refuse_dead_worker(up, state)
        time.sleep(POLL_S)
    raise Failed(
        f"No trigger started {link.deployment} within {TRIGGER_WAIT_S:.0f} s. "
        f"Look at the automations: {up.ui_url}/automations\n{stack.tail(stack.log_path(state, 'server'))}"
    )


def _refuse_dead_worker(up: Stack, state: Path) -> None:
    if not up.is_up:
        dead = "worker" if up.server is None or stack.is_alive(up.server, up.token) else "server"
        raise Failed(f"The Prefect {dead} has ended meanwhile.\n{stack.tail(stack.log_path(state, dead))}")


def _remark(server: Orchestrator, run: FlowRun) -> str:
    if run.state_type in {"SCHEDULED", "PENDING"}:
        return WAITS.get(run.state_name, "starting")
    ours: list[str] = []
    for line in server.log_lines(run.id):
        if line.startswith("Beginning flow run"):
            ours.clear()  # what Prefect said before is about Prefect
        elif not line.startswith("Finished in state"):
            ours.append(line.splitlines()[0])
    if run.state_type != "RUNNING":
        return ""
    return ours[-1] if ours else server.progress(run.id)


def _deployment_ids(server: Orchestrator) -> dict[str, str]:
    return {deployment.name: deployment.id for deployment in server.deployments()}


def _fingerprint(root: Path, version: str) -> str:
    """Hash of all that a deployment is made from: what to run and when, the flows' parameters, the code's version."""
    files = [root / "prefect.yaml", *sorted(root.glob("flows/*.py")), *sorted(root.glob("config/*.py"))]
    told = hashlib.sha256(f"{root}\n{version}\n".encode())
    for file in files:
        told.update(file.read_bytes())
    return told.hexdigest()


def _noted(note: Path) -> object:
    try:
        return json.loads(note.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None


class Board:
    """The steps of this run, told to the screen whenever one of them changes."""

    def __init__(self, shown: Screen) -> None:
        titles = (*BEFORE, *(link.title for link in CHAIN))
        self._shown = shown
        self._steps = {title: Step(title, "waiting", 0.0, 0.0, "") for title in titles}
        self._current = ""

    def begin(self, title: str) -> None:
        """One step begins; the one before it, if any, is done."""
        self._end("done")
        self._current = title
        self._put(self._steps[title]._replace(state="running", since_s=time.monotonic()))

    def remark(self, text: str) -> None:
        """What the step that runs is at."""
        self._put(self._steps[self._current]._replace(remark=text))

    def finish(self) -> None:
        """The last step is done."""
        self._end("done")

    def fail(self) -> None:
        """The step that runs has failed."""
        self._end("failed")

    def _end(self, state: str) -> None:
        if self._current:
            step = self._steps[self._current]
            self._put(step._replace(state=state, took_s=time.monotonic() - step.since_s, remark=""))

    def _put(self, step: Step) -> None:
        self._steps[step.title] = step
        self._shown.show(tuple(self._steps.values()))
