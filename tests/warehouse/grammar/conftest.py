"""A small market to try strategies on."""

import datetime as dt

import numpy as np
import polars as pl
import pytest


@pytest.fixture(scope="module")
def candles() -> pl.DataFrame:
    """Two instruments, 100 candles of 15 minutes, a seeded walk."""
    return pl.concat([walk("BTC/USD", seed=1), walk("ETH/USD", seed=2)])


@pytest.fixture(scope="module")
def cuts(candles: pl.DataFrame) -> list[dt.datetime]:
    closes = candles["closed_at"].unique().sort()
    return [closes[n] for n in (3, 40, 41, 42, 98)]


def walk(instrument: str, seed: int, count: int = 100) -> pl.DataFrame:
    chance = np.random.default_rng(seed)
    close = 1000 + np.cumsum(chance.integers(-5, 6, count)).astype(float)
    open_ = np.concatenate([[1000.0], close[:-1]])
    first = dt.datetime(2023, 1, 1, tzinfo=dt.UTC)
    opened_at = [first + n * dt.timedelta(minutes=15) for n in range(count)]
    return pl.DataFrame(
        {
            "instrument": instrument,
            "timeframe": "15m",
            "opened_at": opened_at,
            "closed_at": [at + dt.timedelta(minutes=15) for at in opened_at],
            "open": open_,
            "high": np.maximum(open_, close) + 1,
            "low": np.minimum(open_, close) - 1,
            "close": close,
            "volume": chance.integers(0, 50, count).astype(float),
        }
    )
