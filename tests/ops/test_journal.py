"""The journal keeps what it has acknowledged, in order, and shows any change to it."""

import json
import resource
import sqlite3
from pathlib import Path

import pytest
from doses import examples
from hypothesis import given
from hypothesis import strategies as st

from ops.clock import SteppedClock
from ops.journal import (
    GENESIS,
    Entry,
    Head,
    Journal,
    JournalReader,
    Kind,
    canonical,
    chain_hash,
    insist_on_durability,
    verify_rows,
)
from trading.errors import CheckFailed, InputUnusable, SetupFailed, TradingHalted


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journals" / "paper.sqlite"


def journal(path: Path, holder: str = "test") -> Journal:
    return Journal(path, holder=holder, clock=SteppedClock(1_000))


def filled(path: Path, count: int = 8) -> list[Head]:
    """A journal with `count` events, one transaction each; its heads after each of them."""
    heads = []
    with journal(path) as writer:
        for number in range(count):
            writer.append([Entry(Kind.EVENT, number, "BTC/USD", f"candle-{number}", {"close": 100 + number})])
            heads.append(writer.head())
    return heads


def tamper(path: Path, *statements: str) -> None:
    """Change the file as somebody would who knows SQLite: triggers dropped first."""
    connection = sqlite3.connect(path)
    connection.execute("drop trigger journal_keeps_its_rows")
    connection.execute("drop trigger journal_loses_no_row")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def damage(path: Path) -> None:
    """Overwrite all but the first pages, as a bad disk does."""
    filled(path, 400)
    content = bytearray(path.read_bytes())
    content[8192:] = b"\xff" * (len(content) - 8192)
    path.write_bytes(bytes(content))


def verdict(path: Path, anchor: Head | None = None) -> tuple[int | None, str]:
    with JournalReader(path) as reader:
        found = reader.verify(anchor)
    return found.broken_at, found.reason


def test_gives_back_what_was_appended(path):
    with journal(path) as writer:
        written = writer.append([Entry(Kind.EVENT, 7, "BTC/USD", "k", {"b": 1, "a": "x"}), Entry(Kind.INTENT, 8)])
        stored = list(writer.rows(after=1))
    assert tuple(stored) == written
    assert stored[0][:7] == (2, 1_000, "event", 7, "BTC/USD", "k", '{"a":"x","b":1}')
    assert stored[0].values == {"a": "x", "b": 1}
    assert stored[1].key is None


def test_a_new_journal_begins_with_the_lease_of_its_writer(path):
    with journal(path, holder="session paper") as writer:
        (row,) = writer.rows()
    assert (row.seq, row.kind, row.previous) == (1, "lease", GENESIS)
    assert row.values == {"token": 1, "holder": "session paper"}


def test_every_row_carries_the_hash_of_the_one_before(path):
    filled(path)
    with JournalReader(path) as reader:
        rows = list(reader.rows())
        assert reader.head() == (rows[-1].seq, rows[-1].hash)
    assert [row.previous for row in rows] == [GENESIS, *(row.hash for row in rows[:-1])]
    assert all(chain_hash(row) == row.hash for row in rows)


def test_an_untouched_journal_verifies(path):
    heads = filled(path)
    assert verdict(path) == (None, "")
    assert verdict(path, heads[3]) == (None, "")


def test_the_hash_covers_every_field(path):
    filled(path, 1)
    with JournalReader(path) as reader:
        row = list(reader.rows())[-1]
    other = row._replace(seq=9, recorded_at=9, kind="x", at=9, instrument="x", key="x", payload="x", previous="x")
    for field in row._fields[:-1]:
        assert chain_hash(row._replace(**{field: getattr(other, field)})) != row.hash, field


@pytest.mark.parametrize(
    ("statement", "broken_at", "reason"),
    [
        ("update journal set payload = '{\"close\":999}' where seq = 5", 5, "content was changed"),
        ("update journal set happened_at = happened_at + 1 where seq = 5", 5, "content was changed"),
        ("update journal set key = null where seq = 5", 5, "content was changed"),
        ("delete from journal where seq = 5", 6, "missing or out of order"),
        ("delete from journal where seq = 1", 2, "missing or out of order"),
        ("delete from journal where seq > 7", 8, "the rows end at 7"),
        ("delete from journal", 1, "the rows end at 0"),
    ],
)
def test_names_the_first_row_that_was_tampered_with(path, statement, broken_at, reason):
    filled(path)
    tamper(path, statement)
    found_at, found_reason = verdict(path)
    assert found_at == broken_at
    assert reason in found_reason


