"""Batches that landed and were never judged, because a kill or a restore came between."""

from datetime import UTC, datetime, timedelta

import pytest

from config.settings import Settings, load_settings
from tasks.candles import LEFT_OVER_AFTER, judge_left_over, land_archive
from tasks.stages import build_all
from warehouse.connection import unit_of_work

pytestmark = pytest.mark.xdist_group("heavy")  # one process imports Great Expectations


@pytest.fixture
def settings(tmp_path, monkeypatch) -> Settings:
    monkeypatch.setenv("SLIPWAY_HOME", str(tmp_path / "home"))
    loaded = load_settings()
    lines = (loaded.paths.sample / "XBTUSD_15.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "XBTUSD_15.csv").write_text("".join(lines[:500]), encoding="utf-8")
    land_archive(loaded, tmp_path / "XBTUSD_15.csv")
    return loaded


def landed_at(settings: Settings, at: datetime) -> None:
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
        for table in ("raw.batches", "raw.files"):
            warehouse.execute(f"update {table} set fetched_at = ?", [at])


def test_what_was_left_is_judged_and_becomes_candles(settings):
    landed_at(settings, datetime.now(UTC) - LEFT_OVER_AFTER - timedelta(minutes=1))
    assert build_all(settings).rows["features.indicators"] == 0
    (verdict,) = judge_left_over(settings)
    assert verdict.state == "validated"
    assert build_all(settings).rows["features.indicators"] == 500 + 125 + 31 + 5  # 15m, and what they make
    assert judge_left_over(settings) == ()


def test_what_has_just_landed_is_left_to_whoever_landed_it(settings):
    landed_at(settings, datetime.now(UTC) - LEFT_OVER_AFTER + timedelta(minutes=1))
    assert judge_left_over(settings) == ()
