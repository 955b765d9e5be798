"""Whether an order fills, at what price, at what cost: by example, and against fractions."""

from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.matching import (
    fee_e8,
    limit_passed,
    limit_touched,
    market_price,
    slippage_ticks,
    stop_reference,
    stop_touched,
)
from trading.model import PPM

BUY, SELL = 1, -1
PRICES = st.integers(1, 10**9)
SIDES = st.sampled_from([BUY, SELL])
SHARES = st.integers(0, PPM)


@pytest.mark.parametrize(
    ("side", "price", "slippage_ppm", "expected"),
    [
        (BUY, 10_000, 0, 10_000),
        (BUY, 10_000, 100, 10_001),
        (SELL, 10_000, 100, 9_999),
        (BUY, 10_001, 100, 10_003),  # 1.0001 ticks are two: the worse side
        (SELL, 10_001, 100, 9_999),
        (BUY, 5, 1, 6),  # the smallest slippage is a tick
        (SELL, 1, 1, 1),  # there is no price below a tick
        (SELL, 10, PPM, 1),
    ],
)
def test_a_market_order_slips_to_its_worse_side(side, price, slippage_ppm, expected):
    assert market_price(side, price, slippage_ppm, 0) == expected


@pytest.mark.parametrize(
    ("side", "trigger", "opened", "expected"),
    [(SELL, 100, 105, 100), (SELL, 100, 97, 97), (BUY, 100, 95, 100), (BUY, 100, 103, 103), (BUY, 100, 100, 100)],
)
def test_a_stop_trades_at_its_trigger_or_where_the_market_gapped_to(side, trigger, opened, expected):
    assert stop_reference(side, trigger, opened) == expected


@pytest.mark.parametrize(
    ("side", "price", "stop", "limit"),
    [
        (BUY, 111, False, True),
        (BUY, 110, True, True),
        (BUY, 90, True, True),
        (BUY, 89, True, False),
        (SELL, 111, True, False),
        (SELL, 110, True, True),
        (SELL, 90, True, True),
        (SELL, 89, False, True),
    ],
)
def test_a_candle_from_90_to_110_touches(side, price, stop, limit):
    assert stop_touched(side, price, 110, 90) is stop
    assert limit_touched(side, price, 110, 90) is limit


@pytest.mark.parametrize(
    ("notional_e8", "fee_ppm", "expected"),
    [(10_000, 500, 5), (10_001, 500, 6), (1, 1, 1), (0, 500, 0), (PPM, 0, 0), (10_001, -200, -2)],
)
def test_a_fee_is_rounded_up_and_a_rebate_towards_less(notional_e8, fee_ppm, expected):
    assert fee_e8(notional_e8, fee_ppm) == expected


@given(side=SIDES, price=PRICES, slippage_ppm=SHARES)
def test_slippage_costs_its_share_and_less_than_a_tick_more(side, price, slippage_ppm):
    exact = Fraction(price * slippage_ppm, PPM)
    assert slippage_ticks(price, slippage_ppm) == ceil(exact)
    assert market_price(side, price, slippage_ppm, 0) == max(1, price + side * ceil(exact))


@given(notional_e8=st.integers(0, 4 * 10**18), fee_ppm=st.integers(-10_000, 10_000))
def test_a_fee_is_its_share_rounded_against_us(notional_e8, fee_ppm):
    assert fee_e8(notional_e8, fee_ppm) == ceil(Fraction(notional_e8 * fee_ppm, PPM))


@given(side=SIDES, level=PRICES, opened=PRICES, prices=st.tuples(PRICES, PRICES))
def test_a_stop_fills_inside_the_candle_and_never_better_than_its_trigger(side, level, opened, prices):
    low, high = min(opened, *prices), max(opened, *prices)
    if stop_touched(side, level, high, low):
        price = stop_reference(side, level, opened)
        assert low <= price <= high
        assert side * price >= side * level


@given(side=SIDES, level=PRICES, high=PRICES, low=PRICES)
def test_a_stop_and_a_limit_at_one_price_are_touched_from_opposite_sides(side, level, high, low):
    assert stop_touched(side, level, high, low) == limit_touched(-side, level, high, low)


@given(side=SIDES, level=st.integers(1, 999), opened=st.integers(1, 999), high=st.integers(1, 999))
def test_a_mirrored_market_fills_at_mirrored_prices(side, level, opened, high):
    low = min(high, opened)
    high = max(high, opened)
    assert limit_touched(side, level, high, low) == limit_touched(-side, 1000 - level, 1000 - low, 1000 - high)
    assert stop_touched(side, level, high, low) == stop_touched(-side, 1000 - level, 1000 - low, 1000 - high)
    assert 1000 - stop_reference(side, level, opened) == stop_reference(-side, 1000 - level, 1000 - opened)


@pytest.mark.parametrize(
    ("side", "high", "low", "passed"),
    [(BUY, 10, 5, False), (BUY, 10, 4, True), (BUY, 4, 4, True), (SELL, 5, 1, False), (SELL, 6, 1, True)],
)
def test_a_limit_is_passed_a_tick_beyond_it(side, high, low, passed):
    assert limit_passed(side, 5, high, low) == passed


@given(side=SIDES, limit=PRICES, high=PRICES, low=PRICES)
def test_what_passes_a_limit_touches_it(side, limit, high, low):
    assert not limit_passed(side, limit, high, low) or limit_touched(side, limit, high, low)
