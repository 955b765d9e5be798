"""The rules by example: what happened before, what happens now, and the orders that follow. I01 … I50: incidents.

Numbers to check by head: one lot times one tick is 1 cent, so a lot at 10,000 ticks is 100 USD, and a stop 100 ticks
away risks 1 USD a lot. 10,000 USD of equity at 1 % risk: 100 lots.
"""

import pytest

from trading.model import (
    DAY_US,
    E8,
    FLAT,
    PPM,
    Command,
    Decision,
    Event,
    EventKind,
    Intent,
    IntentKind,
    OrderType,
    Phase,
    Role,
    Rules,
    Slot,
    State,
    equity_e8,
    opening,
)
from trading.rules.exits import entry_price, target_lots
from trading.rules.sizing import lots_for
from trading.step import step

HOUR = 3_600_000_000
MIDNIGHT = 20_000 * DAY_US
NOON = MIDNIGHT + 12 * HOUR
CENT = E8 // 100
CASH_E8 = 10_000 * E8
LONG, SHORT = 1, -1
RULES = Rules(
    unit_e8=CENT, minimum_lots=1, maximum_lots=10_000, taker_fee_ppm=500, maker_fee_ppm=200, risk_ppm=10_000,
    max_notional_ppm=2 * PPM, max_positions=2, max_daily_loss_ppm=50_000, max_drawdown_ppm=200_000, cooldown_us=HOUR,
)  # fmt: skip
START = State(opening(CASH_E8), FLAT)


def signal(
    side: int = LONG, *, at: int = NOON, of: int = NOON, due: int | None = None, price=10_000, stop=100, targets=(200,)
) -> Event:
    """A signal that is decided when it is due, unless said otherwise."""
    one, two, three, four = (*targets, 0, 0, 0, 0)[:4]
    return Event(
        EventKind.SIGNAL, at, side=side, price=price, signal_at=of, stop_distance=stop,
        target_1_distance=one, target_2_distance=two, target_3_distance=three, target_4_distance=four,
        due_at=at if due is None else due,
    )  # fmt: skip


def fill(role: Role, lots: int, price: int, *, side: int = LONG, at: int = NOON + 1, fee_e8=0, of=NOON) -> Event:
    """A fill of the trade on `side`: its entry buys for a long, its exits sell."""
    traded = side if role == Role.ENTRY else -side
    return Event(EventKind.FILL, at, role=role, side=traded, lots=lots, price=price, fee_e8=fee_e8, signal_at=of)


def candle(close: int, *, at: int = NOON + HOUR) -> Event:
    return Event(EventKind.CANDLE, at, price=close)


def refused(role: Role, *, at: int = NOON + 2) -> Event:
    return Event(EventKind.REFUSED, at, role=role, signal_at=NOON)


def cancelled(role: Role, *, at: int = NOON + 2) -> Event:
    return Event(EventKind.CANCELLED, at, role=role, signal_at=NOON)


def command(word: Command, *, at: int = NOON + 3) -> Event:
    return Event(EventKind.COMMAND, at, reason=word)


def entered(price: int = 10_000, *, side: int = LONG, targets: tuple[int, ...] = (200,)) -> tuple[Event, ...]:
    """A signal taken, and its 100 lots filled at once."""
    return signal(side, targets=targets), fill(Role.ENTRY, 100, price, side=side)


def happened(*events: Event, start: State = START, rules: Rules = RULES) -> tuple[State, tuple[str, ...]]:
    """The state after all events, and the orders that the last one asks for."""
    state, orders = start, ()
    for event in events:
        state, intents = step(state, event, rules)
        orders = tuple(spoken(intent) for intent in intents.items[: intents.number])
    return state, orders


def spoken(intent: Intent) -> str:
    """An intent as one says it; all that differs from the usual (market enters, the rest only reduces) is asserted."""
    assert intent.reduce_only == (intent.kind != IntentKind.CANCEL and intent.role != Role.ENTRY)
    words = [IntentKind(intent.kind).name.lower(), Role(intent.role).name.lower()]
    if intent.kind == IntentKind.CANCEL:
        return " ".join(words)
    words += ["buy" if intent.side > 0 else "sell", str(intent.lots)]
    kind = {Role.STOP: OrderType.STOP, Role.ENTRY: OrderType.MARKET, Role.EXIT: OrderType.MARKET}
    assert intent.order_type == kind.get(Role(intent.role), OrderType.LIMIT)
    return " ".join([*words, *([f"at {intent.price}"] if intent.price else [])])


