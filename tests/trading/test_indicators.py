"""Indicators: equal to a slow reading of their definitions, deaf to the future, silent while they warm up."""

import math

import numpy as np
import pytest
from doses import examples
from hypothesis import given
from hypothesis import strategies as st

from trading.errors import InputUnusable
from trading.indicators.families import AT_ONCE, FAMILIES, Candles
from trading.indicators.needs import Need, is_indicator_column, parse_need
from trading.indicators.series import LONGEST_GAP, calculate, calculate_all

QUARTER_US = 900_000_000
DAY_US = 86_400_000_000
QUIET_AT_FIRST = {"vwap"}  # on a first day that began before the series


@st.composite
def series(draw, least=1, most=80):
    """A short series with calm stretches, some holes and some candles without volume."""
    sampled = st.sampled_from
    steps = draw(st.lists(sampled([-30.0, -1.5, -0.5, 0.0, 0.0, 0.25, 2.0, 40.0]), min_size=least, max_size=most))
    size = len(steps)
    close = np.maximum(1000.0 + np.cumsum(steps), 1.0)
    spread = np.array(draw(st.lists(sampled([0.0, 0.5, 7.0]), min_size=size, max_size=size)))
    volume = np.array(draw(st.lists(sampled([0.0, 0.25, 1.0, 3e6]), min_size=size, max_size=size)))
    waits = draw(st.lists(sampled([1, 1, 1, 1, 2, 50, LONGEST_GAP + 2]), min_size=size, max_size=size))
    opened = (1_000_000 + np.cumsum(waits)) * QUARTER_US
    return Candles(opened, close + spread, np.maximum(close - spread, 0.5), close, volume, QUARTER_US)


@st.composite
def needs(draw):
    """Any indicator with numbers that are small enough for a short series."""
    name = draw(st.sampled_from(sorted(FAMILIES)))
    numbers = tuple(
        draw(st.integers(int(number.least), 12)) if number.is_whole else draw(st.sampled_from([1, 2.5, 3]))
        for number in FAMILIES[name].numbers
    )
    return Need(name, tuple(sorted(numbers[:2])) + numbers[2:]) if name == "macd" else Need(name, numbers)


def slow_sma(candles, period):
    return [[mean(candles.close[n - period + 1 : n + 1]) if n >= period - 1 else math.nan for n in places(candles)]]


def slow_ema(candles, period):
    return [smoothed(candles.close.tolist(), period, 2 / (period + 1))]


def slow_atr(candles, period):
    return [[math.nan, *smoothed(true_ranges(candles), period, 1 / period)]]


def slow_rsi(candles, period):
    moves = np.diff(candles.close).tolist()
    gains = smoothed([max(move, 0.0) for move in moves], period, 1 / period)
    losses = smoothed([max(-move, 0.0) for move in moves], period, 1 / period)
    values = [
        math.nan if math.isnan(gain) else 0.0 if gain + loss < 1e-12 else 100 * gain / (gain + loss)
        for gain, loss in zip(gains, losses, strict=True)
    ]
    return [[math.nan, *values]]


def slow_macd(candles, fast, slow, signal):
    both = zip(slow_ema(candles, fast)[0], slow_ema(candles, slow)[0], strict=True)
    line = [one - other for one, other in both]
    smooth = ([math.nan] * (slow - 1) + smoothed(line[slow - 1 :], signal, 2 / (signal + 1)))[: len(line)]
    return [line, smooth, [one - other for one, other in zip(line, smooth, strict=True)]]


def slow_bollinger(candles, period, deviations):
    middle = slow_sma(candles, period)[0]
    widths = [
        deviations * math.sqrt(mean([(c - middle[n]) ** 2 for c in candles.close[n - period + 1 : n + 1]]))
        if n >= period - 1
        else math.nan
        for n in places(candles)
    ]
    return [[m + w for m, w in zip(middle, widths, strict=True)], middle,
            [m - w for m, w in zip(middle, widths, strict=True)]]  # fmt: skip


def slow_stochastic(candles, period, smooth_k, smooth_d):
    fast = []
    for n in places(candles):
        span = slice(max(n - period + 1, 0), n + 1)
        top, bottom = max(candles.high[span]), min(candles.low[span])
        fast.append(100 * (candles.close[n] - bottom) / (top - bottom) if top > bottom else 0.0)
    k = [mean(fast[n - smooth_k + 1 : n + 1]) if n >= period + smooth_k - 2 else math.nan for n in places(candles)]
    first = period + smooth_k + smooth_d - 3
    return [k, [mean(k[n - smooth_d + 1 : n + 1]) if n >= first else math.nan for n in places(candles)]]


def slow_obv(candles):
    sums, total = [], float(candles.volume[0])
    for n in places(candles):
        total += np.sign(candles.close[n] - candles.close[n - 1]) * candles.volume[n] if n else 0.0
        sums.append(total)
    return [sums]


