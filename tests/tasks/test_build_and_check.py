"""Stages and checks over the build file: each in one unit of work, evidence kept when a check refuses."""

import pytest

from config.settings import Settings, load_settings
from tasks.stages import build_all, check_all
from trading.errors import CheckFailed, InputUnusable
from warehouse.connection import unit_of_work

HEADER = "-- grain: one row per candle\n-- key: instrument, timeframe, closed_at\n-- lookback: full\n"
CANDLES = (
    HEADER
    + """select 'BTC/USD' as instrument, '15m' as timeframe,
    make_timestamptz(1672531200000000 + n * 900000000) as opened_at,
    opened_at + interval 15 minutes as closed_at, 100 + (n * 7) % 13 as close, close + 1 as high, close - 1 as low,
    close as open,    1 as volume
from range(90) as numbers(n)"""
)


@pytest.fixture
def settings(tmp_path, monkeypatch) -> Settings:
    monkeypatch.setenv("SLIPWAY_HOME", str(tmp_path))
    loaded = load_settings("paper")
    sql = tmp_path / "sql"
    cross = (loaded.paths.sql / "marts" / "signals_ema_cross.sql").read_text(encoding="utf-8")
    for name, text in {
        "marts/candles": CANDLES,
        "marts/signals_ema_cross": cross,
        "checks/jumps": "-- param: max_jump_ratio double = 1\n"
        "select closed_at, close from marts.candles where close > 12 * getvariable('max_jump_ratio')",
    }.items():
        path = sql / f"{name}.sql"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return loaded.model_copy(update={"paths": loaded.paths.model_copy(update={"sql": sql})})


def stored_results(settings: Settings) -> list[tuple]:
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as connection:
        return connection.execute("select batch_or_run, check_name, passed from checks.results").fetchall()


def test_a_build_counts_rows_and_signals_and_a_second_one_says_nothing_changed(settings):
    first, second = build_all(settings), build_all(settings)
    assert list(first.rows) == ["marts.candles", "features.indicators", "marts.signals_ema_cross"]
    assert first.rows["features.indicators"] == 90
    assert first.signals == first.rows["marts.signals_ema_cross"] > 0
    assert (first.changed, second.changed) == (True, False)
    assert second.rows == first.rows


def test_a_full_build_makes_everything_anew(settings):
    build_all(settings)
    assert {stage.outcome for stage in build_all(settings, "full").stages} == {"rebuilt"}


def test_a_file_that_can_not_be_a_stage_builds_nothing(settings):
    (settings.paths.sql / "marts" / "bad.sql").write_text("select 1", encoding="utf-8")
    with pytest.raises(InputUnusable, match="bad"):
        build_all(settings)
    assert not settings.paths.build.exists()


def test_checks_that_pass_are_kept_too(settings):
    build_all(settings)
    (result,) = check_all(settings, run="r1")
    assert result.passed
    assert stored_results(settings) == [("r1", "jumps", True)]


def test_a_check_takes_its_threshold_from_the_settings_and_stops_when_it_fails(settings):
    build_all(settings)
    strict = settings.validation.model_copy(update={"max_jump_ratio": 5.0})
    with pytest.raises(CheckFailed, match="jumps"):
        check_all(settings.model_copy(update={"validation": strict}), run="r1")
    assert stored_results(settings) == [("r1", "jumps", False)]