def test_sees_two_rows_that_changed_places(path):
    filled(path)
    tamper(
        path,
        "update journal set seq = 99 where seq = 4",
        "update journal set seq = 4 where seq = 5",
        "update journal set seq = 5 where seq = 99",
    )
    assert verdict(path)[0] == 4


def test_sees_an_inserted_row_even_with_a_hash_of_its_own(path):
    filled(path, 3)
    with JournalReader(path) as reader:
        rows = list(reader.rows())
    forged = rows[2]._replace(key="forged", payload="{}")
    forged = forged._replace(hash=chain_hash(forged))
    assert verify_rows([*rows[:2], forged, *rows[3:]], Head(rows[-1].seq, rows[-1].hash)).broken_at == 4


def test_a_rewritten_tail_and_head_show_only_against_an_anchor_kept_outside(path):
    heads = filled(path)
    tamper(path, "delete from journal where seq > 7", f"update head set seq = {heads[5].seq}, hash = '{heads[5].hash}'")
    assert verdict(path) == (None, "")
    broken_at, reason = verdict(path, heads[-1])
    assert (broken_at, "the tail is gone" in reason) == (8, True)
    assert "rewritten" in verdict(path, Head(3, "0" * 64))[1]


def test_refuses_update_and_delete_by_mistake(path):
    filled(path, 1)
    connection = sqlite3.connect(path)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute("update journal set happened_at = 0")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute("delete from journal")
    connection.close()


def test_the_same_entry_twice_is_one_row(path):
    entry = Entry(Kind.INTENT, 5, "BTC/USD", "slw-1", {"lots": 3})
    with journal(path) as writer:
        assert len(writer.append([entry, entry])) == 1
        assert writer.append([entry]) == ()
        assert len(list(writer.rows(kinds=["intent"]))) == 1
        assert writer.verify().broken_at is None


def test_halts_when_one_identity_is_given_to_two_things(path):
    with journal(path) as writer:
        writer.append([Entry(Kind.INTENT, 5, "BTC/USD", "slw-1", {"lots": 3})])
        head = writer.head()
        with pytest.raises(TradingHalted, match=r"row 2 already holds 'slw-1'"):
            writer.append([Entry(Kind.EVENT, 6), Entry(Kind.INTENT, 5, "BTC/USD", "slw-1", {"lots": 4})])
        assert writer.head() == head


def test_a_transaction_is_written_whole_or_not_at_all(path):
    with journal(path) as writer:
        head = writer.head()
        with pytest.raises(InputUnusable, match="nan"):
            writer.append([Entry(Kind.EVENT, 1), Entry(Kind.EVENT, 2, payload={"price": float("nan")})])
        assert writer.head() == head


def test_the_older_writer_is_fenced_out_and_told_by_whom(path):
    older = journal(path, "first")
    older.append([Entry(Kind.EVENT, 1)])
    newer = journal(path, "second")
    with pytest.raises(TradingHalted, match=r"\(second\) took over .* lease is 2, ours was 1"):
        older.append([Entry(Kind.EVENT, 2)])
    newer.append([Entry(Kind.EVENT, 3)])
    with pytest.raises(TradingHalted):
        older.append([Entry(Kind.EVENT, 4)])
    assert [row.at for row in newer.rows(kinds=["event"])] == [1, 3]
    assert newer.verify().broken_at is None
    older.close()
    newer.close()


def test_readers_and_writer_do_not_wait_for_each_other(path):
    with journal(path) as writer, JournalReader(path) as reader:
        walk = reader.rows()
        next(walk)  # a reader in the middle of its query
        writer.append([Entry(Kind.EVENT, 1)])
        assert list(walk) == []  # it sees the snapshot that it began with
        assert len(list(reader.rows())) == 2
        assert reader.verify().rows == 2


def test_a_reader_can_not_write(path):
    filled(path, 1)
    with JournalReader(path) as reader, pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader._connection.execute("insert into lease values (1, 1, 'x')")


def test_keeps_numbers_beyond_64_bits_and_any_text(path):
    payload = {"volume": 10**40, "title": "Währung 価格 🚀 \ud800 \x00 '\"\n", "nested": [1, {"a": None}], "share": 0.1}
    with journal(path) as writer:
        (row,) = writer.append([Entry(Kind.ALERT, 1, "Ünï/USD", "ключ", payload)])
    with JournalReader(path) as reader:
        stored = reader.find("ключ")
    assert stored == row
    assert stored.values == payload
    assert verdict(path) == (None, "")


