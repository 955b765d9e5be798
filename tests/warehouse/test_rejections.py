"""`marts.rejections_<name>` and `marts.signal_rejections`: what became of candidates that are no signals."""

import duckdb
import pytest

from trading.errors import InputUnusable
from warehouse.builds import build
from warehouse.stages import load_stages
from warehouse.strategies.loading import load_strategy

CANDLES = """-- grain: one row per closed candle
-- key: instrument, timeframe, closed_at
-- lookback: 0 candles
select *, closed_at as known_at, 100.0 as open, 101.0 as high, 99.0 as low, 1.0 as volume from raw.rows
"""
RISES = """-- grain: one row per rise
-- key: instrument, timeframe, closed_at
-- lookback: 1 candle
-- rejections: candidates
-- param: most double = {most}
with

moves as (

    select *, close - lag(close) over (partition by instrument, timeframe order by closed_at) as rise
    from marts.candles

),

candidates as (

    select
        instrument, timeframe, closed_at, closed_at as known_at, 'long' as side, close::double as close,
        1.0 as stop_distance, 1.0 as score, case when rise > getvariable('most') then 'too fast' end as rejection
    from moves where rise > 0

)

select *, null::double as target_1_distance, null::double as target_2_distance, null::double as target_3_distance,
    null::double as target_4_distance
from candidates where rejection is null
"""
SELECTED = (
    RISES.replace("\nselect *, null", ",\n\nsignals as (\n\nselect *, null").rstrip("\n")
    + "\n\n)\n\nselect * from signals\n"
)


@pytest.fixture
def sql(tmp_path):
    (tmp_path / "marts").mkdir()
    write(tmp_path, "candles", CANDLES)
    return tmp_path


@pytest.fixture
def warehouse():
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'; create schema raw")
        connection.execute(
            "create table raw.rows as select 'BTC/USD' as instrument, '15m' as timeframe,"
            " make_timestamptz(1672531200000000 + n * 900000000) as opened_at,"
            " make_timestamptz(1672531200000000 + (n + 1) * 900000000) as closed_at, close"
            " from unnest([100, 101, 105, 104, 106]) with ordinality as t(close, n)"
        )
        yield connection


def write(sql, name, text):
    (sql / "marts" / f"{name}.sql").write_text(text, encoding="utf-8")


def rejected(connection):
    return connection.execute(
        "select strategy, closes.close, rejection from marts.signal_rejections as closes order by all"
    ).fetchall()


def test_each_candidate_is_a_signal_or_says_why_not(sql, warehouse):
    write(sql, "signals_slow", SELECTED.format(most=3))
    write(sql, "signals_slower", SELECTED.format(most=1.5))
    build(warehouse, load_stages(sql))
    assert warehouse.execute("select close from marts.signals_slow order by all").fetchall() == [(101,), (106,)]
    assert rejected(warehouse) == [
        ("signals_slow", 105, "too fast"),
        ("signals_slower", 105, "too fast"),
        ("signals_slower", 106, "too fast"),
    ]


def test_new_candles_bring_their_rejections_and_no_others_change(sql, warehouse):
    write(sql, "signals_slow", SELECTED.format(most=3))
    build(warehouse, load_stages(sql))
    warehouse.execute("insert into raw.rows select 'BTC/USD', '15m', '2023-01-02', '2023-01-02 00:15', 120")
    report = build(warehouse, load_stages(sql))
    assert {stage.name: stage.rows_changed for stage in report.stages}["marts.rejections_slow"] == 1
    grown = rejected(warehouse)
    build(warehouse, load_stages(sql), "full")
    assert rejected(warehouse) == grown == [("signals_slow", 105, "too fast"), ("signals_slow", 120, "too fast")]


def test_a_strategy_that_tells_nothing_has_no_such_table(sql):
    write(sql, "signals_slow", SELECTED.format(most=3).replace("-- rejections: candidates\n", ""))
    assert not [stage.name for stage in load_stages(sql) if "rejections" in stage.name]


def test_the_last_line_is_the_one_that_is_replaced_so_it_must_be_there(sql):
    write(sql, "signals_slow", RISES.format(most=3))
    with pytest.raises(InputUnusable, match=r"signals_slow.sql: a file with `-- rejections:` ends in the line"):
        load_stages(sql)


def test_a_cte_that_is_not_there_is_named_by_the_build_and_by_who_runs_the_file(sql):
    write(sql, "signals_slow", SELECTED.format(most=3).replace("-- rejections: candidates", "-- rejections: candidats"))
    for load in (lambda: load_stages(sql), lambda: load_strategy(sql / "marts" / "signals_slow.sql")):
        with pytest.raises(InputUnusable, match=r"signals_slow.sql: the header says `-- rejections: candidats`"):
            load()


def test_a_name_of_rejections_is_not_for_files(sql):
    write(sql, "rejections_slow", CANDLES)
    with pytest.raises(InputUnusable, match=r"marts.rejections_slow is made twice, by this file and by code"):
        load_stages(sql)


def test_a_missing_column_of_the_candidates_is_named_with_the_file(sql, warehouse):
    write(
        sql,
        "signals_slow",
        SELECTED.format(most=3).replace("as rejection", "as reason").replace("where rejection", "where reason"),
    )
    with pytest.raises(InputUnusable, match=r"signals_slow.sql: .*rejection"):
        build(warehouse, load_stages(sql))
