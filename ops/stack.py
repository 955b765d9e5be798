"""The Prefect server and worker that run in the background: start, look, stop.

They belong to one checkout (or `SLIPWAY_HOME`) and lie in its `.slipway/`. A process is known as ours by a random token
in its environment, which it hands to all it starts; a process id alone proves nothing, since ids are used again. So
`stop` ends exactly ours, the flow runs of a killed worker too, and never a stranger.
"""

import contextlib
import fcntl
import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import IO, NamedTuple

import psutil

from ops.orchestrator import Orchestrator, is_local
from trading.errors import SetupFailed

POOL = "slipway"
HOST = "127.0.0.1"  # the API asks nobody for a password, so nobody else may reach it
FIRST_PORT, LAST_PORT = 4200, 4299
PORT_ATTEMPTS = 5
TOKEN = "SLIPWAY_STACK"  # noqa: S105  # the name of a variable; its value marks processes and opens nothing
SERVER_WAIT_S = 180.0  # a first start on a slow disk runs a hundred migrations
STOP_GRACE_S = 10.0
LOG_LIMIT_BYTES = 10_000_000
TURN_WAIT_S = 1800.0  # a first `make run` takes minutes; a longer wait is for a process that hangs

Say = Callable[[str], None]


class Member(NamedTuple):
    """One background process."""

    name: str
    pid: int
    started_at: float


class Stack(NamedTuple):
    """What runs in the background. `server` is None when the server is somebody else's (`PREFECT_API_URL`)."""

    token: str
    api_url: str
    server: Member | None
    worker: Member | None

    @property
    def ui_url(self) -> str:
        return self.api_url.removesuffix("/api")

    @property
    def is_up(self) -> bool:
        """Whether every process that should be there is."""
        needed = (self.worker,) if self.server is None else (self.server, self.worker)
        return all(member is not None and is_alive(member, self.token) for member in needed)


def start(root: Path, state: Path, environment: Mapping[str, str], say: Say) -> Stack:
    """Have a healthy server and a worker; what already runs stays as it is.

    `environment` may name `PREFECT_API_URL` (use that server, start none) or `SLIPWAY_PORT` (this port and no other).

    Raises:
        SetupFailed: no free port, or a process that did not come up; the sentence holds the end of its log.
    """
    with one_at_a_time(state, say):
        before = read(state)
        stack = before or Stack(secrets.token_hex(16), "", None, None)
        try:
            stack = _with_server(stack, root, state, environment, say)
            with Orchestrator(stack.api_url) as server:
                server.ensure_process_pool(POOL)
                if before is None and stack.server is not None and (lost := server.end_lost_runs()):
                    say(f"{lost} run(s) ended with the processes of the last time; the next ones do their work.")
                if stack.worker is None and (skipped := server.skip_missed_runs(timedelta(minutes=2))):
                    runs = "1 scheduled run was" if skipped == 1 else f"{skipped} scheduled runs were"
                    say(f"{runs} missed while Slipway was stopped; the next one does the work.")
            return _with_worker(stack, root, state, environment)
        except BaseException:
            if before is None:
                _end(stack.token)
                _forget(state)
            raise


def stop(state: Path, say: Say) -> bool:
    """End the worker, its flow runs and the server; say whether there was anything to end."""
    with one_at_a_time(state, say):
        stack = read(state)
        if stack is None:
            return False
        # The server last: a worker that is told to stop reports to it what became of its runs.
        spared = {stack.server.pid} if stack.server else set()
        _end(stack.token, spared)
        _end(stack.token)
        _forget(state)
        return True


def read(state: Path) -> Stack | None:
    """The stack as it was written down, with only those processes that are alive; None if nothing is left of it."""
    try:
        noted = json.loads(_note(state).read_text(encoding="utf-8"))
        token, api_url = str(noted["token"]), str(noted["api_url"])
        members = [Member(str(m["name"]), int(m["pid"]), float(m["started_at"])) for m in noted["members"]]
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError):  # cut off by a full disk or edited: the note is lost, not the machine
        return None
    alive = {member.name: member for member in members if is_alive(member, token)}
    if not alive and not _processes(token):
        return None
    return Stack(token, api_url, alive.get("server"), alive.get("worker"))


def is_alive(member: Member, token: str) -> bool:
    """Whether this very process runs, not another one that got its number."""
    try:
        process = psutil.Process(member.pid)
        return bool(process.status() != psutil.STATUS_ZOMBIE and process.environ().get(TOKEN) == token)
    except psutil.Error:
        return False


@contextlib.contextmanager
def one_at_a_time(state: Path, say: Say) -> Iterator[None]:
    """For what must not be done twice at once: of two `make run` the second waits, and finds it done.

    Raises SetupFailed: the other one did not end in half an hour, or nothing can be written there.
    """
    with _lock(state) as lock:
        if not _is_ours(lock):
            say("another `make run` or `make stop` is at work here; waiting for it")
            patience_ends = time.monotonic() + TURN_WAIT_S
            while not _is_ours(lock):
                if time.monotonic() > patience_ends:
                    raise SetupFailed(
                        f"Another `make run` or `make stop` has held {lock.name} for {TURN_WAIT_S / 60:.0f} minutes. "
                        "See what it is doing, end it, and try again."
                    )
                time.sleep(0.1)
        yield


