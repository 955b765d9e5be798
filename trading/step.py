"""The decision function of backtest, paper and live. There is no second one."""

from trading.compiled import rule
from trading.model import Event, Intents, Rules, State
from trading.rules.accounting import book_dead_order, book_fill, book_funding, book_transfer, mark, roll_day, total_up
from trading.rules.entries import enter
from trading.rules.exits import finish, leave, protect, withdraw
from trading.rules.guards import call_off, obey, watch_limits
from trading.rules.orders import orders_for
from trading.rules.stops import break_even, trail


@rule
def step(state: State, event: Event, rules: Rules) -> tuple[State, Intents]:
    """Advance one instrument's trade, and the account it shares, by one event.

    Pure: same arguments, same result, in every mode. Each line is one rule, which leaves alone what is none of its
    business; their order is their meaning. Rules say what should rest at the venue. The intents are what it takes to
    get there from what rests there now, in the order in which they must be sent.

    Fills, refusals and cancellations must be of the slot's own trade: an order that nobody here knows is a case for
    reconciliation, before.
    """
    before = state.slot

    # What is true now.
    state = roll_day(state, event)
    state = mark(state, event)
    state = book_fill(state, event, rules)
    state = book_dead_order(state, event)
    state = book_funding(state, event)
    state = book_transfer(state, event)
    state = obey(state, event)
    resting = state.slot

    # What should be: first for the position that is held, then for a new one.
    state = protect(state, event, rules)
    state = break_even(state, event, rules)
    state = trail(state, event, rules)
    state = leave(state, event, rules)
    state = withdraw(state, event)
    state = finish(state, event, rules)
    state = enter(state, event, rules)

    # What that makes of the account, and of the orders.
    state = total_up(state, before, rules)
    state = watch_limits(state, rules)
    state = call_off(state, event, rules)
    return orders_for(state, resting, event, rules)
