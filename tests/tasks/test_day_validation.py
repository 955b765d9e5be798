"""The daily batch over what is published: results as rows, Data Docs, one alert; and nothing is unpublished."""

import datetime as dt
from decimal import Decimal

import pytest

from config.settings import load_settings
from ops.journal import JournalReader, Kind
from tasks.candles import publish
from tasks.facts import of_day
from tasks.stages import check_all
from tasks.startup import was_told
from tasks.upkeep.validation import validate_day
from trading.errors import CheckFailed, SetupFailed
from warehouse.connection import reading, unit_of_work
from warehouse.gate.daily_suites import DAILY_SUITES
from warehouse.reference.funding import FundingHour, land_funding

pytestmark = pytest.mark.xdist_group("heavy")  # one process imports Great Expectations

DAY = dt.date(2023, 1, 5)
EXPECTATIONS = sum(len(suite.measures) for suite in DAILY_SUITES)


def ask(settings, query):
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
        return warehouse.execute(query).fetchall()


def alerts(settings):
    file = settings.paths.journals / "validate.sqlite"
    if not file.exists():
        return []
    with JournalReader(file) as journal:
        return [row.values for row in journal.rows(kinds=[Kind.ALERT])]


def published_at(settings):
    with reading(settings.paths.published) as published:
        return published.execute("select published_at from meta.publication").fetchone()


def publish_a_wild_rate(settings):
    at = dt.datetime.combine(DAY, dt.time(5), dt.UTC)
    rates = [FundingHour("PF_XBTUSD", at, Decimal(9000), Decimal("0.5"))]
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
        land_funding(warehouse, rates, source="kraken-rest", fetched_at=dt.datetime.now(dt.UTC))
    check_all(settings, run="after the rate")
    publish(settings)


def test_a_good_day_leaves_rows_and_pages_and_alerts_nobody(settings):
    report = validate_day(settings, DAY)

    report.refuse_failed()
    assert ask(
        settings, "select count(*), bool_and(passed) from checks.results where batch_or_run = 'day-2023-01-05'"
    ) == [(EXPECTATIONS, True)]
    assert report.docs.is_file()
    assert of_day(report)["marts candles of a day"] == "4 of 4 met"
    assert alerts(settings) == []


def test_what_is_out_of_range_is_kept_and_alerted_once_and_stays_published(settings):
    publish_a_wild_rate(settings)
    before = published_at(settings)

    reports = [validate_day(settings, DAY) for _ in range(2)]

    for report in reports:
        with pytest.raises(CheckFailed, match=r"(?s)2023-01-05: 1 .* PF_XBTUSD.*highest_relative_rate=0\.5") as refused:
            report.refuse_failed()
        assert was_told(refused.value)  # so the flow that it ends raises no second alert
        assert report.instruments == ("PF_XBTUSD",)
    assert ask(settings, "select distinct suite, check_name, offenders from checks.results where not passed") == [
        ("marts funding rates of a day", "highest_relative_rate", 1)
    ]
    (alert,) = alerts(settings)
    assert "PF_XBTUSD" in alert["title"]
    assert "highest_relative_rate=0.5" in alert["body"]
    assert published_at(settings) == before


@pytest.mark.parametrize(("source", "missed"), [("kraken-rest", ("PF_XBTUSD",)), ("sandbox-rest", ())])
def test_a_venue_that_tells_no_more_is_missed_and_a_sandbox_is_not(settings, source, missed):
    at = dt.datetime.combine(DAY - dt.timedelta(days=1), dt.time(5), dt.UTC)
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
        rates = [FundingHour("PF_XBTUSD", at, Decimal(1), Decimal("0.00001"))]
        land_funding(warehouse, rates, source=source, fetched_at=at)
    check_all(settings, run="after the rate")
    publish(settings)
    assert validate_day(settings, DAY).instruments == missed


def test_yesterday_is_judged_when_no_day_is_named(settings):
    before = dt.datetime.now(dt.UTC).date()
    report = validate_day(settings)
    after = dt.datetime.now(dt.UTC).date()
    assert before <= report.day + dt.timedelta(days=1) <= after
    assert report.failed == ()  # candles of 2023 are not behind anything


def test_nothing_published_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("SLIPWAY_HOME", str(tmp_path))
    with pytest.raises(SetupFailed, match="run `make run` first"):
        validate_day(load_settings(), DAY)
