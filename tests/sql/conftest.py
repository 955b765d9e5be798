"""Real candles of the sample, in all timeframes."""

import datetime as dt
from pathlib import Path

import polars as pl
import pytest

from warehouse.schema import TIMEFRAME_US

SAMPLE = Path(__file__).resolve().parents[2] / "data" / "sample"
FILES = {"BTC/USD": "XBTUSD", "ETH/USD": "ETHUSD"}
COLUMNS = ["opened_s", "open", "high", "low", "close", "volume", "trades"]


@pytest.fixture(scope="session")
def candles() -> pl.DataFrame:
    """15m of half a year, with the hours, four hours and days that they make, and the days of the years before."""
    quarters = pl.concat([sample(instrument, f"{name}_15.csv", "15m") for instrument, name in FILES.items()])
    begin = quarters["opened_at"].min()
    days = pl.concat([sample(instrument, f"{name}_1440.csv", "1d") for instrument, name in FILES.items()])
    made = [resampled(quarters, timeframe) for timeframe in ("1h", "4h", "1d")]
    return pl.concat([quarters, days.filter(pl.col("opened_at") < begin), *made])


def sample(instrument: str, name: str, timeframe: str) -> pl.DataFrame:
    rows = pl.read_csv(
        SAMPLE / name,
        has_header=False,
        new_columns=COLUMNS,
        schema_overrides=dict.fromkeys(COLUMNS[1:6], pl.Float64),
    )
    opened_at = pl.from_epoch("opened_s").dt.cast_time_unit("us").dt.replace_time_zone("UTC")
    return rows.select(
        pl.lit(instrument).alias("instrument"),
        pl.lit(timeframe).alias("timeframe"),
        opened_at.alias("opened_at"),
        (opened_at + dt.timedelta(microseconds=TIMEFRAME_US[timeframe])).alias("closed_at"),
        *COLUMNS[1:],
    )


def resampled(quarters: pl.DataFrame, timeframe: str) -> pl.DataFrame:
    length = dt.timedelta(microseconds=TIMEFRAME_US[timeframe])
    first, last = pl.col("open").first(), pl.col("close").last()
    sums = [pl.col("volume").sum(), pl.col("trades").sum()]
    made = (
        quarters.sort("opened_at")
        .group_by("instrument", pl.col("opened_at").dt.truncate(length))
        .agg(first, pl.col("high").max(), pl.col("low").min(), last, *sums)
        .with_columns(timeframe=pl.lit(timeframe), closed_at=pl.col("opened_at") + length)
    )
    return made.filter(pl.col("closed_at") <= quarters["closed_at"].max()).select(quarters.columns)