ORDERS = {
    # --- a trade begins
    "a signal is one market order": ([signal()], ["place entry buy 100"]),
    "a short sells": ([signal(SHORT)], ["place entry sell 100"]),
    "nothing follows a confirmation": ([signal(), Event(EventKind.PLACED, NOON, role=1, signal_at=NOON)], []),
    "nothing follows the time": ([*entered(), Event(EventKind.TIMER, NOON + 5)], []),
    "nothing follows a candle": ([*entered(), candle(10_050)], []),
    # --- it is protected: distances from the actual entry, in the futures market (I06)
    "levels come from the entry's price, a premium of 50 too": (
        entered(10_050), ["place stop sell 100 at 9950", "place target_1 sell 100 at 10250"],
    ),
    "of a short they lie on the other side": (
        entered(9_990, side=SHORT), ["place stop buy 100 at 10090", "place target_1 buy 100 at 9790"],
    ),
    "two targets share evenly": (
        entered(targets=(200, 300)),
        ["place stop sell 100 at 9900", "place target_1 sell 50 at 10200", "place target_2 sell 50 at 10300"],
    ),
    "what does not divide is the last one's": (
        entered(targets=(200, 300, 400)),
        ["place stop sell 100 at 9900", "place target_1 sell 33 at 10200", "place target_2 sell 33 at 10300",
         "place target_3 sell 34 at 10400"],
    ),
    "a target that no price reaches is left out, the others stay (I08)": (
        entered(side=SHORT, targets=(200, 10_000, 400)),
        ["place stop buy 100 at 10100", "place target_1 buy 50 at 9800", "place target_3 buy 50 at 9600"],
    ),
    "without targets there is a stop": (entered(targets=()), ["place stop sell 100 at 9900"]),
    # --- partial fills: protected from the first lot on, and edited in place, never without (I02)
    "the first lots are protected at once": (
        [signal(), fill(Role.ENTRY, 40, 10_000)], ["place stop sell 40 at 9900", "place target_1 sell 40 at 10200"],
    ),
    "later lots move levels to the average, orders are edited in place (I02)": (
        [signal(), fill(Role.ENTRY, 40, 10_000), fill(Role.ENTRY, 60, 10_010)],
        ["edit stop sell 100 at 9906", "edit target_1 sell 100 at 10206"],
    ),
    "a target whose lots stay the same moves with the average too": (
        [signal(targets=(200, 300)), fill(Role.ENTRY, 40, 10_000), fill(Role.ENTRY, 1, 10_041)],
        ["edit stop sell 41 at 9901", "edit target_1 sell 20 at 10201", "edit target_2 sell 21 at 10301"],
    ),
    "an average between two ticks brings the stop nearer: up for a long": (
        [signal(), fill(Role.ENTRY, 99, 10_000), fill(Role.ENTRY, 1, 10_001)],
        ["edit stop sell 100 at 9901", "edit target_1 sell 100 at 10201"],
    ),
    "… and down for a short": (
        [signal(SHORT), fill(Role.ENTRY, 99, 10_000, side=SHORT), fill(Role.ENTRY, 1, 9_999, side=SHORT)],
        ["edit stop buy 100 at 10099", "edit target_1 buy 100 at 9799"],
    ),
    "a target filled in part leaves a smaller stop": (
        [*entered(targets=(200, 300)), fill(Role.TARGET_1, 20, 10_200)], ["edit stop sell 80 at 9900"],
    ),
    # --- it ends
    "the stop takes the targets with it": (
        [*entered(targets=(200, 300)), fill(Role.STOP, 100, 9_899)], ["cancel target_1", "cancel target_2"],
    ),
    "the last target takes the stop with it": ([*entered(), fill(Role.TARGET_1, 100, 10_200)], ["cancel stop"]),
    "a position closed while the entry still fills calls the rest off": (
        [signal(), fill(Role.ENTRY, 40, 10_000), fill(Role.STOP, 40, 9_900)], ["cancel entry", "cancel target_1"],
    ),
    "what that entry filled meanwhile is sold": (
        [signal(), fill(Role.ENTRY, 40, 10_000), fill(Role.STOP, 40, 9_900), fill(Role.ENTRY, 10, 9_890)],
        ["place exit sell 10"],
    ),
    # --- the venue says no
    "a refused entry is over": ([signal(), refused(Role.ENTRY)], []),
    "an entry cancelled half filled keeps what it has": (
        [signal(), fill(Role.ENTRY, 40, 10_000), cancelled(Role.ENTRY), candle(10_000)], [],
    ),
    "a refused stop closes the position at once": (
        [*entered(), refused(Role.STOP)], ["place exit sell 100", "cancel target_1"],
    ),
    "a refused target changes nothing": ([*entered(), refused(Role.TARGET_1)], []),
    "an exit refused while naked is not hammered (I24)": ([*entered(), refused(Role.STOP), refused(Role.EXIT)], []),
    "… but sent again at the next candle": (
        [*entered(), refused(Role.STOP), refused(Role.EXIT), candle(10_000)], ["place exit sell 100"],
    ),
    "another trade's refusal is none of ours": (
        [*entered(), refused(Role.STOP)._replace(signal_at=NOON - HOUR)], [],
    ),
    # --- a person's word
    "a halt takes back the targets, the stop stays (I01)": ([*entered(), command(Command.HALT)], ["cancel target_1"]),
    "a halt while entering calls the rest off, the stop stays (I01)": (
        [signal(), fill(Role.ENTRY, 40, 10_000), command(Command.HALT)], ["cancel entry", "cancel target_1"],
    ),
    "lots filled after the halt are protected too": (
        [signal(), fill(Role.ENTRY, 40, 10_000), command(Command.HALT), fill(Role.ENTRY, 10, 10_000)],
        ["edit stop sell 50 at 9900"],
    ),
    "flatten sells first, and the stop stays until that is filled (I48)": (
        [*entered(), command(Command.FLATTEN)], ["place exit sell 100", "cancel target_1"],
    ),
    "flatten said twice is said once": ([*entered(), command(Command.FLATTEN), command(Command.FLATTEN)], []),
    "once flat, the stop goes": (
        [*entered(), command(Command.FLATTEN), fill(Role.EXIT, 100, 9_990)], ["cancel stop"],
    ),
    "an exit refused beside a stop is not hammered (I24)": (
        [*entered(), command(Command.FLATTEN), refused(Role.EXIT)], [],
    ),
    "… but sent again at the next candle: the word stands": (
        [*entered(), command(Command.FLATTEN), refused(Role.EXIT), candle(10_000)], ["place exit sell 100"],
    ),
    "what a cancelled exit has left is sent at the next candle": (
        [*entered(), command(Command.FLATTEN), fill(Role.EXIT, 60, 10_000), cancelled(Role.EXIT), candle(10_000)],
        ["place exit sell 40"],
    ),
    "an exit cancelled after the stop filled in part, too": (
        [*entered(), command(Command.FLATTEN), fill(Role.STOP, 60, 9_900), cancelled(Role.EXIT), candle(10_000)],
        ["place exit sell 40"],
    ),
    "the stop of a half-closed position cancelled: the rest is sold at once": (
        [*entered(), command(Command.FLATTEN), fill(Role.EXIT, 60, 10_000), cancelled(Role.EXIT), cancelled(Role.STOP)],
        ["place exit sell 40"],
    ),
    "flatten said again while stop and exit fill in turn sends nothing more": (
        [*entered(), command(Command.FLATTEN), fill(Role.STOP, 60, 9_900), command(Command.FLATTEN)], [],
    ),
    "flatten while entering calls the entry off": ([signal(), command(Command.FLATTEN)], ["cancel entry"]),
    "flatten without a position is no order": ([command(Command.FLATTEN)], []),
    "resume sends nothing": ([*entered(), command(Command.HALT), command(Command.RESUME)], []),
}  # fmt: skip