def _lock(state: Path) -> IO[str]:
    try:
        state.mkdir(parents=True, exist_ok=True)
        return (state / "stack.lock").open("a")
    except OSError as error:
        raise SetupFailed(
            f"{state} can't be written: {error.strerror}. Make room there and the folder writable, or choose another "
            "home: SLIPWAY_HOME=<another folder>."
        ) from error


def _is_ours(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def environment_of(stack: Stack, state: Path, base: Mapping[str, str]) -> dict[str, str]:
    """Environment of everything that talks to the stack's server: the processes here, and `prefect deploy`."""
    chosen = {key: value for key, value in base.items() if key not in {"PREFECT_PROFILE", "PREFECT_PROFILES_PATH"}}
    chosen |= {
        TOKEN: stack.token,
        "PREFECT_HOME": str(state / "prefect"),
        "PREFECT_API_URL": stack.api_url,
        "DO_NOT_TRACK": "1",
        "GX_ANALYTICS_ENABLED": "false",
        "PYTHONUNBUFFERED": "1",
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), base.get("PATH", os.defpath))),
    }
    if home := base.get("SLIPWAY_HOME"):
        chosen["SLIPWAY_HOME"] = str(Path(home).absolute())
    if is_local(stack.api_url):
        loopback = f"{HOST},localhost"
        chosen["NO_PROXY"] = chosen["no_proxy"] = ",".join(filter(None, (base.get("NO_PROXY"), loopback)))
    return chosen


def log_path(state: Path, name: str) -> Path:
    """Where the `server` or the `worker` writes."""
    return state / "logs" / f"{name}.log"


def _with_server(stack: Stack, root: Path, state: Path, environment: Mapping[str, str], say: Say) -> Stack:
    theirs = environment.get("PREFECT_API_URL", "").rstrip("/")
    if theirs and (stack.server is None or theirs != stack.api_url):  # `make run` tells people to export our own
        return _with_their_server(stack, theirs)
    if stack.server is not None:
        _wait_for_server(stack, state, say)
        return stack
    asked = environment.get("SLIPWAY_PORT")
    for _ in range(PORT_ATTEMPTS):
        port = _choose_port(asked, before=stack.api_url)
        stack = _begin_server(stack, port, root, state, environment)
        try:
            _wait_for_server(stack, state, say)
        except SetupFailed:
            # It takes a server seconds from our look at the port to its own. Another may have been quicker.
            if asked or is_alive(_server_of(stack), stack.token) or _is_free(port):
                raise
            say(f"port {port} was taken by another program meanwhile; trying the next one")
        else:
            return stack
    raise SetupFailed("Each port was taken by another program while the server started. Name one: SLIPWAY_PORT=…")


def _begin_server(stack: Stack, port: int, root: Path, state: Path, environment: Mapping[str, str]) -> Stack:
    api_url = f"http://{HOST}:{port}/api"
    if stack.worker is not None and api_url != stack.api_url:
        _end_one(stack.worker, stack.token)  # it asks at the old address
        stack = stack._replace(worker=None)
    stack = stack._replace(api_url=api_url)
    # Prefect's own lock on its leases names a process id. In a container a new server can get the id of the killed
    # one, and would wait for itself for ever.
    (state / "prefect" / "concurrency_leases" / "expirations.lock").unlink(missing_ok=True)
    command = ("server", "start", "--host", HOST, "--port", str(port))
    origins = f"http://{HOST}:{port},http://localhost:{port}"  # by default any web page may order runs from a browser
    extra = {"PREFECT_SERVER_CORS_ALLOWED_ORIGINS": origins}
    stack = stack._replace(server=_begin("server", command, stack, root, state, {**environment, **extra}))
    _write(stack, state)
    return stack


def _server_of(stack: Stack) -> Member:
    assert stack.server is not None
    return stack.server


def _with_their_server(stack: Stack, api_url: str) -> Stack:
    if stack.server is not None:
        raise SetupFailed(
            f"PREFECT_API_URL asks for {api_url}, but Slipway's own server runs at {stack.api_url}. "
            "Say `make stop` first, or unset PREFECT_API_URL."
        )
    with Orchestrator(api_url) as server:
        if not server.is_healthy():
            raise SetupFailed(
                f"PREFECT_API_URL is set to {api_url}, and no Prefect server answers there. "
                "Start it, or unset PREFECT_API_URL to let Slipway start its own."
            )
    if stack.worker is not None and api_url != stack.api_url:
        _end_one(stack.worker, stack.token)
        stack = stack._replace(worker=None)
    return stack._replace(api_url=api_url)


