"""`features.smc` and `marts.zones`: the fold of each series, whatever the builds that it was made in."""

import duckdb
import numpy as np
import pytest
from doses import examples
from hypothesis import example, given
from hypothesis import strategies as st

from trading.errors import InputUnusable
from trading.smc.fold import fold
from trading.smc.layout import Series
from trading.smc.state import begin, open_zones
from warehouse.builds import build
from warehouse.features.series import MOST_AT_ONCE, read_bars
from warehouse.features.smc import FOREVER
from warehouse.features.states import EVERY, PARAMETERS
from warehouse.stages import load_stages

FIRST_US = 1_672_531_200_000_000
CANDLE_US = {"15m": 900_000_000, "1h": 3_600_000_000}
CANDLES = """-- grain: one row per closed candle
-- key: instrument, timeframe, opened_at
-- lookback: 0 candles
select * from staging.candles
"""
LANDED = """-- grain: one row per closed candle
-- key: instrument, timeframe, opened_at
-- lookback: 0 candles
-- materialized: view
select * from raw.rows
"""
TRENDS = """-- grain: one row per candle
-- key: instrument, timeframe, closed_at
-- lookback: 0 candles
select instrument, timeframe, closed_at, trend from features.smc
"""
# Candles of one series: a first one, how many, and what their prices are made of. `gone` removes them.
PIECES = st.tuples(
    st.sampled_from([("BTC/USD", "15m"), ("BTC/USD", "15m"), ("ETH/USD", "15m"), ("BTC/USD", "1h")]),
    st.integers(0, 420),
    st.integers(1, 250),
    st.one_of(st.integers(0, 5), st.just("gone")),
)


@pytest.fixture(scope="module")
def stages(tmp_path_factory, kernel):
    return stages_in(tmp_path_factory.mktemp("sql"), kernel)


def stages_in(sql, kernel):
    for name, text in {"staging/candles": LANDED, "marts/candles": CANDLES, "marts/trends": TRENDS}.items():
        (sql / name).parent.mkdir(exist_ok=True)
        (sql / f"{name}.sql").write_text(text, encoding="utf-8")
    return tuple(stage for stage in load_stages(sql, kernel) if stage.name != "features.indicators")


@pytest.fixture
def warehouse():
    with landed() as connection:
        yield connection


def landed():
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    connection.execute("create schema raw")
    connection.execute(
        "create table raw.rows (instrument varchar, timeframe varchar, opened_at timestamptz, closed_at timestamptz,"
        " open double, high double, low double, close double, volume double)"
    )
    return connection


def land(connection, series, first, count, seed):
    """So many candles from the `first` on, in the place of those that were there."""
    instrument, timeframe = series
    candle_us = CANDLE_US[timeframe]
    opened = FIRST_US + (first + np.arange(count)) * candle_us
    bounds = [instrument, timeframe, int(opened[0]), int(opened[-1])]
    connection.execute(
        "delete from raw.rows where instrument = ? and timeframe = ?"
        " and opened_at between make_timestamptz(?) and make_timestamptz(?)",
        bounds,
    )
    if seed == "gone":
        return
    noise = np.random.default_rng([seed, first]).normal(0, 1, (count, 4))
    swings = 1000 + 10 * np.sin(np.arange(count) / 5) + noise[:, 0]
    close = swings + noise[:, 1]
    high, low = np.maximum(swings, close) + np.abs(noise[:, 2]), np.minimum(swings, close) - np.abs(noise[:, 3])
    found = {"opened": opened, "closed": opened + candle_us, "o": swings, "h": high, "l": low, "c": close}
    connection.register("found", {name: np.ascontiguousarray(column) for name, column in found.items()})
    connection.execute(
        "insert into raw.rows select ?, ?, make_timestamptz(opened), make_timestamptz(closed), o, h, l, c, 1.0"
        " from found order by hash(opened)",
        [instrument, timeframe],
    )
    connection.unregister("found")


def tables(connection):
    return [
        connection.execute(f"select * from {name} order by all").fetchall()
        for name in ("features.smc", "marts.zones", "marts.trends")
    ]


def folded(connection, series, kernel):
    instrument, timeframe = series
    columns = connection.execute(
        "select epoch_us(opened_at) as opened_at, open, high, low, close, volume from raw.rows"
        " where instrument = ? and timeframe = ? order by opened_at",
        [instrument, timeframe],
    ).fetchnumpy()
    return fold(begin(PARAMETERS, CANDLE_US[timeframe]), Series(**columns), kernel)


