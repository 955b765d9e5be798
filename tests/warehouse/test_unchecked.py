"""A check of rows alone reads what changed since the warehouse was cleared, and everything when that is not known."""

import datetime as dt
from pathlib import Path

import pytest
from stage_sets import without_strategies

from warehouse.batches import judge_files
from warehouse.builds import build
from warehouse.checks import run_checks
from warehouse.gate.clearance import clear

SQL = Path(__file__).resolve().parents[2] / "sql"
CANDLE_STAGES = without_strategies()
NOW = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
START_S = 1_672_531_200
DAY = 96  # candles


@pytest.fixture
def built(warehouse, landed):
    """Lands candles that open so many quarters of an hour after the start, and builds; `spoilt` comes in between."""

    def land_and_build(*numbers, mode="incremental", close=105, spoilt=lambda: None):
        text = "".join(f"{START_S + number * 900},100,110,90,{close},1,1\n" for number in numbers)
        report = landed({"XBTUSD_15.csv": text}, fetched_at=NOW + dt.timedelta(minutes=numbers[0]))
        judge_files(warehouse, report.batch_id, frozenset(), "")
        spoilt()
        build(warehouse, CANDLE_STAGES, mode)

    return land_and_build


@pytest.fixture
def found(warehouse):
    """Names of the checks that find something."""

    def run(stages=CANDLE_STAGES):
        results = run_checks(warehouse, SQL / "checks", run="r", checked_at=NOW, stages=stages)
        if all(result.passed for result in results):
            assert clear(warehouse)
        return [result.name for result in results if not result.passed]

    return run


def spoil(warehouse, number):
    """As no code of ours ever would: change a row that has landed."""
    at = START_S + number * 900
    warehouse.execute(f"update raw.candle_rows set high = 1 where opened_at = to_timestamp({at})")


def double(warehouse, number):
    """As a landing at fault would: the newest telling of a candle does not say that there was one before it."""
    at = START_S + number * 900
    warehouse.execute(
        "update raw.candle_rows set revises = false where opened_at = to_timestamp($at)"
        " and file_id = (select max(file_id) from raw.candle_rows where opened_at = to_timestamp($at))",
        {"at": at},
    )


def test_what_was_cleared_is_not_read_again(built, found, warehouse):
    built(0, 1, 2, 3, 4, 5, 6, 7)
    assert found() == []
    spoil(warehouse, 1)
    built(8)
    assert found() == []
    assert found(stages=()) == ["candles_consistent"]


def test_what_is_new_is_read(built, found, warehouse):
    built(0, 1, 2, 3, 4, 5, 6, 7)
    assert found() == []
    built(8)
    spoil(warehouse, 8)
    assert found() == ["candles_consistent"]


def test_what_did_not_pass_is_read_again(built, found, warehouse):
    built(0, 1, 2, 3, 4, 5, 6, 7)
    assert found() == []
    built(8)
    spoil(warehouse, 8)
    assert found() == ["candles_consistent"]
    built(9)
    assert found() == ["candles_consistent"]


def test_what_several_builds_changed_is_read(built, found, warehouse):
    built(0, 1, 2, 3, 4, 5, 6, 7)
    assert found() == []
    built(8)
    spoil(warehouse, 8)
    built(9)
    assert found() == ["candles_consistent"]


@pytest.mark.parametrize("mode", ["full", "incremental"])
def test_everything_is_read_after_a_full_build(mode, built, found, warehouse):
    built(0, 1, 2, 3, 4, 5, 6, 7)
    assert found() == []
    spoil(warehouse, 1)
    built(8, mode=mode)
    assert found() == (["candles_consistent"] if mode == "full" else [])


def test_everything_is_read_when_the_check_is_another(built, found, warehouse):
    built(0, 1, 2, 3, 4, 5, 6, 7)
    assert found() == []
    spoil(warehouse, 1)
    warehouse.execute("update meta.checked set text = 'of an older version' where check_name = 'candles_consistent'")
    assert found() == ["candles_consistent"]


def test_everything_is_read_when_something_else_was_cleared(built, found, warehouse):
    built(0, 1, 2, 3, 4, 5, 6, 7)
    assert found() == []
    built(8)
    assert clear(warehouse)  # by one who has not run this check
    spoil(warehouse, 8)
    assert found() == ["candles_consistent"]


def test_stages_that_were_not_built_like_this_are_read_whole(built, found, warehouse):
    built(0, 1, 2, 3, 4, 5, 6, 7)
    assert found() == []
    spoil(warehouse, 1)
    warehouse.execute("update meta.stages set recipe = 'another' where stage = 'marts.candles'")
    assert found() == ["candles_consistent"]


@pytest.mark.parametrize("again", [0, 3, DAY - 1, DAY, 2 * DAY + 7], ids=lambda number: f"candle {number}")
def test_a_candle_that_is_there_twice_after_the_next_landing_is_found(again, built, found, warehouse):
    built(*range(2 * DAY + 8))
    assert found() == []
    built(again, 2 * DAY + 8, close=104, spoilt=lambda: double(warehouse, again))
    assert "candles_once_each" in found()


def test_a_candle_that_is_revised_by_the_next_landing_is_there_once(built, found, ask):
    built(*range(DAY + 8))
    assert found() == []
    built(3, DAY + 8, close=104)
    assert found() == []
    assert ask("select count(*) from marts.candle_revisions") == [(2,)]
