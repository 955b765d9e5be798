"""`slipway sql` as a person and as a script would use it: the real DuckDB command line on a real published file."""

import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from pathlib import Path

import duckdb
import pytest

from ops.prompt import examples, open_prompt
from trading.errors import SetupFailed

PROMPT = """
import sys
from pathlib import Path
from ops.prompt import open_prompt
open_prompt(Path(sys.argv[1]), Path(sys.argv[2]), "signals_ema_cross", sys.argv[3] if len(sys.argv) > 3 else None)
"""

TABLES = """
create schema meta; create schema marts; create schema raw;
create table meta.publication as select timestamptz '2026-11-23 10:20:30+00' as published_at;
create table marts.candles (instrument varchar, timeframe varchar, opened_at timestamptz, closed_at timestamptz);
create table marts.signals_ema_cross (instrument varchar, closed_at timestamptz, side varchar, close double);
create table marts.backtests (strategy varchar, trades bigint, return_percent double, max_drawdown_percent double,
    sharpe double);
create table marts.trades (instrument varchar, exit_reason varchar, net_pnl_usd double);
create table raw.quarantine (file varchar, line bigint, reason varchar, row_text varchar);
insert into marts.candles values ('BTC/USD', '1d', '2023-01-01 00:00:00+00', '2023-01-02 00:00:00+00');
"""


def publish(path: Path, note: str) -> None:
    """Put a new file at `path` the way flows do: written beside it, renamed over it, read-only."""
    made = path.with_name("made.duckdb")
    with duckdb.connect(str(made)) as connection:
        connection.execute(TABLES)
        connection.execute(f"create table note as select '{note}' as text")
    made.chmod(0o444)
    made.rename(path)


@pytest.fixture
def published(tmp_path: Path) -> Path:
    path = tmp_path / "slipway.duckdb"
    publish(path, "first")
    return path


def asked(published: Path, *query: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROMPT, str(published), str(published.parent / "state"), *query]
    return subprocess.run(command, input=typed, capture_output=True, text=True, timeout=60, check=False)


def test_answers_one_query_and_leaves(published):
    answer = asked(published, "select instrument, opened_at from marts.candles")
    assert answer.returncode == 0
    assert "BTC/USD" in answer.stdout
    assert "2023-01-01 00:00:00+00" in answer.stdout
    assert "Slipway" not in answer.stdout


def test_answers_what_comes_through_a_pipe(published):
    answer = asked(published, typed="select 40 + 2 as answer;\nselect current_setting('TimeZone') as zone;\n")
    assert answer.returncode == 0
    assert re.search(r"\b42\b", answer.stdout)
    assert "UTC" in answer.stdout
    assert answer.stderr == ""


def test_a_query_that_fails_is_an_exit_code_and_a_sentence(published):
    answer = asked(published, "select * from marts.nothing")
    assert answer.returncode == 1
    assert "marts.nothing" in answer.stderr or "nothing does not exist" in answer.stderr


def test_nothing_can_be_written_through_it(published):
    answer = asked(published, "create table mine as select 1")
    assert answer.returncode == 1
    assert "read-only" in answer.stderr


@pytest.mark.parametrize("example", examples("signals_ema_cross"), ids=lambda example: example.question)
def test_every_query_of_the_greeting_runs(published, example):
    with duckdb.connect(str(published), read_only=True) as connection:
        connection.execute(example.query).fetchall()


def test_says_what_to_do_when_nothing_is_published(tmp_path):
    with pytest.raises(SetupFailed, match="run `make run` first"):
        open_prompt(tmp_path / "none.duckdb", tmp_path, "signals_ema_cross")


ANSWERS = {  # what a terminal says when DuckDB asks it for
    b"\x1b]11;?": b"\x1b]11;rgb:0000/0000/0000\x07",  # the colour of its background
    b"\x1b[c": b"\x1b[?1;2c",  # its kind
    b"\x1b[6n": b"\x1b[1;1R",  # where its cursor is
}


class Terminal:
    """A person at a terminal: types, and waits for a text to appear."""

    def __init__(self, published: Path) -> None:
        self.screen, keyboard = pty.openpty()
        termios.tcsetwinsize(keyboard, (60, 200))
        command = [sys.executable, "-c", PROMPT, str(published), str(published.parent / "state")]
        self.process = subprocess.Popen(
            command, stdin=keyboard, stdout=keyboard, stderr=keyboard, cwd=published.parent,
            env=os.environ | {"HOME": str(published.parent), "TERM": "xterm"},
        )  # fmt: skip
        os.close(keyboard)

    def type(self, line: str) -> None:
        os.write(self.screen, f"{line}\r".encode())

    def wait_for(self, text: str) -> str:
        seen = ""
        deadline = time.monotonic() + 30
        while text not in seen and time.monotonic() < deadline:
            if select.select([self.screen], [], [], 0.1)[0]:
                shown = os.read(self.screen, 65536)
                for question, answer in ANSWERS.items():
                    os.write(self.screen, answer * shown.count(question))
                seen += re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode(errors="replace"))
        assert text in seen
        return seen

    def leave(self) -> int:
        self.type(".quit")
        code = self.process.wait(timeout=30)
        os.close(self.screen)
        return code


def test_greets_a_person_and_stays_usable_while_a_new_file_is_published(published):
    terminal = Terminal(published)
    greeting = terminal.wait_for("slipway 10:20>")
    assert "published 2026-11-23 10:20:30 UTC" in greeting
    for example in examples("signals_ema_cross"):
        assert example.query in greeting
    publish(published, "second")  # the open prompt does not hold this up
    terminal.type("select text || ' file' from note;")
    terminal.wait_for("first file")
    terminal.type('.open --readonly "slipway.duckdb"')
    terminal.type("select text || ' file' from note;")
    terminal.wait_for("second file")
    assert terminal.leave() == 0
