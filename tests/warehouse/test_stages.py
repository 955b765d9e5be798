"""Files become ordered stages; stages become tables; an increment ends where a full build ends."""

import shutil
from pathlib import Path

import duckdb
import pytest
from doses import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.errors import CheckFailed, InputUnusable
from warehouse.builds import build
from warehouse.features import indicators as features
from warehouse.stages import load_stages

ROOT = Path(__file__).resolve().parents[2]

CANDLES = """-- grain: one row per closed candle
-- key: instrument, timeframe, opened_at
-- lookback: full
select *, opened_at + interval 15 minutes as closed_at from raw.rows
"""
CHANGES = """-- grain: one row per candle
-- key: instrument, timeframe, closed_at
-- lookback: 3 candles
-- param: scale double = 2.0
select candles.instrument, candles.timeframe, closed_at, indicators.ema_20,
    getvariable('scale') * (close - lag(close, 3) over w)::double as change,
    max(close) over (w rows between 2 preceding and current row) as top,
    latest.ema_20 as ema_by_then
from marts.candles
join features.indicators using (instrument, timeframe, closed_at)
asof left join features.indicators as latest
    on candles.instrument = latest.instrument and candles.timeframe = latest.timeframe
    and candles.closed_at > latest.known_at
window w as (partition by candles.instrument, candles.timeframe order by closed_at)
"""
CALM = """-- grain: one row per calm candle
-- key: instrument, timeframe, closed_at
-- lookback: 0 candles
-- materialized: view
select * from marts.changes where abs(change) < 2
"""
NAMES = ("marts.candles", "features.indicators", "marts.changes", "marts.calm")


@pytest.fixture
def sql(tmp_path):
    (tmp_path / "marts").mkdir()
    write(tmp_path, "candles", CANDLES)
    write(tmp_path, "changes", CHANGES)
    write(tmp_path, "calm", CALM)
    return tmp_path


@pytest.fixture
def warehouse():
    with fresh_warehouse() as connection:
        yield connection


def fresh_warehouse() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    connection.execute("create schema raw")
    connection.execute(
        "create table raw.rows (instrument varchar, timeframe varchar, opened_at timestamptz,"
        " open decimal(28, 10), high decimal(28, 10), low decimal(28, 10), close decimal(28, 10),"
        " volume decimal(28, 10))"
    )
    return connection


def write(sql: Path, name: str, text: str) -> None:
    (sql / "marts" / f"{name}.sql").write_text(text, encoding="utf-8")


def land(connection, rows) -> None:
    """Rows of (instrument, number of the candle, close); a candle that is there is revised."""
    for instrument, number, close in rows:
        key = [instrument, 1_672_531_200_000_000 + number * 900_000_000]
        connection.execute("delete from raw.rows where instrument = ? and opened_at = make_timestamptz(?)", key)
        connection.execute(
            "insert into raw.rows values ($1, '15m', make_timestamptz($2), $3, $3::double + 1, $3::double - 1, $3, 1)",
            [*key, close],
        )


def calm_rows(count: int, first: int = 0) -> list[tuple[str, int, float]]:
    return [("BTC/USD", first + n, 1000.0 + (n * 7) % 11) for n in range(count)]


def tables(connection, names=NAMES) -> dict[str, list[tuple]]:
    return {name: connection.execute(f"select * from {name} order by all").fetchall() for name in names}


def outcomes(report) -> dict[str, str]:
    return {stage.name: stage.outcome for stage in report.stages}


# ---------------------------------------------------------------- order and names


def test_inputs_come_before_those_who_read_them(sql):
    assert [stage.name for stage in load_stages(sql)] == list(NAMES)


def test_own_ctes_are_no_inputs(sql):
    write(
        sql,
        "changes",
        CHANGES.replace("select candles", "with raw_rows as (select 1), t as (from raw_rows) select candles", 1),
    )
    (changes,) = (stage for stage in load_stages(sql) if stage.name == "marts.changes")
    assert changes.inputs == ("features.indicators", "marts.candles")


def test_features_hold_what_any_file_needs(sql):
    write(sql, "calm", CALM.replace("-- key", "-- needs: rsi(3), ema(20)\n-- key"))
    (features,) = (stage for stage in load_stages(sql) if stage.name == "features.indicators")
    assert features.written is not None
    assert "rsi(3)" in features.written.made_of


