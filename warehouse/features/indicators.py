"""`features.indicators`: one wide row per candle, every indicator that some strategy needs, computed by code.

The arrays run from the first candle of a series, the anchor, so a value never depends on what was asked for or on
what came later. `known_at` is the close: an indicator says nothing before its candle is closed.
"""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path

import duckdb
import numpy as np
import polars as pl

from trading.indicators import families, needs, series
from trading.indicators.families import Candles
from trading.indicators.needs import Need, parse_need
from trading.indicators.series import calculate_all
from warehouse.features import series as reading
from warehouse.features.rows import MOMENT, insert_rows
from warehouse.features.series import Bars, Span, microseconds, read_bars, series_in
from warehouse.features.written import AsBefore, Kind, Written
from warehouse.schema import TIMEFRAME_US

TABLE = "features.indicators"
ALWAYS = ("ema(20)", "ema(50)", "ema(200)", "atr(14)", "rsi(14)")
# What the values are computed by, with TA-Lib. Its texts are a part of what the table is made of.
SOURCES = (*(Path(str(module.__file__)) for module in (families, needs, series, reading)), Path(__file__))


def union_of_needs(declared: Iterable[tuple[str, ...]]) -> tuple[Need, ...]:
    """Every indicator that is always kept or that one of the headers needs, once, in a fixed order.

    Raises:
        InputUnusable: a header needs an indicator that does not exist.
    """
    texts = [*ALWAYS, *(text for needs in declared for text in needs)]
    return tuple(sorted({parse_need(text) for text in texts}))


def written(needs: tuple[Need, ...]) -> Written:
    """The stage that holds these indicators."""
    return Written(partial(write_indicators, needs=needs), (*map(str, needs), code_hash()))


def code_hash() -> str:
    """Of the code and the library that compute the values: when it changes, they have to be computed anew."""
    texts = [path.read_bytes() for path in SOURCES]
    return hashlib.sha256(b"\0".join([version("TA-Lib").encode(), *texts])).hexdigest()


def write_indicators(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    needs: tuple[Need, ...],
    *,
    kind: Kind = "table",
    since: datetime | None = None,
) -> Sequence[AsBefore]:
    """Create or replace `table` with the indicators of every series of `marts.candles`.

    `since` keeps only the rows that close at or after it; the candles of their series are read all the same, from the
    anchor on.
    """
    columns = ", ".join(f"{column} double" for need in needs for column in need.columns)
    connection.execute(
        f"create or replace {kind} {table} (instrument varchar, timeframe varchar, closed_at timestamptz,"
        f" known_at timestamptz, {columns})"
    )
    series = series_in(connection, since)
    insert_rows(connection, table, (_values(span, bars, needs, since) for span, bars in read_bars(connection, series)))
    return ()


def _values(span: Span, bars: Bars, needs: tuple[Need, ...], since: datetime | None) -> pl.DataFrame:
    first = 0 if since is None else int(np.searchsorted(bars.closed_us, microseconds(since)))
    candles = Candles(bars.opened_us, bars.high, bars.low, bars.close, bars.volume, TIMEFRAME_US[span.timeframe])
    values = calculate_all(needs, candles, newest=len(bars.closed_us) - first)
    closed_at = pl.Series(bars.closed_us[first:], dtype=pl.Int64).cast(MOMENT)
    # NaN is "still warming up"; in a table that is NULL, which no comparison mistakes for a number.
    return pl.DataFrame(values, nan_to_null=True).select(
        pl.lit(span.instrument).alias("instrument"),
        pl.lit(span.timeframe).alias("timeframe"),
        closed_at.alias("closed_at"),
        closed_at.alias("known_at"),
        pl.all(),
    )
