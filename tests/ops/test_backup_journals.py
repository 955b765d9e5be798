"""Journals into a backup and out of it: whatever is there, no row of it is lost without a word."""

import sqlite3
from pathlib import Path

import pytest
from doses import examples
from hypothesis import given
from hypothesis import strategies as st

from ops.backups.journals import copy_journals, journals_to_restore, refuse_held
from ops.clock import SteppedClock
from ops.journal import Entry, Journal, JournalReader, Kind
from trading.errors import InputUnusable, SetupFailed, WarehouseBusy


def grown(path: Path, rows: list[int]) -> Path:
    """A journal whose rows, after the first, are these."""
    with Journal(path, holder="test", clock=SteppedClock(1)) as journal:
        journal.append(Entry(Kind.EVENT, at) for at in rows)
    return path


def hashes(path: Path) -> set[str]:
    with JournalReader(path) as journal:
        return {row.hash for row in journal.rows()}


@examples(40)
@given(backed_up=st.lists(st.integers(0, 1), max_size=4), present=st.lists(st.integers(0, 1), max_size=4))
def test_without_force_no_row_that_is_there_is_ever_replaced(
    tmp_path_factory: pytest.TempPathFactory, backed_up: list[int], present: list[int]
) -> None:
    """Two journals that share a beginning, or all, or only their first row; restored means: the backup's is there."""
    home = tmp_path_factory.mktemp("home")
    grown(home / "then" / "paper.sqlite", backed_up)
    here = grown(home / "now" / "paper.sqlite", present)
    backup = home / "backup"
    backup.mkdir()
    journals = copy_journals(home / "then", backup).journals
    in_backup = hashes(backup / journals[0].name)
    try:
        replaced = journals_to_restore(backup, journals, home / "now", is_forced=False)
    except InputUnusable:
        assert not hashes(here) <= in_backup
    else:
        assert hashes(here) <= in_backup
        assert bool(replaced) == (hashes(here) != in_backup)
    assert bool(journals_to_restore(backup, journals, home / "now", is_forced=True)) == (hashes(here) != in_backup)


def test_a_copy_is_whole_in_one_file_and_a_journal_again(tmp_path: Path) -> None:
    with Journal(tmp_path / "paper.sqlite", holder="test", clock=SteppedClock(1)) as journal:
        journal.append([Entry(Kind.EVENT, 1)])
        journal.copy_to(tmp_path / "copy.sqlite")
        journal.append([Entry(Kind.EVENT, 2)])
    with JournalReader(tmp_path / "copy.sqlite") as copy:
        assert copy.verify().head.seq == 2
    assert not list(tmp_path.glob("copy.sqlite-*"))
    with Journal(tmp_path / "copy.sqlite", holder="test", clock=SteppedClock(1)) as copy:
        assert copy.append([Entry(Kind.EVENT, 2)])


def test_a_copy_that_cant_be_written_is_no_fault_of_the_journal(tmp_path: Path) -> None:
    grown(tmp_path / "paper.sqlite", [1])
    with (
        JournalReader(tmp_path / "paper.sqlite") as journal,
        pytest.raises(SetupFailed, match=r"can't be copied to .*none.*copy\.sqlite"),
    ):
        journal.copy_to(tmp_path / "none" / "copy.sqlite")


def test_a_damaged_page_is(tmp_path: Path) -> None:
    path = grown(tmp_path / "paper.sqlite", list(range(500)))
    with sqlite3.connect(path) as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
    content = bytearray(path.read_bytes())
    content[16_384:20_480] = b"\x99" * 4096
    path.write_bytes(content)
    (tmp_path / "backup").mkdir()
    copied = copy_journals(tmp_path, tmp_path / "backup")
    assert copied.journals == ()
    assert copied.left_out[0].startswith("paper.sqlite is left out of the backup: ")
    assert not list((tmp_path / "backup").rglob("*.sqlite"))


def test_what_is_no_journal_keeps_no_other_from_being_copied(tmp_path: Path) -> None:
    grown(tmp_path / "paper.sqlite", [1])
    (tmp_path / "empty.sqlite").touch()
    (tmp_path / "text.sqlite").write_text("not a database" * 100)
    (tmp_path / "backup").mkdir()
    copied = copy_journals(tmp_path, tmp_path / "backup")
    assert [journal.name for journal in copied.journals] == ["journals/paper.sqlite"]
    assert len(copied.left_out) == 2


def test_a_journal_is_held_by_whoever_has_it_open_and_by_nobody_afterwards(tmp_path: Path) -> None:
    path = grown(tmp_path / "paper.sqlite", [1])
    for open_it in (lambda: Journal(path, holder="test", clock=SteppedClock(1)), lambda: JournalReader(path)):
        with open_it() as journal:
            journal.head()
            with pytest.raises(WarehouseBusy, match=r"paper\.sqlite open"):
                refuse_held(path)
        refuse_held(path)
    refuse_held(tmp_path / "none.sqlite")
