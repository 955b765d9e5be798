"""Tidying up on a real warehouse: what counts is what it was, and it is published as before."""

import os
from pathlib import Path

import pytest

from config.settings import Settings, load_settings
from tasks.stages import build_all, check_all
from tasks.upkeep.tidying import compact, forget_old_files, forget_old_rows, forget_old_runs
from warehouse.connection import unit_of_work
from warehouse.increments import content_of
from warehouse.upkeep.copies import contents_of
from warehouse.upkeep.retention import Forgotten


def contents(settings: Settings) -> dict[str, str]:
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
        return contents_of(warehouse)


def candles(settings: Settings) -> str:
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
        return content_of(warehouse, "marts.candles")


def test_a_warehouse_with_all_its_views_is_written_anew_and_equal(settings: Settings) -> None:
    before, was = contents(settings), candles(settings)
    eager = settings.model_copy(
        update={"lifecycle": settings.lifecycle.model_copy(update={"compact_free_share": 1e-9})}
    )
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
        warehouse.execute("create table marts.gone as select hash(n) as value from range(500_000) as t(n)")
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
        warehouse.execute("drop table marts.gone")
    done = compact(eager)
    assert done.bytes_after < done.bytes_before
    assert contents(settings) == before
    assert candles(settings) == was


def test_after_tidying_the_next_build_finds_nothing_new(settings: Settings) -> None:
    was = candles(settings)
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
        warehouse.execute("update checks.results set checked_at = '2020-01-01'")
        results = warehouse.execute("select count(*) from checks.results").fetchone()
    assert results is not None
    assert forget_old_rows(settings) == Forgotten(check_results=results[0])
    assert not build_all(settings).changed
    check_all(settings, run="after")
    assert candles(settings) == was


def test_a_home_where_nothing_was_made_yet_stays_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPWAY_HOME", str(tmp_path))
    settings = load_settings()
    assert forget_old_rows(settings) == Forgotten()
    assert compact(settings) == (0, 0)
    assert forget_old_files(settings) == (0, 0)
    assert forget_old_runs(settings) == 0
    assert list(tmp_path.iterdir()) == []


def test_files_go_by_their_age_in_days(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPWAY_HOME", str(tmp_path))
    settings = load_settings()
    settings.paths.reports.mkdir(parents=True)
    (settings.paths.reports / "new.html").write_text("new")
    (settings.paths.reports / "old.html").write_text("old")
    os.utime(settings.paths.reports / "old.html", (0, 0))
    assert forget_old_files(settings) == (1, 3)
    assert [path.name for path in settings.paths.reports.iterdir()] == ["new.html"]
