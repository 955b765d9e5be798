"""A strategy lived through close by close refuses what history would not have, and goes on after it."""

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from trading.errors import InputUnusable
from warehouse.strategies.live import live_signals
from warehouse.strategies.loading import load_strategy

MARTS = Path(__file__).resolve().parents[2] / "sql" / "marts"
START = dt.datetime(2023, 1, 1, tzinfo=dt.UTC)
QUARTER = dt.timedelta(minutes=15)


def candles(first, count, instrument="BTC/USD"):
    number = np.arange(first, first + count)
    close = 1000 + 20 * np.sin(number / 9)
    return pl.DataFrame(
        {
            "instrument": instrument,
            "timeframe": "15m",
            "opened_at": [START + n * QUARTER for n in number.tolist()],
            "closed_at": [START + (n + 1) * QUARTER for n in number.tolist()],
            "open": close,
            "high": close + 2,
            "low": close - 2,
            "close": close,
            "volume": 1.0,
        }
    )


@pytest.fixture(scope="module", params=["signals_ema_cross", "signals_smc"])
def strategy(request):
    return load_strategy(MARTS / f"{request.param}.sql")


@pytest.fixture
def live(strategy, kernel):
    history = pl.concat([candles(0, 300), candles(0, 300, "ETH/USD")])
    with live_signals(strategy, history, kernel) as lived:
        yield lived


@pytest.mark.parametrize(
    ("refused", "said"),
    [
        (candles(299, 1), "BTC/USD 15m: a candle comes too late, or a second time"),
        (candles(100, 1), "comes too late"),
        (pl.concat([candles(300, 1), candles(300, 1)]), "a second time"),
        (candles(300, 1).with_columns(close=pl.lit(-5.0)), "BTC/USD 15m: a candle contradicts itself"),
        (candles(300, 1).with_columns(high=pl.lit(float("nan"))), "contradicts itself"),
    ],
)
def test_what_can_not_be_is_refused_and_named(live, refused, said):
    with pytest.raises(InputUnusable, match=said):
        live.take(refused)


def test_a_refusal_leaves_everything_as_it_was_so_that_the_mended_candles_are_taken(strategy, kernel, live):
    good = pl.concat([candles(300, 12), candles(300, 12, "ETH/USD")])
    odd = pl.concat([candles(300, 1), candles(300, 1, "ETH/USD").with_columns(close=pl.lit(-5.0))])
    with pytest.raises(InputUnusable, match="ETH/USD 15m"):
        live.take(odd)
    history = pl.concat([candles(0, 300), candles(0, 300, "ETH/USD")])
    with live_signals(strategy, history, kernel) as undisturbed:
        for close in good["closed_at"].unique().sort():
            closing = good.filter(closed_at=close)
            live.take(closing)
            undisturbed.take(closing)
            assert live.signals().equals(undisturbed.signals())


def test_nothing_taken_changes_nothing(live):
    before = live.signals()
    live.take(candles(300, 0))
    assert live.signals().equals(before)


def test_without_a_candle_there_is_nothing_to_ask(strategy, kernel):
    with live_signals(strategy, candles(0, 0), kernel) as live, pytest.raises(InputUnusable, match="no candles yet"):
        live.signals()
