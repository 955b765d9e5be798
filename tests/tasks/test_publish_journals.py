"""What a session decided reaches the people who query it, also when the session did not end well.

Prefect is imported by the tests that need it: it takes seconds, and collecting this module needs none of it.
"""

import logging
import sqlite3
from pathlib import Path

import pytest

from config.settings import Settings
from ops.clock import SteppedClock
from ops.journal import Journal
from tasks.publication import publish_journals
from tasks.session import run_session
from trading.errors import SetupFailed, TradingHalted
from warehouse.connection import reading, unit_of_work


@pytest.fixture(scope="module")
def trade():
    """The flow, on a Prefect server of this module."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        from flows.trade import trade

        yield trade


def journal(folder: Path, name: str) -> None:
    Journal(folder / f"{name}.sqlite", holder="test", clock=SteppedClock(1_000)).close()


def changed_since_its_checks(settings: Settings) -> None:
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
        warehouse.execute("update raw.files set file_id = -file_id")


def spoilt(path: Path) -> None:
    """A journal whose replay can't give what it holds."""
    connection = sqlite3.connect(path)
    connection.execute("drop trigger journal_keeps_its_rows")
    connection.execute("update journal set payload = replace(payload, '\"lots\":', '\"lots\":1') where kind = 'intent'")
    connection.commit()
    connection.close()


def published_rows(settings: Settings) -> int:
    with reading(settings.paths.published) as warehouse:
        row = warehouse.execute("select count(*) from marts.journal").fetchone()
    assert row is not None
    count: int = row[0]
    return count


def test_says_how_many_rows_were_added_and_which_file_was_left_out(settings):
    journal(settings.paths.journals, "paper-1")
    (settings.paths.journals / "odd.sqlite").touch()
    report = publish_journals(settings)
    added, left_out = report.sentences
    assert added == "Added 1 rows to marts.journal."
    assert "odd.sqlite is left out of marts.journal" in left_out
    assert published_rows(settings) == 1


def test_says_so_when_the_rows_wait_for_a_build_that_passes(settings):
    publish_journals(settings)
    changed_since_its_checks(settings)
    journal(settings.paths.journals, "paper-1")
    (sentence,) = publish_journals(settings).sentences
    assert sentence.startswith("Added 1 rows to marts.journal, not published yet: ")
    assert published_rows(settings) == 0


@pytest.mark.deep  # a server of their own takes a while
@pytest.mark.xdist_group("prefect")
def test_a_session_that_halts_has_its_journal_published(settings, trade, caplog):
    path = run_session(settings).journal
    spoilt(path)
    with caplog.at_level(logging.INFO), pytest.raises(TradingHalted, match="can't be replayed"):
        trade("paper")
    assert published_rows(settings) > 0
    assert "rows to marts.journal." in caplog.text


@pytest.mark.deep  # a server of their own takes a while
@pytest.mark.xdist_group("prefect")
def test_a_journal_that_cant_be_published_does_not_hide_why_the_session_ended(settings, trade):
    settings.paths.build.unlink()
    settings.paths.build.mkdir()
    spoilt(run_session(settings).journal)
    with pytest.raises(TradingHalted, match="can't be replayed"):
        trade("paper")


@pytest.mark.deep  # a server of their own takes a while
@pytest.mark.xdist_group("prefect")
def test_a_session_that_traded_fails_when_its_journal_cant_be_published(settings, trade):
    settings.paths.build.unlink()
    settings.paths.build.mkdir()
    with pytest.raises(SetupFailed, match="can't be opened"):
        trade("paper")
    assert list(settings.paths.journals.glob("*.sqlite"))
