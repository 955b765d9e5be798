"""The rules by example, continued: exits that fill in part, and entries that expire."""

import pytest
from test_step_golden import HOUR, LONG, NOON, RULES, SHORT, START, cancelled, command, entered, fill, happened, signal

from trading.model import FLAT, PPM, Command, Decision, Phase, Role
from trading.rules.exits import entry_price
from trading.step import step

STOPPED_IN_PART = {
    "a stop filled in part leaves targets for what is still held, the first ones first (I09)": (
        [*entered(targets=(200, 300)), fill(Role.STOP, 30, 9_899)],
        ["edit target_2 sell 20 at 10300"],
    ),
    "… and none for what is not": (
        [*entered(targets=(200, 300, 400)), fill(Role.STOP, 60, 9_899)],
        ["edit target_2 sell 7 at 10300", "cancel target_3"],
    ),
    "one target is reduced with the position": (
        [*entered(), fill(Role.STOP, 99, 9_899)],
        ["edit target_1 sell 1 at 10200"],
    ),
    "targets that the rest allows stay as they are": (
        [*entered(targets=(200, 300)), fill(Role.TARGET_1, 50, 10_200), fill(Role.STOP, 10, 9_899)],
        ["edit target_2 sell 40 at 10300"],
    ),
}


@pytest.mark.parametrize(("events", "orders"), STOPPED_IN_PART.values(), ids=STOPPED_IN_PART.keys())
def test_what_a_stop_has_closed_the_targets_can_not_close_i09(events, orders):
    assert happened(*events)[1] == tuple(orders)


def test_a_target_is_not_reduced_below_the_venues_minimum_but_taken_back_i24():
    rules = RULES._replace(minimum_lots=10)
    _, orders = happened(*entered(targets=(200, 300)), fill(Role.STOP, 45, 9_899), rules=rules)
    assert orders == ("cancel target_2",)
    _, orders = happened(*entered(targets=(200, 300)), fill(Role.STOP, 40, 9_899), rules=rules)
    assert orders == ("edit target_2 sell 10 at 10300",)


@pytest.mark.parametrize("side", [LONG, SHORT])
def test_a_partial_exit_moves_no_level(side):
    """The cost that stays is rounded towards the average: three lots at 10,000 2/3 are one at the same ticks."""
    rules = RULES._replace(unit_e8=1, max_notional_ppm=PPM)
    in_thirds = (fill(Role.ENTRY, 1, 10_000, side=side), fill(Role.ENTRY, 2, 10_001, side=side))
    three = START._replace(slot=FLAT._replace(
        phase=Phase.ENTERING, side=side, wanted_lots=3, signal_at=NOON, stop_distance=100, target_1_distance=200,
    ))  # fmt: skip
    before, _ = happened(*in_thirds, start=three, rules=rules)
    after, orders = happened(fill(Role.STOP, 2, 9_900, side=side), start=before, rules=rules)
    assert entry_price(after.slot, rules) == entry_price(before.slot, rules)
    target = 10_201 if side == LONG else 9_800
    assert orders == (f"edit target_1 {'sell' if side == LONG else 'buy'} 1 at {target}",)


class TestExpiry:
    """An entry is for the market of its signal; nothing else expires."""

    PATIENT = RULES._replace(max_entry_delay_us=HOUR)

    @pytest.mark.parametrize(("rules", "delay_us"), [(RULES, 0), (PATIENT, HOUR)])
    def test_an_entry_says_how_late_the_market_may_open_to_it(self, rules, delay_us):
        _, intents = step(START, signal(at=NOON + 5 + delay_us, due=NOON + 5), rules)
        assert intents.items[0].expires_at == NOON + 5 + delay_us

    @pytest.mark.parametrize(("rules", "delay_us"), [(RULES, 0), (PATIENT, HOUR)])
    def test_a_signal_that_is_decided_later_than_an_entry_may_wait_has_expired(self, rules, delay_us):
        state, orders = happened(signal(at=NOON + 6 + delay_us, due=NOON + 5), rules=rules)
        assert (state.slot.phase, state.slot.decision, orders) == (Phase.FLAT, Decision.EXPIRED, ())

    def test_stops_targets_and_exits_never_expire(self):
        state, seen = START, []
        for event in [*entered(), command(Command.FLATTEN)]:
            state, intents = step(state, event, self.PATIENT)
            seen += [intent for intent in intents.items[: intents.number] if intent.role != Role.ENTRY]
        assert len(seen) == 4
        assert {intent.expires_at for intent in seen} == {0}

    def test_the_account_forgets_an_entry_that_expired_and_the_slot_says_so(self):
        state, orders = happened(signal(), cancelled(Role.ENTRY)._replace(reason=Decision.EXPIRED))
        assert (state.slot.phase, state.slot.decision, orders) == (Phase.FLAT, Decision.EXPIRED, ())
        assert (state.account.open_positions, state.account.long_notional_e8, state.slot.cooldown_until) == (0, 0, 0)

    def test_an_entry_that_expired_half_filled_was_entered(self):
        half = (signal(), fill(Role.ENTRY, 40, 10_000))
        state, _ = happened(*half, cancelled(Role.ENTRY)._replace(reason=Decision.EXPIRED))
        assert (state.slot.lots, state.slot.wanted_lots, state.slot.decision) == (40, 0, Decision.ENTERED)