def test_a_row_says_what_the_fold_of_its_series_says_at_its_close(warehouse, stages, kernel):
    land(warehouse, ("BTC/USD", "15m"), 0, 300, 1)
    land(warehouse, ("ETH/USD", "15m"), 7, 200, 2)
    build(warehouse, stages)
    for series in (("BTC/USD", "15m"), ("ETH/USD", "15m")):
        rows = folded(warehouse, series, kernel).rows
        found = warehouse.execute(
            "select * exclude (instrument, timeframe) from features.smc where instrument = ? and timeframe = ?"
            " order by closed_at",
            [*series],
        ).fetchnumpy()
        assert found["closed_at"].tolist() == found["known_at"].tolist()
        for name in rows.dtype.names:
            told, expected = found[name], rows[name]
            if name.endswith("_at"):
                told, expected = told.astype("datetime64[us]").astype(np.int64), expected.astype(float)
                told, expected = np.where(np.ma.getmaskarray(found[name]), 0, told), rows[name]
            filled = np.ma.filled(told.astype(float), np.nan) if np.ma.isMaskedArray(told) else told
            np.testing.assert_array_equal(filled, expected, err_msg=name)


def test_what_has_not_happened_is_null(warehouse, stages):
    land(warehouse, ("BTC/USD", "15m"), 0, 3, 1)
    build(warehouse, stages)
    row = warehouse.execute("select last_high, last_high_at, atr, bos, trend from features.smc limit 1").fetchone()
    assert row == (None, None, None, 0, 0)


def test_a_zone_has_one_row_with_its_whole_life(warehouse, stages, kernel):
    land(warehouse, ("BTC/USD", "15m"), 0, 400, 1)
    build(warehouse, stages)
    result = folded(warehouse, ("BTC/USD", "15m"), kernel)
    still_open = open_zones(result.state)
    rows = warehouse.execute("select zone_id, ended_at is null, closed_at = ? from marts.zones", [FOREVER]).fetchall()
    expected = [(int(zone.id), False, False) for zone in result.ended] + [(int(z.id), True, True) for z in still_open]
    assert sorted(rows) == sorted(expected)
    assert len(still_open) > 0
    kinds = warehouse.execute("select kind, side, why from marts.zones order by all").fetchall()
    assert {kind for kind, _, _ in kinds} == {"order block", "fair value gap", "liquidity pool"}
    assert {side for kind, side, _ in kinds if kind == "liquidity pool"} == {"above", "below"}
    assert {side for kind, side, _ in kinds if kind != "liquidity pool"} == {"bullish", "bearish"}
    assert {why for _, _, why in kinds} >= {None, "filled", "swept"}


def grown(connection, stages, pieces):
    for piece in pieces:
        land(connection, *piece)
        build(connection, stages)


@examples(25)
@given(pieces=st.lists(PIECES, min_size=2, max_size=6))
@example(pieces=[(("BTC/USD", "15m"), 0, EVERY, 1), (("BTC/USD", "15m"), EVERY, 1, 1)])  # a state at the very end
@example(pieces=[(("BTC/USD", "15m"), 0, 300, 1), (("BTC/USD", "15m"), 299, 1, "gone")])
@example(pieces=[(("BTC/USD", "15m"), 0, 300, 1), (("BTC/USD", "15m"), 250, 1, 3), (("BTC/USD", "15m"), 300, 40, 1)])
@example(pieces=[(("BTC/USD", "15m"), 0, 100, 1), (("BTC/USD", "15m"), 300, 90, 1)])  # a hole that begins it anew
def test_builds_of_pieces_end_in_what_one_build_makes(stages, pieces):
    with landed() as one, landed() as other:
        grown(one, stages, pieces)
        for piece in pieces:
            land(other, *piece)
        build(other, stages, "full")
        assert tables(one) == tables(other)


def test_a_candle_more_is_folded_from_where_the_series_stands(warehouse, stages, monkeypatch):
    land(warehouse, ("BTC/USD", "15m"), 0, 300, 1)
    land(warehouse, ("ETH/USD", "15m"), 0, 300, 1)
    build(warehouse, stages)
    land(warehouse, ("BTC/USD", "15m"), 300, 1, 1)
    read = []

    def counted(connection, spans):
        for span, bars in read_bars(connection, spans):
            read.append((span.instrument, len(bars.close)))
            yield span, bars

    monkeypatch.setattr("warehouse.features.smc.read_bars", counted)
    build(warehouse, stages)
    of_zones = 301 - 300 // EVERY * EVERY
    assert read == [("BTC/USD", 1), ("BTC/USD", of_zones), ("ETH/USD", 0)]