UNUSABLE = {
    "no grain": (
        "changes",
        CHANGES.replace("-- grain: one row per candle\n", ""),
        "changes.sql: the header lacks `-- gr",
    ),
    "unknown input": (
        "changes",
        CHANGES.replace("marts.candles", "marts.candels"),
        "sql/marts/changes.sql reads marts.candels, but there is no sql/marts/candels.sql",
    ),
    "no schema": (
        "changes",
        CHANGES.replace("from marts.candles", "from candles"),
        "sql/marts/changes.sql reads `candles`, which is none of its CTEs",
    ),
    "a column's full name": (
        "changes",
        CHANGES.replace("select candles", "select marts.candles.close, candles", 1),
        "write candles.close, not marts.candles.close",
    ),
    "another database": (
        "changes",
        CHANGES.replace("from marts.candles", "from other.marts.candles"),
        "from another database",
    ),
    "a misspelt word": ("changes", CHANGES.replace("select ", "selct ", 1), "changes.sql line 5 is not one SELECT"),
    "two statements": ("changes", CHANGES + "; drop table marts.candles", "not one SELECT"),
    "a circle": ("candles", CANDLES.replace("raw.rows", "marts.calm"), "circle: .*candles.sql.*"),
    "a circle of one": (
        "candles",
        CANDLES.replace("raw.rows", "marts.candles"),
        "circle: .*candles.sql <- .*candles.sql",
    ),
    "capitals": ("Upper", CALM, "lower case"),
    "a name that code writes": ("trades", CALM, "marts.trades is made twice, by this file and by code"),
    "an unknown indicator": ("calm", CALM.replace("-- key", "-- needs: macd(3)\n-- key"), "no indicator `macd"),
    "a strategy that cheats": ("signals_bad", CALM.replace("0 candles", "1 candle"), r"marts.changes \(input\)"),
}


@pytest.mark.parametrize(("name", "text", "said"), UNUSABLE.values(), ids=UNUSABLE)
def test_a_file_that_can_not_be_a_stage_is_named(sql, name, text, said):
    write(sql, name, text)
    with pytest.raises(InputUnusable, match=said):
        load_stages(sql)


def test_a_file_can_not_take_the_place_of_the_features(sql):
    (sql / "features").mkdir()
    (sql / "features" / "indicators.sql").write_text(CALM, encoding="utf-8")
    with pytest.raises(InputUnusable, match=r"features\.indicators is made twice"):
        load_stages(sql)


def test_checks_and_raw_are_no_stages(sql):
    for folder in ("checks", "raw"):
        (sql / folder).mkdir()
        (sql / folder / "anything.sql").write_text("not even sql", encoding="utf-8")
    assert [stage.name for stage in load_stages(sql)] == list(NAMES)


def test_the_files_of_this_repository_are_stages():
    assert "marts.signals_ema_cross" in {stage.name for stage in load_stages(ROOT / "sql")}


# ---------------------------------------------------------------- builds


def test_a_build_without_changes_touches_nothing(sql, warehouse):
    land(warehouse, calm_rows(30))
    stages = load_stages(sql)
    first, before = build(warehouse, stages), tables(warehouse)
    second = build(warehouse, stages)
    assert set(outcomes(first).values()) == {"created"}
    assert set(outcomes(second).values()) == {"unchanged"}
    assert not second.changed
    assert [stage.rows for stage in first.stages] == [stage.rows for stage in second.stages]
    assert tables(warehouse) == before


def test_new_candles_write_only_the_rows_that_differ(sql, warehouse):
    stages = load_stages(sql)
    land(warehouse, calm_rows(30))
    build(warehouse, stages)
    land(warehouse, calm_rows(2, first=30))
    report = build(warehouse, stages)
    assert {stage.name: stage.rows_changed for stage in report.stages} == {
        "marts.candles": 2,
        "features.indicators": 2,
        "marts.changes": 2,
        "marts.calm": 0,
    }
    assert outcomes(report)["marts.changes"] == "updated"


def test_the_same_candles_landed_again_change_nothing_downstream(sql, warehouse):
    land(warehouse, calm_rows(30))
    build(warehouse, load_stages(sql))
    warehouse.execute("alter table raw.rows add column batch_id varchar default 'second'")
    write(sql, "candles", CANDLES.replace("select *", "select * exclude (batch_id)"))
    report = build(warehouse, load_stages(sql))
    assert set(outcomes(report).values()) == {"unchanged"}