def slow_vwap(candles):
    values = []
    for n in places(candles):
        day = candles.opened_us[n] // DAY_US
        mine = [m for m in places(candles) if m <= n and candles.opened_us[m] // DAY_US == day]
        is_cut = day == candles.opened_us[0] // DAY_US and candles.opened_us[0] % DAY_US
        typical = [(candles.high[m] + candles.low[m] + candles.close[m]) / 3 for m in mine]
        traded = sum(candles.volume[m] for m in mine)
        worth = sum(t * candles.volume[m] for t, m in zip(typical, mine, strict=True))
        values.append(math.nan if is_cut else worth / traded if traded else typical[-1])
    return [values]


def slow_volatility(candles, period, window):
    relative = [width / close for width, close in zip(slow_atr(candles, period)[0], candles.close, strict=True)]
    return [[
        sum(relative[m] <= relative[n] for m in range(n - window + 1, n + 1)) / window
        if n >= period + window - 1 else math.nan
        for n in places(candles)
    ]]  # fmt: skip


def mean(values):
    return sum(values) / len(values)


def places(candles):
    return range(len(candles.close))


def true_ranges(candles):
    high, low, close = candles.high, candles.low, candles.close
    return [max(high[n], close[n - 1]) - min(low[n], close[n - 1]) for n in range(1, len(close))]


def smoothed(values, period, weight):
    smooth = [math.nan] * len(values)
    if len(values) >= period:
        smooth[period - 1] = mean(values[:period])
        for n in range(period, len(values)):
            smooth[n] = smooth[n - 1] + (values[n] - smooth[n - 1]) * weight
    return smooth


# Those that another library and a book confirm alone: test_indicator_references.py.
SLOW = {
    "sma": slow_sma, "ema": slow_ema, "atr": slow_atr, "rsi": slow_rsi, "macd": slow_macd, "bollinger": slow_bollinger,
    "stochastic": slow_stochastic, "obv": slow_obv, "vwap": slow_vwap, "volatility": slow_volatility,
}  # fmt: skip
NEAR = {"bollinger": 2e-2}  # its variance is a difference of squares: a thousandth of a price of a thousand is lost


def without_long_gaps(candles):
    return candles._replace(opened_us=candles.opened_us[0] + np.arange(len(candles.close)) * QUARTER_US)


@given(series(), needs().filter(lambda need: need.name in SLOW and need.name != "volatility"))
@examples(150)
def test_equals_a_slow_reading_of_its_definition(candles, need):
    calm = without_long_gaps(candles)
    got = [*calculate(need, calm).values()]
    for values, slow in zip(got, SLOW[need.name](calm, *need.numbers), strict=True):
        expected = np.array(slow)
        expected[: need.warm_up] = np.nan
        np.testing.assert_allclose(values, expected, rtol=1e-9, atol=NEAR.get(need.name, 1e-7))


def test_volatility_is_the_share_of_candles_that_were_no_wilder():
    candles = long_series(300)
    (got,) = calculate(parse_need("volatility(14, 96)"), candles).values()
    np.testing.assert_allclose(got, slow_volatility(candles, 14, 96)[0], rtol=1e-12)


def test_volatility_of_a_long_series_is_that_of_each_candle_alone():
    candles = long_series(2 * AT_ONCE)
    relative = calculate(parse_need("atr(14)"), candles)["atr_14"] / candles.close
    alone = [np.mean(relative[n - 95 : n + 1] <= relative[n]) for n in range(109, len(relative))]
    (got,) = calculate(parse_need("volatility(14, 96)"), candles).values()
    assert got[109:].tolist() == alone


@given(series(most=300))
@examples(80)
def test_vwap_is_bit_for_bit_that_of_each_day_summed_alone(candles):
    calm = without_long_gaps(candles)
    expected = np.array(vwap_day_by_day(calm))
    assert calculate(parse_need("vwap()"), calm)["vwap"].tobytes() == expected.tobytes()


def vwap_day_by_day(candles):
    days = candles.opened_us // DAY_US
    values = []
    for day in np.unique(days):
        traded = worth = 0.0
        for high, low, close, volume in zip(*(column[days == day] for column in candles[1:5]), strict=True):
            typical = (high + low + close) / 3
            traded, worth = traded + volume, worth + typical * volume
            values.append(worth / traded if traded else typical)
    first = np.sum(days == days[0]) if candles.opened_us[0] % DAY_US else 0
    return [math.nan] * first + values[first:]


def long_series(size):
    random = np.random.default_rng(7)
    close = 1000 + np.cumsum(random.normal(size=size))
    width = random.uniform(1, 20, size=size)
    return Candles(np.arange(size) * QUARTER_US, close + width, close - width, close, np.ones(size), QUARTER_US)


@given(series(), needs(), st.integers(0, 90))
@examples(150)
def test_the_newest_values_are_those_of_the_whole(candles, need, newest):
    whole, told = calculate(need, candles), calculate_all((need,), candles, newest)
    first = max(len(candles.close) - newest, 0)
    assert {k: v[first:].tobytes() for k, v in whole.items()} == {k: v.tobytes() for k, v in told.items()}


@given(series(least=2), needs(), st.data())
@examples(150)
def test_no_value_changes_when_later_candles_arrive(candles, need, data):
    cut = data.draw(st.integers(1, len(candles.close)))
    on_all = calculate(need, candles)
    by_then = calculate(need, Candles(*(column[:cut].copy() for column in candles[:-1]), QUARTER_US))
    assert {k: v[:cut].tobytes() for k, v in on_all.items()} == {k: v.tobytes() for k, v in by_then.items()}


@given(series(), needs())
@examples(80)
def test_says_nothing_before_its_warm_up_is_over_and_always_after(candles, need):
    for values in calculate(need, without_long_gaps(candles)).values():
        silent = np.isnan(values)
        assert silent[: need.warm_up].all()
        assert need.name in QUIET_AT_FIRST or not silent[need.warm_up :].any()


@given(series(least=4), needs(), st.data())
@examples(80)
def test_after_a_long_gap_a_series_starts_anew(candles, need, data):
    begin = data.draw(st.integers(1, len(candles.close) - 1))
    calm = without_long_gaps(candles)
    late = np.where(np.arange(len(calm.close)) >= begin, (LONGEST_GAP + 1) * QUARTER_US, 0)
    parted = calm._replace(opened_us=calm.opened_us + late)
    alone = calculate(need, parted.between(begin, len(calm.close)))
    assert {k: v[begin:].tobytes() for k, v in calculate(need, parted).items()} == {
        k: v.tobytes() for k, v in alone.items()
    }


def test_the_day_of_a_vwap_begins_at_midnight():
    opened = DAY_US + np.array([0, 4, 8]) * DAY_US // 8
    price = np.array([10.0, 20.0, 40.0])
    candles = Candles(opened, price, price, price, np.array([1.0, 3.0, 2.0]), DAY_US // 8)
    assert calculate(parse_need("vwap()"), candles)["vwap"].tolist() == [10.0, 17.5, 40.0]


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
    opened = np.arange(len(close)) * QUARTER_US
    (got,) = calculate(Need(name, (14,)), Candles(opened, close, close, close, close, QUARTER_US)).values()
    assert got[at] == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize("text", ["ema(20)", " EMA( 20 ) ", "ema (20)"])
def test_reads_a_need_as_a_person_writes_it(text):
    need = parse_need(text)
    assert (need, need.columns, str(need)) == (Need("ema", (20,)), ("ema_20",), "ema(20)")


def test_one_need_may_be_several_columns():
    need = parse_need("bollinger(20, 2.5)")
    assert need.columns == ("bollinger_upper_20_2p5", "bollinger_middle_20_2p5", "bollinger_lower_20_2p5")
    assert str(need) == "bollinger(20, 2.5)"
    assert parse_need(str(need)) == need
    assert parse_need("supertrend(10, 3.0)") == parse_need("supertrend(10,3)")


@pytest.mark.parametrize("text", ["macd(12)", "ema", "ema()", "ema(-3)", "ema(20", "", "ema(20) ema(50)", "ema(1e2)"])
def test_an_unknown_need_lists_the_known_ones(text):
    with pytest.raises(InputUnusable, match=r"known are sma\(period\), ema\(period\), .*macd\(fast, slow, signal\)"):
        parse_need(text)


@pytest.mark.parametrize("text", ["ema(1)", "rsi(0)", "atr(0)", "ema(10001)", "ema(2.5)", "bollinger(20, 0)"])
def test_a_number_out_of_range_says_the_range(text):
    with pytest.raises(InputUnusable, match="between"):
        parse_need(text)


def test_numbers_that_make_no_sense_together_are_refused():
    with pytest.raises(InputUnusable, match="fast must be below slow"):
        parse_need("macd(26, 12, 9)")


@pytest.mark.parametrize("column", ["ema_20", "macd_signal_12_26_9", "bollinger_upper_20_2p5", "vwap", "plus_di_14"])
def test_knows_its_columns_by_name(column):
    assert is_indicator_column(column)


@pytest.mark.parametrize("column", ["ema_20_slope", "my_ema_20", "macd_12", "vwap_20", "bollinger_20_2"])
def test_other_columns_are_anyones(column):
    assert not is_indicator_column(column)


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_an_empty_series_has_no_values(name):
    empty = np.array([])
    numbers = tuple(2 + place for place in range(len(FAMILIES[name].numbers)))
    told = calculate(Need(name, numbers), Candles(empty.astype(np.int64), *[empty] * 4, QUARTER_US))
    assert [len(values) for values in told.values()] == [0] * len(FAMILIES[name].outputs)
