"""Each concept on candles that a reader can follow: what is known at which close, and how a zone lives."""

import numpy as np
import pytest
import talib

from trading.smc.fold import Fold
from trading.smc.layout import End, Kind, Series
from trading.smc.parameters import Parameters
from trading.smc.state import open_zones

pytestmark = pytest.mark.xdist_group("heavy")  # they share machine code
HOUR_US = 3_600_000_000
CANDLE_US = 4 * HOUR_US  # as the fixture `folded` has it
MONDAY_US = 19_002 * 24 * HOUR_US  # 10 January 2022
SHORT = Parameters(swing_before=1, swing_after=1, atr_period=2, equal_atr=0.1)


def candles(*prices, every_us=CANDLE_US, start_us=MONDAY_US):
    """From (open, high, low, close), one after the other."""
    opened_at = start_us + np.arange(len(prices)) * every_us
    return Series(opened_at, *np.array(prices, float).T, np.arange(1.0, len(prices) + 1))


def dots(*prices):
    """Candles that open and close at one price, with a wick of 1 on both sides."""
    return candles(*((price, price + 1, price - 1, price) for price in prices))


def inverted(*prices):
    """The same candles upside down, around 15."""
    return candles(*((30 - opens, 30 - low, 30 - high, 30 - close) for opens, high, low, close in prices))


def zones(result: Fold, kind: Kind):
    found = np.concatenate([result.ended, open_zones(result.state)])
    return sorted(found[found["kind"] == kind], key=lambda zone: zone.id)


def at(column, *numbers):
    """What a column says at some candles; nothing elsewhere."""
    expected = np.full(len(column), np.nan)
    for number, value in numbers:
        expected[number] = value
    return np.array_equal(column, expected, equal_nan=True)


def close_of(number):
    return MONDAY_US + (number + 1) * CANDLE_US


# ---------------------------------------------------------------- swings and structure


def test_a_swing_is_known_as_many_candles_later_as_it_must_be_above(folded):
    result = folded(dots(8, 10, 15, 14, 13, 12, 11), Parameters(swing_before=2, swing_after=3))
    assert at(result.rows.swing_high, (5, 16.0))
    assert result.rows.last_high_at[5] == MONDAY_US + 2 * CANDLE_US


def test_of_a_flat_top_the_first_candle_is_the_swing(folded):
    result = folded(dots(10, 15, 15, 15, 10), Parameters(swing_before=1, swing_after=2))
    assert at(result.rows.swing_high, (3, 16.0))
    assert result.rows.last_high_at[3] == MONDAY_US + CANDLE_US


def test_of_two_swings_without_one_between_the_higher_one_counts(folded):
    prices = candles(
        (9, 10, 9, 9), (9, 20, 9, 9), (9, 12, 9, 9), (9, 15, 9, 9), (9, 11, 9, 9), (9, 25, 9, 9), (9, 11, 9, 9)
    )
    result = folded(prices, SHORT)
    assert at(result.rows.swing_high, (2, 20.0), (6, 25.0))  # 15 is weaker than 20


def test_a_break_with_the_trend_is_bos_and_against_it_choch(folded):
    rows = folded(dots(10, 14, 12, 16, 13, 20, 11), SHORT).rows
    assert list(rows.bos) == [0, 0, 0, 1, 0, 1, 0]
    assert list(rows.choch) == [0, 0, 0, 0, 0, 0, -1]
    assert at(rows.broken_level, (3, 15.0), (5, 17.0), (6, 12.0))
    assert rows.broken_swing_at[6] == MONDAY_US + 4 * CANDLE_US
    assert list(rows.trend) == [0, 0, 0, 1, 1, 1, -1]
    assert (rows.last_high[6], rows.last_low[6]) == (21, 12)
    assert rows.last_low_at[6] == MONDAY_US + 4 * CANDLE_US


def test_a_wick_beyond_a_swing_breaks_nothing(folded):
    prices = candles((9, 10, 8, 9), (9, 15, 9, 9), (9, 11, 8, 9), (9, 18, 9, 15))
    assert not folded(prices, SHORT).rows.bos.any()


def test_the_trend_decides_where_the_optimal_entry_lies(folded):
    rising = folded(dots(20, 29, 11, 39, 20), SHORT).rows[4]
    assert (rising.trend, rising.range_high, rising.range_low) == (1, 40, 10)
    assert rising.position == pytest.approx(1 / 3)
    assert (rising.ote_top, rising.ote_bottom) == pytest.approx((40 - 0.618 * 30, 40 - 0.79 * 30))
    falling = folded(dots(30, 21, 39, 11, 30), SHORT).rows[4]
    assert (falling.trend, falling.range_high, falling.range_low) == (-1, 40, 10)
    assert falling.position == pytest.approx(2 / 3)
    assert (falling.ote_bottom, falling.ote_top) == pytest.approx((10 + 0.618 * 30, 10 + 0.79 * 30))


# ---------------------------------------------------------------- order blocks


BLOCK = ((9, 10, 8, 9), (9, 15, 9, 9), (9, 9, 5, 7), (7, 10, 6, 10), (10, 20, 10, 18))  # its swing high is broken by 18


