"""Journals become rows of the warehouse while their writers go on."""

import sqlite3
from pathlib import Path

import duckdb
import pytest

from ops.clock import SteppedClock
from ops.journal import Entry, Journal, Kind
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
        assert load_journals(connection, tmp_path).added == 2
        writer.append([Entry(Kind.SNAPSHOT, 1_672_532_100_000_000)])
        assert load_journals(connection, tmp_path).added == 1
        assert load_journals(connection, tmp_path).added == 0
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
    assert load_journals(connection, tmp_path).added == 2
    assert connection.execute("select session, seq from marts.journal order by all").fetchall() == [
        ("paper-1", 1),
        ("paper-2", 1),
    ]


def test_works_inside_a_unit_of_work(tmp_path):
    journal(tmp_path).close()
    with unit_of_work(tmp_path / "build.duckdb", **LIMITS) as connection:
        assert load_journals(connection, tmp_path).added == 1


def test_no_journals_are_an_empty_table(connection, tmp_path):
    assert load_journals(connection, tmp_path / "none").added == 0
    assert connection.execute("select count(*) from marts.journal").fetchone() == (0,)


def sessions(connection: duckdb.DuckDBPyConnection) -> dict[str, list[str]]:
    """The hashes of each session, in order."""
    rows = connection.execute("select session, list(hash order by seq) from marts.journal group by session").fetchall()
    return dict(rows)


def begun(folder: Path, *kinds: Kind, holder: str) -> list[str]:
    """A journal `paper-1` with its lease and a row of each kind; its hashes."""
    with Journal(folder / "paper-1.sqlite", holder=holder, clock=SteppedClock(1_672_531_200_000_000)) as writer:
        writer.append(Entry(kind, 1_672_531_200_000_000) for kind in kinds)
        return [row.hash for row in writer.rows()]


def moved_away(folder: Path) -> None:
    folder.joinpath("paper-1.sqlite").rename(folder / "paper-1.sqlite.old")


def test_a_journal_begun_anew_under_the_same_name_is_a_session_of_its_own(connection, tmp_path):
    older = begun(tmp_path, Kind.EVENT, Kind.SNAPSHOT, holder="older")
    load_journals(connection, tmp_path)
    moved_away(tmp_path)
    begun(tmp_path, Kind.EVENT, holder="newer")
    assert load_journals(connection, tmp_path).added == 2
    newer = begun(tmp_path, Kind.SNAPSHOT, Kind.SNAPSHOT, Kind.EVENT, holder="newer")  # longer than the older one
    assert load_journals(connection, tmp_path).added == 4
    assert load_journals(connection, tmp_path).added == 0
    assert sessions(connection) == {"paper-1": older, f"paper-1@{newer[0][:8]}": newer}


def test_each_journal_begun_anew_has_a_name_and_keeps_it(connection, tmp_path):
    chains = []
    for holder in ("first", "second", "third"):
        chains.append(begun(tmp_path, Kind.EVENT, holder=holder))
        load_journals(connection, tmp_path)
        moved_away(tmp_path)
    (tmp_path / "paper-1.sqlite.old").rename(tmp_path / "paper-1.sqlite")
    assert load_journals(connection, tmp_path) == (0, ())
    first, second, third = chains
    assert sessions(connection) == {
        "paper-1": first,
        f"paper-1@{second[0][:8]}": second,
        f"paper-1@{third[0][:8]}": third,
    }


def test_a_journal_restored_from_a_backup_never_goes_on_with_the_rows_of_the_lost_one(connection, tmp_path):
    begun(tmp_path, Kind.EVENT, holder="writer")
    backup = tmp_path.joinpath("paper-1.sqlite").read_bytes()
    lost = begun(tmp_path, Kind.SNAPSHOT, holder="writer")
    load_journals(connection, tmp_path)
    tmp_path.joinpath("paper-1.sqlite").write_bytes(backup)
    restored = begun(tmp_path, Kind.EVENT, Kind.EVENT, Kind.EVENT, holder="restored")
    load_journals(connection, tmp_path)
    assert sessions(connection) == {"paper-1": lost, f"paper-1@{lost[0][:8]}": restored}
    tmp_path.joinpath("paper-1.sqlite").write_bytes(backup)
    loaded = load_journals(connection, tmp_path)
    assert loaded.added == 0
    assert "its row 6 is not the one that was loaded" in loaded.left_out[0]


def damaged(file: Path) -> None:
    """A journal of many pages, all but the first of them overwritten, as a bad disk does."""
    with Journal(file, holder="test", clock=SteppedClock(0)) as writer:
        writer.append(Entry(Kind.EVENT, number, payload={"text": "x" * 1_000}) for number in range(100))
    content = file.read_bytes()
    file.write_bytes(content[:8_192] + b"\xff" * (len(content) - 8_192))


def other_database(file: Path) -> None:
    connection = sqlite3.connect(file)
    connection.execute("create table journal (seq integer, note text)")
    connection.execute("insert into journal values (1, 'mine')")
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    "spoil",
    [Path.touch, Path.mkdir, lambda file: file.write_text("no database" * 100), damaged, other_database],
    ids=["empty", "folder", "text", "damaged", "other database"],
)
def test_an_odd_file_is_named_and_keeps_no_other_from_being_loaded(tmp_path, spoil):
    odd = tmp_path / "odd.sqlite"
    spoil(odd)
    journal(tmp_path, "paper-1").close()
    journal(tmp_path, "a-session").close()
    with unit_of_work(tmp_path / "build.duckdb", **LIMITS) as connection:
        added, left_out = load_journals(connection, tmp_path)
    assert added == 2
    (sentence,) = left_out
    assert sentence.startswith(f"{odd} is left out of marts.journal, it can't be read (")
    assert "\n" not in sentence
    with unit_of_work(tmp_path / "build.duckdb", **LIMITS) as connection:
        assert set(sessions(connection)) == {"a-session", "paper-1"}


def test_a_quote_in_the_name_of_the_folder_is_no_sql(connection, tmp_path):
    folder = tmp_path / "it's"
    folder.mkdir()
    journal(folder).close()
    assert load_journals(connection, folder) == (1, ())
