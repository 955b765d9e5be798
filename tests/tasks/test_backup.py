"""A backup, the restore of it, and the drill: what was lost is back, and nothing that was there is lost."""

import datetime as dt
import json
import sqlite3
from pathlib import Path

import duckdb
import pytest

from config.settings import Settings, load_settings
from ops.backups import room
from ops.backups.manifest import read_manifest
from ops.clock import SteppedClock
from ops.journal import Entry, Head, Journal, JournalReader, Kind
from tasks.publication import publish_journals
from tasks.upkeep import restores
from tasks.upkeep.backups import back_up
from tasks.upkeep.restores import rehearse_restore, restore
from tasks.upkeep.tidying import compact
from trading.errors import CheckFailed, InputUnusable, SetupFailed, WarehouseBusy
from warehouse import ledger
from warehouse.connection import reading, unit_of_work
from warehouse.gate.clearance import clear
from warehouse.schema import SCHEMA_VERSION
from warehouse.upkeep.copies import contents_of
from warehouse.upkeep.migrations import version_of

ROOT = Path(__file__).resolve().parents[2]
OF_VERSION_1 = (ROOT / "tests" / "warehouse" / "schema_v1.sql").read_text("utf-8")


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Of a home with a small warehouse, which has passed its checks."""
    monkeypatch.setenv("SLIPWAY_HOME", str(tmp_path / "home"))
    settings = load_settings()
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
        warehouse.execute("create table marts.numbers as select n, hash(n) as value from range(1000) as t(n)")
        ledger.create_table(warehouse)
        clear(warehouse)
    return settings


def lived(settings: Settings, name: str, first: int, last: int) -> Head:
    """A session's journal that grew by some events."""
    with Journal(settings.paths.journals / f"{name}.sqlite", holder="test", clock=SteppedClock(1_000)) as journal:
        journal.append(Entry(Kind.EVENT, at, "BTC/USD", f"event-{at}", {"at": at}) for at in range(first, last))
        return journal.head()


def head_of(settings: Settings, name: str) -> Head:
    with JournalReader(settings.paths.journals / name) as journal:
        verdict = journal.verify()
    assert verdict.broken_at is None
    return verdict.head


def contents(settings: Settings) -> dict[str, str]:
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
        return contents_of(warehouse)


def changed(settings: Settings) -> None:
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
        warehouse.execute("delete from marts.numbers where n = 7")


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


@pytest.mark.usefixtures("home")
def test_what_is_destroyed_comes_back_equal() -> None:
    """The drill by hand, on real candles: every table and every row of a journal is what it was."""
    settings = load_settings()
    head, before = lived(settings, "paper-1", 0, 50), contents(settings)
    report = back_up(settings)
    settings.paths.build.unlink()
    settings.paths.published.unlink()
    (settings.paths.journals / "paper-1.sqlite").unlink()
    restored = restore(settings, report.folder)
    assert restored.is_published
    assert head_of(settings, "paper-1.sqlite") == head
    after = contents(settings)
    assert {**after, "meta.publication": ""} == {**before, "meta.publication": ""}
    with reading(settings.paths.published) as warehouse:
        assert warehouse.execute("select count(*) from marts.candles").fetchone() != (0,)


def test_the_drill_says_what_it_proved_and_touches_nothing(settings: Settings) -> None:
    lived(settings, "paper-1", 0, 5)
    folder = back_up(settings).folder
    before = (files_in(settings.paths.build.parent), files_in(settings.paths.journals), files_in(folder))
    report = rehearse_restore(settings)
    assert report.folder == folder
    assert report.rows == 6
    assert before == (files_in(settings.paths.build.parent), files_in(settings.paths.journals), files_in(folder))
    assert not list(settings.paths.state.glob("drill-*"))


def test_a_drill_tells_a_journal_that_was_rewritten_since(settings: Settings) -> None:
    lived(settings, "paper-1", 0, 5)
    back_up(settings)
    path = settings.paths.journals / "paper-1.sqlite"
    path.unlink()
    lived(settings, "paper-1", 1, 9)  # a chain that holds, and is another one
    with pytest.raises(CheckFailed, match=r"paper-1\.sqlite: row 6 .*the chain was rewritten"):
        rehearse_restore(settings)


def test_a_drill_names_a_journal_that_is_gone(settings: Settings) -> None:
    lived(settings, "paper-1", 0, 5)
    back_up(settings)
    (settings.paths.journals / "paper-1.sqlite").unlink()
    assert rehearse_restore(settings).sentences[-1] == "paper-1.sqlite is in the backup, and no longer on this machine."


def test_there_must_be_a_backup_for_a_drill(settings: Settings) -> None:
    with pytest.raises(SetupFailed, match="slipway backup"):
        rehearse_restore(settings)


