"""Money and positions: what fills, prices, days and transfers do to the books. Exact: no rounding is ever lost."""

from trading.compiled import rule
from trading.model import DAY_US, PPM, Decision, Event, EventKind, Phase, Role, Rules, Slot, State, equity_e8, scaled

WHOLE = 1 << 62  # lots: more than any order has


@rule
def roll_day(state: State, event: Event) -> State:
    """At the first event of a UTC day its equity becomes the measure of the daily loss (I26).

    A candle that closes at midnight still belongs to the day it ends: all instruments are marked before the day turns.
    """
    day = (event.at - 1 if event.kind == EventKind.CANDLE else event.at) // DAY_US
    if day <= state.account.day:
        return state
    equity = equity_e8(state.account)
    return state._replace(account=state.account._replace(day=day, day_start_e8=equity, day_low_e8=equity))


@rule
def mark(state: State, event: Event) -> State:
    """The candle's close, the venue's mark or a fill is the last price, which the position is valued at."""
    if event.kind != EventKind.CANDLE and event.kind != EventKind.PRICE and event.kind != EventKind.FILL:
        return state
    return state._replace(slot=state.slot._replace(last_price=event.price))


@rule
def book_fill(state: State, event: Event, rules: Rules) -> State:
    """Take a fill, whole or partial, into position, orders and cash."""
    if event.kind != EventKind.FILL:
        return state
    assert event.signal_at == state.slot.signal_at, "a fill of another trade"
    slot = bought(state.slot, event, rules) if event.role == Role.ENTRY else sold(state.slot, event, rules)
    gained = slot.realized_e8 - state.slot.realized_e8
    cash = state.account.cash_e8 + gained - event.fee_e8
    return State(state.account._replace(cash_e8=cash), slot._replace(fees_e8=slot.fees_e8 + event.fee_e8))


@rule
def bought(slot: Slot, event: Event, rules: Rules) -> Slot:
    """`slot` with the lots of an entry's fill."""
    assert event.side == slot.side, "an entry on the other side"
    assert event.lots <= slot.wanted_lots, "more filled than asked for"
    wanted = slot.wanted_lots - event.lots
    return slot._replace(
        phase=Phase.OPEN if wanted == 0 and slot.phase == Phase.ENTERING else slot.phase,
        lots=slot.lots + event.lots,
        wanted_lots=wanted,
        cost_e8=slot.cost_e8 + notional_e8(event.price, event.lots, rules),
        entered_at=event.at if slot.entered_at == 0 else slot.entered_at,
    )


@rule
def sold(slot: Slot, event: Event, rules: Rules) -> Slot:
    """`slot` without the lots of an exit's fill.

    The cost leaves in proportion, and the remainder with the last lot, so a whole trade adds up. Rounded so that what
    stays lies between the same two ticks as before (see `entry_price`): the levels don't move.
    """
    assert event.side == -slot.side, "an exit on the same side"
    assert event.lots <= slot.lots, "more closed than held"
    cost = slot.side * scaled(slot.side * slot.cost_e8, event.lots, slot.lots)
    gained = slot.side * (notional_e8(event.price, event.lots, rules) - cost)
    filled = slot._replace(
        lots=slot.lots - event.lots, cost_e8=slot.cost_e8 - cost, realized_e8=slot.realized_e8 + gained
    )
    return without_order(filled, event.role, event.lots)


@rule
def book_dead_order(state: State, event: Event) -> State:
    """An order of this trade was refused, or is gone with lots unfilled. What it filled before is held.

    That an entry expired unfilled, or found too little to trade with, is the last word on its signal.
    """
    if event.kind != EventKind.REFUSED and event.kind != EventKind.CANCELLED:
        return state
    slot = state.slot
    if event.signal_at != slot.signal_at:
        return state
    if event.role != Role.ENTRY:
        return state._replace(slot=without_order(slot, event.role, WHOLE))
    phase = Phase.OPEN.value if slot.phase == Phase.ENTERING else slot.phase
    is_the_last_word = event.reason == Decision.EXPIRED or event.reason == Decision.THIN
    decision = event.reason if is_the_last_word and slot.entered_at == 0 else slot.decision
    return state._replace(slot=slot._replace(phase=phase, wanted_lots=0, decision=decision))


