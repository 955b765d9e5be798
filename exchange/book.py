"""The orders that rest at the simulated venue: what the rules asked for, and what has not traded yet."""

from typing import NamedTuple, TypeAlias

from exchange.matching import limit_touched
from trading.compiled import rule
from trading.model import Event, EventKind, IntentKind, Intents, Role


class Order(NamedTuple):
    """One order at the simulated venue; without lots there is none."""

    side: int
    lots: int
    price: int
    signal_at: int
    placed_at: int  # or moved to its price
    expires_at: int  # latest open it takes, inclusive; 0: any


NO_ORDER = Order(0, 0, 0, 0, 0, 0)
Book: TypeAlias = tuple[Order, Order, Order, Order, Order, Order, Order, Order]  # an instrument's orders, by role
NO_ORDERS: Book = (NO_ORDER, NO_ORDER, NO_ORDER, NO_ORDER, NO_ORDER, NO_ORDER, NO_ORDER, NO_ORDER)


@rule
def changed(book: Book, event: Event, intents: Intents) -> Book:
    """The book without the order that has filled or is gone, and with what the rules asked for."""
    if event.kind == EventKind.FILL or event.kind == EventKind.CANCELLED:
        book = with_order(book, event.role, NO_ORDER)
    for n in range(intents.number):
        intent = intents.items[n]
        order = book[intent.role]
        if intent.kind == IntentKind.PLACE:
            order = Order(intent.side, intent.lots, intent.price, intent.signal_at, event.at, intent.expires_at)
        elif intent.kind == IntentKind.CANCEL:
            order = NO_ORDER
        elif order.lots > 0:
            placed_at = order.placed_at if intent.price == order.price else event.at
            order = order._replace(lots=intent.lots, price=intent.price, placed_at=placed_at)
        book = with_order(book, intent.role, order)
    return book


@rule
def with_order(book: Book, role: int, order: Order) -> Book:
    """`book` with `order` in the place of its role."""
    return (
        order if role == 0 else book[0],
        order if role == 1 else book[1],
        order if role == 2 else book[2],
        order if role == 3 else book[3],
        order if role == 4 else book[4],
        order if role == 5 else book[5],
        order if role == 6 else book[6],
        order if role == 7 else book[7],
    )


@rule
def market_order(book: Book, opened_at: int) -> int:
    """Role of an order that takes the open; 0 is none. An entry takes none that comes too late for it."""
    entry = book[Role.ENTRY.value]
    if entry.lots > 0 and (entry.expires_at == 0 or opened_at <= entry.expires_at):
        return Role.ENTRY.value
    return Role.EXIT.value if book[Role.EXIT.value].lots > 0 else 0


@rule
def target_between(book: Book, high: int, low: int) -> int:
    """Role of the first target that prices from `low` to `high` reach; 0 is none."""
    for role in range(Role.TARGET_1.value, Role.TARGET_4.value + 1):
        if book[role].lots > 0 and limit_touched(book[role].side, book[role].price, high, low):
            return role
    return 0