def test_the_block_is_the_lowest_candle_between_the_swing_and_its_break(folded):
    (block,) = zones(folded(candles(*BLOCK), SHORT), Kind.BLOCK)
    assert (block.side, block.bottom, block.top, block.level) == (1, 5, 9, 15)
    assert (block.born_at, block.known_at) == (MONDAY_US + 2 * CANDLE_US, close_of(4))
    assert block.volume == 3 + 4 + 5


def test_a_block_is_mitigated_then_a_breaker_then_reclaimed(folded):
    prices = candles(*BLOCK, (18, 19, 8, 18), (18, 18, 4, 5), (5, 8, 5, 7), (7, 12, 7, 12))
    result = folded(prices, SHORT)
    block = zones(result, Kind.BLOCK)[0]
    assert [block[name] for name in ("touched_at", "broken_at", "ended_at")] == [close_of(5), close_of(6), close_of(8)]
    assert block.why == End.RECLAIMED
    rows = result.rows
    assert (rows.bull_block_bottom[5], rows.bull_block_top[5]) == (5, 9)
    assert np.isnan(rows.bull_block_top[6])
    assert (rows.bear_breaker_bottom[6], rows.bear_breaker_top[6]) == (5, 9)
    assert np.isnan(rows.bear_breaker_top[8])


def test_a_bearish_block_is_the_highest_candle_and_supports_once_it_is_broken(folded):
    result = folded(inverted(*BLOCK, (18, 19, 8, 18), (18, 18, 4, 5), (5, 8, 5, 7)), SHORT)
    block = zones(result, Kind.BLOCK)[0]
    assert (block.side, block.bottom, block.top, block.level) == (-1, 21, 25, 15)
    rows = result.rows
    assert (rows.bear_block_bottom[5], rows.bear_block_top[5]) == (21, 25)
    assert (rows.bull_breaker_bottom[6], rows.bull_breaker_top[6]) == (21, 25)


# ---------------------------------------------------------------- fair value gaps


GAP = ((10, 11, 9, 10), (11, 20, 11, 20), (20, 22, 15, 21))


def test_a_gap_is_known_with_its_third_candle_and_filled_by_wicks(folded):
    result = folded(candles(*GAP, (21, 22, 15, 20), (20, 21, 13, 20), (20, 21, 11, 20)))
    (gap,) = zones(result, Kind.GAP)
    assert (gap.side, gap.bottom, gap.top, gap.level) == (1, 11, 15, 13)
    assert [gap[name] for name in ("known_at", "touched_at", "ended_at")] == [close_of(2), close_of(3), close_of(5)]
    assert gap.why == End.FILLED
    assert at(result.rows.bull_gap_top, (2, 15.0), (3, 15.0), (4, 13.0))


def test_a_bearish_gap_is_filled_from_below(folded):
    rows = folded(inverted(*GAP, (20, 21, 13, 20))).rows
    assert at(rows.bear_gap_bottom, (2, 15.0), (3, 17.0))
    assert at(rows.bear_gap_top, (2, 19.0), (3, 19.0))
    assert np.isnan(rows.bull_gap_bottom).all()


def test_a_gap_takes_a_middle_candle_in_its_direction(folded):
    against = candles((10, 11, 9, 10), (20, 20, 11, 11), (20, 22, 15, 21))
    assert not zones(folded(against), Kind.GAP)


def test_a_gap_lower_than_asked_for_is_none(folded):
    prices = candles((10, 12, 8, 10), (10, 12, 8, 10), (10, 12, 8, 10), (10, 18, 10, 18), (18, 20, 14, 18))
    for least, found in ((0.1, 1), (1.0, 0)):
        rules = Parameters(atr_period=2, gap_atr=least)
        assert len(zones(folded(prices, rules), Kind.GAP)) == found


# ---------------------------------------------------------------- liquidity


def test_a_wick_beyond_a_pool_sweeps_it_and_a_close_beyond_breaks_it(folded):
    start = ((9, 10, 8, 9), (9, 15, 9, 9), (9, 11, 8, 9))
    for close, why, swept in ((14.0, End.SWEPT, 15.0), (16.0, End.BROKEN, np.nan)):
        result = folded(candles(*start, (9, 17, 9, close)), Parameters(swing_before=1, swing_after=1))
        (pool,) = [zone for zone in zones(result, Kind.POOL) if zone.side > 0]
        assert (pool.level, pool.why, pool.ended_at) == (15, why, close_of(3))
        assert at(result.rows.swept_highs, (3, swept))
        assert at(result.rows.highs_above, (2, 15.0))


