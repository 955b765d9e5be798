"""Trades into candles: buckets, order, repeats, batches."""

from decimal import Decimal
from itertools import pairwise

import polars as pl
import pytest
from doses import examples
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from exchange.kraken.payloads import Trade
from exchange.kraken.rebuild import SPANS_NS, Rebuild, as_columns
from trading.errors import CheckFailed, InputUnusable

DAY_S = 86_400
QUARTER_S = 900


def trade(trade_id: int, at_s: str | int, price: str = "10", volume: str = "1") -> Trade:
    return Trade(Decimal(price), Decimal(volume), Decimal(at_s), "b", "l", "", trade_id)


def rebuilt(*batches: list[Trade], until_s: int = 10 * DAY_S, from_ns: int = 0) -> pl.DataFrame:
    rebuild = Rebuild(from_ns)
    return pl.concat([*(rebuild.add(as_columns(batch)) for batch in batches), rebuild.close(until_s * 10**9)])


def candles(frame: pl.DataFrame, timeframe: str = "15m") -> list[tuple[object, ...]]:
    return frame.filter(pl.col("timeframe") == timeframe).drop("timeframe").sort("opened_ns").rows()


def test_a_trade_belongs_to_the_interval_in_which_its_time_begins() -> None:
    frame = rebuilt([trade(1, "899.9999999"), trade(2, 900)])
    assert [row[0] for row in candles(frame)] == [0, QUARTER_S * 10**9]
    assert [row[0] for row in candles(frame, "1h")] == [0]


def test_opening_and_close_go_by_trade_id_even_when_times_are_equal() -> None:
    frame = rebuilt([trade(3, 1, "12"), trade(1, 1, "10"), trade(2, 1, "15")])
    assert candles(frame) == [(0, Decimal(10), Decimal(15), Decimal(10), Decimal(12), Decimal(3), 3)]


def test_a_repeated_trade_counts_once() -> None:
    first, second = trade(1, 1), trade(2, 2)
    assert candles(rebuilt([first, first, second], [second, trade(3, 3)])) == candles(
        rebuilt([first, second, trade(3, 3)])
    )


def test_an_interval_without_trades_has_no_candle() -> None:
    assert [row[0] for row in candles(rebuilt([trade(1, 0), trade(2, 3 * QUARTER_S)]))] == [0, 3 * QUARTER_S * 10**9]


def test_no_candle_comes_before_its_interval_has_ended() -> None:
    rebuild = Rebuild()
    assert rebuild.add(as_columns([trade(1, 0), trade(2, 899)])).is_empty()
    assert rebuild.close(899 * 10**9).is_empty()
    assert len(candles(rebuild.close(900 * 10**9))) == 1


def test_times_that_go_back_a_little_still_find_their_candle() -> None:
    frame = rebuilt([trade(1, 0)], [trade(2, "900.5", "11")], [trade(3, "899.9", "12")])
    assert [(row[0], row[4], row[6]) for row in candles(frame)] == [(0, 12, 2), (900 * 10**9, 11, 1)]


def test_a_trade_for_a_closed_candle_is_an_error() -> None:
    with pytest.raises(CheckFailed, match="closed before"):
        rebuilt([trade(1, 0)], [trade(2, 2000)], [trade(3, 10)])


def test_an_old_id_at_a_new_time_is_an_error() -> None:
    with pytest.raises(CheckFailed, match="id below 5"):
        rebuilt([trade(5, 0)], [trade(4, 10)])


def test_leaves_out_candles_that_opened_before_the_trades_are_complete() -> None:
    frame = rebuilt([trade(1, 1000), trade(2, 1900), trade(3, 4000)], from_ns=1000 * 10**9)
    assert [row[0] for row in candles(frame)] == [1800 * 10**9, 3600 * 10**9]
    assert [row[0] for row in candles(frame, "1h")] == [3600 * 10**9]


def test_volumes_beyond_a_trillion_and_prices_of_ten_decimals_stay_exact() -> None:
    volume, price = "1234567890123.12345678", "0.0000012345"
    (row,) = candles(rebuilt([trade(i, 1, price, volume) for i in range(1, 1001)]))
    assert row[1] == Decimal(price)
    assert row[5] == Decimal(volume) * 1000


@pytest.mark.parametrize("price", ["1.12345678901", "1000000000000000000"])
def test_a_number_that_does_not_fit_is_named_not_cut(price: str) -> None:
    with pytest.raises(InputUnusable, match="Trade 7: price"):
        as_columns([trade(7, 1, price)])


steps = st.tuples(st.integers(0, 3_000_000), st.integers(1, 10**6), st.integers(1, 10**12))


@examples(60)
@given(st.lists(steps, min_size=1, max_size=80), st.lists(st.integers(0, 80), max_size=6))
def test_batches_make_no_difference_and_every_candle_is_what_its_trades_say(steps, cuts) -> None:
    trades, at_ms = [], 0
    for number, (gap_ms, price, volume) in enumerate(steps, 1):
        at_ms += gap_ms
        trades.append(
            Trade(
                Decimal(price).scaleb(-5), Decimal(volume).scaleb(-8), Decimal(at_ms).scaleb(-3), "b", "l", "", number
            )
        )
    edges = sorted({0, *cuts, len(trades)})
    # Every batch begins with the last trade of the one before, as pages do.
    batches = [trades[max(0, a - 1) : b] for a, b in pairwise(edges)]
    frame = rebuilt(*batches)
    for timeframe, span_ns in SPANS_NS.items():
        assert candles(frame, timeframe) == expected(trades, span_ns)
    assert_frame_equal(rebuilt_by_heirs(batches), frame)


def rebuilt_by_heirs(batches: list[list[Trade]]) -> pl.DataFrame:
    """The same, where every batch is added by a rebuild that knows the one before only by its state."""
    state, parts = Rebuild().state(), []
    for batch in batches:
        heir = Rebuild.from_state(state)
        parts.append(heir.add(as_columns(batch)))
        state = heir.state()
    return pl.concat([*parts, Rebuild.from_state(state).close(10 * DAY_S * 10**9)])


def expected(trades: list[Trade], span_ns: int) -> list[tuple[object, ...]]:
    """The same, said as plainly as can be."""
    buckets: dict[int, list[Trade]] = {}
    for each in trades:
        buckets.setdefault(int(each.traded_s * 10**9) // span_ns * span_ns, []).append(each)
    return [
        (
            opened_ns,
            inside[0].price,
            max(each.price for each in inside),
            min(each.price for each in inside),
            inside[-1].price,
            sum(each.volume for each in inside),
            len(inside),
        )
        for opened_ns, inside in sorted(buckets.items())
    ]
