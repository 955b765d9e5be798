"""The orders that rest at the simulated venue: what the rules asked for, and what has not traded yet."""

from typing import NamedTuple, TypeAlias

from trading.compiled import rule
from trading.model import Event, EventKind, IntentKind, Intents


class Order(NamedTuple):
    """One order at the simulated venue; without lots there is none."""

    side: int
    lots: int
    price: int  # that it waits for; 0: it takes the market
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
