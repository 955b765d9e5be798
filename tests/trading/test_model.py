"""The values of the core: identities that never change, exact shares, and changes by name, compiled too."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trading.compiled import teach_numba
from trading.model import (
    NO_INTENT,
    NO_INTENTS,
    PPM,
    Event,
    EventKind,
    Phase,
    Role,
    Slot,
    client_order_id,
    opening,
    scaled,
    with_intent,
)

AT = 1_728_043_200_000_000  # 2024-10-04 12:00 UTC


class TestClientOrderId:
    """It is written down at the venue: it can never change again (I11)."""

    @pytest.mark.parametrize(
        ("role", "revision", "expected"),
        [
            (Role.ENTRY, 0, "slw-40c6c3b284110e6a09a56f69"),
            (Role.STOP, 1, "slw-b83e29bec573d83bb9f4f22d"),
            (Role.TARGET_4, 12, "slw-a71a20c295e32e4e5efd994f"),
        ],
    )
    def test_it_is_this_very_text(self, role, revision, expected):
        assert client_order_id("signals_ema_cross", "PF_XBTUSD", AT, role, revision) == expected

    def test_a_number_read_from_a_table_names_its_role_as_well(self):
        by_number = client_order_id("signals_ema_cross", "PF_XBTUSD", AT, 2)
        assert by_number == client_order_id("signals_ema_cross", "PF_XBTUSD", AT, Role.STOP)

    def test_each_part_makes_another_id(self):
        base = ("s", "PF_XBTUSD", AT, Role.ENTRY, 0)
        others = [("t", *base[1:]), ("s", "PF_ETHUSD", *base[2:]), ("s", "PF_XBTUSD", AT + 1, *base[3:])]
        others += [("s", "PF_XBTUSD", AT, Role.STOP, 0), ("s", "PF_XBTUSD", AT, Role.ENTRY, 1)]
        assert len({client_order_id(*parts) for parts in [base, *others]}) == 6

    def test_it_fits_the_venue_and_shows_that_it_is_ours(self):
        text = client_order_id("a_strategy_with_a_long_name" * 9, "PF_XBTUSD", AT, Role.TARGET_1, 10**6)
        assert (len(text), text[:4]) == (28, "slw-")

    def test_an_unknown_role_has_none(self):
        with pytest.raises(ValueError, match="99"):
            client_order_id("s", "PF_XBTUSD", AT, 99)


@given(value=st.integers(-(2**62), 2**62), numerator=st.integers(-(10**6), 10**6), denominator=st.integers(1, 10**6))
@example(value=10**17, numerator=PPM, denominator=PPM)
@example(value=-1, numerator=1, denominator=PPM)
def test_a_share_is_exact_and_rounded_down(value, numerator, denominator):
    assert scaled(value, numerator, denominator) == value * numerator // denominator


@given(cost_e8=st.integers(0, 4 * 10**18), held=st.integers(1, 10**9), share=st.floats(0, 1))
def test_a_share_of_the_greatest_cost_needs_no_more_than_64_bits(cost_e8, held, share):
    sold = max(1, int(held * share))
    assert scaled(cost_e8, sold, held) == cost_e8 * sold // held
    assert cost_e8 // held * sold + cost_e8 % held * sold // held < 2**63
    assert cost_e8 % held * sold < 2**63


def test_intents_come_one_after_the_other_and_one_too_many_breaks_an_invariant():
    capacity = len(NO_INTENTS.items)
    intents = NO_INTENTS
    for role in range(capacity):
        intents = with_intent(intents, NO_INTENT._replace(role=role))
    assert intents.number == capacity
    assert [intent.role for intent in intents.items] == list(range(capacity))
    with pytest.raises(AssertionError):
        with_intent(intents, NO_INTENT)


def test_a_session_opens_with_its_cash_as_peak_and_no_day():
    account = opening(500)
    assert (account.cash_e8, account.peak_e8, account.day_start_e8, account.day_low_e8) == (500, 500, 500, 500)
    assert (account.day, account.halted, account.open_positions) == (-1, 0, 0)


def test_what_an_event_does_not_say_is_zero():
    assert set(Event(EventKind.TIMER, AT)[2:]) == {0}


@pytest.fixture(scope="module")
def njit():
    import numba

    teach_numba()
    return numba.njit


SLOT = Slot(*range(len(Slot._fields)))


class TestReplaceCompiled:
    """numba has no `_replace`; ours does what Python's does."""

    def test_named_fields_change_and_the_others_stay(self, njit):
        def changed(slot):
            return slot._replace(decision=-1, phase=slot.phase + 7, lots=slot.wanted_lots)

        assert njit(changed)(SLOT) == changed(SLOT)

    def test_a_value_takes_the_fields_type(self, njit):
        def changed(slot, flag):
            return slot._replace(phase=Phase.OPEN, lots=flag, side=1 if flag else 0)

        result = njit(changed)(SLOT, True)
        assert result == changed(SLOT, True)
        assert {type(value) for value in result} == {int}

    def test_nothing_named_is_the_same(self, njit):
        assert njit(lambda slot: slot._replace())(SLOT) == SLOT

    def test_a_replaced_value_is_replaced_again(self, njit):
        def changed(slot):
            for n in range(3):
                slot = slot._replace(lots=slot.lots + n)
            return slot._replace(revision=slot.lots)

        assert njit(changed)(SLOT) == changed(SLOT)

    def test_an_unknown_field_is_refused_by_name(self, njit):
        from numba.core.errors import TypingError

        with pytest.raises(TypingError, match=r"Slot has no field.*lotz"):
            njit(lambda slot: slot._replace(lotz=1))(SLOT)

    def test_a_field_without_its_name_is_refused(self, njit):
        from numba.core.errors import TypingError

        with pytest.raises(TypingError):
            njit(lambda slot: slot._replace(1))(SLOT)

    def test_a_text_is_no_number(self, njit):
        from numba.core.errors import NumbaError

        with pytest.raises(NumbaError):
            njit(lambda slot: slot._replace(lots="many"))(SLOT)
