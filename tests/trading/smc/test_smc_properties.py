"""Properties of the kernel, over series that nobody would draw: flat, spiked, gapped, with equal highs and holes."""

import numpy as np
import pytest
from doses import examples
from hypothesis import given
from hypothesis import strategies as st

from trading.smc.fold import fold
from trading.smc.kernel import advance
from trading.smc.layout import Kind, Series
from trading.smc.parameters import MOST_OPEN_ZONES, Parameters
from trading.smc.state import begin, open_zones, restore, save

pytestmark = pytest.mark.xdist_group("heavy")  # they share machine code
CANDLE_US = 4 * 3_600_000_000  # six a day, so that a short series sees days and weeks end
FEW, MANY = 40, 400
MOVES = (-50, -9, -2, -1, 0, 0, 0, 1, 2, 9, 50)
MIDDLE = 100_000
FLAGS = ("trend", "bos", "choch", "session", "last_high_at", "last_low_at", "broken_swing_at", "known_at")
OPPOSITES = (("high", "low"), ("highs", "lows"), ("bull", "bear"), ("above", "below"), ("top", "bottom"))
SIDES = dict(OPPOSITES) | {other: one for one, other in OPPOSITES}


@st.composite
def series(draw, most=FEW):
    """Whole prices around `MIDDLE`: flat stretches, jumps, spikes, equal highs, intervals without a candle.

    One number is drawn for all of a series: to draw every candle takes longer than all that is tested.
    """
    count = draw(st.integers(1, most))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    moves = MOVES[:: draw(st.sampled_from((1, 2, 5)))]  # the fewer, the more often prices are equal
    jump, body = random.choice(moves, (2, count)).astype(float)
    above, below = random.choice((0.0, 0.0, 1.0, 3.0, 60.0), (2, count))
    close = MIDDLE + np.cumsum(jump + body)
    opens = close - body
    high, low = np.maximum(opens, close) + above, np.minimum(opens, close) - below
    opened_at = (2_700 * 42 + np.cumsum(random.choice((1, 1, 1, 1, 1, 1, 2, 6, 50), count))) * CANDLE_US
    return Series(opened_at, opens, high, low, close, np.arange(count, dtype=float))


@st.composite
def parameters(draw):
    """Small lengths, so that short series have much to tell; no share that a whole number can hit exactly."""
    return Parameters(
        swing_before=draw(st.integers(1, 4)),
        swing_after=draw(st.integers(1, 4)),
        atr_period=draw(st.integers(1, 5)),
        displacement_atr=1.4142135,
        equal_atr=draw(st.sampled_from((0.0, 0.37123))),
        gap_atr=draw(st.sampled_from((0.0, 0.31123))),
        open_zones=draw(st.sampled_from((1, 2, MOST_OPEN_ZONES))),
        restart_after=draw(st.sampled_from((0, 4))),
    )


def first(candles, count):
    return Series._make(column[:count] for column in candles)


def after(candles, count):
    return Series._make(column[count:] for column in candles)


def assert_same(one, other):
    assert one.rows.tobytes() == other.rows.tobytes()
    assert one.ended.tobytes() == other.ended.tobytes()
    assert save(one.state) == save(other.state)


def check_no_look_ahead(folded, candles, rules, cut):
    whole, short = folded(candles, rules), folded(first(candles, cut), rules)
    assert whole.rows[:cut].tobytes() == short.rows.tobytes()
    assert whole.ended[: len(short.ended)].tobytes() == short.ended.tobytes()
    known_by_then = int(candles.opened_at[cut - 1]) + CANDLE_US
    alive = [zone for zone in zones(whole) if zone["known_at"] <= known_by_then]
    assert {zone["id"] for zone in alive} == {zone["id"] for zone in zones(short)}


@given(series(), parameters(), st.data())
def test_no_output_changes_when_later_candles_are_cut_off(folded, candles, rules, data):
    check_no_look_ahead(folded, candles, rules, data.draw(st.integers(1, len(candles.close))))


@pytest.mark.deep
@given(series(MANY), parameters(), st.data())
@examples(750)
def test_no_output_changes_when_later_candles_are_cut_off_in_larger_doses(folded, candles, rules, data):
    check_no_look_ahead(folded, candles, rules, data.draw(st.integers(1, len(candles.close))))


@given(series(), parameters(), st.lists(st.integers(0, FEW), max_size=5))
def test_a_state_saved_and_restored_at_any_candle_changes_nothing(folded, kernel, candles, rules, cuts):
    state, rows, ended, at = begin(rules, CANDLE_US), b"", b"", 0
    for cut in [*sorted(cut for cut in cuts if cut <= len(candles.close)), len(candles.close)]:
        piece = fold(restore(save(state), rules, CANDLE_US), after(first(candles, cut), at), kernel)
        state, rows, ended, at = piece.state, rows + piece.rows.tobytes(), ended + piece.ended.tobytes(), cut
    whole = folded(candles, rules)
    assert (rows, ended, save(state)) == (whole.rows.tobytes(), whole.ended.tobytes(), save(whole.state))


@given(series(25), parameters())
@examples(25)
def test_interpreted_equals_compiled(folded, candles, rules):
    assert_same(fold(begin(rules, CANDLE_US), candles, advance), folded(candles, rules))


