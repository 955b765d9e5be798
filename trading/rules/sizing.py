"""How much to trade."""

from trading.compiled import rule
from trading.model import PPM, Event, Rules, State, equity_e8, scaled
from trading.rules.accounting import notional_e8


@rule
def lots_for(state: State, event: Event, rules: Rules) -> int:
    """Lots that lose the risked share of equity when the stop is hit at its price, within the caps.

    Rounded down to whole lots (I24); 0 or less when there is nothing to risk. Before costs, and at the price that is
    asked for: the fill is not known yet. None without a stop that a price above zero could hold.
    """
    if not 0 < event.stop_distance < asked_price(event):
        return 0
    equity = equity_e8(state.account)
    by_risk = scaled(equity, rules.risk_ppm, PPM) // notional_e8(event.stop_distance, 1, rules)
    by_notional = scaled(equity, rules.max_notional_ppm, PPM) // notional_e8(asked_price(event), 1, rules)
    return min(by_risk, by_notional, rules.maximum_lots)


@rule
def asked_price(event: Event) -> int:
    """What a signal's entry asks for: its limit, or what the market was at its close."""
    return event.price - event.side * event.entry_distance
