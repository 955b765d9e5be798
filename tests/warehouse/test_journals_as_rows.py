"""Journals become rows of the warehouse while their writers go on."""

from pathlib import Path

import duckdb
import pytest

from ops.clock import SteppedClock
from ops.journal import Entry, Journal, Kind
from trading.errors import SetupFailed
from warehouse.connection import unit_of_work
from warehouse.journal import load_journals

LIMITS = {"lock_wait_s": 5.0, "memory_limit": "500MB", "threads": 2}


@pytest.fixture
def connection():
    with duckdb.connect(":memory:") as made:
        made.execute("set TimeZone = 'UTC'")
        yield made


def journal(folder: Path, name: str = "paper-1") -> Journal:
    return Journal(folder / f"{name}.sqlite", holder="test", clock=SteppedClock(1_672_531_200_000_000))


def test_rows_arrive_once_while_the_journal_is_open(connection, tmp_path):
    with journal(tmp_path) as writer:
        writer.append([Entry(Kind.EVENT, 1_672_531_200_000_000, "BTC/USD", "k", {"close": 10**30, "title": "Ü"})])
        assert load_journals(connection, tmp_path) == 2
        writer.append([Entry(Kind.SNAPSHOT, 1_672_532_100_000_000)])
        assert load_journals(connection, tmp_path) == 1
        assert load_journals(connection, tmp_path) == 0
        hashes = [(row.hash,) for row in writer.rows()]
    assert connection.execute("select hash from marts.journal order by seq").fetchall() == hashes
    row = connection.execute(
        "select session, kind, happened_at::varchar, instrument, key, payload ->> 'title' from marts.journal"
        " where seq = 2"
    ).fetchone()
    assert row == ("paper-1", "event", "2023-01-01 00:00:00+00", "BTC/USD", "k", "Ü")


def test_sessions_are_kept_apart(connection, tmp_path):
    for name in ("paper-1", "paper-2"):
        journal(tmp_path, name).close()
    assert load_journals(connection, tmp_path) == 2
    assert connection.execute("select session, seq from marts.journal order by all").fetchall() == [
        ("paper-1", 1),
        ("paper-2", 1),
    ]


def test_works_inside_a_unit_of_work(tmp_path):
    journal(tmp_path).close()
    with unit_of_work(tmp_path / "build.duckdb", **LIMITS) as connection:
        assert load_journals(connection, tmp_path) == 1


def test_no_journals_are_an_empty_table(connection, tmp_path):
    assert load_journals(connection, tmp_path / "none") == 0
    assert connection.execute("select count(*) from marts.journal").fetchone() == (0,)


def test_names_the_file_that_is_no_journal(connection, tmp_path):
    (tmp_path / "broken.sqlite").write_text("no database" * 100)
    with pytest.raises(SetupFailed, match=r"broken\.sqlite can't be read"):
        load_journals(connection, tmp_path)
