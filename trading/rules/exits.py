"""How a position is protected, and how it ends: which exit orders should rest at the venue, and for how much.

All are reduce-only, and targets together never exceed what is held (I09).
"""

from trading.compiled import rule
from trading.model import FLAT, Account, Command, Event, EventKind, Phase, Role, Rules, Slot, State


@rule
def protect(state: State, event: Event, rules: Rules) -> State:
    """The stop covers all that is held, from the first partial fill on; each fill of the entry sets the levels.

    Levels are distances from the actual entry (I06). Orders that rest already are edited in place: the position is
    never without (I02). What an exit has closed, the targets can't close any more (I09).
    """
    slot = state.slot
    if event.kind != EventKind.FILL or slot.lots == 0 or slot.phase == Phase.CLOSING:
        return state
    if event.role != Role.ENTRY:
        return state._replace(slot=within_position(slot._replace(stop_lots=slot.lots), rules))
    return state._replace(
        slot=slot._replace(
            stop_lots=slot.lots,
            stop_price=stop_level(slot, rules),
            target_1_lots=target_lots(slot, 1, rules),
            target_2_lots=target_lots(slot, 2, rules),
            target_3_lots=target_lots(slot, 3, rules),
            target_4_lots=target_lots(slot, 4, rules),
        )
    )


@rule
def stop_level(slot: Slot, rules: Rules) -> int:
    """Where the stop belongs: its distance from the entry, but not behind where it was moved to already."""
    level = max(1, entry_price(slot, rules) - slot.side * slot.stop_distance)
    if slot.secured_price == 0:
        return level
    return slot.side * max(slot.side * level, slot.side * slot.secured_price)


@rule
def within_position(slot: Slot, rules: Rules) -> Slot:
    """`slot` with targets that together close no more than is held (I09): the first ones keep their lots, the rest
    goes to the next."""
    first = affordable(slot.target_1_lots, slot.lots, rules)
    second = affordable(slot.target_2_lots, slot.lots - first, rules)
    third = affordable(slot.target_3_lots, slot.lots - first - second, rules)
    fourth = affordable(slot.target_4_lots, slot.lots - first - second - third, rules)
    return slot._replace(target_1_lots=first, target_2_lots=second, target_3_lots=third, target_4_lots=fourth)


@rule
def affordable(resting: int, left: int, rules: Rules) -> int:
    """What of a resting target `left` lots allow; an order can't be reduced below the venue's minimum (I24)."""
    if resting <= left:
        return resting
    return left if left >= rules.minimum_lots else 0


