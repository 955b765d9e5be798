"""Checks return offenders; the results are kept whether they pass or not."""

import datetime as dt

import duckdb
import pytest

from trading.errors import CheckFailed, InputUnusable
from warehouse.checks import refuse_failed, run_checks

NOW = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)


@pytest.fixture
def warehouse():
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        connection.execute("create schema marts")
        connection.execute(
            "create table marts.candles as select n as opened_at, n * 10 as close from range(40) as t(n)"
        )
        connection.execute("create table marts.trades as select 1 as trade_no")
        yield connection


@pytest.fixture
def checks(tmp_path):
    (tmp_path / "candles_below_limit.sql").write_text(
        "-- param: max_jump_ratio double = 1000\n"
        "select opened_at, close from marts.candles where close > getvariable('max_jump_ratio') order by opened_at"
    )
    (tmp_path / "trades_are_numbered.sql").write_text("select * from marts.trades where trade_no < 1;\n")
    return tmp_path


def stored(connection):
    return connection.execute(
        "select batch_or_run, suite, check_name, passed, offenders from checks.results"
    ).fetchall()


def test_every_check_runs_and_its_result_is_kept(warehouse, checks):
    results = run_checks(warehouse, checks, run="b1", checked_at=NOW)
    assert all(result.passed for result in results)
    refuse_failed(results)
    assert stored(warehouse) == [
        ("b1", "sql", "candles_below_limit", True, 0),
        ("b1", "sql", "trades_are_numbered", True, 0),
    ]


def test_a_failed_check_is_kept_and_refused_with_its_first_rows(warehouse, checks):
    results = run_checks(warehouse, checks, run="b1", checked_at=NOW, params={"max_jump_ratio": 100, "max_gap": 3})
    assert stored(warehouse)[0] == ("b1", "sql", "candles_below_limit", False, 29)
    with pytest.raises(CheckFailed) as raised:
        refuse_failed(results)
    text = str(raised.value)
    assert "1 of 2 checks failed" in text
    assert "candles_below_limit: 29 offending rows" in text
    assert "opened_at=11, close=110" in text
    assert text.count("opened_at=") == 20


def test_only_checks_that_touch_the_named_tables_run(warehouse, checks):
    results = run_checks(warehouse, checks, run="b1", checked_at=NOW, touching=frozenset({"marts.trades"}))
    assert [result.name for result in results] == ["trades_are_numbered"]


@pytest.mark.parametrize(
    ("text", "said"), [("delete from marts.candles", "one SELECT"), ("select nonsense", "nonsense")]
)
def test_a_check_that_can_not_run_is_named(warehouse, checks, text, said):
    (checks / "broken.sql").write_text(text)
    with pytest.raises(InputUnusable, match=f"sql/checks/broken.sql.*{said}"):
        run_checks(warehouse, checks, run="b1", checked_at=NOW)


def test_no_checks_is_no_result(warehouse, tmp_path):
    assert run_checks(warehouse, tmp_path, run="b1", checked_at=NOW) == ()
    assert stored(warehouse) == []
