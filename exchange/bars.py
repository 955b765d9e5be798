"""What a candle does to the orders of its instrument: which one trades next, at what price, and how sure that is.

The story that asks, and what it takes for granted, is in `exchange.simulator`.
"""

from exchange.book import Book, Order
from exchange.matching import fee_e8, limit_passed, limit_touched, market_price, stop_reference, stop_touched
from exchange.rows import Candle, Costs, Fill
from trading.compiled import rule
from trading.model import NO_EVENT, Event, EventKind, Role, Rules, Slot
from trading.rules.accounting import notional_e8

AT_OPEN, INSIDE, CLOSED = 0, 1, 2  # the stages of a candle; orders trade in the first two


@rule
def next_role(book: Book, candle: Candle, stage: int) -> int:
    """Role of the order that trades next in this stage of the candle, as things stand; 0 when none does."""
    return order_at_open(book, candle) if stage == AT_OPEN else touched_order(book, candle)


@rule
def order_at_open(book: Book, candle: Candle) -> int:
    """Role of an order that takes the open; 0 is none. An entry takes none that comes too late for it."""
    entry = book[Role.ENTRY.value]
    in_time = entry.lots > 0 and (entry.expires_at == 0 or candle.opened_at <= entry.expires_at)
    if in_time and (entry.price == 0 or limit_passed(entry.side, entry.price, candle.open, candle.open)):
        return Role.ENTRY.value
    return Role.EXIT.value if book[Role.EXIT.value].lots > 0 else 0


@rule
def fill_event(role: int, order: Order, slot: Slot, candle: Candle, stage: int, costs: Costs, rules: Rules) -> Event:
    """The fill of an order: whole, but a reduce-only order at most what is held."""
    lots = order.lots if role == Role.ENTRY else min(order.lots, slot.lots)
    price = fill_price(role, order, candle, costs)
    sent_at = max(candle.opened_at, order.placed_at)
    is_maker = is_limit_entry(role, order) and not (stage == AT_OPEN and takes_the_open(order, candle))
    return NO_EVENT._replace(
        kind=EventKind.FILL,
        at=sent_at + costs.latency_us if stage == AT_OPEN else candle.closed_at - 1,
        instrument=candle.instrument,
        role=role,
        side=order.side,
        lots=lots,
        price=price,
        fee_e8=fee_e8(notional_e8(price, lots, rules), rules.maker_fee_ppm if is_maker else rules.taker_fee_ppm),
        signal_at=order.signal_at,
    )


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
    if stop.lots > 0 and stop_touched(stop.side, stop.price, candle.high, candle.low):
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
def fill_price(role: int, order: Order, candle: Candle, costs: Costs) -> int:
    """What the order trades at: limits at their price, all others slipped."""
    if has_limit(role, order):
        return order.price
    return market_price(order.side, reference_price(role, order, candle), costs.slippage_ppm)


@rule
def has_limit(role: int, order: Order) -> bool:
    """Whether an order trades at its price or not at all: no slippage."""
    return (role >= Role.TARGET_1 and role <= Role.TARGET_4) or is_limit_entry(role, order)


@rule
def reference_price(role: int, order: Order, candle: Candle) -> int:
    """Where the market stood when a market order, or a stop that became one, met it."""
    if role != Role.STOP:
        return candle.open
    return order.price if moved_inside(order, candle) else stop_reference(order.side, order.price, candle.open)


@rule
def moved_inside(order: Order, candle: Candle) -> bool:
    """Whether an order came to its price inside the candle: the open was before it."""
    return order.placed_at == candle.closed_at - 1


@rule
def fill_row(event: Event, slot: Slot, book: Book, after: Book, candle: Candle, rules: Rules) -> Fill:
    """The fill for the record; `slot` and `book` are the trade and its orders before it, `after` what rests since."""
    order = book[event.role]
    slipped = 0
    if not has_limit(event.role, order):
        slipped = abs(event.price - reference_price(event.role, order, candle))
    ambiguous = 1 if event.role == Role.STOP and not is_certain(order, slot, book, candle) else 0
    entered = event.role == Role.ENTRY
    return Fill(
        event.at,
        event.instrument,
        event.role,
        event.side,
        event.lots,
        event.price,
        event.fee_e8,
        notional_e8(slipped, event.lots, rules),
        event.signal_at,
        ambiguous,
        after[Role.STOP.value].price if entered else 0,
        after[Role.TARGET_1.value].price if entered else 0,
    )


@rule
def is_certain(stop: Order, slot: Slot, book: Book, candle: Candle) -> bool:
    """Whether a stop that lies inside the candle was met, and before all else that lies there.

    One that was placed with a limit entry lies behind it on the price's way; one that has moved since may not.
    """
    if not moved_inside(stop, candle):
        gapped = stop_touched(stop.side, stop.price, candle.open, candle.open)
        return gapped or target_touched(book, candle) == 0
    if slot.entered_at == stop.placed_at and slot.side * (slot.signal_price - stop.price) > 0:
        return target_touched(book, candle) == 0
    return stop_touched(stop.side, stop.price, candle.close, candle.close)