@rule
def entry_price(slot: Slot, rules: Rules) -> int:
    """Average price of the lots held. Between two ticks: up for a long and down for a short, so that the stop is
    nearer by less than a tick, and never further away."""
    one_tick_e8 = slot.lots * rules.unit_e8
    return slot.side * -(-slot.side * slot.cost_e8 // one_tick_e8)


@rule
def target_lots(slot: Slot, target: int, rules: Rules) -> int:
    """What target 1 to 4 closes: even shares, the rest on the last; one that no price can reach is left out (I08).

    Shares below the venue's minimum are no orders (I24): then the first target takes all.
    """
    if not reachable(slot, target, rules):
        return 0
    count, rank = 0, 0
    for other in range(1, 5):
        if reachable(slot, other, rules):
            count += 1
            rank += 1 if other < target else 0
    share = slot.lots // count
    if share < rules.minimum_lots:
        return slot.lots if rank == 0 else 0
    return slot.lots - share * (count - 1) if rank == count - 1 else share


@rule
def reachable(slot: Slot, target: int, rules: Rules) -> bool:
    """Whether there is a target 1 to 4, at a price above zero."""
    return target_distance(slot, target) > 0 and target_price(slot, target, rules) > 0


@rule
def target_price(slot: Slot, target: int, rules: Rules) -> int:
    """Limit of target 1 to 4."""
    return entry_price(slot, rules) + slot.side * target_distance(slot, target)


@rule
def target_distance(slot: Slot, target: int) -> int:
    """Distance of target 1 to 4 from the entry; 0 is none."""
    return (slot.target_1_distance, slot.target_2_distance, slot.target_3_distance, slot.target_4_distance)[target - 1]


@rule
def leave(state: State, event: Event, rules: Rules) -> State:
    """Close all that is held at the market. The stop stays until that has filled (I48)."""
    if not must_leave(state.slot, event, rules):
        return state
    return state._replace(slot=state.slot._replace(phase=Phase.CLOSING, exit_lots=state.slot.lots))


@rule
def must_leave(slot: Slot, event: Event, rules: Rules) -> bool:
    """A person says so; the position is naked; its time is over; or more of the entry has filled while we were leaving.

    An exit that the venue refused is not sent again at once (I24), but at the next candle.
    """
    if slot.phase == Phase.FLAT:
        return False
    if event.kind == EventKind.COMMAND:
        return event.reason == Command.FLATTEN and (slot.lots == 0 or slot.exit_lots < slot.lots)
    naked = slot.lots > 0 and slot.stop_lots == 0 and slot.exit_lots == 0
    if event.kind == EventKind.CANDLE:
        unsent = slot.phase == Phase.CLOSING and slot.lots > 0 and slot.exit_lots == 0
        return naked or unsent or overdue(slot, event, rules)
    if event.kind == EventKind.REFUSED or event.kind == EventKind.CANCELLED:
        return naked and event.role == Role.STOP
    return event.kind == EventKind.FILL and slot.phase == Phase.CLOSING and slot.exit_lots < slot.lots


@rule
def overdue(slot: Slot, event: Event, rules: Rules) -> bool:
    """Whether a trade that nobody has left yet is held for as long as a trade may be."""
    if rules.max_holding_us == 0 or slot.lots == 0 or slot.phase == Phase.CLOSING:
        return False
    return event.at >= slot.entered_at + rules.max_holding_us


@rule
def withdraw(state: State, event: Event) -> State:
    """What must not trade any more: everything when nothing is left to close, all but the stop on the way out, targets
    and what the entry has not filled when a person halts (I01), and the latter once a target has filled: it would get
    a stop that has followed the others, and their target again (I06)."""
    slot = state.slot
    if slot.phase == Phase.FLAT:
        return state
    if slot.entered_at > 0 and slot.lots == 0:
        return state._replace(slot=without_targets(slot)._replace(phase=Phase.CLOSING, stop_lots=0, exit_lots=0))
    if slot.phase == Phase.CLOSING:
        return state._replace(slot=without_targets(slot))
    if event.kind == EventKind.COMMAND and event.reason == Command.HALT:
        return state._replace(slot=without_targets(slot)._replace(phase=Phase.OPEN))
    if reached_target(slot, event):
        return state._replace(slot=slot._replace(phase=Phase.OPEN))
    return state


@rule
def reached_target(slot: Slot, event: Event) -> bool:
    """Whether this event has filled a target, all of it."""
    if event.kind != EventKind.FILL or event.role < Role.TARGET_1 or event.role > Role.TARGET_4:
        return False
    resting = (slot.target_1_lots, slot.target_2_lots, slot.target_3_lots, slot.target_4_lots)
    return resting[event.role - Role.TARGET_1.value] == 0


@rule
def without_targets(slot: Slot) -> Slot:
    """`slot` with no take-profit, now or at a later fill."""
    return slot._replace(
        target_1_distance=0,
        target_2_distance=0,
        target_3_distance=0,
        target_4_distance=0,
        target_1_lots=0,
        target_2_lots=0,
        target_3_lots=0,
        target_4_lots=0,
    )


@rule
def finish(state: State, event: Event, rules: Rules) -> State:
    """Back to flat once nothing is held and nothing is on its way. An entry that never filled costs no cooldown."""
    slot = state.slot
    if slot.phase == Phase.FLAT or slot.lots > 0 or slot.wanted_lots > 0:
        return state
    flat = FLAT._replace(
        last_price=slot.last_price,
        signal_at=slot.signal_at,
        cooldown_until=slot.cooldown_until,
        decision=slot.decision,
    )
    if slot.entered_at == 0:
        return state._replace(slot=flat)
    lost = slot.realized_e8 - slot.fees_e8 - slot.funding_e8 < 0
    account = counted(state.account, lost, event, rules)
    return State(account, flat._replace(cooldown_until=event.at + rules.cooldown_us))


@rule
def counted(account: Account, lost: bool, event: Event, rules: Rules) -> Account:
    """The account after one more trade; each time that so many in a row have lost, entries pause."""
    losses = account.losses_in_a_row + 1 if lost else 0
    account = account._replace(losses_in_a_row=losses)
    if rules.max_losses == 0 or losses == 0 or losses % rules.max_losses != 0:
        return account
    return account._replace(paused_until=event.at + rules.loss_pause_us)
