"""Whatever happens, in whatever order: the books add up, the orders are what they should be, no number is too big.

Two instruments share an account. A small venue keeps the orders that the rules ask for, and lets only such things
happen as a venue could: it fills no more than an order's lots, and a reduce-only order no more than is held.
"""

from collections import Counter
from decimal import Decimal
from typing import Any, NamedTuple, Self

import pytest
from doses import examples
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from trading.model import (
    BUCKET_BASE,
    DAY_US,
    E8,
    FLAT,
    PPM,
    Account,
    Command,
    Decision,
    Event,
    EventKind,
    IntentKind,
    Intents,
    Phase,
    Role,
    Rules,
    Slot,
    State,
    equity_e8,
    opening,
)
from trading.rules.sizing import lots_for
from trading.step import step

CASH_E8 = 10_000 * E8
NOON = 20_000 * DAY_US + DAY_US // 2
RULES = (
    Rules(E8 // 100, 1, 10_000, 500, 200, 10_000, 5 * PPM, 2, PPM // 2, PPM // 2, 5),
    Rules(E8 // 7, 3, 50, 500, 200, 20_000, 5 * PPM, 2, PPM // 2, PPM // 2, 0),
)


def both(limits: dict[str, int]) -> tuple[Rules, ...]:
    """Both instruments, under these limits too."""
    return tuple(rules._replace(**limits) for rules in RULES)


WAYS_OUT = {
    "break_even": st.sampled_from([0, 1]),
    "trailing_ppm": st.sampled_from([0, 1, 700_000, 3_000_000]),
    "max_holding_us": st.sampled_from([0, 1, DAY_US]),
}
ANY_WAY_OUT = st.fixed_dictionaries(WAYS_OUT).map(both)
ANY_RULES = st.fixed_dictionaries(
    {
        **WAYS_OUT,
        "max_leverage_ppm": st.sampled_from([0, PPM, 6 * PPM]),
        "max_side_ppm": st.sampled_from([0, PPM, 6 * PPM]),
        "max_bucket_positions": st.sampled_from([0, 1]),
        "bucket_unit": st.sampled_from([0, 1, BUCKET_BASE]),
        "max_losses": st.sampled_from([0, 1, 2]),
        "loss_pause_us": st.sampled_from([1, DAY_US]),
    }
).map(both)


class Happening(NamedTuple):
    """What the venue is told to let happen next; `chance` decides the rest."""

    what: str
    instrument: int
    chance: int


WORDS = "signal signal fill fill fill fill candle price refused cancelled funding transfer halt resume flatten timer"
HAPPENINGS = st.builds(Happening, st.sampled_from(WORDS.split()), st.integers(0, 1), st.integers(0, 10**6))
STORIES = st.lists(HAPPENINGS, max_size=60)
LADDER = [Happening(what, k, chance) for k in (0, 1) for what, chance in (("signal", 512), ("fill", 3))]  # four targets


class Session:
    """The rules and a venue, with everything that happened."""

    def __init__(self, number: Any = int, rules: tuple[Rules, ...] = RULES, cash_e8: int = CASH_E8) -> None:
        self.number = number
        self.rules = [Rules(*map(number, one)) for one in rules]
        self.account = Account(*map(number, opening(cash_e8)))
        self.slots = [Slot(*map(number, FLAT)) for _ in rules]
        self.orders: list[Counter[int]] = [Counter() for _ in rules]  # what rests at the venue: role -> lots
        self.held = [0 for _ in rules]  # signed
        self.asked = [0 for _ in rules]  # price of the signal that is traded
        self.events: list[Event] = []
        self.now = NOON

    def live(self, story: list[Happening]) -> "Session":
        for happening in story:
            self.now += 1 + happening.chance % (DAY_US // 7)
            event = self.event_of(happening)
            if event is not None:
                self.take(event)
        return self

    def take(self, event: Event) -> Intents:
        k = event.instrument
        event = Event(*map(self.number, event))
        self.venue_does(event)
        state, intents = step(State(self.account, self.slots[k]), event, self.rules[k])
        self.account, self.slots[k] = state
        if event.kind == EventKind.SIGNAL and state.slot.decision == Decision.ENTERED:
            self.asked[k] = event.price
        self.events.append(event)
        for intent in intents.items[: intents.number]:
            if intent.kind == IntentKind.PLACE:
                assert intent.lots > 0
                self.orders[k][intent.role] += intent.lots
            elif intent.kind == IntentKind.EDIT:
                assert self.orders[k][intent.role] > 0, "an edit of what is not there"
                self.orders[k][intent.role] = intent.lots
            elif intent.role != Role.ENTRY:  # a market order may still fill: its end is an event
                assert self.orders[k][intent.role] > 0, "a cancellation of what is not there"
                del self.orders[k][intent.role]
        return intents

    def venue_does(self, event: Event) -> None:
        k = event.instrument
        if event.kind == EventKind.FILL:
            self.orders[k][event.role] -= event.lots
            self.held[k] += event.side * event.lots
        if event.kind in (EventKind.REFUSED, EventKind.CANCELLED):
            self.orders[k][event.role] = 0

    def event_of(self, happening: Happening) -> Event | None:
        what, k, chance = happening
        price = 900 + chance % 201
        if what == "signal":
            stop, targets = chance % 60, [(chance >> n) % 3 * 40 for n in (3, 5, 7, 9)]
            return Event(1, self.now, k)._replace(
                kind=EventKind.SIGNAL, side=1 if chance % 2 else -1, price=price, signal_at=self.now,
                stop_distance=stop, target_1_distance=targets[0], target_2_distance=targets[1],
                target_3_distance=targets[2], target_4_distance=targets[3], due_at=self.now,
            )  # fmt: skip
        if what == "fill":
            return self.fill(k, price, chance)
        if what in ("refused", "cancelled"):
            return self.dead_order(EventKind[what.upper()], k, chance)
        if what in ("halt", "resume", "flatten"):
            return Event(EventKind.COMMAND, self.now, k, reason=Command[what.upper()])
        amount = (chance - 500_000) * 1_000
        return Event(EventKind[what.upper()], self.now, k, price=price, amount_e8=amount)

    def fill(self, k: int, price: int, chance: int) -> Event | None:
        role = self.some_order(k, chance)
        held = abs(self.held[k])
        most = self.orders[k][role] if role == Role.ENTRY else min(self.orders[k][role], held)
        if most == 0:
            return None
        lots = most if chance % 3 == 0 else 1 + chance % most
        side = self.slots[k].side if role == Role.ENTRY else -self.slots[k].side
        signal_at = self.slots[k].signal_at
        return Event(EventKind.FILL, self.now, k, role, side, lots, price, fee_e8=chance % 9_999, signal_at=signal_at)

    def dead_order(self, kind: EventKind, k: int, chance: int) -> Event | None:
        role = self.some_order(k, chance)
        return Event(kind, self.now, k, role, signal_at=self.slots[k].signal_at) if role else None

    def some_order(self, k: int, chance: int) -> int:
        resting = sorted(role for role, lots in self.orders[k].items() if lots > 0)
        return resting[chance % len(resting)] if resting else 0


def usd(amount_e8: int) -> Decimal:
    return Decimal(amount_e8) / E8


def slow_equity(events: list[Event]) -> Decimal:
    """Equity the obvious way: money in, money out, and what is held at its last price, in USD."""
    money, held, last = usd(CASH_E8), [Decimal(0)] * 2, [Decimal(0)] * 2
    for event in events:
        k, unit = event.instrument, usd(RULES[event.instrument].unit_e8)
        if event.kind == EventKind.FILL:
            money -= event.side * event.lots * event.price * unit + usd(event.fee_e8)
            held[k] += event.side * event.lots
        if event.kind in (EventKind.FILL, EventKind.CANDLE, EventKind.PRICE):
            last[k] = event.price * unit
        if event.kind == EventKind.FUNDING:
            money -= usd(event.amount_e8)
        if event.kind == EventKind.TRANSFER:
            money += usd(event.amount_e8)
    return money + held[0] * last[0] + held[1] * last[1]


@given(story=STORIES, rules=ANY_RULES)
def test_equity_is_the_money_that_came_and_went_and_what_is_held(story, rules):
    session = Session(rules=rules).live(story)
    assert usd(equity_e8(session.account)) == slow_equity(session.events)


@given(story=STORIES, rules=ANY_RULES)
def test_once_flat_equity_is_cash(story, rules):
    session = Session(rules=rules).live(story)
    assume(session.held == [0, 0])
    assert session.account.unrealized_e8 == 0
    assert usd(session.account.cash_e8) == slow_equity(session.events)


@given(story=STORIES, rules=ANY_RULES)
def test_the_accounts_totals_are_the_sums_over_its_slots(story, rules):
    session = Session(rules=rules)
    for happening in story:
        session.live([happening])
        account, slots = session.account, session.slots
        exposures = [
            (slot.side, slot.cost_e8 + slot.wanted_lots * asked * rules.unit_e8)
            for slot, asked, rules in zip(slots, session.asked, RULES, strict=True)
        ]
        assert account.unrealized_e8 == sum(slot.unrealized_e8 for slot in slots)
        assert account.open_positions == sum(slot.phase != Phase.FLAT for slot in slots) <= 2
        assert account.long_notional_e8 == sum(notional for side, notional in exposures if side > 0)
        assert account.short_notional_e8 == sum(notional for side, notional in exposures if side < 0)
        assert account.day_low_e8 <= equity_e8(account) <= account.peak_e8
        in_trade = [(slot.side, one.bucket_unit) for slot, one in zip(slots, rules, strict=True) if slot.phase]
        assert account.long_buckets == sum(unit for side, unit in in_trade if side > 0)
        assert account.short_buckets == sum(unit for side, unit in in_trade if side < 0)


@given(story=STORIES, rules=ANY_RULES)
def test_no_entry_goes_beyond_a_cap_i22(story, rules):
    """At the signal's price; what it fills at, and what the market makes of it, no guard can know before."""
    session = Session(rules=rules)
    for happening in story:
        entries = [slot.signal_at for slot in session.slots]
        session.live([happening])
        account, k = session.account, happening.instrument
        slot, limits = session.slots[k], rules[k]
        if slot.signal_at == entries[k] or slot.phase != Phase.ENTERING:
            continue
        both_sides = (account.long_notional_e8, account.short_notional_e8)
        for worth, cap in (
            (sum(both_sides), limits.max_leverage_ppm),
            (both_sides[slot.side < 0], limits.max_side_ppm),
        ):
            assert cap == 0 or worth * PPM <= equity_e8(account) * cap
        buckets = account.long_buckets if slot.side > 0 else account.short_buckets
        if limits.max_bucket_positions and limits.bucket_unit:
            assert buckets // limits.bucket_unit % BUCKET_BASE <= limits.max_bucket_positions


@given(story=STORIES, rules=ANY_RULES)
def test_the_slot_knows_what_is_held_and_what_rests(story, rules):
    session = Session(rules=rules)
    for happening in story:
        session.live([happening])
        for slot, orders, held in zip(session.slots, session.orders, session.held, strict=True):
            assert slot.side * slot.lots == held
            believed = (slot.wanted_lots, slot.stop_lots, slot.target_1_lots, slot.target_2_lots)
            believed += (slot.target_3_lots, slot.target_4_lots, slot.exit_lots)
            assert believed == tuple(orders[role] for role in range(Role.ENTRY, Role.EXIT + 1))


@given(story=STORIES, rules=ANY_WAY_OUT)
def test_exits_never_close_more_than_is_held_i09(story, rules):
    """Each kind by itself: what rests of the targets, together; the stop; an exit, when it is sent. On the way out stop
    and exit may fill in turn: what is too much then, the venue reduces."""
    session = Session(rules=rules).live(LADDER)
    assert all(orders[Role.TARGET_4] for orders in session.orders)
    for happening in story:
        leaving = [orders[Role.EXIT] for orders in session.orders]
        session.live([happening])
        for slot, orders, before in zip(session.slots, session.orders, leaving, strict=True):
            assert orders[Role.EXIT] <= max(before, slot.lots)
            assert sum(orders[role] for role in range(Role.TARGET_1, Role.TARGET_4 + 1)) <= slot.lots
            assert orders[Role.STOP] <= slot.lots or slot.phase == Phase.CLOSING


@given(story=STORIES, rules=ANY_RULES)
def test_levels_move_only_with_a_fill_of_the_entry_and_a_stop_only_towards_a_profit(story, rules):
    session = Session(rules=rules)
    levels: dict[tuple[int, int, int], int] = {}
    for happening in [*LADDER, *story]:
        session.now += 1 + happening.chance % (DAY_US // 7)
        event = session.event_of(happening)
        if event is None:
            continue
        moved = event.kind == EventKind.FILL and event.role == Role.ENTRY
        intents = session.take(event)
        for intent in intents.items[: intents.number]:
            name = (intent.instrument, intent.signal_at, intent.role)
            if intent.kind == IntentKind.EDIT and not moved:
                nearer = -intent.side * (intent.price - levels[name])
                assert nearer >= 0 if intent.role == Role.STOP else nearer == 0
            if intent.kind != IntentKind.CANCEL:
                levels[name] = intent.price


@given(story=STORIES, rules=ANY_RULES)
def test_a_position_is_protected_or_on_its_way_out_i01_i02(story, rules):
    """Only the refusal of the exit itself leaves it bare, until the next candle."""
    session = Session(rules=rules)
    for happening in story:
        session.live([happening])
        for slot in session.slots:
            if slot.lots > 0 and slot.phase != Phase.CLOSING:
                assert slot.stop_lots == slot.lots
    for k in range(2):
        session.take(Event(EventKind.CANDLE, session.now + DAY_US, k, price=1_000))
        slot = session.slots[k]
        assert slot.lots <= max(slot.stop_lots, slot.exit_lots)
        # More only while the stop filled in part beside an exit already on its way, which is reduce-only.
        assert slot.phase != Phase.CLOSING or slot.lots <= slot.exit_lots


@given(story=STORIES, rules=ANY_RULES)
def test_no_signal_trades_twice_and_no_two_orders_share_a_name_i11(story, rules):
    session = Session(rules=rules)
    placed = Counter[tuple[int, ...]]()
    for happening in story:
        session.now += 1 + happening.chance % (DAY_US // 7)
        event = session.event_of(happening)
        if event is None:
            continue
        for again in [event, event] if event.kind == EventKind.SIGNAL else [event]:
            intents = session.take(again)
            placed.update(
                (intent.instrument, intent.signal_at, intent.role, intent.revision)
                for intent in intents.items[: intents.number]
                if intent.kind == IntentKind.PLACE
            )
    assert set(placed.values()) <= {1}
    assert {name[3] for name in placed if name[2] == Role.ENTRY} <= {0}


@given(story=STORIES, rules=ANY_RULES)
def test_while_halted_nothing_is_entered_i22(story, rules):
    session = Session(rules=rules)
    for happening in story:
        halted = session.account.halted
        before = len(session.events)
        session.live([happening])
        if halted and len(session.events) > before and session.events[-1].kind == EventKind.SIGNAL:
            assert session.slots[happening.instrument].decision != Decision.ENTERED


@examples(200)
@given(
    cash_e8=st.integers(-(10**12), 10**17),
    price=st.integers(2, 10**9),
    stop=st.floats(0, 1, exclude_max=True),
    unit_e8=st.integers(1, 10**8),
    risk_ppm=st.integers(1, 100_000),
)
def test_a_size_never_risks_or_costs_more_than_its_share(cash_e8, price, stop, unit_e8, risk_ppm):
    distance = max(1, int(price * stop))
    rules = RULES[0]._replace(unit_e8=unit_e8, risk_ppm=risk_ppm, maximum_lots=10**9)
    event = Event(EventKind.SIGNAL, NOON, side=1, price=price, signal_at=NOON, stop_distance=distance)
    lots = lots_for(State(opening(cash_e8), FLAT), event, rules)
    if lots <= 0:
        return
    assert lots * distance * unit_e8 * PPM <= cash_e8 * risk_ppm
    assert lots * price * unit_e8 <= 5 * cash_e8
    one_more = lots + 1
    assert (
        one_more * distance * unit_e8 * PPM > (cash_e8 - 1) * risk_ppm
        or one_more * price * unit_e8 > 5 * (cash_e8 - 1)
        or one_more > 10**9
    )


class Int64(int):
    """A whole number that minds its size, in every intermediate result."""

    def __new__(cls, value: int) -> Self:
        if not -(2**63) <= value < 2**63:
            raise OverflowError(f"{int(value)} does not fit 64 bits")
        return super().__new__(cls, value)

    def __add__(self, other):
        return Int64(int(self) + int(other))

    def __radd__(self, other):
        return Int64(int(other) + int(self))

    def __sub__(self, other):
        return Int64(int(self) - int(other))

    def __rsub__(self, other):
        return Int64(int(other) - int(self))

    def __mul__(self, other):
        return Int64(int(self) * int(other))

    def __rmul__(self, other):
        return Int64(int(other) * int(self))

    def __floordiv__(self, other):
        return Int64(int(self) // int(other))

    def __rfloordiv__(self, other):
        return Int64(int(other) // int(self))

    def __mod__(self, other):
        return Int64(int(self) % int(other))

    def __rmod__(self, other):
        return Int64(int(other) % int(self))

    def __neg__(self): return Int64(-int(self))  # fmt: skip


class Extreme(Session):
    """At the limits that `trading.model` states: 1e9 USD of equity, 1e9 ticks, 1e9 lots, 4e10 USD of notional."""

    def __init__(self) -> None:
        # Half the notional for each of the two.
        rules = Rules(2, 1, 10**9, 500, 200, PPM, 20 * PPM, 2, PPM, PPM, 0)
        rules = rules._replace(
            break_even=1, trailing_ppm=100 * PPM, max_leverage_ppm=40 * PPM, max_side_ppm=40 * PPM,
            max_bucket_positions=63, bucket_unit=BUCKET_BASE**9, max_losses=1, loss_pause_us=1,
        )  # fmt: skip
        super().__init__(Int64, (rules, rules), 10**9 * E8)

    def event_of(self, happening: Happening) -> Event | None:
        event = super().event_of(happening)
        if event is None or event.kind == EventKind.TRANSFER:
            return None
        price = 10**9 - event.price * (happening.chance % 3) * 1000
        targets = [10**9 * (happening.chance % 2)] * 4
        return event._replace(
            price=price, fee_e8=event.fee_e8 * 10**10, stop_distance=max(1, price // (1 + happening.chance)),
            target_1_distance=targets[0], target_2_distance=targets[1], target_3_distance=targets[2],
            target_4_distance=targets[3],
        )  # fmt: skip


@given(story=STORIES)
def test_no_intermediate_result_leaves_64_bits_at_the_stated_extremes(story):
    Extreme().live(story)


def test_the_extreme_stories_are_extreme():
    session = Extreme()
    session.live([Happening("signal", 0, 10**6 - 1), Happening("fill", 0, 0)])
    assert session.slots[0].lots == 10**9
    assert session.slots[0].cost_e8 == 2 * 10**18


def test_a_number_that_minds_its_size_does():
    with pytest.raises(OverflowError):
        2**32 * Int64(2**31)


@pytest.mark.deep
@settings(max_examples=3_000, deadline=None)
@given(story=st.lists(HAPPENINGS, max_size=300), rules=ANY_RULES)
def test_long_stories_add_up_too(story, rules):
    session = Session(rules=rules).live(story)
    assert usd(equity_e8(session.account)) == slow_equity(session.events)
    Extreme().live(story)
