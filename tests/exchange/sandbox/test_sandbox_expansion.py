"""Candles become trades, exactly."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from doses import examples
from hypothesis import given
from hypothesis import strategies as st

from exchange.sandbox.market.bars import as_bars, gathered, grouped, rows_of
from exchange.sandbox.market.expansion import (
    FEWEST_MOMENTS,
    MOST_AT_ONCE,
    busiest,
    grid,
    refuse_infeasible,
    sketched,
    spread,
)
from exchange.sandbox.market.facts import listed
from exchange.sandbox.market.model import SourceCandle, Trades
from exchange.sandbox.market.sources import candles_of
from exchange.sandbox.market.spot import columns_of
from exchange.sandbox.units import DAY_NS, HOUR_NS, MINUTE_NS
from trading.errors import InputUnusable

SAMPLE = Path(__file__).parents[3] / "data" / "sample"
SPAN_NS = 15 * MINUTE_NS
SPANS_MIN = [15, 30, 60, 240, 720, 1440]
KEY = 7


@st.composite
def candles(draw: st.DrawFn, opened_ns: int = 0) -> SourceCandle:
    """Any candle for which there is a sequence of trades."""
    low = draw(st.integers(1, 2**31))
    high = low + draw(st.one_of(st.just(0), st.integers(0, 3), st.integers(0, 2**31)))
    edges = st.sampled_from([low, high]) | st.integers(low, high)
    open_, close = draw(edges), draw(edges)
    needed = 1 if low == high else 2 + (high not in (open_, close)) + (low not in (open_, close))
    trades = needed + draw(st.integers(0, 3) | st.integers(0, 700))
    volume = trades + draw(st.integers(0, 5) | st.integers(0, 10**17))
    return SourceCandle("BTC/USD", opened_ns, SPAN_NS, open_, high, low, close, volume, trades)


def expanded(candle: SourceCandle, moments: int = 16) -> Trades:
    refuse_infeasible(candle, moments)
    return spread(sketched(columns_of([candle]), KEY, candle.span_ns, moments), 0)


def candle_from(trades: Trades, like: SourceCandle) -> SourceCandle:
    price = trades.price.tolist()
    return like._replace(
        open=price[0], high=max(price), low=min(price), close=price[-1], volume=sum(trades.volume.tolist()),
        trades=len(price),
    )  # fmt: skip


@given(candles(), st.integers(FEWEST_MOMENTS, 40))
def test_trades_add_up_to_their_candle_exactly(candle: SourceCandle, moments: int) -> None:
    trades = expanded(candle, moments)
    assert candle_from(trades, candle) == candle
    assert min(trades.volume.tolist()) >= 1


@given(candles(opened_ns=DAY_NS), st.sampled_from(SPANS_MIN), st.sampled_from([4, 16, 90]))
def test_trades_lie_inside_their_candle_at_rising_times(candle: SourceCandle, minutes: int, moments: int) -> None:
    candle = candle._replace(span_ns=minutes * MINUTE_NS)
    times = expanded(candle, moments).time_ns
    assert times[0] >= candle.opened_ns
    assert times[-1] < candle.opened_ns + candle.span_ns
    assert (np.diff(times) >= 1_000).all()


@given(candles(opened_ns=DAY_NS), st.sampled_from([4, 16, 90]))
def test_trades_of_one_taker_may_share_the_time_of_his_last_and_are_the_same_otherwise(
    candle: SourceCandle, number: int
) -> None:
    moments = sketched(columns_of([candle]), KEY, SPAN_NS, number)
    apart, together = spread(moments, 0), spread(moments, 0, at_once=True)
    assert all(np.array_equal(one, other) for one, other in zip(apart[1:], together[1:], strict=True))
    owner = np.repeat(np.arange(len(moments.trades)), moments.trades)
    is_one = np.repeat(moments.trades <= MOST_AT_ONCE, moments.trades) & (together.time_ns == moments.at_ns[owner])
    assert np.array_equal(together.time_ns[~is_one], apart.time_ns[~is_one])
    assert (np.diff(together.time_ns) >= 0).all()
    assert np.unique(together.time_ns, return_counts=True)[1].max() <= MOST_AT_ONCE


@pytest.mark.parametrize("number", [16, 90])
@pytest.mark.parametrize("minutes", [1, 5, 15, 30, 60, 240, 720, 1440])
def test_the_busiest_candle_keeps_each_moment_in_its_minute(minutes: int, number: int) -> None:
    most = min(busiest(minutes * MINUTE_NS, number), 300_000)
    candle = SourceCandle("BTC/USD", 0, minutes * MINUTE_NS, 5, 9, 1, 5, 10**12, most)
    moments = sketched(columns_of([candle]), KEY, candle.span_ns, number)
    trades = expanded(candle, number)
    assert (np.diff(trades.time_ns) >= 1_000).all()
    owner = np.repeat(moments.at_ns, moments.trades)
    assert np.array_equal(trades.time_ns // MINUTE_NS, owner // MINUTE_NS)


@pytest.mark.parametrize("minutes", SPANS_MIN)
def test_there_is_room_before_each_moment_however_many_there_are(minutes: int) -> None:
    span_ns = minutes * MINUTE_NS
    for number in range(FEWEST_MOMENTS, 91):
        at_ns = grid(span_ns, number)
        assert at_ns[-1] < span_ns
        assert np.diff(at_ns, prepend=0).min() >= busiest(span_ns, number) * 9_000
        assert (at_ns % MINUTE_NS).min() >= busiest(span_ns, number) * 1_000
        assert busiest(span_ns, number) >= 50_000


def test_moments_of_15_minutes_lie_where_they_always_lay() -> None:
    step_ns = SPAN_NS // 16
    assert grid(SPAN_NS, 16).tolist() == [number * step_ns - step_ns // 8 for number in range(1, 17)]


def test_more_trades_than_there_is_room_for_before_one_moment_are_refused() -> None:
    most = busiest(4 * HOUR_NS, 90)
    candle = SourceCandle("BTC/USD", 0, 4 * HOUR_NS, 5, 9, 1, 5, 10**12, most)
    refuse_infeasible(candle, 90)
    with pytest.raises(InputUnusable, match="do not fit into its span"):
        refuse_infeasible(candle._replace(trades=most + 1), 90)


@given(candles())
@examples(60)
def test_each_moment_is_one_taker_who_sweeps_one_way(candle: SourceCandle) -> None:
    moments = sketched(columns_of([candle]), KEY, SPAN_NS, 16)
    trades, start = spread(moments, 0), 0
    for number, is_buy in zip(moments.trades.tolist(), moments.is_buy.tolist(), strict=True):
        way = np.diff(trades.price[start : start + number])
        assert (way >= 0).all() if is_buy else (way <= 0).all()
        assert set(trades.is_buy[start : start + number].tolist()) == {is_buy}
        start += number


@given(st.lists(candles(), min_size=1, max_size=6), st.integers(0, 2**64 - 1))
@examples(60)
def test_a_candle_expands_alike_in_whatever_batch(shapes: list[SourceCandle], key: int) -> None:
    batch = [candle._replace(opened_ns=number * SPAN_NS) for number, candle in enumerate(shapes)]
    together = spread(sketched(columns_of(batch), key, SPAN_NS, 16), 0)
    alone = [spread(sketched(columns_of([candle]), key, SPAN_NS, 16), 0) for candle in batch]
    for column in ("time_ns", "price", "volume", "is_buy", "is_market"):
        assert np.array_equal(getattr(together, column), np.concatenate([getattr(one, column) for one in alone]))


@given(candles())
def test_turnover_is_known_without_the_trades(candle: SourceCandle) -> None:
    moments = sketched(columns_of([candle]), KEY, SPAN_NS, 16)
    bar = as_bars(gathered(rows_of(moments), np.array([0]), moments.at_ns))[0]
    trades = spread(moments, 0)
    assert bar.turnover == sum(p * v for p, v in zip(trades.price.tolist(), trades.volume.tolist(), strict=True))
    assert (bar.open, bar.high, bar.low, bar.close) == candle[3:7]


@given(candles(), st.sampled_from([1, 5, 15, 60]))
@examples(60)
def test_bars_of_moments_equal_bars_of_trades(candle: SourceCandle, minutes: int) -> None:
    moments = sketched(columns_of([candle]), KEY, SPAN_NS, 16)
    trades = spread(moments, 0)
    bars = as_bars(grouped(rows_of(moments), minutes * MINUTE_NS))
    opened = trades.time_ns // (minutes * MINUTE_NS) * (minutes * MINUTE_NS)
    assert [bar.opened_ns for bar in bars] == sorted(set(opened.tolist()))
    for bar in bars:
        price, volume = trades.price[opened == bar.opened_ns], trades.volume[opened == bar.opened_ns]
        assert (bar.open, bar.high, bar.low, bar.close) == (price[0], price.max(), price.min(), price[-1])
        assert (bar.volume, bar.trades) == (volume.sum(), len(price))


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"trades": 3}, "its prices need 4 trades and it has 3"),
        ({"trades": 0}, "its prices need 4 trades and it has 0"),
        ({"high": 95}, "open or close lies outside"),
        ({"low": 0}, "its prices are not above 0"),
        ({"volume": 9}, "less than 1e-8 for each of its 10 trades"),
        ({"trades": 10**9, "volume": 10**10}, "do not fit into its span"),
        ({"high": 2**40}, "the highest possible"),
        ({"volume": 2**58}, "its volume is"),
        ({"high": 2**33, "volume": 2**57}, "its turnover is beyond"),
        ({"span_ns": 0}, "its span is 0 ns"),
    ],
)
def test_a_candle_without_a_solution_is_refused_by_name(wrong: dict[str, int], reason: str) -> None:
    candle = SourceCandle("ETH/USD", 1_672_531_200_000_000_000, SPAN_NS, 100, 110, 90, 105, 10**8, 10)
    with pytest.raises(InputUnusable, match=reason) as refusal:
        refuse_infeasible(candle._replace(**wrong), 16)
    assert "ETH/USD opened at 1672531200000000000 ns" in str(refusal.value)


def test_a_thin_candle_may_be_a_single_trade() -> None:
    candle = SourceCandle("ETH/USD", 0, SPAN_NS, 100, 100, 100, 100, 1, 1)
    trades = expanded(candle)
    assert (trades.price.tolist(), trades.volume.tolist(), trades.trade_id.tolist()) == ([100], [1], [1])


@pytest.mark.parametrize("candles", [3_000, pytest.param(20_000, marks=pytest.mark.deep)])  # of 17,364 and 17,363
def test_every_sample_candle_of_15_minutes_is_reproduced_exactly(candles: int) -> None:
    pairs, _ = listed(["BTC/USD", "ETH/USD"])
    for pair, name in zip(pairs, ("XBTUSD_15.csv", "ETHUSD_15.csv"), strict=True):
        fed = list(islice(candles_of({SAMPLE / name: pair}, 15), candles))
        for candle in fed:
            refuse_infeasible(candle, 16)
        columns = columns_of(fed)
        trades = spread(sketched(columns, KEY, SPAN_NS, 16), 0)
        ends = columns.trades.cumsum()
        starts = ends - columns.trades
        assert len(trades.price) == ends[-1]
        assert np.array_equal(trades.price[starts], columns.open)
        assert np.array_equal(np.maximum.reduceat(trades.price, starts), columns.high)
        assert np.array_equal(np.minimum.reduceat(trades.price, starts), columns.low)
        assert np.array_equal(trades.price[ends - 1], columns.close)
        assert np.array_equal(np.add.reduceat(trades.volume, starts), columns.volume)
        assert np.array_equal(trades.time_ns[starts] // SPAN_NS, columns.opened_ns // SPAN_NS)
        assert np.array_equal(trades.time_ns[ends - 1] // SPAN_NS, columns.opened_ns // SPAN_NS)
