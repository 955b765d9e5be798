"""Features and a strategy: over a year of many instruments at once, and at a live close of one and of many.

The strategy is `signals_smc`, which reads four timeframes. Candles are random walks of 15m with the hours, four hours
and days that they make. A live close is timed from its candles to its signals, at midnight, when all timeframes close;
the boundary of many has a candle of each series, which is the most that a close can bring.
"""

import shutil
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import polars as pl

from benchmarks.engine import random_walk
from benchmarks.table import Row, alone
from config.settings import ROOT, load_settings
from exchange.compiling import compiled
from trading.smc.kernel import advance
from trading.smc.layout import Kernel
from warehouse.connection import unit_of_work
from warehouse.features.indicators import TABLE as INDICATORS
from warehouse.features.indicators import write_indicators
from warehouse.features.smc import TABLE as SMC
from warehouse.features.smc import write_smc
from warehouse.schema import TIMEFRAME_US
from warehouse.strategies.live import live_signals
from warehouse.strategies.loading import Strategy, load_strategy
from warehouse.strategies.running import SIGNALS, run_text

INSTRUMENTS = 50
DAYS = 365
QUARTER = timedelta(minutes=15)
FIRST = datetime(2025, 1, 1, tzinfo=UTC)
CLOSES = 5
LONGEST_CLOSE_MS, LONGEST_BOUNDARY_MS = 100.0, 1_000.0


def measure() -> list[Row]:
    """Candles per second of a full run, and a close of one instrument and of all."""
    kernel = compiled(advance, load_settings().paths.state / "numba")
    strategy = load_strategy(ROOT / "sql" / "marts" / "signals_smc.sql")
    candles = market(INSTRUMENTS)
    features_s, strategy_s = seconds_in_full(candles, strategy, kernel)
    one = candles.filter(pl.col("instrument") == candles["instrument"][0])
    many = f"{INSTRUMENTS} instruments, 4 timeframes, a year"
    close, boundary = f"signals_smc, a live close of 1 of {INSTRUMENTS}", f"signals_smc, a live close of {INSTRUMENTS}"
    return [
        alone(f"features, {many}", len(candles) / features_s / 1e3, "k candles/s"),
        alone(f"signals_smc, {many}, features included", len(candles) / (features_s + strategy_s) / 1e3, "k candles/s"),
        alone(close, 1e3 * seconds_of_close(one, strategy, kernel), "ms", LONGEST_CLOSE_MS),
        alone(boundary, 1e3 * seconds_of_close(candles, strategy, kernel), "ms", LONGEST_BOUNDARY_MS),
    ]


def market(instruments: int) -> pl.DataFrame:
    """Candles with the columns of `marts.candles` that strategies read, all timeframes, by close."""
    quarters = pl.concat([_walk(f"{number:03}/USD", seed=number) for number in range(instruments)])
    longer = [_longer(quarters, timeframe) for timeframe in TIMEFRAME_US if timeframe != "15m"]
    return pl.concat([quarters, *longer]).sort("closed_at", "instrument", "timeframe")


def seconds_in_full(candles: pl.DataFrame, strategy: Strategy, kernel: Kernel) -> tuple[float, float]:
    """Of the features, and of the strategy over them, in a file as a build has it."""
    folder = load_settings().paths.state / "bench" / "signals"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        with unit_of_work(folder / "build.duckdb", lock_wait_s=1.0, memory_limit="1GB", threads=2) as connection:
            connection.register("given", candles)
            connection.execute("create schema if not exists marts; create schema if not exists features")
            connection.execute("create table marts.candles as from given")
            began = time.perf_counter()
            write_indicators(connection, INDICATORS, strategy.needs)
            write_smc(connection, SMC, kernel)
            between = time.perf_counter()
            run_text(connection, strategy)
            connection.execute(f"select count(*) from {SIGNALS}")
            return between - began, time.perf_counter() - between
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def seconds_of_close(candles: pl.DataFrame, strategy: Strategy, kernel: Kernel) -> float:
    """From the candles of a midnight to the signals of that close; the median of some days."""
    midnights = candles.filter(pl.col("timeframe") == "1d")["closed_at"].unique().sort()[-CLOSES:]
    seconds = []
    with live_signals(strategy, candles.filter(pl.col("closed_at") <= midnights[0]), kernel) as live:
        for before, midnight in pairwise(midnights):
            live.take(candles.filter(pl.col("closed_at").is_between(before, midnight, closed="none")))
            closing = candles.filter(pl.col("closed_at") == midnight)
            began = time.perf_counter()
            live.take(closing)
            live.signals()
            seconds.append(time.perf_counter() - began)
    return sorted(seconds)[len(seconds) // 2]


def _walk(instrument: str, seed: int) -> pl.DataFrame:
    opened, high, low, close = random_walk(DAYS * 96, seed)
    opened_at = pl.datetime_range(FIRST, FIRST + DAYS * timedelta(days=1), QUARTER, closed="left", eager=True)
    return pl.DataFrame(
        {
            "instrument": instrument,
            "timeframe": "15m",
            "opened_at": opened_at,
            "closed_at": opened_at + QUARTER,
            "open": opened,
            "high": high,
            "low": low,
            "close": close,
            "volume": high - low,
        },
        schema_overrides={"opened_at": pl.Datetime("us", "UTC"), "closed_at": pl.Datetime("us", "UTC")},
    )


def _longer(quarters: pl.DataFrame, timeframe: str) -> pl.DataFrame:
    length = timedelta(microseconds=TIMEFRAME_US[timeframe])
    made = (
        quarters.group_by("instrument", pl.col("opened_at").dt.truncate(length), maintain_order=True)
        .agg(
            pl.col("open").first(), pl.col("high").max(), pl.col("low").min(), pl.col("close").last(),
            pl.col("volume").sum(),
        )
        .with_columns(timeframe=pl.lit(timeframe), closed_at=pl.col("opened_at") + length)
    )  # fmt: skip
    return made.select(quarters.columns)
