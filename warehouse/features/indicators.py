"""`features.indicators`: one wide row per candle, every indicator that some strategy needs, computed by code.

The arrays run from the first candle of a series, the anchor, so a value never depends on what was asked for or on
what came later. `known_at` is the close: an indicator says nothing before its candle is closed.
"""

import hashlib
from collections.abc import Iterable
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import duckdb
import numpy as np
import polars as pl

from trading.indicators import families, needs, series
from trading.indicators.families import Candles
from trading.indicators.needs import Need, parse_need
from trading.indicators.series import calculate
from warehouse.schema import TIMEFRAME_US

TABLE = "features.indicators"
KEY = ("instrument", "timeframe", "closed_at")
ALWAYS = ("ema(20)", "ema(50)", "ema(200)", "atr(14)", "rsi(14)")
# What the values are computed by, with TA-Lib. Its texts are a part of what the table is made of.
SOURCES = (*(Path(str(module.__file__)) for module in (families, needs, series)), Path(__file__))

_CANDLES = """
    select
        epoch_us(opened_at) as opened_us, epoch_us(closed_at) as closed_us,
        high::double as high, low::double as low, close::double as close, volume::double as volume
    from marts.candles where instrument = ? and timeframe = ? order by closed_at
"""


def union_of_needs(declared: Iterable[tuple[str, ...]]) -> tuple[Need, ...]:
    """Every indicator that is always kept or that one of the headers needs, once, in a fixed order.

    Raises:
        InputUnusable: a header needs an indicator that does not exist.
    """
    texts = [*ALWAYS, *(text for needs in declared for text in needs)]
    return tuple(sorted({parse_need(text) for text in texts}))


def code_hash() -> str:
    """Of the code and the library that compute the values: when it changes, they have to be computed anew."""
    texts = [path.read_bytes() for path in SOURCES]
    return hashlib.sha256(b"\0".join([version("TA-Lib").encode(), *texts])).hexdigest()


def write_indicators(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    needs: tuple[Need, ...],
    *,
    kind: Literal["table", "temp table"] = "table",
    since: datetime | None = None,
) -> None:
    """Create or replace `table` with the indicators of every series of `marts.candles`.

    `since` keeps only the rows that close at or after it; all candles are read all the same, from the anchor on.
    One series is in memory at a time.
    """
    columns = ", ".join(f"{column} double" for need in needs for column in need.columns)
    connection.execute(
        f"create or replace {kind} {table} (instrument varchar, timeframe varchar, closed_at timestamptz,"
        f" known_at timestamptz, {columns})"
    )
    series = connection.execute("select distinct instrument, timeframe from marts.candles order by all").fetchall()
    for instrument, timeframe in series:
        frame = _series(connection, instrument, timeframe, needs)
        if since is not None:
            frame = frame.filter(pl.col("closed_us") >= _microseconds(since))
        connection.register("computed", frame)
        connection.execute(
            f"insert into {table} select $instrument, $timeframe, make_timestamptz(closed_us),"
            " make_timestamptz(closed_us), computed.* exclude (closed_us) from computed",
            {"instrument": instrument, "timeframe": timeframe},
        )
        connection.unregister("computed")


def _series(
    connection: duckdb.DuckDBPyConnection, instrument: str, timeframe: str, needs: tuple[Need, ...]
) -> pl.DataFrame:
    found = connection.execute(_CANDLES, [instrument, timeframe]).fetchnumpy()
    high, low, close, volume = (np.ascontiguousarray(found[name]) for name in ("high", "low", "close", "volume"))
    candles = Candles(found["opened_us"], high, low, close, volume, TIMEFRAME_US[timeframe])
    values = {column: told for need in needs for column, told in calculate(need, candles).items()}
    # NaN is "still warming up"; in a table that is NULL, which no comparison mistakes for a number.
    return pl.DataFrame({"closed_us": found["closed_us"], **values}, nan_to_null=True)


def _microseconds(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000)