def test_there_must_be_something_to_back_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPWAY_HOME", str(tmp_path))
    with pytest.raises(SetupFailed, match="make run"):
        back_up(load_settings())
    assert not [path for path in (tmp_path / "backups").iterdir() if path.name != ".lock"]


def test_a_journal_is_copied_while_its_session_writes(settings: Settings) -> None:
    with Journal(settings.paths.journals / "paper-1.sqlite", holder="test", clock=SteppedClock(1_000)) as journal:
        journal.append([Entry(Kind.EVENT, 1)])
        (copied,) = back_up(settings).journals
        assert (copied.seq, copied.hash) == journal.head()
        journal.append([Entry(Kind.EVENT, 2)])
        assert journal.head().seq == copied.seq + 1


def test_a_damaged_journal_is_left_out_said_and_no_older_backup_is_deleted_for_it(settings: Settings) -> None:
    lived(settings, "paper-1", 0, 5)
    lived(settings, "paper-2", 0, 5)
    old = back_up(settings).folder.rename(settings.paths.backups / "20200101T000000Z")
    path = settings.paths.journals / "paper-1.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("drop trigger journal_keeps_its_rows")
        connection.execute("update journal set payload = '{}' where seq = 3")
    report = back_up(one_day(settings))
    assert [journal.name for journal in report.journals] == ["journals/paper-2.sqlite"]
    assert old.exists()
    with pytest.raises(CheckFailed, match=r"paper-1\.sqlite is left out of the backup: row 3 does not match its own"):
        report.refuse_left_out()


def one_day(settings: Settings) -> Settings:
    return settings.model_copy(update={"lifecycle": settings.lifecycle.model_copy(update={"backup_days": 1})})


def test_old_backups_go_when_a_newer_one_is_proven(settings: Settings) -> None:
    lived(settings, "paper-1", 0, 5)
    old = back_up(settings).folder.rename(settings.paths.backups / "20200101T000000Z")
    report = back_up(one_day(settings))
    assert report.pruned == (old,)
    assert not old.exists()


def test_the_manifest_says_what_is_in_the_backup(settings: Settings) -> None:
    head = lived(settings, "paper-1", 0, 5)
    manifest = read_manifest(back_up(settings).folder)
    assert manifest.warehouse is not None
    assert manifest.warehouse.schema_version == SCHEMA_VERSION
    assert {"raw.batches", "raw.kraken_ohlcvt", "marts.numbers"} <= set(manifest.warehouse.contents)
    assert [(journal.seq, journal.hash) for journal in manifest.journals] == [head]
    assert manifest.code_version


def test_a_backup_knows_no_row_of_a_journal_that_its_own_copy_lacks(settings: Settings) -> None:
    lived(settings, "paper-1", 0, 5)
    publish_journals(settings)
    folder = back_up(settings).folder
    settings.paths.build.unlink()
    restore(settings, folder)
    assert publish_journals(settings).left_out == ()