def _with_worker(stack: Stack, root: Path, state: Path, environment: Mapping[str, str]) -> Stack:
    if stack.worker is None:
        command = ("worker", "start", "--pool", POOL, "--type", "process", "--name", POOL)
        stack = stack._replace(worker=_begin("worker", command, stack, root, state, environment))
        _write(stack, state)
    return stack


def _begin(
    name: str, command: tuple[str, ...], stack: Stack, root: Path, state: Path, environment: Mapping[str, str]
) -> Member:
    """Start `prefect …` in a session of its own, so that Ctrl-C at the prompt does not reach it."""
    log = log_path(state, name)
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
        log.replace(log.with_suffix(".log.1"))
    with log.open("ab") as sink:
        process = subprocess.Popen(
            (sys.executable, "-m", "prefect", *command),
            cwd=root,
            env=environment_of(stack, state, environment),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Member(name, process.pid, time.time())


def _wait_for_server(stack: Stack, state: Path, say: Say) -> None:
    member = _server_of(stack)
    began = time.monotonic()
    told = began
    with Orchestrator(stack.api_url) as server:
        while not (_listens(member, stack.api_url) and server.is_healthy()):
            now = time.monotonic()
            if not is_alive(member, stack.token):
                raise SetupFailed(f"The Prefect server ended while it started.\n{tail(log_path(state, 'server'))}")
            if now - began > SERVER_WAIT_S:
                silence = f"The Prefect server did not answer within {SERVER_WAIT_S:.0f} s."
                raise SetupFailed(f"{silence}\n{tail(log_path(state, 'server'))}")
            if now - told >= 10:
                told = now
                say(f"the Prefect server is still starting ({now - began:.0f} s; the first start takes longest)")
            time.sleep(0.2)


def _listens(member: Member, api_url: str) -> bool:
    """Whether this very process answers there: another program may have taken the port a moment before it."""
    port = int(api_url.removesuffix("/api").rpartition(":")[2])
    try:
        sockets = psutil.Process(member.pid).net_connections(kind="tcp")
    except psutil.Error:
        return False
    return any(found.status == psutil.CONN_LISTEN and found.laddr.port == port for found in sockets)


def tail(log: Path, lines: int = 12) -> str:
    """The end of a log, with its place; safe when there is none."""
    if not log.exists():
        return f"(no log at {log})"
    kept = log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
    return "\n".join((f"The end of {log}:", *(f"  {line}" for line in kept)))


def _choose_port(asked: str | None, before: str) -> int:
    if asked:
        return _asked_port(asked)
    last = before.removesuffix("/api").rpartition(":")[2]
    favourites: list[int] = (
        [int(last)] if last.isdecimal() else []
    )  # bookmarks, and sessions that outlived their server
    for port in favourites + list(range(FIRST_PORT, LAST_PORT + 1)):
        if _is_free(port):
            return port
    raise SetupFailed(
        f"All ports from {FIRST_PORT} to {LAST_PORT} are taken. Free one, or name another: SLIPWAY_PORT=… make run"
    )


def _asked_port(asked: str) -> int:
    if not asked.isdecimal() or not 1024 <= int(asked) <= 65535:
        raise SetupFailed(f"SLIPWAY_PORT={asked} is not a port; give a number from 1024 to 65535.")
    if not _is_free(int(asked)):
        raise SetupFailed(
            f"Port {asked} (SLIPWAY_PORT) is taken by another program. End it, or unset SLIPWAY_PORT: "
            "Slipway then looks for a free one."
        )
    return int(asked)


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _processes(token: str) -> list[psutil.Process]:
    """Every process that carries the token, but not the one that asks: a flow may call `slipway stop` too."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(TOKEN) == token:
                found.append(process)
        except psutil.Error:
            continue  # gone meanwhile, or another user's: not ours either way
    return found


def _end(token: str, spared: set[int] | None = None) -> None:
    _end_all([process for process in _processes(token) if process.pid not in (spared or set())])


def _end_one(member: Member, token: str) -> None:
    if is_alive(member, token):
        _end_all([psutil.Process(member.pid)])


def _end_all(processes: list[psutil.Process]) -> None:
    """Ask, wait a while, then kill. psutil refuses to signal a process whose number was given to another meanwhile."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, stubborn = psutil.wait_procs(processes, timeout=STOP_GRACE_S)
    for process in stubborn:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(stubborn, timeout=STOP_GRACE_S)


def _write(stack: Stack, state: Path) -> None:
    members = [member._asdict() for member in (stack.server, stack.worker) if member]
    text = json.dumps({"token": stack.token, "api_url": stack.api_url, "members": members}, indent=2)
    fresh = _note(state).with_suffix(".tmp")
    fresh.write_text(text + "\n", encoding="utf-8")
    fresh.replace(_note(state))


def _forget(state: Path) -> None:
    _note(state).unlink(missing_ok=True)


def _note(state: Path) -> Path:
    return state / "stack.json"