@examples(30)
@given(st.dictionaries(st.text(), st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=5)))
def test_equal_payloads_have_equal_bytes(payload):
    shuffled = dict(reversed(payload.items()))
    assert canonical(payload) == canonical(shuffled)
    assert json.loads(canonical(payload)) == payload
    assert canonical(payload).isascii()


@pytest.mark.parametrize("value", [float("inf"), object(), {1, 2}, b"bytes"])
def test_refuses_what_json_can_not_say(value):
    with pytest.raises(InputUnusable, match="journal can't hold"):
        canonical({"value": value})


def test_a_full_disk_halts_and_loses_nothing_that_was_acknowledged(path):
    with journal(path) as writer:
        writer.append([Entry(Kind.EVENT, 1)])
        pages = writer._connection.execute("pragma page_count").fetchone()[0]
        writer._connection.execute(f"pragma max_page_count = {pages}")
        with pytest.raises(TradingHalted, match="full"):
            writer.append([Entry(Kind.EVENT, 2, payload={"text": "x" * 100_000})])
        writer._connection.execute("pragma max_page_count = 1000000")
        writer.append([Entry(Kind.EVENT, 3)])
        assert [row.at for row in writer.rows(kinds=["event"])] == [1, 3]
        assert writer.verify().broken_at is None


def test_a_refused_write_of_the_system_halts(path):
    with journal(path) as writer:
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024, limits[1]))
        try:
            with pytest.raises(TradingHalted, match="can't be written"):
                writer.append([Entry(Kind.EVENT, 2, payload={"text": "x" * 100_000})])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        writer.append([Entry(Kind.EVENT, 3)])
        assert [row.at for row in writer.rows(kinds=["event"])] == [3]


def test_a_second_opening_continues_the_chain(path):
    filled(path, 2)
    with journal(path) as writer:
        assert writer.token == 2
        assert [row.kind for row in writer.rows()] == ["lease", "event", "event", "lease"]
        assert writer.verify().broken_at is None


def test_refuses_files_that_are_no_journals_and_leaves_them_as_they_are(tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("not a database at all, only some text that is long enough to look like a file header" * 3)
    other = tmp_path / "other.sqlite"
    connection = sqlite3.connect(other)
    connection.execute("create table t (a)")
    connection.commit()
    connection.close()
    for file in (text, other):
        before = file.read_bytes()
        with pytest.raises(SetupFailed, match="can't be opened"):
            journal(file)
        with pytest.raises(SetupFailed, match="can't be opened"):
            JournalReader(file)
        assert file.read_bytes() == before


def test_says_when_there_is_no_journal_and_makes_none(path):
    with pytest.raises(SetupFailed, match="There is no journal"):
        JournalReader(path)
    assert not path.exists()


def test_says_when_the_folder_can_not_be_made(tmp_path):
    (tmp_path / "journals").write_text("a file where the folder should be")
    with pytest.raises(SetupFailed, match="can't be opened"):
        journal(tmp_path / "journals" / "paper.sqlite")


def test_a_damaged_file_is_one_of_our_errors_whoever_reads_it(path):
    damage(path)
    with JournalReader(path) as reader:
        for read in (reader.verify, lambda: list(reader.rows()), lambda: reader.find("candle-1")):
            with pytest.raises(CheckFailed, match="damaged"):
                read()


def test_a_file_system_that_refuses_wal_is_refused(tmp_path):
    address = f"{(tmp_path / 'journal.sqlite').as_uri()}?vfs=unix-dotfile"  # locks by files, and has no shared memory
    connection = sqlite3.connect(address, uri=True)
    with pytest.raises(sqlite3.NotSupportedError, match=r"refuses WAL .* journal_mode delete.* local disk"):
        insist_on_durability(connection)
    connection.close()


def test_the_writer_works_in_wal_with_full_sync(path):
    with journal(path) as writer:
        modes = [writer._connection.execute(f"pragma {name}").fetchone() for name in ("journal_mode", "synchronous")]
    assert modes == [("wal",), (2,)]


def test_waits_for_another_writer_only_so_long(path, monkeypatch):
    monkeypatch.setattr("ops.journal.BUSY_TIMEOUT_S", 0.05)
    with journal(path) as writer:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("begin immediate")
        with pytest.raises(TradingHalted, match="locked"):
            writer.append([Entry(Kind.EVENT, 1)])
        with pytest.raises(SetupFailed, match="locked"):
            journal(path)
        other.execute("rollback")
        other.close()
        assert len(writer.append([Entry(Kind.EVENT, 1)])) == 1
