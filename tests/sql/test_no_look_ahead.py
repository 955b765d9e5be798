"""Every strategy of this repository, over the real candles of the sample: no signal changes when later ones arrive, and
a live close gives the very rows of all history."""

import datetime as dt
from pathlib import Path

import polars as pl
import pytest
from doses import dose
from hypothesis import settings

from warehouse.strategies.live import live_signals
from warehouse.strategies.loading import Strategy, load_strategy
from warehouse.strategies.trials import look_ahead_offenders, lookback_offenders, signals_of, warm_up_offenders

ROOT = Path(__file__).resolve().parents[2]
STRATEGIES = sorted((ROOT / "sql" / "marts").glob("signals_*.sql"))
CUTS = (0, 49, 51, 201, 9_999, 17_000)
WITH_SIGNALS = 3  # more cuts, at closes with a signal
LIVE = 100  # closes that are lived through in one go, as a session would; the deep tier lives longer


@pytest.fixture(scope="module", params=STRATEGIES, ids=lambda path: path.stem)
def strategy(request) -> Strategy:
    return load_strategy(request.param)


@pytest.fixture(scope="module")
def whole(strategy, candles, kernel) -> pl.DataFrame:
    return signals_of(strategy, candles, kernel)


@pytest.fixture(scope="module")
def cuts(candles, whole) -> list[dt.datetime]:
    closes = candles.filter(timeframe="15m")["closed_at"].unique().sort()
    signalled = whole.filter(pl.col("timeframe") == "15m")["closed_at"].unique().sort()
    return sorted({*(closes[n] for n in CUTS), *signalled.gather_every(max(len(signalled) // WITH_SIGNALS, 1))})


def test_no_signal_changes_when_later_candles_arrive(strategy, candles, cuts, kernel):
    assert look_ahead_offenders(strategy, candles, cuts, kernel).rows() == []


def test_the_candles_of_the_lookback_give_the_same_signals_as_all_of_history(strategy, candles, cuts, kernel):
    assert lookback_offenders(strategy, candles, cuts, kernel).rows() == []


def test_where_history_begins_is_forgotten(strategy, candles, kernel):
    quarters = candles.filter(timeframe="15m")["opened_at"].unique().sort()
    starts = [quarters[len(quarters) // 10], quarters[len(quarters) // 3]]
    assert warm_up_offenders(strategy, candles, starts, kernel).rows() == []


def test_lived_close_by_close_it_gives_the_rows_of_all_history(strategy, candles, whole, kernel):
    lived = busiest(candles.filter(timeframe="15m")["closed_at"].unique().sort(), whole)
    with live_signals(strategy, candles.filter(pl.col("closed_at") < lived[0]), kernel) as live:
        told = []
        for close in lived:
            live.take(candles.filter(pl.col("closed_at") == close))
            told.append(live.signals())
    expected = whole.filter(pl.col("closed_at").is_between(lived[0], lived[-1]))
    order = ["closed_at", "instrument", "timeframe"]
    assert pl.concat(told).sort(order).equals(expected.sort(order))
    assert len(expected) > 0


def busiest(closes: pl.Series, signals: pl.DataFrame) -> pl.Series:
    """So many closes in a row that most signals lie among them."""
    counts = pl.DataFrame({"closed_at": closes}).join(
        signals.group_by("closed_at").len(), on="closed_at", how="left", maintain_order="left"
    )
    many = dose(LIVE, settings.get_current_profile_name())
    ends = counts["len"].fill_null(0).rolling_sum(many).arg_max()
    assert ends is not None
    return closes[ends - many + 1 : ends + 1]