def test_swings_close_to_each_other_are_equal_highs_in_one_pool(folded):
    prices = candles(
        (9, 10, 8, 9), (9, 15, 9, 9), (9, 11, 8, 9), (9, 14.9, 9, 9), (9, 11, 8, 9), (9, 12, 9, 9), (9, 11, 8, 9)
    )
    result = folded(prices, SHORT)
    highs = [zone for zone in zones(result, Kind.POOL) if zone.side > 0]
    assert [(zone.level, zone.swings) for zone in highs] == [(15, 2), (12, 1)]
    assert at(result.rows.equal_highs, (4, 14.9))
    assert highs[0].touched_at == close_of(4)
    assert (result.rows.highs_above[4], result.rows.highs_above_swings[4]) == (15, 2)
    assert (result.rows.highs_above[6], result.rows.highs_above_swings[6]) == (12, 1)


def test_lows_are_equal_and_swept_below(folded):
    rows = folded(
        inverted((9, 10, 8, 9), (9, 15, 9, 9), (9, 11, 8, 9), (9, 14.9, 9, 9), (9, 11, 8, 9), (9, 17, 9, 14)), SHORT
    ).rows
    assert at(rows.equal_lows, (4, 15.1))
    assert (rows.lows_below[4], rows.lows_below_swings[4]) == (15, 2)
    assert at(rows.swept_lows, (5, 15.0))


# ---------------------------------------------------------------- movement, days, sessions


def test_the_atr_is_that_of_ta_lib(folded):
    steps = np.random.default_rng(7).normal(size=(3, 400))
    close = 1_000 + np.cumsum(steps[0])
    high, low = close + np.abs(steps[1]), close - np.abs(steps[2])
    opened_at = MONDAY_US + np.arange(400) * CANDLE_US
    rows = folded(Series(opened_at, close, high, low, close, close)).rows
    np.testing.assert_allclose(rows.atr, talib.ATR(high, low, close, 14), rtol=1e-12)


def test_a_displacement_is_a_body_in_terms_of_the_range_before_it(folded):
    prices = candles((10, 12, 10, 10), (10, 12, 10, 10), (10, 12, 10, 10), (10, 14, 10, 14), (14, 15, 8, 12))
    shown = folded(prices, Parameters(atr_period=2)).rows.displacement
    np.testing.assert_array_equal(shown, [np.nan, np.nan, np.nan, 2.0, 0.0])


def test_levels_are_those_of_the_day_and_the_week_before(folded):
    days = [(10 + day, 20 + day, 5 - day, 10 + day) for day in range(8) for _ in range(6)]
    rows = folded(candles(*days)).rows
    assert np.isnan(rows.previous_day_high[5])
    assert (rows.previous_day_high[6], rows.previous_day_low[6]) == (20, 5)
    assert np.isnan(rows.previous_week_high[41])
    assert (rows.previous_week_high[42], rows.previous_week_low[42]) == (26, -1)  # the eighth day is a Monday


def test_sessions_are_by_the_hour_of_the_open_and_keep_their_last_levels(folded):
    hours = candles(*((10, 20 + hour, 5 - hour, 10) for hour in range(30)), every_us=HOUR_US)
    rows = folded(hours, candle_us=HOUR_US).rows
    assert [hour for hour in range(24) if rows.session[hour] & 1] == list(range(9))
    assert [hour for hour in range(24) if rows.session[hour] & 2] == list(range(7, 16))
    assert [hour for hour in range(24) if rows.session[hour] & 4] == list(range(13, 22))
    assert (rows.asia_high[12], rows.london_high[12], rows.london_high[23]) == (28, 32, 35)
    assert (rows.new_york_high[24], rows.new_york_low[24]) == (41, -16)
    assert (rows.asia_high[24], rows.asia_low[24]) == (44, -19)  # a new day's session begins anew


def test_a_session_may_run_over_midnight(folded):
    hours = candles(*((10, 20 + hour, 5, 10) for hour in range(30)), every_us=HOUR_US)
    rows = folded(hours, Parameters(asia=(21, 6)), HOUR_US).rows
    assert [hour for hour in range(24) if rows.session[hour] & 1] == [0, 1, 2, 3, 4, 5, 21, 22, 23]
    assert rows.asia_high[26] == 46


# ---------------------------------------------------------------- memory and holes


def test_the_oldest_zone_is_forgotten_when_there_is_no_place(folded):
    stairs = candles(*((10 * step, 10 * step + 6, 10 * step, 10 * step + 6) for step in range(7)))
    found = zones(folded(stairs, Parameters(open_zones=2)), Kind.GAP)
    assert len(found) == 5
    assert [zone.why for zone in found] == [End.FORGOTTEN] * 3 + [End.NOT_YET] * 2
    assert found[0].ended_at == found[2].known_at


def test_after_a_hole_that_is_too_long_the_series_starts_anew(folded):
    prices = candles(*BLOCK, *GAP)
    prices.opened_at[5:] += 3 * CANDLE_US
    for allowed, restarted in ((3, False), (2, True)):
        result = folded(prices, Parameters(swing_before=1, swing_after=1, atr_period=2, restart_after=allowed))
        block = zones(result, Kind.BLOCK)[0]
        assert (block.why == End.RESTARTED) == restarted
        assert (result.rows.trend[5] == 0) == restarted
        assert np.isnan(result.rows.atr[6]) == restarted
    assert block.ended_at == prices.opened_at[5] + CANDLE_US
