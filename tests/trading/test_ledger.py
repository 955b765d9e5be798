"""Fills to trades, to the last 1e-8 USD."""

from typing import NamedTuple

from doses import examples
from hypothesis import given
from hypothesis import strategies as st

from trading.ledger import ExitReason, LastPrice, Trade, trades_of
from trading.model import Role

UNIT_E8 = 10_000  # 0.0001 BTC times 1 USD
LAST = LastPrice(900, 100)


class Fill(NamedTuple):
    at: int
    instrument: int
    role: int
    side: int
    lots: int
    price: int
    fee_e8: int = 0
    slippage_e8: int = 0
    spread_e8: int = 0
    signal_at: int = 0
    ambiguous: int = 0
    stop_price: int = 0
    target_price: int = 0


def ledger(*fills: Fill, last: LastPrice = LAST) -> tuple[Trade, ...]:
    return trades_of(fills, [last, last], [UNIT_E8, UNIT_E8])


def test_a_long_that_reaches_its_target():
    (trade,) = ledger(
        Fill(
            10, 0, Role.ENTRY, 1, 5, 100, fee_e8=300, slippage_e8=50_000, signal_at=9, stop_price=90, target_price=120
        ),
        Fill(20, 0, Role.TARGET_1, -1, 5, 120, fee_e8=400, signal_at=9),
    )
    assert trade == Trade(
        instrument=0, side=1, lots=5, signal_at=9, entered_at=10, entry_notional_e8=5_000_000, stop_price=90,
        target_price=120, exited_at=20, exit_notional_e8=6_000_000, exit_reason=ExitReason.TARGET, fees_e8=700,
        slippage_e8=50_000, ambiguous=False, lowest_price=100, highest_price=120,
    )  # fmt: skip
    assert trade.net_e8 == 1_000_000 - 700
    assert trade.gross_e8 == 1_000_000 + 50_000


def test_a_short_that_is_stopped_in_an_ambiguous_candle():
    (trade,) = ledger(
        Fill(10, 1, Role.ENTRY, -1, 3, 100, fee_e8=150, signal_at=9, stop_price=105, target_price=90),
        Fill(30, 1, Role.STOP, 1, 3, 106, fee_e8=159, slippage_e8=30_000, signal_at=9, ambiguous=1),
    )
    assert (trade.exit_reason, trade.ambiguous, trade.side) == (ExitReason.STOP, True, -1)
    assert trade.net_e8 == -3 * 6 * UNIT_E8 - 309


def test_partial_targets_and_the_stop_of_the_rest_are_one_trade():
    (trade,) = ledger(
        Fill(10, 0, Role.ENTRY, 1, 10, 100, signal_at=9),
        Fill(20, 0, Role.TARGET_1, -1, 4, 110, signal_at=9),
        Fill(30, 0, Role.STOP, -1, 6, 95, signal_at=9),
    )
    assert trade.lots == 10
    assert trade.exit_notional_e8 == (4 * 110 + 6 * 95) * UNIT_E8
    assert (trade.lowest_price, trade.highest_price) == (95, 110)
    assert (trade.exited_at, trade.exit_reason) == (30, ExitReason.STOP)


def test_a_trade_that_the_data_ends_on_is_valued_at_the_last_price():
    (trade,) = ledger(
        Fill(10, 0, Role.ENTRY, 1, 10, 100, fee_e8=7, signal_at=9),
        Fill(20, 0, Role.TARGET_1, -1, 4, 110, fee_e8=3, signal_at=9),
        last=LastPrice(900, 105),
    )
    assert (trade.exited_at, trade.exit_reason) == (900, ExitReason.END)
    assert trade.net_e8 == (4 * 10 + 6 * 5) * UNIT_E8 - 10
    assert (trade.lowest_price, trade.highest_price) == (100, 110)


def test_an_exit_of_our_own_is_neither_stop_nor_target():
    (trade,) = ledger(Fill(10, 0, Role.ENTRY, 1, 1, 100, signal_at=9), Fill(11, 0, Role.EXIT, -1, 1, 99, signal_at=9))
    assert trade.exit_reason == ExitReason.EXIT


def test_instruments_that_trade_at_once_are_kept_apart_in_the_order_of_entry():
    trades = ledger(
        Fill(10, 1, Role.ENTRY, 1, 1, 100, signal_at=9),
        Fill(10, 0, Role.ENTRY, -1, 2, 50, signal_at=9),
        Fill(20, 0, Role.STOP, 1, 2, 60, signal_at=9),
        Fill(30, 0, Role.ENTRY, 1, 3, 70, signal_at=29),
    )
    assert [(trade.instrument, trade.lots, trade.exit_reason) for trade in trades] == [
        (1, 1, "end"),
        (0, 2, "stop"),
        (0, 3, "end"),
    ]


def test_no_fills_are_no_trades():
    assert ledger() == ()


prices = st.integers(1, 10**6)


@examples(60)
@given(
    st.lists(
        st.tuples(st.sampled_from([1, -1]), st.integers(1, 10**6), prices, prices, st.integers(0, 1000), st.booleans()),
        max_size=8,
    ),
    prices,
)
def test_the_books_balance(plans, last_price):
    """Net results of all trades are the cash that the fills moved, and the value of what is still held."""
    fills, cash_e8, held_lots = [], 0, 0
    for number, (side, lots, entry, leave, fee, is_closed) in enumerate(plans):
        legs = [(Role.ENTRY, side, entry), (Role.STOP, -side, leave)][: 1 + is_closed]
        for role, leg_side, price in legs:
            fills.append(Fill(number * 10 + role, 0, role, leg_side, lots, price, fee_e8=fee, signal_at=number))
            cash_e8 -= leg_side * lots * price * UNIT_E8 + fee
            held_lots += leg_side * lots
    trades = ledger(*fills, last=LastPrice(900, last_price))
    assert sum(trade.net_e8 for trade in trades) == cash_e8 + held_lots * last_price * UNIT_E8
