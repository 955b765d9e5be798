"""When the venue closes a position, and at what price: Kraken's Equity Protection Process, its first step.

It begins when the account's equity falls below its maintenance margin, judged at the mark price. An order that takes
the market is sent, limited at the price at which nothing would be left; what does not trade there is assigned at that
price, so the account never owes (support.kraken.com, "Equity Protection Process"). The whole position goes at once
here; the venue closes linear contracts in parts since March 2026, in steps that it does not publish.
"""

from exchange.book import NO_ORDER, Order
from exchange.matching import stop_touched
from exchange.rows import Candle
from trading.compiled import rule
from trading.model import Account, Rules, Slot, equity_e8
from trading.rules.accounting import notional_e8


@rule
def liquidation_order(account: Account, slot: Slot, candle: Candle, rules: Rules) -> Order:
    """The venue's order inside a candle, that waits for the mark as a stop does; NO_ORDER if it is not reached.

    Other instruments stand where they were last seen. An account that is below its margin already, as when several have
    fallen together, waits for nothing: whichever instrument has a candle next goes at its open.
    """
    if slot.lots == 0 or rules.maintenance_ppm == 0:
        return NO_ORDER
    if equity_e8(account) < account.maintenance_e8:
        at_once = max(candle.mark_high, candle.open) if slot.side > 0 else min(candle.mark_low, candle.open)
        return Order(-slot.side, slot.lots, at_once, slot.signal_at, 0, 0)
    level = liquidation_price(account, slot, rules)
    if level < 1 or not stop_touched(-slot.side, level, candle.mark_high, candle.mark_low):
        return NO_ORDER
    return Order(-slot.side, slot.lots, level, slot.signal_at, 0, 0)


@rule
def jumped_over(liquidation: Order, candle: Candle) -> bool:
    """Whether the candle opens where the position can't be held any more."""
    return liquidation.lots > 0 and stop_touched(liquidation.side, liquidation.price, candle.open, candle.open)


@rule
def liquidation_price(account: Account, slot: Slot, rules: Rules) -> int:
    """The first mark at which equity is below the maintenance margin; below 1 if there is none."""
    room = equity_e8(account) - account.maintenance_e8
    return slot.last_price - slot.side * (room // notional_e8(1, slot.lots, rules) + 1)


@rule
def bankruptcy_price(account: Account, slot: Slot, rules: Rules) -> int:
    """The last price at which equity is not below zero. Expects an equity that is not."""
    return slot.last_price - slot.side * (equity_e8(account) // notional_e8(1, slot.lots, rules))


@rule
def comes_first(liquidation: Order, stop: Order, candle: Candle) -> bool:
    """Whether the mark meets the liquidation before the stop: it is nearer, there is no stop to meet, or the market
    jumps over both."""
    if (
        jumped_over(liquidation, candle)
        or stop.lots == 0
        or not stop_touched(stop.side, stop.price, candle.mark_high, candle.mark_low)
    ):
        return True
    return stop.side * (liquidation.price - stop.price) < 0
