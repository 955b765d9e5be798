"""Indicators: equal to a slow reading of their definitions, deaf to the future, silent while they warm up."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.errors import InputUnusable
from trading.indicators import INDICATORS, Need, calculate, is_indicator_column, parse_need

NAMES = sorted(INDICATORS)


@st.composite
def series(draw, least=1, most=80):
    """High, low and close of a short series, with calm stretches."""
    steps = draw(
        st.lists(st.sampled_from([-30.0, -1.5, -0.5, 0.0, 0.0, 0.25, 2.0, 40.0]), min_size=least, max_size=most)
    )
    close = np.maximum(1000.0 + np.cumsum(steps), 1.0)
    spread = np.array(draw(st.lists(st.sampled_from([0.0, 0.5, 7.0]), min_size=len(close), max_size=len(close))))
    return close + spread, np.maximum(close - spread, 0.5), close


def slow_ema(high, low, close, period):
    values = [math.nan] * len(close)
    if len(close) >= period:
        values[period - 1] = sum(close[:period]) / period
        for n in range(period, len(close)):
            values[n] = values[n - 1] + (close[n] - values[n - 1]) * 2 / (period + 1)
    return values


def slow_atr(high, low, close, period):
    ranges = [max(high[n], close[n - 1]) - min(low[n], close[n - 1]) for n in range(1, len(close))]
    return [math.nan, *wilder(ranges, period)]


def slow_rsi(high, low, close, period):
    moves = [close[n] - close[n - 1] for n in range(1, len(close))]
    gains = wilder([max(move, 0.0) for move in moves], period)
    losses = wilder([max(-move, 0.0) for move in moves], period)
    values = [
        math.nan if math.isnan(gain) else 0.0 if gain + loss < 1e-12 else 100 * gain / (gain + loss)
        for gain, loss in zip(gains, losses, strict=True)
    ]
    return [math.nan, *values]


def wilder(values, period):
    smooth = [math.nan] * len(values)
    if len(values) >= period:
        smooth[period - 1] = sum(values[:period]) / period
        for n in range(period, len(values)):
            smooth[n] = (smooth[n - 1] * (period - 1) + values[n]) / period
    return smooth


SLOW = {"ema": slow_ema, "atr": slow_atr, "rsi": slow_rsi}


@given(series(), st.integers(2, 20), st.sampled_from(NAMES))
@settings(max_examples=100, deadline=None)
def test_equals_a_slow_reading_of_its_definition(prices, period, name):
    got = calculate(Need(name, period), *prices)
    np.testing.assert_allclose(got, SLOW[name](*prices, period), rtol=1e-9, atol=1e-7)


@given(series(least=2), st.integers(2, 20), st.sampled_from(NAMES), st.data())
@settings(max_examples=100, deadline=None)
def test_no_value_changes_when_later_candles_arrive(prices, period, name, data):
    cut = data.draw(st.integers(1, len(prices[0])))
    on_all = calculate(Need(name, period), *prices)[:cut]
    by_then = calculate(Need(name, period), *(column[:cut].copy() for column in prices))
    assert on_all.tobytes() == by_then.tobytes()


@given(series(), st.integers(2, 20), st.sampled_from(NAMES))
@settings(max_examples=50, deadline=None)
def test_says_nothing_before_its_warm_up_is_over_and_always_after(prices, period, name):
    need = Need(name, period)
    silent = np.isnan(calculate(need, *prices))
    assert silent[: need.warm_up].all()
    assert not silent[need.warm_up :].any()


@pytest.mark.parametrize(
    ("name", "at", "expected"),
    # The worked example of StockCharts' ChartSchool page on RSI: 14 periods over these closes.
    [("rsi", 14, 70.53), ("rsi", 15, 66.32), ("rsi", 16, 66.55)],
)
def test_equals_published_values(name, at, expected):
    close = np.array([
        44.3389, 44.0902, 44.1497, 43.6124, 44.3278, 44.8264, 45.0955, 45.4245, 45.8433,
        46.0826, 45.8931, 46.0328, 45.6140, 46.2820, 46.2820, 46.0028, 46.0328,
    ])  # fmt: skip
    got = calculate(Need(name, 14), close, close, close)
    assert got[at] == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize("text", ["ema(20)", " EMA( 20 ) ", "ema (20)"])
def test_reads_a_need_as_a_person_writes_it(text):
    need = parse_need(text)
    assert (need, need.column, str(need)) == (Need("ema", 20), "ema_20", "ema(20)")


@pytest.mark.parametrize("text", ["macd(12)", "ema", "ema()", "ema(2.5)", "ema(-3)", "ema(20", "", "ema(20) ema(50)"])
def test_an_unknown_need_lists_the_known_ones(text):
    with pytest.raises(InputUnusable, match=r"known are ema\(period\), atr\(period\), rsi\(period\)"):
        parse_need(text)


@pytest.mark.parametrize("text", ["ema(1)", "rsi(0)", "atr(0)", "ema(10001)"])
def test_a_period_out_of_range_says_the_range(text):
    with pytest.raises(InputUnusable, match="between"):
        parse_need(text)


def test_knows_its_columns_by_name():
    assert is_indicator_column("ema_20")
    assert not is_indicator_column("ema_20_slope")
    assert not is_indicator_column("my_ema_20")


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_series_has_no_values(name):
    empty = np.array([])
    assert len(calculate(Need(name, 14), empty, empty, empty)) == 0