def test_an_edited_file_is_built_again_and_those_who_read_it(sql, warehouse):
    land(warehouse, calm_rows(30))
    build(warehouse, load_stages(sql))
    write(sql, "changes", CHANGES.replace("= 2.0", "= 3.0"))
    assert outcomes(build(warehouse, load_stages(sql))) == {
        "marts.candles": "unchanged",
        "features.indicators": "unchanged",
        "marts.changes": "updated",
        "marts.calm": "rebuilt",
    }


def test_features_are_computed_anew_when_the_code_that_computes_them_changes(sql, warehouse, tmp_path, monkeypatch):
    land(warehouse, calm_rows(30))
    build(warehouse, load_stages(sql))
    before = tables(warehouse)
    warehouse.execute("update features.indicators set ema_20 = -1")  # as other code would have computed it
    assert outcomes(build(warehouse, load_stages(sql)))["features.indicators"] == "unchanged"
    (tmp_path / "indicators.py").write_text("# other code\n", encoding="utf-8")
    monkeypatch.setattr(features, "SOURCES", (*features.SOURCES, tmp_path / "indicators.py"))
    assert outcomes(build(warehouse, load_stages(sql)))["features.indicators"] == "updated"
    assert tables(warehouse) == before


def test_the_code_of_features_is_that_of_the_table_and_of_the_indicators():
    assert {path.relative_to(ROOT).as_posix() for path in features.SOURCES} == {
        "trading/indicators/families.py",
        "trading/indicators/needs.py",
        "trading/indicators/series.py",
        "warehouse/features/indicators.py",
        "warehouse/features/series.py",
    }


SHAPES = {
    "another column": CHANGES.replace("as ema_by_then", "as ema_by_then, 1 as more"),
    "another type": CHANGES.replace("indicators.ema_20,", "indicators.ema_20::float as ema_20,"),
    "another order": CHANGES.replace(
        "candles.instrument, candles.timeframe", "candles.timeframe, candles.instrument", 1
    ),
    "a view": CHANGES.replace("-- param: scale double = 2.0", "-- materialized: view").replace(
        "getvariable('scale')", "2"
    ),
}


@pytest.mark.parametrize("text", SHAPES.values(), ids=SHAPES)
def test_a_table_of_another_shape_is_made_anew(sql, warehouse, text):
    land(warehouse, calm_rows(30))
    build(warehouse, load_stages(sql))
    write(sql, "changes", text)
    incremental = build(warehouse, load_stages(sql))
    assert outcomes(incremental)["marts.changes"] == "rebuilt"
    rows = tables(warehouse)
    build(warehouse, load_stages(sql), "full")
    assert tables(warehouse) == rows


def test_a_renamed_column_is_a_change_for_those_who_read_it(sql, warehouse):
    land(warehouse, calm_rows(30))
    build(warehouse, load_stages(sql))
    write(sql, "candles", CANDLES.replace("select *", "select * rename (close as last_price)"))
    with pytest.raises(InputUnusable, match="close"):
        build(warehouse, load_stages(sql))


def test_a_view_can_become_a_table(sql, warehouse):
    land(warehouse, calm_rows(30))
    build(warehouse, load_stages(sql))
    write(sql, "calm", CALM.replace("-- materialized: view\n", ""))
    report = build(warehouse, load_stages(sql))
    assert (outcomes(report)["marts.calm"], report.stages[-1].rows_changed) == ("rebuilt", report.stages[-1].rows)


def test_a_table_whose_file_is_gone_is_dropped(sql, warehouse):
    land(warehouse, calm_rows(30))
    build(warehouse, load_stages(sql))
    (sql / "marts" / "calm.sql").unlink()
    report = build(warehouse, load_stages(sql))
    assert report.dropped == ("marts.calm",)
    with pytest.raises(duckdb.CatalogException):
        warehouse.execute("from marts.calm")


def test_a_key_that_is_not_unique_is_refused_with_its_rows(sql, warehouse):
    land(warehouse, calm_rows(5))
    warehouse.execute("insert into raw.rows from raw.rows limit 1")
    with pytest.raises(
        CheckFailed, match=r"(?s)sql/marts/candles.sql: the key \(.*instrument=BTC/USD.*instrument=BTC/USD"
    ):
        build(warehouse, load_stages(sql))


