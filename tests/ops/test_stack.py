"""Background processes: ours are known by their token, and nothing else is ever touched. No Prefect here but once."""

import fcntl
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from ops import stack
from ops.stack import Member, Stack
from trading.errors import SetupFailed

ROOT = Path(stack.__file__).resolve().parent.parent
SLEEP = "import time; print('up', flush=True); time.sleep(600)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEP
PARENT = f"import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', {SLEEP!r}]); child.wait()"

OURS, THEIRS = f"ours-{os.getpid()}", f"theirs-{os.getpid()}"  # other test processes have stacks of their own

Begin = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def begin() -> Iterator[Begin]:
    """Start a Python that says `up`; whatever is left of them ends with the test."""
    begun: list[subprocess.Popen[str]] = []

    def start(code: str, token: str = "") -> subprocess.Popen[str]:
        environment = {key: value for key, value in os.environ.items() if key != stack.TOKEN}
        environment |= {stack.TOKEN: token} if token else {}
        process = subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
        begun.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        return process

    yield start
    for process in begun:
        process.kill()
        process.communicate()


def note(state: Path, token: str, **pids: int) -> None:
    state.mkdir(exist_ok=True)
    members = [{"name": name, "pid": pid, "started_at": 0.0} for name, pid in pids.items()]
    api_url = "http://127.0.0.1:4291/api"
    (state / "stack.json").write_text(json.dumps({"token": token, "api_url": api_url, "members": members}))


def test_nothing_runs_where_nothing_was_started(tmp_path: Path) -> None:
    assert stack.read(tmp_path) is None
    assert stack.stop(tmp_path, print) is False


@pytest.mark.parametrize("text", ["", "{", "[]", '{"token": "x"}', '{"token": "x", "api_url": "y", "members": [1]}'])
def test_a_broken_note_is_no_stack(tmp_path: Path, text: str) -> None:
    (tmp_path / "stack.json").write_text(text)
    assert stack.read(tmp_path) is None


def test_a_note_about_processes_that_are_gone_is_no_stack(tmp_path: Path, begin: Begin) -> None:
    process = begin(SLEEP, token=OURS)
    process.kill()
    process.wait()
    note(tmp_path, OURS, server=process.pid, worker=process.pid)
    assert stack.read(tmp_path) is None


def test_knows_its_own_processes(tmp_path: Path, begin: Begin) -> None:
    process = begin(SLEEP, token=OURS)
    note(tmp_path, OURS, server=process.pid, worker=2**22 - 1)
    found = stack.read(tmp_path)
    assert found is not None
    assert found.server == Member("server", process.pid, 0.0)
    assert found.worker is None
    assert not found.is_up


def test_a_process_that_got_a_number_of_ours_is_a_stranger_and_lives_on(tmp_path: Path, begin: Begin) -> None:
    stranger, other_checkout = begin(SLEEP), begin(SLEEP, token=THEIRS)
    note(tmp_path, OURS, server=stranger.pid, worker=other_checkout.pid)
    assert stack.read(tmp_path) is None
    assert stack.stop(tmp_path, print) is False
    assert stranger.poll() is None
    assert other_checkout.poll() is None


def test_stop_ends_whole_trees_and_children_whose_parent_was_killed(tmp_path: Path, begin: Begin) -> None:
    server, worker = begin(SLEEP, token=OURS), begin(PARENT, token=OURS)
    orphan_of = begin(PARENT, token=OURS)
    children = [child for parent in (worker, orphan_of) for child in psutil.Process(parent.pid).children()]
    assert len(children) == 2
    orphan_of.kill()
    note(tmp_path, OURS, server=server.pid, worker=worker.pid)
    assert stack.stop(tmp_path, print) is True
    assert [process.wait(5) is not None for process in (server, worker)] == [True, True]
    assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)
    assert not (tmp_path / "stack.json").exists()


def test_stop_kills_what_does_not_listen(tmp_path: Path, begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack, "STOP_GRACE_S", 0.2)
    process = begin(STUBBORN, token=OURS)
    note(tmp_path, OURS, worker=process.pid)
    assert stack.stop(tmp_path, print) is True
    assert not psutil.pid_exists(process.pid)


