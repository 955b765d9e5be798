"""How far the market went against a trade, and for it, while it was open."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trading.ledger import ExitReason, Trade
from trading.metrics.excursions import Ranges, excursions_of

UNIT_E8 = 10_000
#                 closes:        10   20   30   40   50
RANGES = Ranges(
    np.array([10, 20, 30, 40, 50]), high=np.array([105, 109, 125, 111, 190]), low=np.array([99, 80, 95, 97, 10]),
    close=np.array([104, 101, 96, 99, 60]),
)  # fmt: skip


def trade(side: int, entered_at: int, exited_at: int, entry: int, leave: int, instrument: int = 0) -> Trade:
    return Trade(
        instrument=instrument, side=side, lots=3, signal_at=0, entered_at=entered_at,
        entry_notional_e8=3 * entry * UNIT_E8, stop_price=0, target_price=0, exited_at=exited_at,
        exit_notional_e8=3 * leave * UNIT_E8, exit_reason=ExitReason.EXIT, fees_e8=0, slippage_e8=0, ambiguous=False,
        lowest_price=min(entry, leave), highest_price=max(entry, leave),
    )  # fmt: skip


def ticks(*trades: Trade, ranges=RANGES) -> list[tuple[float, float]]:
    """Against and for each trade, in ticks of its price."""
    found = excursions_of(trades, [ranges, ranges], [UNIT_E8, UNIT_E8])
    columns = (found.adverse_e8.tolist(), found.favourable_e8.tolist())
    return [(against / 3 / UNIT_E8, gained / 3 / UNIT_E8) for against, gained in zip(*columns, strict=True)]


def test_candles_between_entry_and_exit_count_whole():
    assert ticks(trade(1, 11, 31, 100, 110)) == [(20, 25)]
    assert ticks(trade(-1, 11, 31, 100, 110)) == [(25, 20)]


def test_the_candle_of_the_exit_counts_with_the_exit_alone():
    assert ticks(trade(1, 31, 49, 100, 150)) == [(3, 50)]  # never the 10 or the 190 of the fifth candle
    assert ticks(trade(1, 31, 50, 100, 150)) == [(90, 90)]  # valued at the last close: all of it was lived through


def test_a_trade_inside_one_candle_knows_its_own_prices_only():
    assert ticks(trade(1, 11, 19, 100, 92)) == [(8, 0)]
    assert ticks(trade(-1, 11, 19, 100, 92)) == [(0, 8)]


def test_of_the_candle_that_an_entry_filled_inside_only_the_close_is_for_it():
    assert ticks(trade(1, 19, 25, 100, 99)) == [(20, 1)]  # bought on the way down to 80, closed at 101; 109 was before
    assert ticks(trade(-1, 19, 25, 100, 100)) == [(9, 0)]  # sold on the way up to 109; 80 was before
    assert ticks(trade(-1, 29, 31, 100, 100)) == [(25, 4)]
    assert ticks(trade(1, 19, 35, 100, 99)) == [(20, 25)]  # the next candle is its own, all of it


def test_trades_keep_their_order_whatever_their_instruments():
    first, second, third = trade(1, 11, 31, 100, 110, 1), trade(1, 31, 49, 100, 150, 0), trade(-1, 11, 19, 100, 92, 1)
    assert ticks(first, second, third) == [(20, 25), (3, 50), (0, 8)]
    assert ticks() == []


prices, times = st.integers(1, 10**9), st.integers(0, 60)


@given(st.lists(st.tuples(st.sampled_from([1, -1]), times, times, prices, prices), max_size=8))
def test_excursions_equal_the_slow_obvious_ones(plans):
    trades = [trade(side, min(a, b), max(a, b), entry, leave) for side, a, b, entry, leave in plans]
    for one, found in zip(trades, ticks(*trades), strict=True):
        seen = [one.lowest_price, one.highest_price]
        for closed_at, high, low, close in zip(*RANGES, strict=True):
            if one.entered_at + 1 == closed_at <= one.exited_at:
                seen += [int(low if one.side > 0 else high), int(close)]
            elif one.entered_at < closed_at <= one.exited_at:
                seen += [int(high), int(low)]
        moves = [one.side * (price - one.entry_notional_e8 // 3 // UNIT_E8) for price in seen]
        assert found == (-min(moves), max(moves))
