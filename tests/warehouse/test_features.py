"""`features.indicators`: every candle has its row, from the anchor of its own series."""

import datetime as dt

import duckdb
import numpy as np
import pytest

from trading.errors import InputUnusable
from trading.indicators.families import Candles
from trading.indicators.needs import Need
from trading.indicators.series import calculate
from warehouse.features.indicators import ALWAYS, TABLE, union_of_needs, write_indicators
from warehouse.schema import TIMEFRAME_US

NEEDS = (Need("atr", (2,)), Need("ema", (3,)), Need("rsi", (2,)))


@pytest.fixture
def warehouse():
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    connection.execute("create schema marts")
    connection.execute("create schema features")
    connection.execute(
        """
        create table marts.candles as
        select instrument, timeframe,
            make_timestamptz(1672531200000000 + (n - 1) * candle_us) as opened_at,
            make_timestamptz(1672531200000000 + n * candle_us) as closed_at,
            (1000 + (n * factor) % 11)::decimal(28, 10) as open,
            (1000 + (n * factor) % 17)::decimal(28, 10) as close,
            (1001 + (n * factor) % 19)::decimal(28, 10) as high,
            (900 + (n * factor) % 13)::decimal(28, 10) as low,
            (n % 5)::decimal(28, 10) as volume
        from range(30) as numbers(n),
            (values
                ('BTC/USD', '15m', 5, 900_000_000), ('ETH/USD', '15m', 7, 900_000_000),
                ('BTC/USD', '1h', 11, 3_600_000_000)
            ) as t(instrument, timeframe, factor, candle_us)
        order by hash(n)
        """
    )
    yield connection
    connection.close()


def test_each_series_is_computed_from_its_own_first_candle(warehouse):
    write_indicators(warehouse, TABLE, NEEDS)
    for instrument, timeframe in (("BTC/USD", "15m"), ("ETH/USD", "15m"), ("BTC/USD", "1h")):
        query = "from {} where instrument = ? and timeframe = ? order by closed_at"
        candles = warehouse.execute(query.format("marts.candles"), [instrument, timeframe]).pl()
        rows = warehouse.execute(query.format(TABLE), [instrument, timeframe]).pl()
        columns = [candles[name].cast(float).to_numpy() for name in ("high", "low", "close", "volume")]
        opened_us = candles["opened_at"].dt.epoch("us").to_numpy()
        series = Candles(opened_us, *columns, TIMEFRAME_US[timeframe])
        assert rows["closed_at"].to_list() == candles["closed_at"].to_list()
        for need in NEEDS:
            for column, values in calculate(need, series).items():
                np.testing.assert_array_equal(rows[column].to_numpy(), values)


def test_a_warming_indicator_is_null_and_never_nan(warehouse):
    write_indicators(warehouse, TABLE, NEEDS)
    nulls = warehouse.execute(
        "select count(*) filter (ema_3 is null), count(*) filter (atr_2 is null), count(*) filter (isnan(ema_3))"
        f" from {TABLE}"
    ).fetchone()
    assert nulls == (3 * 2, 3 * 2, 0)


def test_an_indicator_is_known_at_its_close(warehouse):
    write_indicators(warehouse, TABLE, NEEDS)
    assert warehouse.execute(f"select * from {TABLE} where known_at != closed_at").fetchall() == []


def test_rows_since_a_close_are_those_of_the_whole(warehouse):
    since = dt.datetime(2023, 1, 1, 4, tzinfo=dt.UTC)
    write_indicators(warehouse, TABLE, NEEDS)
    write_indicators(warehouse, "recent", NEEDS, kind="temp table", since=since)
    expected = warehouse.execute(f"from {TABLE} where closed_at >= ? order by all", [since]).fetchall()
    assert len(expected) > 0
    assert warehouse.execute("from temp.recent order by all").fetchall() == expected


def test_no_candles_make_an_empty_table_with_its_columns(warehouse):
    warehouse.execute("delete from marts.candles")
    write_indicators(warehouse, TABLE, NEEDS)
    assert warehouse.execute(f"from {TABLE}").pl().columns[4:] == ["atr_2", "ema_3", "rsi_2"]


def test_the_union_holds_every_need_once_in_a_fixed_order():
    union = union_of_needs([("ema(20)", "rsi(7)"), (), ("rsi(7)", "atr(3)")])
    assert union == union_of_needs([("atr(3)",), ("rsi(7)",)])
    assert {str(need) for need in union} == {*ALWAYS, "rsi(7)", "atr(3)"}


def test_a_need_that_nobody_can_compute_is_refused():
    with pytest.raises(InputUnusable, match="supertrend"):
        union_of_needs([("supertrend(10)",)])