def test_who_reads_the_zones_is_made_of_all_of_them(tmp_path, kernel, warehouse):
    """A zone that is still open closes in the year 9999; a reader must not take that for the time of a change."""
    reader = "-- grain: one row per zone\n-- key: instrument, timeframe, closed_at, zone_id\n-- lookback: 0 candles\n"
    columns = "instrument, timeframe, known_at as closed_at, zone_id, touched_at"
    for name, text in {
        "staging/candles": LANDED,
        "marts/candles": CANDLES,
        "marts/known": f"{reader}select {columns} from marts.zones",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.sql").write_text(text, encoding="utf-8")
    own = tuple(stage for stage in load_stages(tmp_path, kernel) if stage.name != "features.indicators")
    grown(warehouse, own, [(("BTC/USD", "15m"), 0, 100, 1), *((("BTC/USD", "15m"), n, 1, 1) for n in range(100, 130))])
    known = warehouse.execute("from marts.known order by all").fetchall()
    build(warehouse, own, "full")
    assert known == warehouse.execute("from marts.known order by all").fetchall()


def test_a_lost_cache_costs_time_only(warehouse, stages):
    land(warehouse, ("BTC/USD", "15m"), 0, 300, 1)
    build(warehouse, stages)
    warehouse.execute("delete from meta.smc_states")
    land(warehouse, ("BTC/USD", "15m"), 300, 1, 1)
    build(warehouse, stages)
    grown_tables = tables(warehouse)
    build(warehouse, stages, "full")
    assert tables(warehouse) == grown_tables


def test_no_more_than_three_states_of_a_series_are_kept(warehouse, stages):
    grown(warehouse, stages, [(("BTC/USD", "15m"), first, 50, 1) for first in range(0, 500, 50)])
    kept = warehouse.execute("select candles from meta.smc_states order by candles").fetchall()
    assert kept == [(384,), (480,), (500,)]


def test_many_candles_are_read_in_several_bites(warehouse, stages, monkeypatch):
    land(warehouse, ("BTC/USD", "15m"), 0, 300, 1)
    land(warehouse, ("ETH/USD", "15m"), 0, 300, 1)
    land(warehouse, ("BTC/USD", "1h"), 0, 300, 1)
    build(warehouse, stages)
    whole = tables(warehouse)
    monkeypatch.setattr("warehouse.features.series.MOST_AT_ONCE", 299)
    monkeypatch.setattr("warehouse.features.rows.MOST_ROWS", 299)
    build(warehouse, stages, "full")
    assert tables(warehouse) == whole
    assert MOST_AT_ONCE > 299


def test_a_candle_that_contradicts_itself_is_left_out_and_for_a_check_to_name(warehouse, stages):
    land(warehouse, ("BTC/USD", "15m"), 0, 300, 1)
    build(warehouse, stages)
    land(warehouse, ("BTC/USD", "15m"), 300, 3, 1)
    warehouse.execute("update raw.rows set high = low - 1 where opened_at = (select max(opened_at) from raw.rows)")
    build(warehouse, stages)
    assert warehouse.execute("select count(*) from features.smc").fetchone() == (302,)
    land(warehouse, ("BTC/USD", "15m"), 303, 3, 1)
    build(warehouse, stages)
    grown_tables = tables(warehouse)
    warehouse.execute("delete from raw.rows where high < low")
    build(warehouse, stages, "full")
    assert tables(warehouse) == grown_tables


def test_a_candle_that_is_there_twice_is_named_with_its_series(warehouse, stages):
    land(warehouse, ("BTC/USD", "1h"), 0, 30, 1)
    build(warehouse, stages)
    warehouse.execute("create or replace table marts.candles as from marts.candles union all from marts.candles")
    (rows,) = (stage.written for stage in stages if stage.name == "features.smc")
    with pytest.raises(InputUnusable, match=r"BTC/USD 1h: The candle that opened at .* comes too late"):
        rows.write(warehouse, "features.smc", kind="table", since=None)


def test_smart_money_is_made_only_where_a_file_reads_it(tmp_path):
    (tmp_path / "marts").mkdir()
    (tmp_path / "marts" / "candles.sql").write_text(LANDED, encoding="utf-8")
    assert [stage.name for stage in load_stages(tmp_path)] == ["marts.candles", "features.indicators"]


def test_a_late_candle_of_one_series_lets_the_others_stand(tmp_path, kernel, warehouse):
    folded = []

    def counting(state, series, rows, room):
        folded.append(len(series.close))
        return kernel(state, series, rows, room)

    own = stages_in(tmp_path, counting)
    for instrument in ("BTC/USD", "ETH/USD"):
        land(warehouse, (instrument, "15m"), 0, 300, 1)
    build(warehouse, own)
    states = "select * from meta.smc_states where instrument = 'ETH/USD' order by candles"
    before = warehouse.execute(states).fetchall()
    land(warehouse, ("BTC/USD", "15m"), 5, 1, 3)
    folded.clear()
    report = build(warehouse, own)
    assert sum(folded) == 300 + 300  # the rows of the one, and its zones
    assert warehouse.execute(states).fetchall() == before
    assert next(stage.rows_changed for stage in report.stages if stage.name == "features.smc") > 0
    in_pieces = tables(warehouse)
    build(warehouse, own, "full")
    assert tables(warehouse) == in_pieces
