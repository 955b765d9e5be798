"""Candles as a frame: exact, in the order of their closes, within the limits asked for."""

import datetime as dt
from decimal import Decimal

import duckdb
import polars as pl
import pytest

from warehouse.replay import Span, read_candles

FIRST = dt.datetime(2023, 1, 1, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def connection():
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        connection.execute("create schema marts")
        connection.execute(
            """
            create table marts.candles as
            select
                instrument, timeframe, make_timestamptz(1672531200000000 + n * 3600000000) as opened_at,
                make_timestamptz(1672531200000000 + (n + 1) * 3600000000) as closed_at,
                100.1::decimal(18, 10) as open, 101::decimal(18, 10) as high, 99::decimal(18, 10) as low,
                100::decimal(18, 10) as close, 1.00000001::decimal(28, 10) as volume, 5::bigint as trades,
                'kraken' as source, 'b1' as batch_id
            from range(4) as t(n), unnest(['ETH/USD', 'BTC/USD', 'SOL/USD']) as i(instrument),
                unnest(['1h', '15m']) as f(timeframe)
            """
        )
        yield connection


def test_all_candles_of_the_instruments_come_in_the_order_of_their_closes(connection):
    frame = read_candles(connection, Span(("BTC/USD", "ETH/USD"), ("1h",)))
    assert frame["instrument"].to_list() == ["BTC/USD", "ETH/USD"] * 4
    assert frame["closed_at"].is_sorted()
    assert set(frame["timeframe"]) == {"1h"}


def test_prices_keep_their_decimals_and_times_are_utc(connection):
    frame = read_candles(connection, Span(("BTC/USD",), ("1h",)))
    assert frame["volume"][0] == Decimal("1.0000000100")
    assert frame["opened_at"][0] == FIRST
    assert frame.schema["opened_at"] == pl.Datetime("us", "UTC")


def test_only_candles_wholly_between_first_and_last_come(connection):
    frame = read_candles(connection, Span(("BTC/USD",), ("1h",), FIRST + HOUR, FIRST + 3 * HOUR))
    assert frame["opened_at"].to_list() == [FIRST + HOUR, FIRST + 2 * HOUR]


def test_an_unknown_instrument_has_no_candles(connection):
    assert read_candles(connection, Span(("XXX/USD",), ("1h",))).is_empty()
