"""Every strategy of this repository, over the real candles of the sample: no signal changes when later ones arrive."""

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from warehouse.strategies.loading import Strategy, load_strategy
from warehouse.strategies.trials import look_ahead_offenders, lookback_offenders

ROOT = Path(__file__).resolve().parents[2]
STRATEGIES = sorted((ROOT / "sql" / "marts").glob("signals_*.sql"))
SAMPLES = {"BTC/USD": "XBTUSD_15.csv", "ETH/USD": "ETHUSD_15.csv"}
CUTS = (0, 19, 49, 51, 200, 201, 3_000, 9_999, 17_000)


@pytest.fixture(scope="module")
def candles() -> pl.DataFrame:
    return pl.concat([sample(instrument, name) for instrument, name in SAMPLES.items()])


def sample(instrument: str, name: str) -> pl.DataFrame:
    columns = ["opened_s", "open", "high", "low", "close", "volume", "trades"]
    rows = pl.read_csv(ROOT / "data" / "sample" / name, has_header=False, new_columns=columns)
    opened_at = pl.from_epoch("opened_s").dt.cast_time_unit("us").dt.replace_time_zone("UTC")
    return rows.select(
        pl.lit(instrument).alias("instrument"),
        pl.lit("15m").alias("timeframe"),
        opened_at.alias("opened_at"),
        (opened_at + timedelta(minutes=15)).alias("closed_at"),
        *columns[1:],
    )


@pytest.fixture(scope="module", params=STRATEGIES, ids=lambda path: path.stem)
def strategy(request) -> Strategy:
    return load_strategy(request.param)


def test_no_signal_changes_when_later_candles_arrive(strategy, candles):
    closes = candles["closed_at"].unique().sort()
    offenders = look_ahead_offenders(strategy, candles, [closes[n] for n in CUTS])
    assert offenders.rows() == []


def test_the_candles_of_the_lookback_give_the_same_signals_as_all_of_history(strategy, candles):
    closes = candles["closed_at"].unique().sort()
    assert lookback_offenders(strategy, candles, [closes[n] for n in range(400, 17_000, 1_500)]).rows() == []
