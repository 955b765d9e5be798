"""Old files under `.slipway/` go; what is still written to, and what is nobody's leftover, stays."""

import datetime as dt
import os
from pathlib import Path

import pytest

from ops.leftovers import remove_old_files

LIMIT = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
OLD, NEW = LIMIT.timestamp() - 1, LIMIT.timestamp() + 1


def written(path: Path, at: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("12345")
    os.utime(path, (at, at))
    return path


@pytest.mark.parametrize(
    "name",
    [
        "logs/server.log.1",
        "reports/ema-cross.html",
        "spool/job.sqlite",
        "build/unpacked-abc/0.csv",
        "drill-abc/state/build/warehouse.duckdb",
        "build/.warehouse.duckdb.restoring",
        "journals/.paper.sqlite.restoring",
    ],
)
def test_an_old_leftover_goes(tmp_path: Path, name: str) -> None:
    written(tmp_path / name, OLD)
    assert remove_old_files(tmp_path, LIMIT) == (1, 5)
    assert not (tmp_path / name).exists()
    assert (tmp_path / name.partition("/")[0]).exists() is not name.startswith("drill")


@pytest.mark.parametrize(
    "name",
    [
        "build/warehouse.duckdb",
        "journals/paper.sqlite",
        "journals/paper.sqlite.before-20260101T000000Z",
        "prefect/prefect.db",
        "stack.json",
    ],
)
def test_what_is_no_leftover_stays_however_old(tmp_path: Path, name: str) -> None:
    written(tmp_path / name, OLD)
    assert remove_old_files(tmp_path, LIMIT) == (0, 0)
    assert (tmp_path / name).exists()


def test_a_file_that_was_written_to_of_late_stays(tmp_path: Path) -> None:
    written(tmp_path / "logs" / "server.log", NEW)
    assert remove_old_files(tmp_path, LIMIT) == (0, 0)


def test_a_folder_goes_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    written(tmp_path / "spool" / "job" / "first", OLD)
    written(tmp_path / "spool" / "job" / "deep" / "second", NEW)
    assert remove_old_files(tmp_path, LIMIT) == (0, 0)
    written(tmp_path / "spool" / "job" / "deep" / "second", OLD)
    assert remove_old_files(tmp_path, LIMIT) == (2, 10)
    assert list((tmp_path / "spool").iterdir()) == []


def test_an_empty_folder_is_as_old_as_it_says(tmp_path: Path) -> None:
    folder = tmp_path / "build" / "unpacked-abc"
    folder.mkdir(parents=True)
    os.utime(folder, (OLD, OLD))
    assert remove_old_files(tmp_path, LIMIT) == (0, 0)
    assert not folder.exists()


def test_where_nothing_was_ever_made_nothing_is_removed(tmp_path: Path) -> None:
    assert remove_old_files(tmp_path / "none", LIMIT) == (0, 0)
