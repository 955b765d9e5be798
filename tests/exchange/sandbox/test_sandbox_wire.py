"""Numbers, budgets and the agenda: the small parts of the wire."""

from datetime import UTC, datetime
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.sandbox.wire.agenda import Agenda
from exchange.sandbox.wire.budget import FORGET_ABOVE, Budget
from exchange.sandbox.wire.numbers import decimal_text, rfc3339

SECOND_NS = 1_000_000_000


@given(st.integers(), st.integers(-4, 12))
def test_decimal_text_is_exact(points, decimals):
    text = decimal_text(points, decimals)

    assert Fraction(text) == Fraction(points) / Fraction(10) ** decimals
    assert len(text.partition(".")[2]) == max(0, decimals)


@pytest.mark.parametrize(
    ("digits", "text"),
    [
        (0, "2026-09-25T17:48:26Z"),
        (3, "2026-09-25T17:48:26.044Z"),
        (6, "2026-09-25T17:48:26.044359Z"),
        (9, "2026-09-25T17:48:26.044359999Z"),
    ],
)
def test_a_time_is_cut_to_its_digits(digits, text):
    second = int(datetime(2026, 9, 25, 17, 48, 26, tzinfo=UTC).timestamp())

    assert rfc3339(second * SECOND_NS + 44_359_999, digits) == text


def test_a_budget_drains_with_the_venues_seconds():
    budget = Budget(2, decay_per_s=1)

    assert [budget.take("ip", 1, 0) for _ in range(3)] == [True, True, False]
    assert budget.take("other", 1, 0)
    assert budget.take("ip", 1, SECOND_NS)
    assert not budget.take("ip", 1, SECOND_NS)


def test_what_a_budget_refuses_costs_nothing():
    budget = Budget(2, decay_per_s=1)
    budget.take("ip", 2, 0)
    for _ in range(100):
        budget.take("ip", 1, 0)

    assert budget.take("ip", 1, SECOND_NS)


def test_without_a_limit_all_is_granted():
    assert Budget(None).take("ip", 1e9, 0)


def test_a_budget_forgets_clients_that_have_gone():
    budget = Budget(10, decay_per_s=1)
    for number in range(3 * FORGET_ABOVE):
        budget.take(str(number), 1, number * SECOND_NS)

    assert len(budget._counters) <= FORGET_ABOVE + 1


def test_the_agenda_keeps_the_order_of_times_and_then_of_entry():
    said: list[str] = []
    agenda = Agenda()
    for due_ns, word in ((5, "c"), (3, "a"), (3, "b"), (9, "d")):
        agenda.at(due_ns, lambda word=word: said.append(word))
    agenda.run(5)

    assert said == ["a", "b", "c"]
    assert agenda.next_ns() == 9


def test_what_an_entry_enters_waits_for_the_next_stop():
    said: list[str] = []
    agenda = Agenda()
    agenda.at(0, lambda: agenda.at(0, lambda: said.append("again")))
    agenda.run(5)
    assert said == []

    agenda.run(5)

    assert said == ["again"]
