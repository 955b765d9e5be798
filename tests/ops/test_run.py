"""The parts of `make run` that need no server: what it tells, what it refuses, when it deploys again."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from ops import run
from ops.progress import MovingScreen, PlainScreen, Step, screen
from ops.run import Board
from ops.stack import Stack
from ops.summary import Finished, Outcome, print_summary
from trading.errors import SetupFailed

UP = Stack("token", "http://127.0.0.1:4200/api", None, None)


def printed(outcome: Outcome, up: Stack = UP) -> str:
    console = Console(file=io.StringIO(), width=160)
    print_summary(console, outcome, up, seconds=61.0)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_summary_says_what_landed_and_where_to_look() -> None:
    said = printed(Outcome((Finished("land and validate", 3.2, {"rows landed": "1,234", "gaps": "7"}),), ""))
    assert "From files to fills: 1,234 rows landed. (61 s)" in said
    assert "http://127.0.0.1:4200" in said
    assert "make sql" in said
    assert "make stop" in said
    assert "PREFECT_API_URL" not in said


def test_the_summary_of_a_second_run_says_that_nothing_landed_twice() -> None:
    said = printed(Outcome((Finished("land and validate", 3.2, {"rows landed": "0"}),), ""))
    assert "nothing was landed twice" in said


def test_the_summary_of_a_failure_keeps_what_was_done_before_and_says_why() -> None:
    said = printed(Outcome((Finished("land and validate", 3.2, {"rows landed": "5"}),), "It broke.\nIts page: …"))
    assert "land and validate" in said
    assert "It broke." in said
    assert "From files to fills" not in said


def test_the_summary_names_the_server_when_it_is_not_the_usual_one() -> None:
    said = printed(Outcome((), "x"), UP._replace(api_url="http://127.0.0.1:4201/api"))
    assert "export PREFECT_API_URL=http://127.0.0.1:4201/api" in said


def test_a_log_gets_one_line_for_each_change() -> None:
    console = Console(file=io.StringIO(), width=100)
    with screen(console) as shown:
        assert isinstance(shown, PlainScreen)
        board = Board(shown)
        board.begin("server and worker")
        board.remark("starting")
        board.begin("deployments")
        board.fail()
    assert isinstance(console.file, io.StringIO)
    said = [line.split("  ")[0] for line in console.file.getvalue().splitlines()]
    assert said == [
        "server and worker: running",
        "server and worker: done",
        "deployments: running",
        "deployments: failed",
    ]


def test_a_terminal_gets_a_table_that_leaves_nothing_behind() -> None:
    console = Console(file=io.StringIO(), width=100, force_terminal=True)
    with screen(console) as shown:
        assert isinstance(shown, MovingScreen)
        shown.say("one thing happened")
        shown.show((Step("first", "done", 0.0, 1.0, ""), Step("second", "running", 0.0, 0.0, "at work")))
        shown.show((Step("first", "failed", 0.0, 1.0, ""), Step("second", "waiting", 0.0, 0.0, "")))
    assert isinstance(console.file, io.StringIO)
    said = console.file.getvalue()
    assert "one thing happened" in said
    assert "first" in said


def test_deploys_again_when_a_flow_the_schedule_or_the_code_has_changed(tmp_path: Path) -> None:
    (tmp_path / "flows").mkdir()
    (tmp_path / "prefect.yaml").write_text("deployments: []")
    (tmp_path / "flows" / "ingest.py").write_text("one")
    first = run._fingerprint(tmp_path, "1")
    assert run._fingerprint(tmp_path, "1") == first
    assert run._fingerprint(tmp_path, "2") != first
    (tmp_path / "flows" / "ingest.py").write_text("another")
    assert run._fingerprint(tmp_path, "1") != first


@pytest.mark.parametrize("text", ["", "{"])
def test_a_broken_note_means_deploying_again(tmp_path: Path, text: str) -> None:
    (tmp_path / "deployed.json").write_text(text)
    assert run._noted(tmp_path / "deployed.json") is None


def test_refuses_a_disk_without_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "NEEDED_GB", 1e6)
    with pytest.raises(SetupFailed, match="Not enough disk space"):
        run.refuse_full_disk(tmp_path)
