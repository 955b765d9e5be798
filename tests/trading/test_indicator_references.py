"""Indicators against two references that others made; PROVENANCE.md says whose. Tolerances are per indicator.

What differs, differs by its seed, and the difference is tested too: on-balance volume begins at the first volume here,
at 0 there; the ADX of Achelis begins a candle earlier, and what that leaves fades by 1/14 with each candle.
"""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from trading.indicators.families import Candles, Prices
from trading.indicators.needs import parse_need
from trading.indicators.series import calculate

REFERENCES = Path(__file__).parent / "references"
DAY_US = 86_400_000_000
ACHELIS = json.loads((REFERENCES / "achelis.json").read_text())


def skender() -> dict[str, Prices]:
    with (REFERENCES / "skender.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    return {
        name: np.array([float(cell or "nan") for cell in column])
        for name, column in zip(header, zip(*rows, strict=True), strict=True)
    }


def candles(given: dict[str, list[float]]) -> Candles:
    """Daily candles of what is given; what the indicator in question does not read may be anything."""
    count = len(next(iter(given.values())))
    close = given.get("close") or [sum(both) / 2 for both in zip(given["high"], given["low"], strict=True)]
    columns = [given.get("high", close), given.get("low", close), close, given.get("volume", [1.0] * count)]
    return Candles(np.arange(count) * DAY_US, *(np.array(column, float) for column in columns), DAY_US)


@pytest.fixture(scope="module")
def reference():
    return skender()


@pytest.mark.parametrize(
    ("need", "column", "name", "relative"),
    [
        ("sma(20)", "sma_20", "sma", 1e-14),
        ("ema(20)", "ema_20", "ema", 1e-14),
        ("rsi(14)", "rsi_14", "rsi", 1e-14),
        ("atr(14)", "atr_14", "atr", 1e-14),
        ("macd(12, 26, 9)", "macd_12_26_9", "macd_macd", 1e-12),
        ("macd(12, 26, 9)", "macd_signal_12_26_9", "macd_signal", 1e-12),
        ("macd(12, 26, 9)", "macd_histogram_12_26_9", "macd_histogram", 1e-12),
        ("bollinger(20, 2)", "bollinger_upper_20_2", "bb_upperband", 1e-12),
        ("bollinger(20, 2)", "bollinger_middle_20_2", "sma", 1e-14),
        ("bollinger(20, 2)", "bollinger_lower_20_2", "bb_lowerband", 1e-12),
        ("stochastic(14, 3, 3)", "stochastic_k_14_3_3", "stoch_k", 1e-12),
        ("stochastic(14, 3, 3)", "stochastic_d_14_3_3", "stoch_d", 1e-12),
        ("supertrend(10, 3)", "supertrend_10_3", "supertrend", 1e-12),
    ],
)
def test_equals_what_another_library_says_of_real_bars(reference, need, column, name, relative):
    wanted = parse_need(need)
    bars = {key: reference[key].tolist() for key in ("high", "low", "close", "volume")}
    got = calculate(wanted, candles(bars))[column][wanted.warm_up :]
    expected = reference[name][wanted.warm_up :]
    assert not np.isnan(expected).any()
    np.testing.assert_allclose(got, expected, rtol=relative, atol=1e-12)


def test_on_balance_volume_differs_by_the_volume_that_it_begins_with(reference):
    bars = {key: reference[key].tolist() for key in ("high", "low", "close", "volume")}
    got = calculate(parse_need("obv()"), candles(bars))["obv"]
    np.testing.assert_array_equal(got - reference["volume"][0], reference["obv"])
    book = ACHELIS["on-balance volume"]
    told = calculate(parse_need("obv()"), candles({"close": book["close"], "volume": book["volume"]}))["obv"]
    assert (told - book["volume"][0]).tolist() == book["obv"]


@pytest.mark.parametrize(
    ("example", "need", "columns", "to_decimals"),
    [
        ("moving average, 5", "sma(5)", {"sma_5": "sma"}, 3),
        (
            "Bollinger bands, 5 and 2 deviations",
            "bollinger(5, 2)",
            {"bollinger_upper_5_2": "upper", "bollinger_middle_5_2": "middle", "bollinger_lower_5_2": "lower"},
            4,
        ),
        ("stochastic, 5, 3 and 3", "stochastic(5, 3, 3)", {"stochastic_k_5_3_3": "k", "stochastic_d_5_3_3": "d"}, 3),
    ],
)
def test_equals_the_worked_examples_of_the_book(example, need, columns, to_decimals):
    book = ACHELIS[example]
    got = calculate(parse_need(need), candles({k: v for k, v in book.items() if k in ("high", "low", "close")}))
    for column, name in columns.items():
        expected = book[name]
        np.testing.assert_allclose(got[column][-len(expected) :], expected, atol=1.01 * 10**-to_decimals)


def test_directional_movement_equals_the_book_and_its_average_but_for_the_seed():
    book = ACHELIS["directional movement, 14"]
    bars = candles({"high": book["high"], "low": book["low"]})
    plus, minus = (values[14:] for values in calculate(parse_need("dmi(14)"), bars).values())
    np.testing.assert_allclose(100 * abs(plus - minus) / (plus + minus), book["dx"][1:], atol=1e-3)
    apart = calculate(parse_need("adx(14)"), bars)["adx_14"][27:] - np.array(book["adx"][1:])
    assert 0 < abs(apart[0]) < 5
    np.testing.assert_allclose(apart, apart[0] * (13 / 14) ** np.arange(len(apart)), atol=1e-3)