def test_a_key_with_a_null_is_refused_in_an_increment_too(sql, warehouse):
    land(warehouse, calm_rows(5))
    build(warehouse, load_stages(sql))
    warehouse.execute("insert into raw.rows (timeframe, opened_at, close) values ('15m', '2023-02-01', 1)")
    with pytest.raises(CheckFailed, match="instrument=None"):
        build(warehouse, load_stages(sql))


def test_a_source_that_is_not_there_is_named_with_its_reader(sql, warehouse):
    warehouse.execute("drop table raw.rows")
    with pytest.raises(InputUnusable, match=r"lacks raw\.rows, which sql/marts/candles\.sql reads"):
        build(warehouse, load_stages(sql))


@pytest.mark.parametrize("broken", ["nonsense", "'text'::int", "error('x')"])
def test_sql_that_does_not_run_is_named(sql, warehouse, broken):
    land(warehouse, calm_rows(5))
    write(
        sql,
        "calm",
        CALM.replace("-- materialized: view\n", "").replace("*", f"*, {broken} as b").replace("where", "--"),
    )
    with pytest.raises(InputUnusable, match=r"sql/marts/calm.sql: "):
        build(warehouse, load_stages(sql))


def test_an_error_leaves_the_warehouse_as_it_was(sql, warehouse):
    land(warehouse, calm_rows(30))
    build(warehouse, load_stages(sql))
    before = tables(warehouse, (*NAMES, "meta.stages"))
    land(warehouse, calm_rows(3, first=40))
    write(sql, "calm", CALM.replace("-- materialized: view\n", "").replace("select *", "select *, nonsense"))
    warehouse.begin()
    with pytest.raises(InputUnusable):
        build(warehouse, load_stages(sql))
    warehouse.rollback()
    assert tables(warehouse, (*NAMES, "meta.stages")) == before


def test_a_stage_that_slept_through_a_change_catches_up(sql, warehouse):
    land(warehouse, calm_rows(30))
    everything = load_stages(sql)
    build(warehouse, everything)
    warehouse.execute("create table old_rows as from marts.changes")
    warehouse.execute("create table old_entry as from meta.stages where stage = 'marts.changes'")
    land(warehouse, [("BTC/USD", 4, 1500.0)])
    build(warehouse, everything)
    land(warehouse, calm_rows(1, first=30))
    # As if an older version of this file had been built last: its rows and its entry, beside newer candles.
    warehouse.execute("create or replace table marts.changes as from old_rows")
    warehouse.execute("insert or replace into meta.stages from old_entry")
    build(warehouse, everything)
    rows = tables(warehouse)
    build(warehouse, everything, "full")
    assert tables(warehouse) == rows


CHUNKS = st.lists(
    st.lists(
        st.tuples(
            st.sampled_from(["BTC/USD", "ETH/USD"]),
            st.integers(0, 40),
            st.sampled_from([990.0, 1000.0, 1000.5, 1003.0]),
        ),
        max_size=25,
    ),
    min_size=1,
    max_size=4,
)


@given(CHUNKS)
@examples(5)
def test_landing_in_chunks_ends_where_landing_at_once_ends(tmp_path_factory, chunks):
    compare_chunks_with_one_landing(tmp_path_factory.mktemp("sql"), chunks)


@pytest.mark.deep
@pytest.mark.timeout(1200)
@given(CHUNKS)
@settings(max_examples=200, deadline=None)
def test_landing_in_many_chunks_ends_where_landing_at_once_ends(tmp_path_factory, chunks):
    compare_chunks_with_one_landing(tmp_path_factory.mktemp("sql"), chunks)


def compare_chunks_with_one_landing(sql: Path, chunks) -> None:
    (sql / "marts").mkdir()
    for name, text in (("candles", CANDLES), ("changes", CHANGES), ("calm", CALM)):
        write(sql, name, text)
    shutil.copy(ROOT / "sql" / "marts" / "signals_ema_cross.sql", sql / "marts")
    stages = load_stages(sql)
    names = (*NAMES, "marts.signals_ema_cross")
    with fresh_warehouse() as stepwise, fresh_warehouse() as at_once:
        for chunk in chunks:
            land(stepwise, chunk)
            land(at_once, chunk)
            build(stepwise, stages, "incremental")
        build(at_once, stages, "full")
        assert tables(stepwise, names) == tables(at_once, names)
