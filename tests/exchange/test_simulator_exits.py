"""The ways out, candle by candle: what a stop that moves, or a trade whose time is over, fills at.

The numbers are those of `test_simulator`: long from 10,000, the stop at 9,900, a lot and a tick are 1 USD together.
"""

import pytest
from doses import examples
from hypothesis import given
from hypothesis import strategies as st
from test_simulator import (
    BAR_US,
    CASH_E8,
    CENT,
    LONG,
    QUIET,
    RULES,
    SHORT,
    STEPS,
    close_of,
    mirrored,
    played,
    signal,
    simulator,
    told,
    upside_down,
    walked,
)

from exchange.rows import Candle, Costs, Fill
from trading.model import Role, Rules, equity_e8

BREAK_EVEN = RULES._replace(break_even=1)
TRAILING = RULES._replace(trailing_ppm=1_500_000)  # 150 ticks behind each close
TIMED = RULES._replace(max_holding_us=2 * BAR_US)
TWO = signal(targets=(100, 400))

STORIES = {
    "after the first target the stop waits at the entry": (
        BREAK_EVEN, TWO, [QUIET, (10_010, 10_120, 10_010, 10_100), (10_050, 10_060, 9_990, 10_000)],
        ["entry 100 at 10000", "target_1 50 at 10100", "stop 50 at 10000"],
    ),
    "one tick above the entry it waits on": (
        BREAK_EVEN, TWO, [QUIET, (10_010, 10_120, 10_010, 10_100), (10_050, 10_060, 10_001, 10_010)],
        ["entry 100 at 10000", "target_1 50 at 10100"],
    ),
    "the range of the target's own candle reaches it: nobody knows, and it is said": (
        BREAK_EVEN, TWO, [QUIET, (10_010, 10_120, 9_990, 10_100)],
        ["entry 100 at 10000", "target_1 50 at 10100", "stop 50 at 10000 ambiguous"],
    ),
    "… at its own price, though the candle opened beyond it": (
        BREAK_EVEN, TWO, [QUIET, (9_950, 10_120, 9_940, 10_100)],
        ["entry 100 at 10000", "target_1 50 at 10100", "stop 50 at 10000 ambiguous"],
    ),
    "the close beyond it is certain": (
        BREAK_EVEN, TWO, [QUIET, (10_010, 10_120, 9_980, 9_990)],
        ["entry 100 at 10000", "target_1 50 at 10100", "stop 50 at 10000"],
    ),
    "the first stop still comes before the target": (
        BREAK_EVEN, TWO, [QUIET, (10_010, 10_120, 9_890, 10_100)],
        ["entry 100 at 10000", "stop 100 at 9900 ambiguous"],
    ),
    "a short, at its entry": (
        BREAK_EVEN, signal(SHORT, targets=(100, 400)),
        [QUIET, (9_990, 9_990, 9_880, 9_900), (9_950, 10_010, 9_940, 10_000)],
        ["entry 100 at 10000", "target_1 50 at 9900", "stop 50 at 10000"],
    ),
    "a stop follows the closes, and fills a candle later": (
        TRAILING, signal(), [(10_000, 10_190, 9_950, 10_180), (10_170, 10_180, 10_030, 10_040)],
        ["entry 100 at 10000", "stop 100 at 10030"],
    ),
    "… not in the candle whose close it follows": (
        TRAILING, signal(), [(10_000, 10_190, 9_950, 10_180)], ["entry 100 at 10000"],
    ),
    "a gap through it trades at the open": (
        TRAILING, signal(), [(10_000, 10_190, 9_950, 10_180), (9_980, 9_990, 9_970, 9_990)],
        ["entry 100 at 10000", "stop 100 at 9980"],
    ),
    "a trade whose time is over leaves at the next open": (
        TIMED, signal(), [QUIET, QUIET, QUIET, (10_020, 10_300, 9_800, 10_000)],
        ["entry 100 at 10000", "exit 100 at 10020"],
    ),
    "a candle before, it stays": (TIMED, signal(), [QUIET, QUIET, (10_020, 10_030, 9_950, 10_000)], [
        "entry 100 at 10000",
    ]),
}  # fmt: skip


