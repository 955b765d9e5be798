"""The files of `raw` say since when its candles have changed; what they can't say is taken for a change of all."""

import datetime as dt
from pathlib import Path

import pytest

from warehouse.batches import judge_files
from warehouse.changes import sources
from warehouse.changes.sources import candles_changed, lies_in_files

START = dt.datetime(2023, 1, 1, tzinfo=dt.UTC)
FETCHED = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
QUARTER = dt.timedelta(minutes=15)


@pytest.fixture
def told(landed):
    """Lands candles of 15 minutes by their numbers."""

    def land(first, last, name="XBTUSD_15.csv"):
        start_s = round(START.timestamp())
        text = "".join(f"{start_s + number * 900},100,110,90,105,1,1\n" for number in range(first, last))
        return landed({name: text}, fetched_at=FETCHED + dt.timedelta(minutes=first))

    return land


def closed(number):
    return START + (number + 1) * QUARTER


def test_what_has_not_changed_says_so(told, warehouse):
    told(0, 10)
    content, _ = candles_changed(warehouse)
    assert candles_changed(warehouse) == (content, None)


def test_a_view_that_says_something_else_of_the_same_files_is_another_content(told, warehouse, monkeypatch):
    told(0, 10)
    content, _ = candles_changed(warehouse)
    monkeypatch.setattr(sources, "with_their_files", lambda rows: f"select *, 1 as other from {rows}")
    assert candles_changed(warehouse)[0] != content


def test_a_first_look_can_not_tell_since_when(told, warehouse):
    told(0, 10)
    _, change = candles_changed(warehouse)
    assert change.since is None


def test_a_new_file_is_a_change_since_its_first_candle(told, warehouse):
    told(0, 10)
    before, _ = candles_changed(warehouse)
    told(10, 12)
    content, change = candles_changed(warehouse)
    assert content != before
    assert (change.before, change.since) == (before, closed(10))


def test_a_file_that_is_judged_again_is_a_change_since_its_first_candle(told, warehouse):
    told(0, 10)
    later = told(10, 12)
    candles_changed(warehouse)
    judge_files(warehouse, later.batch_id, None, "")
    _, change = candles_changed(warehouse)
    assert change.since == closed(10)


def test_a_file_that_is_gone_is_a_change_since_its_first_candle(told, warehouse):
    told(0, 10)
    told(10, 12)
    candles_changed(warehouse)
    (gone,) = warehouse.execute("select max(file_id) from raw.files").fetchone()
    for table in ("raw.files", "raw.candle_rows"):
        warehouse.execute(f"delete from {table} where file_id = ?", [gone])
    _, change = candles_changed(warehouse)
    assert change.since == closed(10)


def test_a_file_that_takes_the_number_of_one_that_is_gone_is_seen(told, warehouse):
    told(0, 10)
    told(10, 12)
    candles_changed(warehouse)
    (gone,) = warehouse.execute("select max(file_id) from raw.files").fetchone()
    for table in ("raw.files", "raw.candle_rows"):
        warehouse.execute(f"delete from {table} where file_id = ?", [gone])
    told(11, 13)
    assert warehouse.execute("select max(file_id) from raw.files").fetchone() == (gone,)
    _, change = candles_changed(warehouse)
    assert change.since == closed(10)


def test_a_file_whose_candles_are_all_known_is_no_change(told, warehouse):
    told(0, 10)
    warehouse.execute("update raw.files set state = 'validated'")
    content, _ = candles_changed(warehouse)
    again = told(3, 7)
    assert again.rows_unchanged == 4
    assert candles_changed(warehouse) == (content, None)


def test_rows_that_no_file_accounts_for_are_a_change_of_all(told, warehouse):
    told(0, 10)
    candles_changed(warehouse)
    told(10, 12)
    warehouse.execute("insert into raw.candle_rows select * replace (opened_at - interval 1 hour as opened_at)"
                      " from raw.candle_rows limit 1")  # fmt: skip
    _, change = candles_changed(warehouse)
    assert change.since is None


def test_a_change_of_most_rows_is_one_of_all(told, warehouse):
    told(0, 10)
    candles_changed(warehouse)
    told(10, 40)
    _, change = candles_changed(warehouse)
    assert change.since is None


def test_a_table_of_the_same_name_is_no_view_of_files(warehouse):
    assert lies_in_files(warehouse, "raw.kraken_ohlcvt")
    assert not lies_in_files(warehouse, "raw.quarantine")
    warehouse.execute("drop view raw.kraken_ohlcvt")
    warehouse.execute("create table raw.kraken_ohlcvt as select 1 as opened_at")
    assert not lies_in_files(warehouse, "raw.kraken_ohlcvt")


def test_late_candles_are_read_without_all_others_being_kept(warehouse):
    sql = Path(__file__).resolve().parents[2] / "sql" / "staging" / "stg_kraken__believed.sql"
    warehouse.execute(f"create view staging.stg_kraken__believed as {sql.read_text('utf-8')}")
    late = "select * from staging.stg_kraken__believed where opened_at >= '2026-01-01'::timestamptz"
    ((_, plan),) = warehouse.execute(f"explain {late}").fetchall()
    assert "CTE" not in plan
