"""From what rests at the venue to what should: the intents."""

from trading.compiled import rule
from trading.model import (
    NO_INTENT,
    NO_INTENTS,
    Event,
    EventKind,
    Intent,
    IntentKind,
    Intents,
    OrderType,
    Phase,
    Role,
    Rules,
    Slot,
    State,
    with_intent,
)
from trading.rules.exits import target_price


@rule
def orders_for(state: State, resting: Slot, event: Event, rules: Rules) -> tuple[State, Intents]:
    """What it takes to turn the orders of `resting` into those of `state.slot`: place and edit first, then cancel.

    Levels move with a fill of the entry, and the stop's as it follows the trade; lots may change at any time.
    """
    slot = state.slot
    if (
        event.kind == EventKind.CANDLE
        and slot.stop_price == resting.stop_price
        and slot.exit_lots == resting.exit_lots
        and slot.phase == resting.phase
    ):
        return state, NO_INTENTS  # most events end here: a candle that no order follows
    intents = NO_INTENTS
    for role in range(Role.ENTRY.value, Role.EXIT.value + 1):
        before, after = order_lots(resting, role), order_lots(slot, role)
        if after > 0 and (after != before or has_moved(resting, slot, event, role)):
            intents = with_intent(intents, order(slot, event, role, before, after, rules))
    for role in range(Role.ENTRY.value, Role.EXIT.value + 1):
        if order_lots(slot, role) == 0 and order_lots(resting, role) > 0:
            intents = with_intent(intents, cancellation(resting, event.instrument, role))
    if intents.number == 0 or slot.phase == Phase.FLAT:
        return state, intents
    return state._replace(slot=slot._replace(revision=slot.revision + 1)), intents


@rule
def has_moved(resting: Slot, slot: Slot, event: Event, role: int) -> bool:
    """Whether an order's level is another one. A fill of the entry is taken to move them all."""
    if event.kind == EventKind.FILL and event.role == Role.ENTRY:
        return has_level(role)
    return role == Role.STOP and slot.stop_price != resting.stop_price


@rule
def order_lots(slot: Slot, role: int) -> int:
    """What one order should still trade. An entry that is called off is on its way, but not wanted."""
    entry = slot.wanted_lots if slot.phase == Phase.ENTERING else 0
    return (
        entry,
        slot.stop_lots,
        slot.target_1_lots,
        slot.target_2_lots,
        slot.target_3_lots,
        slot.target_4_lots,
        slot.exit_lots,
    )[role - 1]


@rule
def has_level(role: int) -> bool:
    """Stops and targets wait for a price; entries and exits take what there is."""
    return role != Role.ENTRY and role != Role.EXIT


@rule
def order(slot: Slot, event: Event, role: int, before: int, after: int, rules: Rules) -> Intent:
    """One order to place or to edit. More to exit is another market order; what has a level is edited in place.

    Only an entry expires: what ends a position, or protects it, waits as long as it takes.
    """
    waits = has_level(role)
    has_limit = role == Role.ENTRY and event.entry_distance > 0
    return NO_INTENT._replace(
        kind=IntentKind.EDIT if waits and before > 0 else IntentKind.PLACE,
        instrument=event.instrument,
        role=role,
        order_type=OrderType.LIMIT.value if has_limit else order_type(role),
        side=slot.side if role == Role.ENTRY else -slot.side,
        lots=after if waits else after - before,
        price=slot.signal_price if has_limit else level(slot, role, rules) if waits else 0,
        reduce_only=0 if role == Role.ENTRY else 1,
        signal_at=slot.signal_at,
        revision=slot.revision,
        expires_at=last_open(event, rules) if role == Role.ENTRY else 0,
    )


@rule
def last_open(event: Event, rules: Rules) -> int:
    """The latest open that an entry takes: while its limit lives, or over no longer a gap than it may wait."""
    if event.entry_distance > 0:
        return event.at + rules.entry_life_us - 1
    return event.due_at + rules.max_entry_delay_us


@rule
def order_type(role: int) -> int:
    """Targets are limits, stops are stops, the rest goes at the market, unless an entry has a limit of its own."""
    if role == Role.STOP:
        return OrderType.STOP.value
    return OrderType.LIMIT.value if has_level(role) else OrderType.MARKET.value


@rule
def level(slot: Slot, role: int, rules: Rules) -> int:
    """Price that a stop or a target waits for."""
    return slot.stop_price if role == Role.STOP else target_price(slot, role - Role.STOP.value, rules)


@rule
def cancellation(resting: Slot, instrument: int, role: int) -> Intent:
    """Take back one order. That it is gone already is no failure (I02)."""
    return NO_INTENT._replace(
        kind=IntentKind.CANCEL, instrument=instrument, role=role, signal_at=resting.signal_at, revision=resting.revision
    )