@pytest.mark.parametrize(("rules", "proposal", "bars", "expected"), STORIES.values(), ids=STORIES.keys())
def test_a_signal_and_these_candles_make_these_fills(rules, proposal, bars, expected):
    assert told(played(*bars, proposal=proposal, rules=rules)) == expected


@st.composite
def ways_out(draw: st.DrawFn) -> Rules:
    """Rules with exits of all kinds. Sizes are the venue's maximum: they don't depend on the price."""
    return RULES._replace(
        maximum_lots=7,
        break_even=draw(st.sampled_from([0, 1])),
        trailing_ppm=draw(st.sampled_from([0, 500_000, 1_000_000, 2_500_000])),
        max_holding_us=draw(st.sampled_from([0, 1, 2 * BAR_US, 5 * BAR_US])),
    )


@examples(60)
@given(steps=st.lists(STEPS, min_size=2, max_size=40), side=st.sampled_from([LONG, SHORT]), rules=ways_out())
def test_mirrored_prices_make_mirrored_trades(steps, side, rules):
    candles = walked(steps)
    ours = traded(candles, side, rules)
    theirs = traded([upside_down(one) for one in candles], -side, rules)
    assert [mirrored(fill) for fill in ours[0]] == theirs[0]
    assert ours[1] == theirs[1]


@examples(60)
@given(
    steps=st.lists(STEPS, min_size=2, max_size=40),
    side=st.sampled_from([LONG, SHORT]),
    rules=ways_out(),
    factor=st.integers(2, 50),
)
def test_scaled_prices_make_the_same_trades_and_scaled_profit(steps, side, rules, factor):
    """Without fees: those and slippage are rounded up, to 1e-8 USD and to ticks."""
    candles = walked(steps)
    ours, equity = traded(candles, side, rules)
    theirs, scaled_equity = traded([stretched(one, factor) for one in candles], side, rules, factor)
    assert [(fill.at, fill.role, fill.lots, fill.price * factor) for fill in ours] == [
        (fill.at, fill.role, fill.lots, fill.price) for fill in theirs
    ]
    assert scaled_equity - CASH_E8 == factor * (equity - CASH_E8)


@examples(60)
@given(steps=st.lists(STEPS, min_size=2, max_size=40), side=st.sampled_from([LONG, SHORT]), rules=ways_out())
def test_the_books_balance_whatever_way_a_trade_is_left(steps, side, rules):
    candles = walked(steps)
    fills, equity = traded(candles, side, rules)
    assert [fill.at for fill in fills] == sorted(fill.at for fill in fills)
    money = sum(-fill.side * fill.lots * fill.price for fill in fills) * CENT
    held = sum(fill.side * fill.lots for fill in fills)
    assert equity == CASH_E8 + money + held * candles[-1].close * CENT


def test_a_stop_that_moved_slips_like_any_other():
    bars = [QUIET, (10_010, 10_120, 9_990, 10_100)]
    *_, stop = played(*bars, proposal=TWO, rules=BREAK_EVEN, costs=Costs(slippage_ppm=1_000, latency_us=1))
    assert (Role(stop.role), stop.price, stop.slippage_e8) == (Role.STOP, 9_999, 50 * 11 * CENT)


def test_a_trade_is_left_a_latency_after_the_open():
    *_, out = played(QUIET, QUIET, QUIET, QUIET, rules=TIMED)
    assert (Role(out.role), out.at) == (Role.EXIT, close_of(3) + 250_000)


def traded(candles: list[Candle], side: int, rules: Rules, factor: int = 1) -> tuple[list[Fill], int]:
    """A signal at every close, on alternating sides, all distances times `factor`: all fills, and the equity."""
    market = simulator(rules=rules._replace(max_notional_ppm=40_000_000, risk_ppm=1_000_000))
    fills: list[Fill] = []
    for bar, one in enumerate(candles):
        towards = side if bar % 3 else -side
        targets = (60 * factor, 130 * factor)
        proposal = signal(towards, bar=bar, stop=factor * (50 + bar % 5 * 20), targets=targets, price=one.close)
        fills += market.advance([one], [proposal]).fills
    return fills, equity_e8(market.account)


def stretched(one: Candle, factor: int) -> Candle:
    return one._replace(**{name: factor * getattr(one, name) for name in ("open", "high", "low", "close")})
