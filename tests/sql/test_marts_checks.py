"""The checks over `raw` and `marts.candles`: silent over good rows, and each one speaks over its own fault."""

from pathlib import Path

import pytest

from warehouse.checks import run_checks

CHECKS = Path(__file__).parents[2] / "sql" / "checks"
NOW = "2026-11-22 12:00:00+00"
OURS = {"batches_add_up", "candles_consistent", "candles_once_each", "candles_validated", "series_add_up"}
TABLES = frozenset({"raw.batches", "marts.candles", "marts.data_quality"})
DAYS = (CHECKS.parent / "marts" / "candle_days.sql").read_text(encoding="utf-8")
BUILD_DAYS = f"create or replace table marts.candle_days as {DAYS}"  # as the build does, after whatever came in
CANDLE = "'BTC/USD', '15m', '2023-01-01 00:00:00+00', '2023-01-01 00:15:00+00', 100, 110, 90, 105, 1, 1, 'kraken', 'b1'"

FAULTS = {
    "a batch that lost a row": ("update raw.batches set rows_read = 3", "batches_add_up"),
    "a row that landed unannounced": (
        "insert into raw.candle_rows select * replace (opened_at + interval 1 hour as opened_at) from raw.candle_rows",
        "batches_add_up",
    ),
    "a bad row that was not kept": ("delete from raw.quarantine", "batches_add_up"),
    "high below open": ("update marts.candles set high = 99", "candles_consistent"),
    "a price of zero": ("update marts.candles set low = 0", "candles_consistent"),
    "a candle that closes before it opens": ("update marts.candles set closed_at = opened_at", "candles_consistent"),
    "a candle twice": (f"insert into marts.candles from marts.candles; {BUILD_DAYS}", "candles_once_each"),
    "a candle of a refused batch": ("update raw.files set state = 'refused'", "candles_validated"),
    "an interval that nobody accounts for": ("update marts.data_quality set missing = 0", "series_add_up"),
    "a candle from nowhere": ("update marts.candles set batch_id = null", "candles_validated"),
}


@pytest.fixture
def warehouse():
    import duckdb

    from warehouse.schema import create_schema

    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        create_schema(connection)
        connection.execute(
            "create table marts.candles (instrument varchar, timeframe varchar, opened_at timestamptz,"
            " closed_at timestamptz, open double, high double, low double, close double, volume double, trades bigint,"
            " source varchar, batch_id varchar)"
        )
        connection.execute(f"insert into marts.candles values ({CANDLE})")
        connection.execute(BUILD_DAYS)
        connection.execute(
            "create table marts.data_quality as"
            " select 'BTC/USD' as instrument, '15m' as timeframe, 6 as expected, 3 as present, 2 as filled,"
            " 1 as missing"
        )
        connection.execute(
            f"insert into raw.batches values ('b1', 'kraken', 'x', 'h', '{NOW}', 'validated', 2, 1, 0, 0, 1, '')"
        )
        connection.execute(
            f"insert into raw.files values (1, 'b1', 'kraken', 'f', 'BTC/USD', '15m', 900000000,"
            f" '{NOW}', 'validated', null, null, 2, 1)"
        )
        connection.execute(
            "insert into raw.candle_rows values (1, '2023-01-01 00:00:00+00', 100, 110, 90, 105, 1, 1, false)"
        )
        connection.execute(
            f"insert into raw.quarantine values ('b1', 'kraken', 'f', 2, 'BTC/USD', '15m', null, 'bad', 'x', '{NOW}')"
        )
        yield connection


def failed(connection):
    results = run_checks(connection, CHECKS, run="r1", checked_at=NOW, touching=TABLES)
    return {result.name for result in results if not result.passed} & OURS


def test_good_rows_pass(warehouse):
    assert failed(warehouse) == set()


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_each_fault_is_found_by_its_check(fault, warehouse):
    statement, check = FAULTS[fault]
    warehouse.execute(statement)
    assert failed(warehouse) == {check}


def test_each_of_these_checks_is_seen_to_fail_here():
    assert {check for _, check in FAULTS.values()} == OURS
