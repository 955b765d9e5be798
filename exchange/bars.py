"""What a candle does to the orders of its instrument: which one trades next, at what price, and how sure that is.

The story that asks, and what it takes for granted, is in `exchange.simulator`.
"""

from exchange.book import Book, Order
from exchange.liquidation import bankruptcy_price, comes_first, jumped_over
from exchange.matching import (
    fee_e8,
    half_spread_ticks,
    limit_passed,
    limit_touched,
    market_price,
    range_slippage_ppm,
    size_slippage_ppm,
    stop_reference,
    stop_touched,
    total_slippage_ppm,
    tradeable_lots,
)
from exchange.rows import Candle, Costs, Fill
from trading.compiled import rule
from trading.model import NO_EVENT, Account, Event, EventKind, Role, Rules, Slot, equity_e8
from trading.rules.accounting import notional_e8

AT_OPEN, INSIDE, CLOSED = 0, 1, 2  # the stages of a candle; orders trade in the first two


@rule
def next_role(book: Book, candle: Candle, stage: int, liquidation: Order) -> int:
    """Role of the order that trades next in this stage of the candle, as things stand; 0 when none does.

    Of a target inside the candle nobody knows whether it came before a liquidation: assumed not.
    """
    if stage == AT_OPEN:
        role = order_at_open(book, candle)
        return Role.LIQUIDATION.value if role == Role.EXIT and jumped_over(liquidation, candle) else role
    role = touched_order(book, candle)
    if liquidation.lots == 0 or (role >= Role.TARGET_1 and role == target_passed(book, candle)):
        return role
    return Role.LIQUIDATION.value if comes_first(liquidation, book[Role.STOP.value], candle) else role


@rule
def order_of(role: int, book: Book, liquidation: Order) -> Order:
    """The order of that role: one of ours, or the venue's own."""
    return liquidation if role == Role.LIQUIDATION else book[role]


@rule
def order_at_open(book: Book, candle: Candle) -> int:
    """Role of an order that takes the open; 0 is none. An entry takes none that comes too late for it."""
    entry = book[Role.ENTRY.value]
    in_time = entry.lots > 0 and (entry.expires_at == 0 or candle.opened_at <= entry.expires_at)
    if in_time and (entry.price == 0 or limit_passed(entry.side, entry.price, candle.open, candle.open)):
        return Role.ENTRY.value
    return Role.EXIT.value if book[Role.EXIT.value].lots > 0 else 0


@rule
def fills_at(order: Order, candle: Candle, stage: int, costs: Costs) -> int:
    """When an order trades; inside a candle, at its last microsecond."""
    return max(candle.opened_at, order.placed_at) + costs.latency_us if stage == AT_OPEN else candle.closed_at - 1


@rule
def fillable_lots(role: int, order: Order, slot: Slot, candle: Candle, costs: Costs) -> int:
    """How much of an order trades: an entry as far as the candle's volume allows, all else all that is held of it."""
    if role == Role.ENTRY:
        return tradeable_lots(order.lots, candle.volume_lots, costs.participation_ppm)
    return min(order.lots, slot.lots)


@rule
def fill_event(role: int, order: Order, lots: int, candle: Candle, stage: int, costs: Costs, rules: Rules) -> Event:
    """The fill of so many lots of an order."""
    price = fill_price(role, order, lots, candle, costs)
    is_maker = is_limit_entry(role, order) and not (stage == AT_OPEN and takes_the_open(order, candle))
    return NO_EVENT._replace(
        kind=EventKind.FILL,
        at=fills_at(order, candle, stage, costs),
        instrument=candle.instrument,
        role=role,
        side=order.side,
        lots=lots,
        price=price,
        fee_e8=fee_e8(notional_e8(price, lots, rules), rules.maker_fee_ppm if is_maker else rules.taker_fee_ppm),
        signal_at=order.signal_at,
    )


@rule
def liquidated(event: Event, account: Account, slot: Slot, costs: Costs, rules: Rules) -> Event:
    """The fill of a liquidation: not beyond the price at which nothing is left, and with a fee that something is left
    for. A debt that other instruments have made is none of this one's price."""
    price = event.price
    if equity_e8(account) >= 0:
        price = event.side * min(event.side * price, event.side * bankruptcy_price(account, slot, rules))
    left = equity_e8(account) + slot.side * notional_e8(price - slot.last_price, event.lots, rules)
    notional = notional_e8(price, event.lots, rules)
    fee = fee_e8(notional, rules.taker_fee_ppm) + fee_e8(notional, costs.liquidation_fee_ppm)
    return event._replace(price=price, fee_e8=max(0, min(fee, left)))


@rule
def takes_the_open(order: Order, candle: Candle) -> bool:
    """Whether an order was not at the venue yet when the market came to this open: it took what others offered."""
    return order.placed_at >= candle.opened_at


@rule
def touched_order(book: Book, candle: Candle) -> int:
    """Role of the resting order that trades next inside the candle; 0 is none.

    An entry with a limit, which has nothing beside it. A target that the open has passed is certain, then the stop,
    which is assumed to come before the other targets.
    """
    if limit_reached(book[Role.ENTRY.value], candle):
        return Role.ENTRY.value
    passed = target_passed(book, candle)
    if passed > 0:
        return passed
    stop = book[Role.STOP.value]
    if stop.lots > 0 and stop_touched(stop.side, stop.price, candle.mark_high, candle.mark_low):
        return Role.STOP.value
    return target_touched(book, candle)


