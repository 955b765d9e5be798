"""How a stop follows its trade: towards a profit, and never back."""

from trading.compiled import rule
from trading.model import PPM, Event, EventKind, Phase, Rules, Slot, State, scaled
from trading.rules.exits import entry_price, reached_target


@rule
def break_even(state: State, event: Event, rules: Rules) -> State:
    """Once a target has filled, all of it, the stop moves to the entry: what is left can only lose its costs.

    The average entry between two ticks is rounded to the side on which nothing is lost (I25, see `entry_price`).
    """
    slot = state.slot
    if rules.break_even == 0 or not can_follow(slot) or not reached_target(slot, event):
        return state
    return state._replace(slot=secured(slot, entry_price(slot, rules)))


@rule
def trail(state: State, event: Event, rules: Rules) -> State:
    """At each close the stop is at most a multiple of its first distance behind.

    Rounded down to whole ticks, at least one: nearer, and never at the close itself, where the venue would refuse it.
    """
    slot = state.slot
    if rules.trailing_ppm == 0 or event.kind != EventKind.CANDLE or not can_follow(slot):
        return state
    behind = max(1, scaled(slot.stop_distance, rules.trailing_ppm, PPM))
    return state._replace(slot=secured(slot, event.price - slot.side * behind))


@rule
def can_follow(slot: Slot) -> bool:
    """A position that is on its way out keeps its stop where it is."""
    return slot.lots > 0 and slot.phase != Phase.CLOSING


@rule
def secured(slot: Slot, price: int) -> Slot:
    """`slot` with its stop at `price`, unless it is nearer to a profit already."""
    if slot.side * (price - slot.stop_price) <= 0:
        return slot
    return slot._replace(stop_price=price, secured_price=price)
