"""Who may call when: limits that hold however the venue counts, and an order in which nobody waits for ever."""

from typing import NamedTuple

import pytest
from doses import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.kraken.admission import PATIENCE_US, SECOND_US, Admission, Call, Charge, Pool, Priority, Ticket
from exchange.kraken.costs import DERIVATIVES, derivatives_call, derivatives_cost, history_call, history_cost, spot_call

POOL = Pool(limit=20, window_us=10 * SECOND_US, shares=(18, 14, 10))
REST = 2


class Planned(NamedTuple):
    gap_us: int  # after the arrival before
    priority: Priority
    cost: int
    lasts_us: int
    counted_ppm: int  # where between sending and reply the venue counts it


class Made(NamedTuple):
    planned: Planned
    ticket: Ticket
    ended_at: int

    @property
    def counted_at(self) -> int:
        began = self.ticket.admitted_at or 0
        return began + (self.ended_at - began) * self.planned.counted_ppm // 1_000_000


def plans(highest_cost: int = 10) -> st.SearchStrategy[list[Planned]]:
    return st.lists(
        st.builds(
            Planned,
            st.sampled_from([0, 0, 1, SECOND_US // 10, SECOND_US, 7 * SECOND_US]),
            st.sampled_from(Priority),
            st.integers(1, highest_cost),
            st.sampled_from([0, 1, SECOND_US // 5, 3 * SECOND_US, 15 * SECOND_US]),
            st.integers(0, 1_000_000),
        ),
        min_size=1,
        max_size=60,
    )


def made_of(plans: list[Planned], pool: Pool = POOL) -> list[Made]:
    """The calls in the order of their admission, each made as soon as it may be."""
    admission, now = Admission(), 0
    arrivals, arrives_at = [], 0
    for planned in plans:
        arrives_at += planned.gap_us
        arrivals.append((arrives_at, planned))
    waiting: dict[Ticket, Planned] = {}
    running: list[Made] = []
    made: list[Made] = []
    while arrivals or waiting or running:
        for call in [call for call in running if call.ended_at <= now]:
            running.remove(call)
            admission.end(call.ticket, now)
        while arrivals and arrivals[0][0] <= now:
            _, planned = arrivals.pop(0)
            waiting[admission.enter(Call(planned.priority, (Charge("pool", pool, planned.cost),)), now)] = planned
        for ticket in admission.admit(now):
            planned = waiting.pop(ticket)
            running.append(Made(planned, ticket, now + planned.lasts_us))
            made.append(running[-1])
        events = [call.ended_at for call in running] + [at for at, _ in arrivals[:1]]
        change_at = admission.next_change(now)
        events += [] if change_at is None else [change_at]
        assert events or not waiting, "someone waits, and nothing will happen"
        now = max(now, min(events, default=now))
    return made


@given(plans())
def test_no_window_holds_more_than_the_limit_whenever_the_venue_counts(plans: list[Planned]) -> None:
    made = made_of(plans)
    assert len(made) == len(plans)
    assert_no_window_overflows(made)


@pytest.mark.deep
@settings(max_examples=1_000, deadline=None)
@given(plans())
def test_no_window_holds_more_than_the_limit_in_a_thousand_cases(plans: list[Planned]) -> None:
    assert_no_window_overflows(made_of(plans))


def assert_no_window_overflows(made: list[Made]) -> None:
    for begin in (call.counted_at for call in made):
        inside = [call for call in made if begin <= call.counted_at <= begin + POOL.window_us]
        assert sum(call.planned.cost for call in inside) <= POOL.limit


@given(plans(highest_cost=REST))
def test_calls_of_one_class_pass_in_the_order_they_came(plans: list[Planned]) -> None:
    for priority in Priority:
        numbers = [call.ticket.number for call in made_of(plans) if call.planned.priority is priority]
        assert numbers == sorted(numbers)


@given(plans(), st.integers(0, 90 * SECOND_US))
def test_a_protective_call_finds_room_whatever_orders_and_reads_do(plans: list[Planned], later_us: int) -> None:
    admission, now = Admission(), 0
    for planned in plans:
        now += planned.gap_us
        ordinary = Priority.READ if planned.priority is Priority.PROTECT else planned.priority
        admission.enter(Call(ordinary, (Charge("pool", POOL, planned.cost),)), now)
        admission.admit(now)  # and never answered
    now += later_us
    admission.admit(now)
    protective = admission.enter(Call(Priority.PROTECT, (Charge("pool", POOL, 4),)), now)
    assert protective in admission.admit(now)


def test_the_more_urgent_goes_first() -> None:
    admission = Admission()
    tickets = [admission.enter(derivatives_call(priority, 50), 0) for priority in reversed(Priority)]
    assert admission.admit(0) == list(reversed(tickets))


def test_orders_leave_room_for_cancels_and_reads_leave_room_for_orders() -> None:
    admission = Admission()
    for priority, cost, passing in ((Priority.READ, 25, 10), (Priority.ORDER, 25, 5), (Priority.PROTECT, 25, 3)):
        for _ in range(30):
            admission.enter(derivatives_call(priority, cost), 0)
        assert len([t for t in admission.admit(0) if t.call.priority is priority]) == passing


@examples(20)
@given(st.lists(st.tuples(st.sampled_from(Priority), st.integers(3, 10)), min_size=3, max_size=6), st.integers(1, REST))
def test_a_read_gets_through_a_flood_that_never_ends(flood: list[tuple[Priority, int]], cost: int) -> None:
    admission, step_us = Admission(), SECOND_US
    read = admission.enter(Call(Priority.READ, (Charge("pool", POOL, cost),)), 0)
    running: list[Ticket] = []
    latest = PATIENCE_US[Priority.READ] + 2 * POOL.window_us
    for now in range(0, latest, step_us):
        for ticket in running:
            admission.end(ticket, now)
        for priority, size in flood:
            admission.enter(Call(priority, (Charge("pool", POOL, size),)), now)
        running = admission.admit(now)
        if read.admitted_at is not None:
            return
    pytest.fail(f"a read of {cost} has waited for {latest} us")


def test_a_large_call_is_not_starved_by_small_ones_of_its_class() -> None:
    admission, pool = Admission(), Pool(10, SECOND_US, (10, 10, 10))
    small = Call(Priority.READ, (Charge("pool", pool, 1),))
    for _ in range(8):
        admission.enter(small, 0)
    for ticket in admission.admit(0):
        admission.end(ticket, 0)
    large = admission.enter(Call(Priority.READ, (Charge("pool", pool, 9),)), 1)
    admission.enter(small, 1)
    assert admission.admit(1) == []
    assert large in admission.admit(SECOND_US + 1)


def test_pools_of_different_pairs_do_not_wait_for_each_other() -> None:
    admission = Admission()
    first, again, other = (admission.enter(spot_call(pair), 0) for pair in ("BTC/USD", "BTC/USD", "ETH/USD"))
    assert admission.admit(0) == [first, other]
    admission.end(first, 0)
    assert admission.next_change(0) == SECOND_US + 1
    assert admission.admit(SECOND_US) == []
    assert admission.admit(SECOND_US + 1) == [again]


def test_refuses_to_queue_what_can_never_pass() -> None:
    with pytest.raises(AssertionError, match="never fits"):
        Admission().enter(derivatives_call(Priority.ORDER, derivatives_cost("batchorder", batched=500)), 0)


@pytest.mark.parametrize(
    ("cost", "expected"),
    [
        (derivatives_cost("sendorder"), 10),
        (derivatives_cost("cancelallorders"), 25),
        (derivatives_cost("batchorder", batched=10), 19),
        (derivatives_cost("fills"), 2),
        (derivatives_cost("fills", pages=True), 25),
        (derivatives_cost("leveragepreferences"), 2),
        (derivatives_cost("leveragepreferences", writes=True), 10),
        (history_cost("account-log", 25), 1),
        (history_cost("account-log", 26), 2),
        (history_cost("account-log", 100_000), 10),
        (history_cost("accountlogcsv"), 6),
    ],
)
def test_costs_are_those_of_the_venues_tables(cost: int, expected: int) -> None:
    assert cost == expected


def test_the_accounts_history_is_read_a_hundred_times_in_ten_minutes_at_most() -> None:
    admission = Admission()
    for _ in range(101):
        admission.enter(history_call(history_cost("executions")), 0)
    passed = admission.admit(0)
    assert len(passed) == 100
    for ticket in passed:
        admission.end(ticket, SECOND_US)
    assert admission.admit(601 * SECOND_US) == []
    assert len(admission.admit(601 * SECOND_US + 1)) == 1


def test_fifty_single_orders_pass_in_ten_seconds_at_most() -> None:
    assert DERIVATIVES.limit // derivatives_cost("sendorder") == 50