@pytest.mark.deep
@given(series(MANY), parameters())
@examples(40)
def test_interpreted_equals_compiled_in_larger_doses(folded, candles, rules):
    assert_same(fold(begin(rules, CANDLE_US), candles, advance), folded(candles, rules))


@given(series(), parameters(), st.sampled_from((10.0, 1024.0, 1 / 1024)))
def test_prices_ten_times_as_high_have_levels_ten_times_as_high(folded, candles, rules, factor):
    low, high = folded(candles, rules), folded(scaled(candles, factor), rules)
    for name in low.rows.dtype.names:
        kept = name in FLAGS or name.endswith("_swings") or name in ("position", "displacement")
        np.testing.assert_allclose(high.rows[name], low.rows[name] * (1 if kept else factor), rtol=1e-9, atol=1e-9)
    for name in ("id", "side", "why", "born_at", "known_at", "touched_at", "broken_at", "ended_at"):
        assert (zones(high)[name] == zones(low)[name]).all()
    for name in ("top", "bottom", "open_top", "open_bottom", "level"):
        np.testing.assert_allclose(zones(high)[name], zones(low)[name] * factor, rtol=1e-9)


@given(series(), parameters())
def test_prices_upside_down_swap_bull_and_bear(folded, candles, rules):
    upright, inverted = folded(candles, rules), folded(upside_down(candles), rules)
    for name in upright.rows.dtype.names:
        np.testing.assert_allclose(inverted.rows[swapped(name)], turned(name, upright.rows[name]), rtol=1e-9, atol=1e-6)
    assert lives(zones(inverted), -1) == lives(zones(upright), 1)


@given(series(120), parameters())
@examples(50)
def test_a_state_never_grows_and_forgets_by_its_rule(folded, candles, rules):
    result = folded(candles, rules)
    assert len(save(result.state)) == len(save(begin(rules, CANDLE_US)))
    assert result.state.counts.max() <= rules.open_zones
    assert sorted(zones(result)["id"]) == list(range(1, len(zones(result)) + 1))


@given(series(120), parameters())
@examples(50)
def test_the_times_of_a_life_are_in_their_order(folded, candles, rules):
    for zone in zones(folded(candles, rules)):
        lived = [zone[name] for name in ("known_at", "touched_at", "broken_at", "ended_at") if zone[name] > 0]
        assert zone["born_at"] < zone["known_at"]
        assert lived == sorted(lived)
        assert (zone["ended_at"] > 0) == (zone["why"] > 0)
        assert zone["bottom"] <= zone["open_bottom"] <= zone["open_top"] <= zone["top"]


@pytest.mark.parametrize("factor", [1e-12, 1e-6, 1e12, 1e200])
def test_prices_of_any_size_are_measured(folded, factor):
    prices = np.array([5.0, 7, 6, 9, 4, 8, 3, 10, 2, 11, 5, 6]) * factor
    opened_at = np.arange(1, len(prices) + 1) * CANDLE_US
    result = folded(
        Series(opened_at, prices, prices * 1.1, prices * 0.9, prices, prices), Parameters(swing_before=1, swing_after=1)
    )
    assert (result.rows["bos"] != 0).any()
    assert not np.isinf([result.rows[name].astype(float) for name in result.rows.dtype.names]).any()


def zones(result):
    """All, whether they ended or not, by id."""
    found = np.concatenate([result.ended, open_zones(result.state)])
    return found[np.argsort(found["id"])]


def scaled(candles, factor):
    opened_at, *prices, volume = candles
    return Series(opened_at, *(price * factor for price in prices), volume)


def upside_down(candles):
    opened_at, opens, high, low, close, volume = candles
    return Series(opened_at, 2 * MIDDLE - opens, 2 * MIDDLE - low, 2 * MIDDLE - high, 2 * MIDDLE - close, volume)


def swapped(name):
    """`bull_block_top` was `bear_block_bottom`."""
    return "_".join(SIDES.get(word, word) for word in name.split("_"))


def turned(name, values):
    if name in ("trend", "bos", "choch", "displacement"):
        return -values
    if name == "position":
        return 1 - values
    if name in FLAGS or name.endswith("_swings") or name == "atr":
        return values
    return 2 * MIDDLE - values


def lives(found, side):
    """Each zone without its id: of two that open at one close, the bullish one comes first."""
    return sorted(
        (
            zone["kind"], zone["side"] * side, zone["born_at"], zone["known_at"], zone["touched_at"], zone["broken_at"],
            zone["ended_at"], zone["why"], zone["swings"], round(side * (zone["level"] - MIDDLE), 6),
        )
        for zone in found
    )  # fmt: skip


def test_the_random_series_reach_every_kind_of_zone(folded):
    """Else the properties above would hold for want of anything to hold for."""
    random = np.random.default_rng(1)
    body, wick = random.choice(MOVES, 2_000).astype(float), random.choice((0.0, 1.0, 60.0), (2, 2_000))
    close = MIDDLE + np.cumsum(body)
    opened_at = np.arange(1, 2_001) * CANDLE_US
    candles = Series(
        opened_at, close - body, np.maximum(close, close - body) + wick[0],
        np.minimum(close, close - body) - wick[1], close, wick[0],
    )  # fmt: skip
    found = zones(folded(candles, Parameters(swing_before=2, swing_after=2)))
    assert set(found["kind"]) == set(Kind)
    assert {1, 2, 3, 4, 5} <= set(found["why"])
