"""How a trade begins."""

from trading.compiled import rule
from trading.model import FLAT, Decision, Event, EventKind, Phase, Rules, State
from trading.rules.guards import refusal
from trading.rules.sizing import asked_price, lots_for


@rule
def enter(state: State, event: Event, rules: Rules) -> State:
    """Answer a signal: take it, or say why not. The answer stays in `slot.decision`."""
    if event.kind != EventKind.SIGNAL:
        return state
    lots = lots_for(state, event, rules)
    refused = refusal(state, event, lots, rules)
    if refused != 0:
        return state._replace(slot=state.slot._replace(decision=refused))
    return state._replace(
        slot=FLAT._replace(
            phase=Phase.ENTERING,
            side=event.side,
            wanted_lots=lots,
            last_price=event.price,
            signal_at=event.signal_at,
            signal_price=asked_price(event),
            stop_distance=event.stop_distance,
            target_1_distance=event.target_1_distance,
            target_2_distance=event.target_2_distance,
            target_3_distance=event.target_3_distance,
            target_4_distance=event.target_4_distance,
            decision=Decision.ENTERED,
        )
    )