@pytest.mark.parametrize(("events", "orders"), ORDERS.values(), ids=ORDERS.keys())
def test_what_happened_is_answered_with_these_orders(events, orders):
    assert happened(*events)[1] == tuple(orders)


def lost(amount_e8: int) -> State:
    """A session that was that much below its start today."""
    return account(day=MIDNIGHT // DAY_US, day_low_e8=CASH_E8 - amount_e8)


def account(**fields: int) -> State:
    return START._replace(account=START.account._replace(**fields))


def slot(**fields: int) -> State:
    return START._replace(slot=FLAT._replace(**fields))


REFUSALS = {
    "no reason not to": (START, signal(), Decision.ENTERED),
    "one position an instrument": (slot(phase=Phase.OPEN, lots=1), signal(), Decision.IN_POSITION),
    "an entry in flight is a position (I10)": (
        slot(phase=Phase.ENTERING, wanted_lots=1),
        signal(),
        Decision.IN_POSITION,
    ),
    "an exit in flight is a position (I10)": (slot(phase=Phase.CLOSING, lots=1), signal(), Decision.IN_POSITION),
    "a signal that traded is over for ever (I11)": (slot(signal_at=NOON), signal(), Decision.STALE),
    "an older one too (I11)": (slot(signal_at=NOON + 1), signal(), Decision.STALE),
    "a newer one is not": (slot(signal_at=NOON - 1), signal(), Decision.ENTERED),
    "a person halted": (account(halted=Decision.HALTED), signal(), Decision.HALTED),
    "the drawdown halted": (account(halted=Decision.DRAWDOWN), signal(), Decision.DRAWDOWN),
    "a cent less than 500 USD lost today": (lost(500 * E8 - CENT), signal(), Decision.ENTERED),
    "500 of 500 USD lost today (I22)": (lost(500 * E8), signal(), Decision.DAILY_LOSS),
    "500 USD lost yesterday (I26)": (
        lost(500 * E8),
        signal(at=MIDNIGHT + DAY_US, of=MIDNIGHT + DAY_US),
        Decision.ENTERED,
    ),
    "one position of two": (account(open_positions=1), signal(), Decision.ENTERED),
    "two positions of two (I22)": (account(open_positions=2), signal(), Decision.MAX_POSITIONS),
    "a microsecond before the pause ends": (slot(cooldown_until=NOON + 1), signal(), Decision.COOLDOWN),
    "the pause ends": (slot(cooldown_until=NOON), signal(), Decision.ENTERED),
    "no stop (I06)": (START, signal(stop=0), Decision.NO_STOP),
    "a stop on the wrong side (I06)": (START, signal(stop=-100), Decision.NO_STOP),
    "a stop at zero (I49)": (START, signal(stop=10_000), Decision.NO_STOP),
    "less than a lot (I24)": (account(cash_e8=99 * E8), signal(stop=100), Decision.BELOW_MINIMUM),
    "no money: the limit is nothing, and reached": (account(cash_e8=0), signal(), Decision.DAILY_LOSS),
    "debts": (account(cash_e8=-5 * E8), signal(), Decision.DAILY_LOSS),
}


@pytest.mark.parametrize(("before", "event", "decision"), REFUSALS.values(), ids=REFUSALS.keys())
def test_a_signal_is_answered_with_this_reason_and_a_refusal_with_no_order(before, event, decision):
    state, orders = happened(event, start=before)
    assert Decision(state.slot.decision) == decision
    assert bool(orders) == (decision == Decision.ENTERED)
    assert state.slot.phase == (Phase.ENTERING if decision == Decision.ENTERED else before.slot.phase)


SIZES = {  # equity in USD, price, stop distance, rules -> lots
    "1 % of 10,000 USD at 1 USD a lot": (10_000, 10_000, 100, RULES, 100),
    "half as far, twice as much": (10_000, 10_000, 50, RULES, 200),
    "nearer still: capped at twice the equity": (10_000, 10_000, 1, RULES, 200),
    "rounded down to whole lots (I24)": (10_199, 10_000, 100, RULES, 101),
    "the cap rounds down too": (10_049, 10_000, 1, RULES, 200),
    "never more than the venue takes": (10_000, 10_000, 100, RULES._replace(maximum_lots=99), 99),
    "the venue's unit counts": (10_000, 10_000, 100, RULES._replace(unit_e8=10 * CENT), 10),
    "a share that is not a whole 1e-8 is rounded down first": (1, 10_000, 1, RULES._replace(risk_ppm=19_999), 0),
}


@pytest.mark.parametrize(("usd", "price", "stop", "rules", "lots"), SIZES.values(), ids=SIZES.keys())
def test_the_size_loses_the_risked_share_at_the_stop(usd, price, stop, rules, lots):
    assert lots_for(account(cash_e8=usd * E8), signal(price=price, stop=stop), rules) == lots


SPLITS = {  # lots held, distances, minimum -> lots of each target
    "one takes all": (7, (5,), 1, (7, 0, 0, 0)),
    "four share": (8, (5, 6, 7, 8), 1, (2, 2, 2, 2)),
    "the rest goes last": (7, (5, 6, 7, 8), 1, (1, 1, 1, 4)),
    "shares below the minimum: the first takes all (I24)": (7, (5, 6), 4, (7, 0, 0, 0)),
    "shares at the minimum": (8, (5, 6), 4, (4, 4, 0, 0)),
    "fewer lots than targets": (3, (5, 6, 7, 8), 1, (3, 0, 0, 0)),
    "an unused first is skipped": (8, (0, 6, 0, 8), 1, (0, 4, 0, 4)),
    "an unused first takes nothing either when all goes to one": (3, (0, 6, 0, 8), 2, (0, 3, 0, 0)),
    "none": (7, (), 1, (0, 0, 0, 0)),
}


@pytest.mark.parametrize(("lots", "distances", "minimum", "expected"), SPLITS.values(), ids=SPLITS.keys())
@pytest.mark.parametrize("side", [LONG, SHORT])
def test_targets_share_what_is_held_and_never_more_i09(lots, distances, minimum, expected, side):
    one, two, three, four = (*distances, 0, 0, 0, 0)[:4]
    held = FLAT._replace(
        side=side, lots=lots, cost_e8=lots * 10_000 * CENT, target_1_distance=one, target_2_distance=two,
        target_3_distance=three, target_4_distance=four,
    )  # fmt: skip
    rules = RULES._replace(minimum_lots=minimum)
    assert tuple(target_lots(held, target, rules) for target in (1, 2, 3, 4)) == expected
    assert sum(expected) in (0, lots)


@pytest.mark.parametrize(
    ("side", "cost_ticks", "lots", "price"),
    [(LONG, 300, 3, 100), (LONG, 301, 3, 101), (LONG, 299, 3, 100), (SHORT, 301, 3, 100), (SHORT, 299, 3, 99)],
)
def test_the_average_entry_is_rounded_towards_the_nearer_stop(side, cost_ticks, lots, price):
    assert entry_price(FLAT._replace(side=side, lots=lots, cost_e8=cost_ticks * CENT), RULES) == price


def test_a_stop_further_away_than_zero_waits_at_one_tick():
    state, _ = happened(signal(price=120, stop=110), fill(Role.ENTRY, 1, 100), start=account(cash_e8=10_000 * E8))
    assert state.slot.stop_price == 1


class TestBooks:
    """What a trade does to the account, to the cent."""

    def test_a_long_wins_its_distance_less_fees(self):
        state, _ = happened(
            signal(), fill(Role.ENTRY, 100, 10_000, fee_e8=5 * E8), fill(Role.TARGET_1, 100, 10_200, fee_e8=6 * E8)
        )
        after = {"cash_e8": CASH_E8 + 189 * E8, "peak_e8": CASH_E8 + 189 * E8, "day_low_e8": CASH_E8 - 5 * E8}
        assert state.account == START.account._replace(day=20_000, **after)

    def test_a_short_loses_its_distance_and_fees(self):
        state, _ = happened(
            signal(SHORT),
            fill(Role.ENTRY, 100, 10_000, side=SHORT, fee_e8=5 * E8),
            fill(Role.STOP, 100, 10_110, side=SHORT, fee_e8=5 * E8),
        )
        assert state.account.cash_e8 == CASH_E8 - (110 + 10) * E8
        assert state.account.losses_in_a_row == 1

    def test_open_profit_follows_the_last_price_and_is_no_cash(self):
        state, _ = happened(*entered(), candle(10_150))
        assert (state.account.cash_e8, state.account.unrealized_e8) == (CASH_E8, 150 * E8)
        assert state.account.long_notional_e8 == 100 * 10_000 * CENT
        state, _ = happened(Event(EventKind.PRICE, NOON + 2 * HOUR, price=9_950), start=state)
        assert (equity_e8(state.account), state.account.peak_e8) == (CASH_E8 - 50 * E8, CASH_E8 + 150 * E8)

    def test_what_is_on_its_way_counts_as_exposure_i10(self):
        state, _ = happened(signal(SHORT))
        assert (state.account.open_positions, state.account.short_notional_e8) == (1, 100 * 10_000 * CENT)
        assert (state.account.unrealized_e8, state.account.long_notional_e8) == (0, 0)

    def test_after_a_trade_nothing_is_left_but_its_identity_and_pause(self):
        state, _ = happened(*entered(), fill(Role.TARGET_1, 100, 10_200, at=NOON + HOUR))
        assert state.slot == FLAT._replace(
            last_price=10_200, signal_at=NOON, cooldown_until=NOON + 2 * HOUR, decision=Decision.ENTERED
        )
        assert (state.account.open_positions, state.account.long_notional_e8) == (0, 0)

    def test_an_entry_that_never_filled_costs_no_pause_but_never_trades_again_i11(self):
        state, _ = happened(signal(), refused(Role.ENTRY))
        assert (state.slot.phase, state.slot.cooldown_until) == (Phase.FLAT, 0)
        assert happened(signal(), start=state)[0].slot.decision == Decision.STALE
        assert happened(signal(of=NOON + 1), start=state)[0].slot.decision == Decision.ENTERED

    def test_the_remainder_of_a_split_cost_leaves_with_the_last_lot(self):
        held = Slot(**{**FLAT._asdict(), "phase": Phase.OPEN, "side": LONG, "lots": 3, "cost_e8": 301 * CENT,
                       "signal_at": NOON, "entered_at": NOON, "stop_distance": 5, "stop_lots": 3})  # fmt: skip
        state = State(START.account, held)
        for _ in range(3):
            state, _ = happened(fill(Role.STOP, 1, 100), start=state)
        assert state.account.cash_e8 == CASH_E8 - CENT

    def test_winning_resets_the_losses_in_a_row_and_break_even_is_no_loss(self):
        losing = State(START.account._replace(losses_in_a_row=3), FLAT)
        state, _ = happened(*entered(), fill(Role.STOP, 100, 10_000), start=losing)
        assert state.account.losses_in_a_row == 0
        state, _ = happened(
            signal(), fill(Role.ENTRY, 100, 10_000, fee_e8=1), fill(Role.STOP, 100, 10_000), start=losing
        )
        assert state.account.losses_in_a_row == 4

    def test_funding_is_paid_from_cash_and_counts_in_the_trade(self):
        paid = Event(EventKind.FUNDING, NOON + 2, amount_e8=7 * E8)
        state, orders = happened(*entered(), paid, fill(Role.STOP, 100, 10_005))
        assert (state.account.cash_e8, state.account.losses_in_a_row, orders) == (
            CASH_E8 - 2 * E8,
            1,
            ("cancel target_1",),
        )
        state, _ = happened(*entered(), paid._replace(amount_e8=-7 * E8))
        assert (state.account.cash_e8, state.slot.funding_e8) == (CASH_E8 + 7 * E8, -7 * E8)

    @pytest.mark.parametrize("usd", [5_000, -5_000])
    def test_a_transfer_is_neither_profit_nor_loss(self, usd):
        state, orders = happened(Event(EventKind.TRANSFER, NOON, amount_e8=usd * E8))
        account = state.account
        assert {account.cash_e8, account.peak_e8, account.day_start_e8, account.day_low_e8} == {CASH_E8 + usd * E8}
        assert (account.transferred_e8, account.halted, orders) == (usd * E8, 0, ())

    def test_a_fill_that_cannot_be_ours_stops_the_process(self):
        with pytest.raises(AssertionError, match="another trade"):
            happened(*entered(), fill(Role.STOP, 1, 9_900, of=NOON - HOUR))
        with pytest.raises(AssertionError, match="more closed than held"):
            happened(*entered(), fill(Role.STOP, 101, 9_900))
        with pytest.raises(AssertionError, match="more filled than asked"):
            happened(signal(), fill(Role.ENTRY, 101, 9_900))
        with pytest.raises(AssertionError, match="on the same side"):
            happened(*entered(), fill(Role.STOP, 1, 9_900, side=SHORT))
        with pytest.raises(AssertionError, match="on the other side"):
            happened(signal(), fill(Role.ENTRY, 1, 9_900, side=SHORT))


class TestDays:
    """The day turns at 00:00 UTC, and its first equity is the measure (I26)."""

    def test_the_first_event_ever_begins_a_day(self):
        state, _ = happened(candle(10_000, at=NOON))
        assert (state.account.day, state.account.day_start_e8) == (20_000, CASH_E8)

    def test_the_candle_that_closes_at_midnight_belongs_to_the_day_it_ends(self):
        state, _ = happened(*entered(), candle(9_900, at=MIDNIGHT + DAY_US))
        assert (state.account.day, state.account.day_low_e8) == (20_000, CASH_E8 - 100 * E8)

    @pytest.mark.parametrize("first", [signal(at=MIDNIGHT + DAY_US), candle(9_900, at=MIDNIGHT + DAY_US + 1)])
    def test_the_next_event_begins_the_day_at_the_equity_before_it(self, first):
        state, _ = happened(*entered(), candle(9_900, at=MIDNIGHT + DAY_US), first)
        assert (state.account.day, state.account.day_start_e8) == (20_001, CASH_E8 - 100 * E8)

    def test_a_loss_made_up_for_still_counts_today_and_not_tomorrow(self):
        state, _ = happened(*entered(), candle(9_500), candle(10_100), fill(Role.EXIT, 100, 10_100, at=NOON + 2 * HOUR))
        today = signal(at=NOON + 5 * HOUR, of=NOON + HOUR)
        assert happened(today, start=state)[0].slot.decision == Decision.DAILY_LOSS
        tomorrow = signal(at=MIDNIGHT + DAY_US, of=NOON + HOUR)
        assert happened(tomorrow, start=state)[0].slot.decision == Decision.ENTERED

    def test_an_event_of_a_day_gone_by_turns_nothing_back(self):
        state, _ = happened(candle(10_000, at=NOON + DAY_US), candle(10_000, at=NOON))
        assert state.account.day == 20_001


class TestDrawdown:
    """20 % below the highest equity, entries stop until a person resumes."""

    def test_the_limit_halts_at_its_very_cent_and_keeps_the_stop(self):
        state, _ = happened(*entered(), candle(8_000 + 1))
        assert state.account.halted == 0
        state, orders = happened(candle(8_000, at=NOON + 2 * HOUR), start=state)
        assert (state.account.halted, orders, state.slot.stop_lots) == (Decision.DRAWDOWN, (), 100)

    def test_recovery_does_not_resume_a_person_does(self):
        state, _ = happened(*entered(), candle(8_000), candle(10_000), fill(Role.EXIT, 100, 10_000, at=NOON + 2 * HOUR))
        later = signal(at=NOON + DAY_US, of=NOON + DAY_US)
        assert happened(later, start=state)[0].slot.decision == Decision.DRAWDOWN
        assert happened(command(Command.RESUME), later, start=state)[0].slot.decision == Decision.ENTERED

    def test_resuming_measures_the_next_drawdown_from_here(self):
        state, _ = happened(*entered(), candle(8_000), command(Command.RESUME))
        assert (state.account.halted, state.account.peak_e8) == (0, 8_000 * E8)
        assert happened(candle(8_000), start=state)[0].account.halted == 0

    def test_a_persons_halt_stands_when_the_limit_is_met_too_and_resuming_meets_it_again(self):
        state, _ = happened(*entered(), command(Command.HALT), candle(8_000))
        assert state.account.halted == Decision.HALTED
        assert happened(command(Command.RESUME), start=state)[0].account.halted == Decision.DRAWDOWN

    def test_money_taken_out_is_no_drawdown(self):
        state, _ = happened(Event(EventKind.TRANSFER, NOON, amount_e8=-9_000 * E8), candle(10_000))
        assert state.account.halted == 0


def test_every_order_of_a_trade_has_its_own_number_and_the_trades_identity_i11():
    state, seen = START, []
    events = [*entered(targets=(200, 300)), fill(Role.TARGET_1, 50, 10_200), command(Command.FLATTEN)]
    for event in events:
        state, intents = step(state, event, RULES)
        seen += [intent for intent in intents.items[: intents.number] if intent.kind == IntentKind.PLACE]
    assert {intent.signal_at for intent in seen} == {NOON}
    assert [(Role(intent.role).name, intent.revision) for intent in seen] == [
        ("ENTRY", 0), ("STOP", 1), ("TARGET_1", 1), ("TARGET_2", 1), ("EXIT", 3),
    ]  # fmt: skip
