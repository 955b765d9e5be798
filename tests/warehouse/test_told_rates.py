"""Funding rates before they land: a contract whose rates are out of range is refused, with the evidence."""

import datetime as dt
from decimal import Decimal

import pytest

from trading.errors import CheckFailed
from warehouse.gate.rates import validate_rates
from warehouse.gate.reference_suites import TOLD_RATES
from warehouse.gate.suites import open_gate
from warehouse.reference.funding import FundingHour

pytestmark = pytest.mark.xdist_group("heavy")  # one process imports Great Expectations

NOW = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
THRESHOLDS = {"max_missing_funding_share": 0.05, "max_relative_funding_rate": 0.01}


@pytest.fixture(scope="module")
def gate(tmp_path_factory):
    return open_gate(tmp_path_factory.mktemp("docs"))


def hours(relative_rate="0.00001"):
    """A day of rates, the last with `relative_rate`."""
    relative_rates = [Decimal("0.00001")] * 23 + [Decimal(relative_rate)]
    return [
        FundingHour("PF_XBTUSD", NOW + dt.timedelta(hours=number), relative * 90_000, relative)
        for number, relative in enumerate(relative_rates)
    ]


def judge(warehouse, gate, told):
    return validate_rates(warehouse, told, run="rates", thresholds=THRESHOLDS, checked_at=NOW, gate=gate)


def test_good_rates_pass_and_the_evidence_is_stored_once_however_often(warehouse, gate, ask):
    for _ in range(2):
        verdict = judge(warehouse, gate, hours())
    verdict.refuse_failed()
    assert verdict.docs.is_file()
    assert ask("select batch_or_run, suite, count(*), bool_and(passed) from checks.results group by all") == [
        ("rates", TOLD_RATES.name, len(TOLD_RATES.measures), True)
    ]


def test_a_rate_that_can_not_be_refuses_its_contract(warehouse, gate, ask):
    verdict = judge(warehouse, gate, hours("-0.02"))
    with pytest.raises(
        CheckFailed, match=r"(?s)Batch rates was refused.*PF_XBTUSD funding: highest_relative_rate=0\.02"
    ):
        verdict.refuse_failed()
    assert ask("select check_name from checks.results where not passed") == [("highest_relative_rate",)]