@pytest.mark.parametrize("name", ["warehouse.duckdb", "journals/paper-1.sqlite"])
def test_a_backup_that_was_changed_is_not_restored(settings: Settings, name: str) -> None:
    lived(settings, "paper-1", 0, 5)
    folder = back_up(settings).folder
    spoilt = bytearray((folder / name).read_bytes())
    spoilt[len(spoilt) // 2] ^= 1
    (folder / name).write_bytes(spoilt)
    before = files_in(settings.paths.build.parent)
    with pytest.raises(CheckFailed, match=f"{name} was changed"):
        restore(settings, folder)
    assert files_in(settings.paths.build.parent) == before


def test_a_backup_with_a_file_gone_is_not_restored(settings: Settings) -> None:
    lived(settings, "paper-1", 0, 5)
    folder = back_up(settings).folder
    (folder / "journals" / "paper-1.sqlite").unlink()
    with pytest.raises(CheckFailed, match=r"journals/paper-1\.sqlite is missing"):
        restore(settings, folder)


def test_a_folder_that_is_no_backup_is_refused(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(InputUnusable, match="is no backup"):
        restore(settings, tmp_path)


@pytest.mark.parametrize(
    "name", ["../../elsewhere.sqlite", "journals/../../elsewhere.sqlite", "/tmp/elsewhere.sqlite", "journals/a.db"]
)
def test_a_manifest_can_name_no_file_outside_its_folder(settings: Settings, name: str) -> None:
    lived(settings, "paper-1", 0, 5)
    path = back_up(settings).folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["journals"][0]["name"] = name
    path.write_text(json.dumps(manifest))
    with pytest.raises(InputUnusable, match=r"journals\.0\.name"):
        restore(settings, path.parent)


def test_a_backup_of_newer_code_is_refused(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = back_up(settings).folder
    monkeypatch.setattr(restores, "SCHEMA_VERSION", SCHEMA_VERSION - 1)
    with pytest.raises(SetupFailed, match="bring this checkout up to date"):
        restore(settings, folder)


def test_a_backup_of_older_code_is_brought_up_to_date(settings: Settings) -> None:
    settings.paths.build.unlink()
    with duckdb.connect(str(settings.paths.build)) as connection:
        connection.execute(OF_VERSION_1)
    folder = back_up(settings).folder
    manifest = read_manifest(folder)
    assert manifest.warehouse is not None
    assert manifest.warehouse.schema_version == 1
    settings.paths.build.unlink()
    restore(settings, folder)
    with duckdb.connect(str(settings.paths.build), read_only=True) as connection:
        assert version_of(connection) == SCHEMA_VERSION
    assert rehearse_restore(settings).folder == folder


def test_a_journal_with_more_rows_is_not_replaced(settings: Settings) -> None:
    lived(settings, "paper-1", 0, 5)
    folder = back_up(settings).folder
    head, before = lived(settings, "paper-1", 5, 8), contents(settings)
    changed(settings)
    with pytest.raises(InputUnusable, match=r"paper-1\.sqlite has 4 rows more than the backup's.*--force"):
        restore(settings, folder)
    assert head_of(settings, "paper-1.sqlite") == head
    assert contents(settings) != before  # the warehouse was not restored either


def test_a_journal_of_another_chain_is_not_replaced(settings: Settings) -> None:
    lived(settings, "paper-1", 0, 5)
    folder = back_up(settings).folder
    (settings.paths.journals / "paper-1.sqlite").unlink()
    lived(settings, "paper-1", 1, 3)
    with pytest.raises(InputUnusable, match="is another chain than the backup's"):
        restore(settings, folder)


def test_a_journal_that_cant_be_read_is_not_replaced_without_a_word(settings: Settings) -> None:
    lived(settings, "paper-1", 0, 5)
    folder = back_up(settings).folder
    (settings.paths.journals / "paper-1.sqlite").write_bytes(b"no journal" * 1000)
    with pytest.raises(InputUnusable, match="can't be read"):
        restore(settings, folder)


def test_by_force_the_backups_journal_comes_back_and_the_present_one_stays_beside_it(settings: Settings) -> None:
    head = lived(settings, "paper-1", 0, 5)
    folder = back_up(settings).folder
    newer = lived(settings, "paper-1", 5, 8)
    report = restore(settings, folder, only="journals", is_forced=True)
    assert head_of(settings, "paper-1.sqlite") == head
    (kept,) = report.kept
    with JournalReader(kept) as journal:
        assert journal.verify().head == newer
    assert [path.name for path in settings.paths.journals.glob("*.sqlite")] == ["paper-1.sqlite"]


def test_what_two_restores_put_aside_is_all_there(settings: Settings) -> None:
    lived(settings, "paper-1", 0, 5)
    folder = back_up(settings).folder
    newer = set()
    for last in (6, 7):
        newer.add(lived(settings, "paper-1", 5, last))
        restore(settings, folder, only="journals", is_forced=True)
    aside = list(settings.paths.journals.glob("paper-1.sqlite.before-*Z"))
    assert {head_of(settings, path.name) for path in aside} == newer


def test_a_journal_that_is_a_beginning_of_the_backups_is_replaced_without_force(settings: Settings) -> None:
    lived(settings, "paper-1", 0, 3)
    shorter = (settings.paths.journals / "paper-1.sqlite").read_bytes()
    head = lived(settings, "paper-1", 3, 5)
    folder = back_up(settings).folder
    (settings.paths.journals / "paper-1.sqlite").write_bytes(shorter)
    report = restore(settings, folder, only="journals")
    assert head_of(settings, "paper-1.sqlite") == head
    assert len(report.kept) == 1


def test_a_journal_that_is_as_in_the_backup_is_left_alone_even_while_it_is_open(settings: Settings) -> None:
    with Journal(settings.paths.journals / "paper-1.sqlite", holder="test", clock=SteppedClock(1_000)) as journal:
        folder = back_up(settings).folder
        report = restore(settings, folder)
        journal.append([Entry(Kind.EVENT, 2)])
    assert (report.unchanged, report.restored) == (1, (settings.paths.build,))


def test_the_warehouse_alone_comes_back_beside_a_session_that_went_on(settings: Settings) -> None:
    before = contents(settings)
    with Journal(settings.paths.journals / "paper-1.sqlite", holder="test", clock=SteppedClock(1_000)) as journal:
        folder = back_up(settings).folder
        journal.append([Entry(Kind.EVENT, 2)])
        changed(settings)
        restore(settings, folder, only="warehouse")
        assert journal.head().seq == 2
    assert contents(settings)["marts.numbers"] == before["marts.numbers"]


def test_what_a_session_has_open_is_not_replaced(settings: Settings) -> None:
    lived(settings, "paper-1", 0, 5)
    folder = back_up(settings).folder
    before = contents(settings)
    changed(settings)
    with Journal(settings.paths.journals / "paper-1.sqlite", holder="test", clock=SteppedClock(1_000)) as journal:
        with pytest.raises(WarehouseBusy, match=r"has .*paper-1\.sqlite open"):
            restore(settings, folder, is_forced=True)
        journal.append([Entry(Kind.EVENT, 9)])
    assert contents(settings)["marts.numbers"] != before["marts.numbers"]
    assert not list(settings.paths.journals.glob(".*"))


def test_a_build_file_that_is_in_use_is_not_replaced(settings: Settings) -> None:
    folder = back_up(settings).folder
    hurried = settings.model_copy(update={"warehouse": settings.warehouse.model_copy(update={"lock_wait_s": 0.1})})
    with (
        unit_of_work(settings.paths.build, **settings.warehouse.model_dump()),
        pytest.raises(WarehouseBusy, match="still in use"),
    ):
        restore(hurried, folder)


def test_a_build_file_that_is_damaged_is_replaced_and_kept(settings: Settings) -> None:
    before = contents(settings)
    folder = back_up(settings).folder
    settings.paths.build.write_bytes(b"nothing of value" * 1000)
    (kept,) = restore(settings, folder).kept
    assert kept.read_bytes() == b"nothing of value" * 1000
    assert contents(settings)["marts.numbers"] == before["marts.numbers"]


@pytest.mark.parametrize(("folder", "ending"), [("build", ".wal"), ("journals", "-wal")])
def test_a_log_of_a_database_that_is_gone_is_not_taken_for_the_restored_ones(
    settings: Settings, folder: str, ending: str
) -> None:
    head = lived(settings, "paper-1", 0, 5)
    backup = back_up(settings).folder
    gone = settings.paths.build if folder == "build" else settings.paths.journals / "paper-1.sqlite"
    gone.unlink()
    gone.with_name(gone.name + ending).write_bytes(b"of another file" * 1000)
    report = restore(settings, backup)
    assert head_of(settings, "paper-1.sqlite") == head
    assert contents(settings)["marts.numbers"]
    assert [path.name for path in report.kept if path.name.startswith(gone.name)]


def test_a_restore_that_was_killed_between_two_renames_is_simply_started_again(settings: Settings) -> None:
    head = lived(settings, "paper-1", 0, 5)
    folder = back_up(settings).folder
    settings.paths.build.rename(settings.paths.build.with_name("warehouse.duckdb.before-20260101T000000Z"))
    (settings.paths.journals / "paper-1.sqlite").rename(settings.paths.journals / ".paper-1.sqlite.restoring")
    assert restore(settings, folder).is_published
    assert head_of(settings, "paper-1.sqlite") == head


def test_what_had_not_passed_its_checks_is_restored_and_not_published(settings: Settings) -> None:
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
        warehouse.execute("delete from meta.cleared")
    report = restore(settings, back_up(settings).folder)
    assert report.is_published is False
    assert "transform/build" in " ".join(report.sentences)
    assert not settings.paths.published.exists()


def test_too_little_room_is_said_before_anything_is_written(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = back_up(settings).folder.rename(settings.paths.backups / "20200101T000000Z")
    monkeypatch.setattr(room, "SPARE_BYTES", 10**18)
    for work, place in (
        (lambda: back_up(settings), settings.paths.backups),
        (lambda: restore(settings, folder), settings.paths.state),
        (lambda: rehearse_restore(settings), settings.paths.state),
        (lambda: compact(settings), settings.paths.build),
    ):
        with pytest.raises(SetupFailed, match=f"not enough room for .*{place}"):
            work()
    assert [path.name for path in settings.paths.backups.glob("2*")] == [folder.name]
    assert not list(settings.paths.build.parent.glob(".*"))


def test_a_backup_is_for_the_eyes_of_its_owner(settings: Settings) -> None:
    back_up(settings)
    assert settings.paths.backups.stat().st_mode & 0o077 == 0


def test_the_time_of_a_backup_is_its_name(settings: Settings) -> None:
    folder = back_up(settings).folder
    taken_at = dt.datetime.strptime(folder.name, "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC)
    assert read_manifest(folder).taken_at.replace(microsecond=0) == taken_at
