"""What is past its limit goes, counted; what still counts stays, and the sums of the batches still hold."""

import datetime as dt
from pathlib import Path

import pytest

from warehouse.checks import run_checks
from warehouse.upkeep.retention import Forgotten, forget

NEW = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
OLD = NEW - dt.timedelta(days=100)
LIMIT = NEW - dt.timedelta(days=90)
ADDS_UP = Path(__file__).resolve().parents[2] / "sql" / "checks" / "batches_add_up.sql"
GOOD = "1672531200,1,2,1,2,5,3\n"
BAD = "1672532100,-1,2,1,2,5,3\n"


def tidied(warehouse, **limits):
    before = {"refused_before": LIMIT, "texts_before": LIMIT, "checks_before": LIMIT, **limits}
    return forget(warehouse, **before)


def test_an_old_refused_batch_goes_with_all_it_brought(warehouse, landed, ask):
    batch = landed({"XBTUSD_15.csv": GOOD + BAD}, fetched_at=OLD)
    warehouse.execute("update raw.batches set state = 'refused'")
    assert tidied(warehouse) == Forgotten(refused_batches=1, refused_rows=1)
    for table in ("raw.batches", "raw.files", "raw.candle_rows", "raw.quarantine"):
        assert ask(f"select count(*) from {table}") == [(0,)], (table, batch)


@pytest.mark.parametrize(("state", "fetched_at"), [("refused", NEW), ("validated", OLD), ("landed", OLD)])
def test_a_batch_that_counts_or_may_yet_or_was_refused_of_late_stays(warehouse, landed, ask, state, fetched_at):
    landed({"XBTUSD_15.csv": GOOD}, fetched_at=fetched_at)
    warehouse.execute("update raw.batches set state = ?", [state])
    assert tidied(warehouse) == Forgotten()
    assert ask("select count(*) from raw.candle_rows") == [(1,)]


def test_of_an_old_line_in_quarantine_only_the_text_goes(warehouse, landed, ask):
    landed({"XBTUSD_15.csv": GOOD + BAD}, fetched_at=OLD)
    landed({"ETHUSD_15.csv": GOOD + BAD}, fetched_at=NEW)
    before = ask("select * exclude row_text from raw.quarantine order by all")
    assert tidied(warehouse).quarantine_texts == 1
    assert ask("select * exclude row_text from raw.quarantine order by all") == before
    assert ask("select instrument, row_text <> '' from raw.quarantine order by all") == [
        ("BTC/USD", False),
        ("ETH/USD", True),
    ]
    assert tidied(warehouse).quarantine_texts == 0


def test_every_row_that_was_read_is_still_accounted_for(warehouse, landed):
    landed({"XBTUSD_15.csv": GOOD + BAD}, fetched_at=OLD)
    landed({"ETHUSD_15.csv": GOOD + BAD}, fetched_at=OLD)
    warehouse.execute(
        "update raw.batches set state = 'refused' where batch_id = (select min(batch_id) from raw.batches)"
    )
    tidied(warehouse)
    assert warehouse.execute(ADDS_UP.read_text("utf-8")).fetchall() == []


def test_old_results_of_checks_go(warehouse, ask, tmp_path):
    (tmp_path / "some_check.sql").write_text("-- Nothing.\n-- grain: none\nselect 1 as one where false\n")
    run_checks(warehouse, tmp_path, run="old", checked_at=OLD)
    run_checks(warehouse, tmp_path, run="new", checked_at=NEW)
    assert tidied(warehouse).check_results == 1
    assert ask("select batch_or_run from checks.results") == [("new",)]
