"""`slipway alerts`, as a person meets it."""

from pathlib import Path

import pytest

from ops.cli import main
from ops.clock import SteppedClock
from ops.journal import Entry, Journal, Kind

MINUTE = 60_000_000


@pytest.fixture(autouse=True)
def journals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SLIPWAY_HOME", str(tmp_path))
    return tmp_path / ".slipway" / "journals"


def alerted(journals: Path, name: str, *minutes: int, taken: tuple[int, ...] = ()) -> None:
    """A journal with an alert at each of these minutes of 1970; some were taken by a channel."""
    with Journal(journals / f"{name}.sqlite", holder="test", clock=SteppedClock(1)) as journal:
        for minute in minutes:
            told = {"key": f"k{minute}", "severity": "warning", "title": f"title {minute}", "body": "one\ntwo"}
            journal.append([Entry(Kind.ALERT, minute * MINUTE, key=f"alert:k{minute}", payload=told)])
        for minute in taken:
            journal.append([Entry(Kind.DELIVERY, minute * MINUTE, payload={"alert": f"k{minute}", "channel": "c"})])


def test_shows_the_alerts_of_all_journals_newest_first(journals: Path, capsys: pytest.CaptureFixture[str]) -> None:
    alerted(journals, "ingest", 1, 3, taken=(3,))
    alerted(journals, "paper", 2)
    assert main(["alerts"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "1970-01-01 00:03 UTC  warning   ingest: title 3", "    one", "    two",
        "1970-01-01 00:02 UTC  warning   paper: title 2  (waits for a channel: alerts.urls)", "    one", "    two",
        "1970-01-01 00:01 UTC  warning   ingest: title 1  (waits for a channel: alerts.urls)", "    one", "    two",
    ]  # fmt: skip


def test_shows_as_many_as_are_asked_for_and_says_that_there_are_more(
    journals: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alerted(journals, "paper", 1, 2, 3)
    assert main(["alerts", "-n", "1"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("1970-01-01 00:03 UTC")
    assert said.endswith("… and 2 older ones; -n shows more.\n")


def test_says_that_there_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["alerts"]) == 0
    assert capsys.readouterr().out == "There is no alert.\n"


def test_a_file_that_is_no_journal_keeps_no_other_from_being_shown(
    journals: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alerted(journals, "paper", 1)
    (journals / "broken.sqlite").write_text("this is no journal " * 100)
    assert main(["alerts"]) == 1
    said = capsys.readouterr()
    assert "title 1" in said.out
    assert "broken.sqlite" in said.err