def test_two_at_once_take_turns(tmp_path: Path) -> None:
    said: list[str] = []
    with (tmp_path / "stack.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = threading.Thread(target=stack.stop, args=(tmp_path, said.append))
        second.start()
        while not said:
            time.sleep(0.01)
        assert second.is_alive()
    second.join(10)
    assert not second.is_alive()
    assert "waiting for it" in said[0]


def test_takes_the_next_port_when_the_usual_one_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server((stack.HOST, 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(stack, "FIRST_PORT", port)
        monkeypatch.setattr(stack, "LAST_PORT", port + 50)
        assert port < stack._choose_port(None, before="") <= port + 50
        monkeypatch.setattr(stack, "LAST_PORT", port)
        with pytest.raises(SetupFailed, match="SLIPWAY_PORT="):
            stack._choose_port(None, before="")


def test_gives_up_its_turn_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack, "TURN_WAIT_S", 0.2)
    with (tmp_path / "stack.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(SetupFailed, match=r"has held .*stack\.lock"):
            stack.stop(tmp_path, print)


@pytest.mark.deep
def test_a_port_taken_while_the_server_starts_is_left_for_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    environment = {key: value for key, value in os.environ.items() if key not in {"PREFECT_API_URL", "SLIPWAY_PORT"}}
    with socket.create_server((stack.HOST, 0)) as quicker:
        taken = quicker.getsockname()[1]
        look = stack._is_free
        seen = iter((True,))  # at our look nobody had it yet
        monkeypatch.setattr(stack, "_is_free", lambda port: next(seen, False) if port == taken else look(port))
        monkeypatch.setattr(stack, "FIRST_PORT", taken)
        monkeypatch.setattr(stack, "LAST_PORT", taken + 50)
        try:
            up = stack.start(ROOT, tmp_path, environment, said.append)
            assert up.is_up
            assert f"port {taken} was taken by another program meanwhile; trying the next one" in said
            assert not up.api_url.endswith(f":{taken}/api")
        finally:
            stack.stop(tmp_path, print)


def test_comes_back_to_the_port_it_had_before() -> None:
    with socket.create_server((stack.HOST, 0)) as probe:
        port = probe.getsockname()[1]
    assert stack._choose_port(None, before=f"http://127.0.0.1:{port}/api") == port


def test_refuses_a_port_that_was_asked_for_and_is_taken() -> None:
    with socket.create_server((stack.HOST, 0)) as taken:
        port = str(taken.getsockname()[1])
        with pytest.raises(SetupFailed, match=f"Port {port} .SLIPWAY_PORT. is taken by another program"):
            stack._choose_port(port, before="")


@pytest.mark.parametrize("asked", ["http", "0", "70000", "80"])
def test_refuses_a_port_that_is_none(asked: str) -> None:
    with pytest.raises(SetupFailed, match="is not a port"):
        stack._choose_port(asked, before="")


def test_says_that_the_server_it_was_pointed_at_does_not_answer(tmp_path: Path) -> None:
    with socket.create_server((stack.HOST, 0)) as probe:
        url = f"http://127.0.0.1:{probe.getsockname()[1]}/api"
    with pytest.raises(SetupFailed, match="no Prefect server answers there"):
        stack.start(ROOT, tmp_path, {"PREFECT_API_URL": url}, print)
    assert stack.read(tmp_path) is None


def test_does_not_mix_its_own_server_with_another_one(tmp_path: Path, begin: Begin) -> None:
    process = begin(SLEEP, token=OURS)
    note(tmp_path, OURS, server=process.pid)
    with pytest.raises(SetupFailed, match="make stop"):
        stack.start(ROOT, tmp_path, {"PREFECT_API_URL": "http://127.0.0.1:1/api"}, print)
    assert process.poll() is None


def test_a_server_that_dies_at_start_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    environment = {**os.environ, "PREFECT_SERVER_DATABASE_CONNECTION_URL": "nonsense://nowhere"}
    environment.pop("PREFECT_API_URL", None)
    try:
        with pytest.raises(SetupFailed, match="ended while it started") as failure:
            stack.start(ROOT, tmp_path, environment, print)
    finally:
        stack.stop(tmp_path, print)
    assert "server.log" in str(failure.value)
    assert "nonsense" in str(failure.value)
    assert stack.read(tmp_path) is None


def test_a_port_that_somebody_else_answers_on_is_not_ours(begin: Begin) -> None:
    with socket.create_server((stack.HOST, 0)) as server:
        url = f"http://{stack.HOST}:{server.getsockname()[1]}/api"
        assert stack._listens(Member("server", os.getpid(), 0.0), url)
        assert not stack._listens(Member("server", begin(SLEEP).pid, 0.0), url)


def test_the_environment_keeps_the_user_s_and_hides_what_would_lead_elsewhere(tmp_path: Path) -> None:
    up = Stack("token", "http://127.0.0.1:4250/api", None, None)
    base = {"PREFECT_PROFILE": "cloud", "HTTP_PROXY": "http://proxy", "NO_PROXY": "intern", "SLIPWAY_HOME": "there"}
    chosen = stack.environment_of(up, tmp_path, base)
    assert "PREFECT_PROFILE" not in chosen
    assert chosen["HTTP_PROXY"] == "http://proxy"
    assert chosen["NO_PROXY"] == "intern,127.0.0.1,localhost"
    assert chosen["PREFECT_HOME"] == str(tmp_path / "prefect")
    assert chosen["PREFECT_API_URL"] == up.api_url
    assert chosen["DO_NOT_TRACK"] == "1"
    assert Path(chosen["SLIPWAY_HOME"]).is_absolute()


def test_the_tail_of_a_log_names_its_place(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    assert "no log" in stack.tail(log)
    log.write_text("".join(f"line {number}\n" for number in range(30)))
    assert stack.tail(log, lines=2) == f"The end of {log}:\n  line 28\n  line 29"
