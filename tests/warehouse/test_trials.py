"""Trials of strategies find what no reading finds, and name the column and the first close."""

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from warehouse.strategies.loading import load_strategy
from warehouse.strategies.trials import (
    LEAST_SETTLING,
    Offence,
    first_offence,
    look_ahead_offenders,
    settling,
    warm_up_offenders,
)

CROSS = Path(__file__).resolve().parents[2] / "sql" / "marts" / "signals_ema_cross.sql"
START = dt.datetime(2023, 1, 1, tzinfo=dt.UTC)
QUARTER = dt.timedelta(minutes=15)
HEAVY = """-- grain: one row per close on which volume has favoured the buyers
-- key: instrument, timeframe, closed_at
-- lookback: 0 candles
-- needs: obv(), atr(14)
select candles.instrument, candles.timeframe, candles.closed_at, indicators.known_at, 'long' as side,
    close::double as close, {stop} as stop_distance, null::double as target_1_distance,
    null::double as target_2_distance, null::double as target_3_distance, null::double as target_4_distance,
    1.0::double as score
from marts.candles join features.indicators using (instrument, timeframe, closed_at)
where atr_14 is not null {condition}
"""


@pytest.fixture(scope="module")
def candles() -> pl.DataFrame:
    chance = np.random.default_rng(11)
    count = 3 * LEAST_SETTLING
    close = 1000 + np.cumsum(chance.normal(0, 2, count))
    return pl.DataFrame(
        {
            "instrument": "BTC/USD",
            "timeframe": "15m",
            "opened_at": [START + n * QUARTER for n in range(count)],
            "closed_at": [START + (n + 1) * QUARTER for n in range(count)],
            "open": close,
            "high": close + 1,
            "low": close - 1,
            "close": close,
            "volume": chance.uniform(0.5, 2, count),
        }
    )


def loaded(tmp_path, **parts):
    path = tmp_path / "signals_heavy.sql"
    path.write_text(HEAVY.format(**parts), encoding="utf-8")
    return load_strategy(path)


def test_averages_forget_where_history_begins(candles):
    cross = load_strategy(CROSS)
    assert settling(cross) == LEAST_SETTLING
    assert first_offence(warm_up_offenders(cross, candles, [START + 700 * QUARTER, START + 2_000 * QUARTER])) is None


def test_a_sum_from_the_beginning_never_forgets_it(candles, tmp_path):
    start = START + 1_000 * QUARTER
    offence = first_offence(warm_up_offenders(loaded(tmp_path, stop="abs(obv)", condition=""), candles, [start]))
    assert offence is not None
    assert (offence.column, offence.cut_at) == ("stop_distance", start)
    assert offence.closed_at == start + LEAST_SETTLING * QUARTER


def test_a_signal_that_only_one_run_has_is_told_as_such(candles, tmp_path):
    strategy = loaded(tmp_path, stop="atr_14", condition="and floor(obv / 7) % 2 = 0")
    offence = first_offence(warm_up_offenders(strategy, candles, [START + 1_000 * QUARTER]))
    assert offence is not None
    assert offence.column == "the signal itself"
    assert {offence.there, offence.otherwise} == {"a signal", "no signal"}


def test_the_first_of_many_offences_is_told():
    row = {"instrument": "BTC/USD", "timeframe": "15m", "closed_at": START + QUARTER, "close": 1.0, "score": 2.0}
    late = {**row, "closed_at": START + 2 * QUARTER}
    rows = [
        {**late, "seen": "only later", "cut_at": START},
        {**row, "seen": "only by then", "cut_at": START},
        {**row, "score": 3.0, "seen": "only later", "cut_at": START},
    ]
    told = first_offence(pl.DataFrame(rows))
    assert told == Offence("score", "BTC/USD", "15m", START + QUARTER, START, 2.0, 3.0)


def test_an_honest_strategy_has_no_offence(candles):
    assert first_offence(look_ahead_offenders(load_strategy(CROSS), candles, [START + 999 * QUARTER])) is None