@rule
def limit_reached(entry: Order, candle: Candle) -> bool:
    """Whether an entry's limit is traded through while it lives: of a candle that it does not outlive, nobody knows."""
    alive = entry.lots > 0 and entry.price > 0 and candle.closed_at <= entry.expires_at + 1
    return alive and limit_passed(entry.side, entry.price, candle.high, candle.low)


@rule
def target_passed(book: Book, candle: Candle) -> int:
    """Role of the first target that rested when the candle opened beyond it; 0 is none."""
    for role in range(Role.TARGET_1.value, Role.TARGET_4.value + 1):
        target = book[role]
        beyond = target.lots > 0 and limit_touched(target.side, target.price, candle.open, candle.open)
        if beyond and not moved_inside(target, candle):
            return role
    return 0


@rule
def target_touched(book: Book, candle: Candle) -> int:
    """Role of the first target that the candle reaches; 0 is none. One that came inside it is reached by its close."""
    for role in range(Role.TARGET_1.value, Role.TARGET_4.value + 1):
        target = book[role]
        fresh = moved_inside(target, candle)
        high, low = candle.close if fresh else candle.high, candle.close if fresh else candle.low
        if target.lots > 0 and limit_touched(target.side, target.price, high, low):
            return role
    return 0


@rule
def is_limit_entry(role: int, order: Order) -> bool:
    """Whether an order is an entry with a limit."""
    return role == Role.ENTRY and order.price > 0


@rule
def fill_price(role: int, order: Order, lots: int, candle: Candle, costs: Costs) -> int:
    """What the order trades at: limits at their price, all others across the spread and slipped."""
    if has_limit(role, order):
        return order.price
    slippage_ppm = total_slippage_ppm(
        costs.slippage_ppm,
        range_slippage_ppm(candle.high, candle.low, costs.range_ppm),
        size_slippage_ppm(lots, candle.volume_lots, costs.impact_ppm),
    )
    return market_price(order.side, reference_price(role, order, candle), slippage_ppm, costs.spread_ppm)


@rule
def has_limit(role: int, order: Order) -> bool:
    """Whether an order trades at its price or not at all: no slippage."""
    return (role >= Role.TARGET_1 and role <= Role.TARGET_4) or is_limit_entry(role, order)


@rule
def reference_price(role: int, order: Order, candle: Candle) -> int:
    """Where the market stood when a market order, or a stop that became one, met it: where something traded."""
    if role != Role.STOP and role != Role.LIQUIDATION:
        return candle.open
    met = order.price if moved_inside(order, candle) else stop_reference(order.side, order.price, candle.open)
    return min(max(met + order.side * lag(order.side, candle), candle.low), candle.high)


@rule
def lag(side: int, candle: Candle) -> int:
    """How much further than the mark trades have gone: where they were when the mark met an order, nobody knows."""
    return max(0, candle.high - candle.mark_high) if side > 0 else max(0, candle.mark_low - candle.low)


@rule
def moved_inside(order: Order, candle: Candle) -> bool:
    """Whether an order came to its price inside the candle: the open was before it."""
    return order.placed_at == candle.closed_at - 1


@rule
def fill_row(
    event: Event, order: Order, slot: Slot, book: Book, after: Book, candle: Candle, costs: Costs, rules: Rules
) -> Fill:
    """The fill of `order` for the record; `slot` and `book` are the trade and its orders before, `after` now."""
    away, spread = 0, 0
    if not has_limit(event.role, order):
        met = reference_price(event.role, order, candle)
        away = max(0, event.side * (event.price - met))
        spread = min(away, half_spread_ticks(met, costs.spread_ppm))
    ambiguous = 1 if event.role >= Role.STOP and not is_certain(event.role, order, slot, book, candle) else 0
    entered = event.role == Role.ENTRY
    return Fill(
        event.at,
        event.instrument,
        event.role,
        event.side,
        event.lots,
        event.price,
        event.fee_e8,
        notional_e8(away - spread, event.lots, rules),
        event.signal_at,
        ambiguous,
        after[Role.STOP.value].price if entered else 0,
        after[Role.TARGET_1.value].price if entered else 0,
        notional_e8(spread, event.lots, rules),
    )


@rule
def is_certain(role: int, stop: Order, slot: Slot, book: Book, candle: Candle) -> bool:
    """Whether a stop, or a liquidation, that lies inside the candle was met, and before all else that lies there.

    One that was placed with a limit entry lies behind it on the price's way; one that has moved since may not.
    """
    if role != Role.STOP and role != Role.LIQUIDATION:
        return True
    if role == Role.LIQUIDATION or not moved_inside(stop, candle):
        one_price = candle.mark_high == candle.high and candle.mark_low == candle.low
        gapped = one_price and stop_touched(stop.side, stop.price, candle.open, candle.open)
        return gapped or target_touched(book, candle) == 0
    if slot.entered_at == stop.placed_at and slot.side * (slot.signal_price - stop.price) > 0:
        return target_touched(book, candle) == 0
    return stop_touched(stop.side, stop.price, candle.mark_close, candle.mark_close)
