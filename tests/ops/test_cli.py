"""The command line as a person uses it: what it prints, where, and its exit codes."""

import os
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ops.cli import main
from ops.clock import SteppedClock
from ops.journal import Entry, Journal, Kind


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SLIPWAY_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def journal(home: Path) -> Path:
    path = home / ".slipway" / "journals" / "paper-0.sqlite"
    with Journal(path, holder="test", clock=SteppedClock(1)) as writer:
        writer.append(
            [Entry(Kind.SNAPSHOT, 1_672_531_200_000_000), Entry(Kind.ALERT, 1, key="k", payload={"key": "k"})]
        )
    return path


def slipway(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = "import sys; from ops.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL)


def test_a_foreseen_error_is_one_sentence_on_stderr_and_exit_code_1():
    done = slipway("sql", "-c", "select 1")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("slipway: There is no published warehouse")
    assert done.stderr.count("\n") == 1


COMMANDS = (
    ("run",), ("stop",), ("status",), ("backtest", "x.sql"), ("trade",), ("sql", "-c", "select 1"), ("sandbox",),
    ("check", "x.sql"), ("backup",), ("restore",), ("backfill", "--venue", "sandbox"), ("universe",),
    ("alerts",), ("audit", "verify"),
)  # fmt: skip


@pytest.mark.parametrize("inside", ["", "deeper"])
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_home_that_is_a_file_is_a_sentence_for_every_command(command, inside, tmp_path, monkeypatch, capsys):
    (tmp_path / "home").write_text("")
    monkeypatch.setenv("SLIPWAY_HOME", str(tmp_path / "home" / inside))
    assert main(command) == 1
    assert "is a file, or lies in one: name a folder" in capsys.readouterr().err


@pytest.mark.parametrize("command", [("run",), ("stop",), ("sandbox",), ("trade",)], ids=" ".join)
def test_a_home_that_can_not_be_written_is_a_sentence(command, home, capsys):
    (home / ".slipway").write_text("in the way of the folder of that name")
    assert main(command) == 1
    said = capsys.readouterr().err
    assert said.startswith("slipway: ")
    assert str(home / ".slipway") in said


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("backtest", "nothing.sql", "--no-store"), "nothing.sql can't be read"),
        (("trade",), "There is no"),
        (("--profile", "none", "status"), "There is no profile 'none'"),
    ],
)
def test_every_command_says_what_is_wrong(arguments, sentence, capsys):
    assert main(arguments) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("slipway: ")
    assert sentence in said.err


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("fly",),
        ("backtest",),
        ("backtest", "x.sql", "--from", "yesterday"),
        ("backtest", "x.sql", "--set", "stop_atr"),
        ("backtest", "x.sql", "--timeframe", "7m"),
        ("audit", "verify", "--anchor", "12"),
    ],
)
def test_wrong_usage_is_exit_code_2(arguments, capsys):
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    assert "usage: slipway" in capsys.readouterr().err


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert left.value.code == 0
    text = capsys.readouterr().out
    for command in ("run", "stop", "status", "backtest", "trade", "sql", "audit"):
        assert f"\n    {command} " in text


def test_status_says_that_there_is_nothing_yet(capsys):
    assert main(["status"]) == 0
    text = capsys.readouterr().out
    assert "not running" in text
    assert "not published yet" in text


def test_status_shows_publication_and_journals(home, journal, capsys):
    published = home / "warehouse" / "slipway.duckdb"
    published.parent.mkdir()
    published.write_bytes(b"x" * 1_500_000)
    moment = datetime(2026, 11, 23, 10, 20, 30, tzinfo=UTC).timestamp()
    os.utime(published, (moment, moment))
    assert main(["status"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "published 2026-11-23 10:20:30 UTC, 1.5 MB" in text
    assert "journal paper-0 1 closes to 2023-01-01 00:00 UTC, 1 alert waiting for a channel (alerts.urls)" in text


def test_stop_without_anything_running_says_so(capsys):
    assert main(["stop"]) == 0
    assert "Nothing of this checkout was running" in capsys.readouterr().out


def test_audit_verify_names_the_head_of_a_whole_journal(journal, capsys):
    assert main(["audit", "verify"]) == 0
    text = capsys.readouterr().out
    assert "3 rows hold; head 3:" in text
    head = text.split("head ")[1].strip()
    assert main(["audit", "verify", str(journal), "--anchor", head]) == 0


def test_audit_verify_fails_on_a_broken_chain_and_a_wrong_anchor(journal, capsys):
    assert main(["audit", "verify", str(journal), "--anchor", f"9:{'0' * 64}"]) == 1
    assert "tail is gone" in capsys.readouterr().err
    connection = sqlite3.connect(journal)
    connection.execute("drop trigger journal_keeps_its_rows")
    connection.execute("update journal set happened_at = 7 where seq = 2")
    connection.commit()
    connection.close()
    assert main(["audit", "verify"]) == 1
    assert "row 2 does not match its own hash" in capsys.readouterr().err


def test_audit_verify_without_journals_says_so(capsys):
    assert main(["audit", "verify"]) == 0
    assert "no journal yet" in capsys.readouterr().out


def test_an_interrupt_is_quiet():
    program = """
import os, signal, sys
import ops.prompt
from ops.cli import main

class Pressed:
    def isatty(self):
        os.kill(os.getpid(), signal.SIGINT)
sys.stdin = Pressed()
sys.exit(main(["sql"]))
"""
    published = Path(os.environ["SLIPWAY_HOME"]) / "warehouse" / "slipway.duckdb"
    published.parent.mkdir()
    published.touch()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_sql_starts_without_numba_polars_or_prefect(home):
    program = """
import sys
from ops.cli import main
main(["sql", "-c", "select 1"])
print(sorted({"numba", "polars", "prefect", "duckdb", "numpy", "rich"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]"]


def test_what_is_backed_up_is_listed_and_comes_back(journal: Path, home: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["restore"]) == 0
    assert "`slipway backup` makes one" in capsys.readouterr().out
    assert main(["backup"]) == 0
    assert "1 journals with 3 rows" in capsys.readouterr().out
    assert main(["restore"]) == 0
    folder = Path(capsys.readouterr().out.strip())
    assert folder.parent == home / "backups"
    journal.unlink()
    assert main(["restore", folder.name]) == 0
    assert capsys.readouterr().out == f"Restored from {folder}: paper-0.sqlite.\n"
    assert main(["audit", "verify"]) == 0


def test_a_journal_that_holds_more_is_replaced_only_when_told_to(journal: Path, capsys: pytest.CaptureFixture[str]):
    main(["backup"])
    main(["restore"])
    folder = capsys.readouterr().out.splitlines()[-1]
    with Journal(journal, holder="test", clock=SteppedClock(2)):
        pass
    assert main(["restore", folder]) == 1
    assert "--force" in capsys.readouterr().err
    assert main(["restore", folder, "--only", "warehouse"]) == 0
    assert main(["restore", folder, "--force"]) == 0
    assert "What was there before lies at" in capsys.readouterr().out


def test_a_journal_that_cant_be_copied_fails_the_backup_at_its_end(journal: Path, capsys: pytest.CaptureFixture[str]):
    journal.with_name("odd.sqlite").touch()
    assert main(["backup"]) == 1
    said = capsys.readouterr()
    assert "1 journals with 3 rows" in said.out
    assert "odd.sqlite is left out of the backup" in said.err
