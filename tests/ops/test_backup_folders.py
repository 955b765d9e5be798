"""Folders of backups: complete or not there, and the old ones go in the end."""

import datetime as dt
import fcntl
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.backups.folders import backups, new_backup, prune
from ops.backups.manifest import Manifest, write_manifest
from trading.errors import SetupFailed, WarehouseBusy

NOON = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


def made(root: Path, taken_at: dt.datetime) -> Path:
    with new_backup(root, taken_at) as folder:
        write_manifest(folder, Manifest(taken_at=taken_at, code_version="abc", warehouse=None, journals=()))
    return backups(root)[-1]


def names(root: Path) -> list[str]:
    return [path.name for path in backups(root)]


def test_a_backup_is_there_when_its_block_has_ended(tmp_path: Path) -> None:
    with new_backup(tmp_path, NOON) as folder:
        write_manifest(folder, Manifest(taken_at=NOON, code_version="abc", warehouse=None, journals=()))
        assert backups(tmp_path) == []
    assert names(tmp_path) == ["20261122T120000Z"]


def test_a_backup_that_fails_leaves_nothing(tmp_path: Path) -> None:
    made(tmp_path, NOON)

    def fail() -> None:
        with new_backup(tmp_path, NOON + HOUR) as folder:
            (folder / "half").write_text("of it")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "20261122T120000Z"]


def test_what_a_killed_one_left_is_removed_by_the_next(tmp_path: Path) -> None:
    (tmp_path / ".20261121T120000Z.part" / "journals").mkdir(parents=True)
    assert backups(tmp_path) == []
    made(tmp_path, NOON)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "20261122T120000Z"]


def test_a_folder_of_somebody_else_is_no_backup_and_stays(tmp_path: Path) -> None:
    (tmp_path / "holiday pictures").mkdir()
    (tmp_path / "20260101T000000Z").mkdir()  # without a manifest
    made(tmp_path, NOON)
    prune(tmp_path, 1)
    assert names(tmp_path) == ["20261122T120000Z"]
    assert (tmp_path / "holiday pictures").exists()
    assert (tmp_path / "20260101T000000Z").exists()


def test_two_at_once_are_one_too_many(tmp_path: Path) -> None:
    with (
        new_backup(tmp_path, NOON),
        pytest.raises(WarehouseBusy, match="Another backup is at work"),
        new_backup(tmp_path, NOON + HOUR),
    ):
        pass


def test_none_is_deleted_while_another_backup_is_at_work(tmp_path: Path) -> None:
    made(tmp_path, NOON)
    made(tmp_path, NOON + HOUR)
    with (tmp_path / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(WarehouseBusy):
            prune(tmp_path, 1)
    assert len(backups(tmp_path)) == 2


def test_a_place_that_cant_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "backups").write_text("a file")
    with pytest.raises(SetupFailed, match=r"no new backup in .*paths\.backups"), new_backup(tmp_path / "backups", NOON):
        pass


def test_two_in_one_second_are_said_and_the_first_stays(tmp_path: Path) -> None:
    made(tmp_path, NOON)
    with pytest.raises(SetupFailed, match="as they were"):
        made(tmp_path, NOON)
    assert names(tmp_path) == ["20261122T120000Z"]


def test_of_each_of_the_last_days_the_newest_stays(tmp_path: Path) -> None:
    for hours in (0, 1, 24, 25, 48):
        made(tmp_path, NOON + hours * HOUR)
    gone = prune(tmp_path, 2)
    assert names(tmp_path) == ["20261123T130000Z", "20261124T120000Z"]
    assert [path.name for path in gone] == ["20261122T120000Z", "20261122T130000Z", "20261123T120000Z"]


@given(hours=st.sets(st.integers(0, 240), min_size=1, max_size=8), keep_days=st.integers(1, 12))
def test_the_newest_always_stays_and_days_without_a_backup_cost_none(
    tmp_path_factory: pytest.TempPathFactory, hours: set[int], keep_days: int
) -> None:
    root = tmp_path_factory.mktemp("backups")
    for hour in hours:
        (root / f"{NOON + hour * HOUR:%Y%m%dT%H%M%SZ}").mkdir()
        (root / f"{NOON + hour * HOUR:%Y%m%dT%H%M%SZ}" / "manifest.json").touch()
    days = {name[:8] for name in names(root)}
    newest = names(root)[-1]
    prune(root, keep_days)
    assert names(root)[-1] == newest
    assert len(backups(root)) == min(keep_days, len(days))
    assert {name[:8] for name in names(root)} == set(sorted(days)[-keep_days:])
