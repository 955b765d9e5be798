"""Funding rates: an hour once, a revision beside what it revises, exact decimals, and nothing of a wrong reply."""

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pytest
from doses import examples
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from trading.errors import InputUnusable
from warehouse.reference.funding import FundingHour, FundingReport, land_funding

MIDNIGHT = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
FETCHED = dt.datetime(2026, 11, 23, 8, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
ONCE_EACH = (Path(__file__).parents[2] / "sql/checks/funding_rates_once_each.sql").read_text(encoding="utf-8")
IN_FORCE = (
    "select hour(began_at), rate from raw.funding_rates"
    " qualify row_number() over (partition by instrument, began_at order by fetched_at desc) = 1 order by all"
)


def hour(number: int, rate: str = "1.3285114808978307", relative: str = "0.000011795815277778") -> FundingHour:
    return FundingHour("PF_XBTUSD", MIDNIGHT + number * dt.timedelta(hours=1), Decimal(rate), Decimal(relative))


def land(warehouse, rows, fetched_at=FETCHED):
    return land_funding(warehouse, rows, source="kraken-rest", fetched_at=fetched_at)


def test_keeps_every_decimal_that_the_venue_wrote(warehouse, ask):
    land(warehouse, [hour(0)])
    assert ask("select rate, relative_rate, began_at, source, fetched_at from raw.funding_rates") == [
        (Decimal("1.3285114808978307"), Decimal("0.000011795815277778"), MIDNIGHT, "kraken-rest", FETCHED)
    ]


def test_tiny_rates_of_inverse_contracts_fit(warehouse, ask):
    land(warehouse, [hour(0, "1.2345678901234567E-11")])
    assert ask("select rate from raw.funding_rates") == [(Decimal("1.2345678901234567E-11"),)]


def test_landing_the_same_reply_again_adds_nothing(warehouse, ask):
    rows = [hour(number) for number in range(3)]
    assert land(warehouse, rows) == FundingReport(3, 3, 0, 0)
    assert land(warehouse, rows) == FundingReport(3, 0, 0, 3)
    assert land(warehouse, rows, FETCHED + MINUTE) == FundingReport(3, 0, 0, 3)
    assert ask("select count(*) from raw.funding_rates") == [(3,)]


def test_a_changed_rate_is_kept_beside_the_one_it_revises(warehouse, ask):
    land(warehouse, [hour(0), hour(1)])
    assert land(warehouse, [hour(0), hour(1, "2")], FETCHED + MINUTE) == FundingReport(2, 0, 1, 1)
    assert ask("select rate, revises from raw.funding_rates where hour(began_at) = 1 order by fetched_at") == [
        (Decimal("1.3285114808978307"), False),
        (Decimal(2), True),
    ]


def test_the_same_reply_under_a_clock_that_was_set_back_adds_nothing(warehouse, ask):
    rows = [hour(number) for number in range(3)]
    land(warehouse, rows)
    assert land(warehouse, rows, FETCHED - MINUTE) == FundingReport(3, 0, 0, 3)
    assert ask(ONCE_EACH) == []


@pytest.mark.parametrize("clock", [FETCHED - MINUTE, FETCHED], ids=["set back", "standing still"])
def test_a_revision_holds_though_the_clock_was_not_ahead(warehouse, ask, clock):
    land(warehouse, [hour(0, "1"), hour(1, "1")])
    assert land(warehouse, [hour(0, "2"), hour(2, "3")], clock) == FundingReport(2, 1, 1, 0)
    assert ask(IN_FORCE) == [(0, 2), (1, 1), (2, 3)]
    assert ask(ONCE_EACH) == []


def test_two_contracts_do_not_touch(warehouse):
    land(warehouse, [hour(0)])
    assert land(warehouse, [hour(0)._replace(instrument="PF_ETHUSD")]) == FundingReport(1, 1, 0, 0)


def test_no_rows_are_no_rows(warehouse):
    assert land(warehouse, []) == FundingReport(0, 0, 0, 0)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([hour(0), hour(0, "2")], "say two things about 2026-11-01T00:00:00"),
        ([hour(0)._replace(began_at=MIDNIGHT + MINUTE)], "does not begin at a full hour"),
        ([hour(0)._replace(began_at=MIDNIGHT.replace(tzinfo=None))], "does not begin at a full hour"),
        ([hour(0, "100000000")], "does not fit"),
        ([hour(0, relative="NaN")], "does not fit"),
    ],
    ids=["contradiction", "no full hour", "no time zone", "too large", "no number"],
)
def test_nothing_of_a_wrong_reply_is_landed(warehouse, ask, rows, said):
    with pytest.raises(InputUnusable, match=said):
        land(warehouse, [hour(5), *rows])
    assert ask("select count(*) from raw.funding_rates") == [(0,)]


fetches = st.lists(
    st.tuples(st.integers(-2, 2), st.dictionaries(st.integers(0, 3), st.integers(1, 3), max_size=4)), max_size=6
)


@examples(50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fetches=fetches)
def test_what_is_in_force_is_what_was_landed_last_whatever_the_clock_said(warehouse, ask, fetches):
    warehouse.execute("delete from raw.funding_rates")
    expected: dict[int, Decimal] = {}
    for minutes, rates in fetches:
        land(warehouse, [hour(n, str(rate)) for n, rate in rates.items()], FETCHED + minutes * MINUTE)
        expected |= {n: Decimal(rate) for n, rate in rates.items()}
    assert dict(ask(IN_FORCE)) == expected
    assert ask("select count(*) from raw.funding_rates where not revises") == [(len(expected),)]
    assert ask(ONCE_EACH) == []