@rule
def without_order(slot: Slot, role: int, lots: int) -> Slot:
    """`slot` with `lots` fewer in the exit order of that role."""
    return slot._replace(
        stop_lots=less(slot.stop_lots, lots, role == Role.STOP),
        target_1_lots=less(slot.target_1_lots, lots, role == Role.TARGET_1),
        target_2_lots=less(slot.target_2_lots, lots, role == Role.TARGET_2),
        target_3_lots=less(slot.target_3_lots, lots, role == Role.TARGET_3),
        target_4_lots=less(slot.target_4_lots, lots, role == Role.TARGET_4),
        exit_lots=less(slot.exit_lots, lots, role == Role.EXIT),
    )


@rule
def less(resting: int, lots: int, concerned: bool) -> int:
    """What still rests of an order; one that we had taken back may fill all the same."""
    return max(0, resting - lots) if concerned else resting


@rule
def book_funding(state: State, event: Event) -> State:
    """Pay or receive for holding."""
    if event.kind != EventKind.FUNDING:
        return state
    return State(
        state.account._replace(cash_e8=state.account.cash_e8 - event.amount_e8),
        state.slot._replace(funding_e8=state.slot.funding_e8 + event.amount_e8),
    )


@rule
def book_transfer(state: State, event: Event) -> State:
    """Deposit (+) or withdraw (-): equity and its measures move together, so it is neither profit nor loss."""
    if event.kind != EventKind.TRANSFER:
        return state
    account = state.account
    return state._replace(
        account=account._replace(
            cash_e8=account.cash_e8 + event.amount_e8,
            transferred_e8=account.transferred_e8 + event.amount_e8,
            peak_e8=account.peak_e8 + event.amount_e8,
            day_start_e8=account.day_start_e8 + event.amount_e8,
            day_low_e8=account.day_low_e8 + event.amount_e8,
        )
    )


@rule
def total_up(state: State, before: Slot, rules: Rules) -> State:
    """The account's totals, moved by what has changed in the slot since `before`: sums over all slots, always."""
    account = state.account
    slot = state.slot._replace(unrealized_e8=unrealized_e8(state.slot, rules))
    return State(
        account._replace(
            unrealized_e8=account.unrealized_e8 + slot.unrealized_e8 - before.unrealized_e8,
            open_positions=account.open_positions + in_trade(slot) - in_trade(before),
            long_notional_e8=account.long_notional_e8 + exposure_e8(slot, 1, rules) - exposure_e8(before, 1, rules),
            short_notional_e8=account.short_notional_e8 + exposure_e8(slot, -1, rules) - exposure_e8(before, -1, rules),
            long_buckets=account.long_buckets + in_bucket(slot, 1, rules) - in_bucket(before, 1, rules),
            short_buckets=account.short_buckets + in_bucket(slot, -1, rules) - in_bucket(before, -1, rules),
            initial_e8=account.initial_e8
            + held_margin_e8(slot, rules.initial_ppm, rules)
            - held_margin_e8(before, rules.initial_ppm, rules),
            maintenance_e8=account.maintenance_e8
            + held_margin_e8(slot, rules.maintenance_ppm, rules)
            - held_margin_e8(before, rules.maintenance_ppm, rules),
        ),
        slot,
    )


@rule
def unrealized_e8(slot: Slot, rules: Rules) -> int:
    """Profit of the lots held, were they closed at the last price without costs."""
    return slot.side * (notional_e8(slot.last_price, slot.lots, rules) - slot.cost_e8)


@rule
def in_trade(slot: Slot) -> int:
    """1 while a position is held or on its way, else 0."""
    return 0 if slot.phase == Phase.FLAT else 1


@rule
def in_bucket(slot: Slot, side: int, rules: Rules) -> int:
    """What a position on `side` adds to the count of its bucket."""
    return rules.bucket_unit if in_trade(slot) == 1 and slot.side == side else 0


@rule
def exposure_e8(slot: Slot, side: int, rules: Rules) -> int:
    """Notional on `side`: what is held, at its entry prices, and what is on its way, at the signal's (I10)."""
    return slot.cost_e8 + notional_e8(slot.signal_price, slot.wanted_lots, rules) if slot.side == side else 0


@rule
def held_margin_e8(slot: Slot, margin_ppm: int, rules: Rules) -> int:
    """Margin for what a slot holds and has on its way, of its value at entry (Kraken: "position value at entry")."""
    return margin_e8(exposure_e8(slot, slot.side, rules), margin_ppm)


@rule
def margin_e8(exposure: int, margin_ppm: int) -> int:
    """Margin for a notional, rounded up."""
    return -scaled(-exposure, margin_ppm, PPM)


@rule
def notional_e8(price: int, lots: int, rules: Rules) -> int:
    """Value of `lots` at `price`."""
    return price * lots * rules.unit_e8
