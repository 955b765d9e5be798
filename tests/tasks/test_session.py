"""`run_session` on real candles: one bounded session, recovered, announced once, and equal to the backtest."""

import random
import sqlite3
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from config.settings import ROOT, Settings
from ops.clock import SteppedClock, as_datetime
from ops.journal import Entry, Journal, JournalReader, Kind
from tasks.backtests import run_backtest
from tasks.market import History, load_history
from tasks.recording import REPLAYED, row_projection
from tasks.session import run_session
from trading.errors import TradingHalted

CLOSES = 200


@pytest.fixture
def short(settings: Settings) -> Settings:
    return with_session(settings, candles=CLOSES)


def with_session(settings: Settings, **changes: object) -> Settings:
    return settings.model_copy(update={"session": settings.session.model_copy(update=changes)})


def riskier(settings: Settings) -> Settings:
    return settings.model_copy(update={"risk": settings.risk.model_copy(update={"cooldown_minutes": 30})})


def rows_of(path: Path, *kinds: str) -> list[str]:
    with JournalReader(path) as journal:
        return [row_projection(row) for row in journal.rows(kinds=kinds or REPLAYED)]


def values_of(path: Path, kind: str) -> list[dict[str, object]]:
    with JournalReader(path) as journal:
        return [row.values for row in journal.rows(kinds=[kind])]


def test_a_session_is_the_backtest_of_its_closes(short):
    session = run_session(short)
    with JournalReader(session.journal) as journal:
        assert journal.verify().broken_at is None
        first_candle = next(journal.rows(kinds=[Kind.EVENT])).values
    strategy = short.paths.sql / "marts" / f"{short.strategy.name}.sql"
    backtest = run_backtest(short, strategy, first=as_datetime(first_candle["opened_at"]), store=False, report=False)
    assert session.total.entries > 3
    assert session.total.closes == CLOSES == len(backtest.view.equity)
    assert (session.total.signals, session.total.entries) == (
        sum(backtest.view.decisions.values()),
        backtest.metrics.trades,
    )
    equity = [values["cash_e8"] + values["unrealized_e8"] for values in values_of(session.journal, Kind.SNAPSHOT)]
    assert [value / 10**8 for value in equity] == backtest.view.equity["equity_usd"].to_list()
    decisions = [values["decision"] for values in values_of(session.journal, Kind.DECISION)]
    assert sorted(decisions) == sorted(name for name, count in backtest.view.decisions.items() for _ in range(count))


def test_a_second_run_without_new_candles_is_up_to_date_and_trades_nothing(short):
    first = run_session(short)
    before = rows_of(first.journal)
    second = run_session(short)
    assert second.is_up_to_date
    assert "up to date, nothing new after 2023-01-15 00:00 UTC" in second.sentence
    assert (second.equity_usd, second.total) == (first.equity_usd, first.total)
    assert rows_of(first.journal) == before


def test_a_session_is_bounded_and_the_next_one_goes_on(short):
    whole = run_session(with_session(short, name="whole"))
    # A journal that ended earlier: the first half of the same session, copied before the second half was lived.
    half = whole.journal.with_name(whole.journal.name.replace("whole", "half"))
    cut_after(whole.journal, half, closes=CLOSES // 2)
    second = run_session(with_session(short, name="half", candles=30))
    assert (second.added.closes, second.total.closes) == (30, CLOSES // 2 + 30)
    run_session(with_session(short, name="half"))
    assert rows_of(half) == rows_of(whole.journal)


def test_candles_are_read_when_no_older_session_can_write_any_more(short, monkeypatch):
    path = run_session(short).journal
    with Journal(path, holder="older", clock=SteppedClock()) as older:

        def read(*given: object, **named: bool) -> History:
            with pytest.raises(TradingHalted, match="took over"):
                older.append([])
            return load_history(*given, **named)

        monkeypatch.setattr("tasks.session.load_history", read)
        assert run_session(short).is_up_to_date


def test_every_decision_carries_the_hash_of_strategy_and_settings(short):
    session = run_session(short)
    (started,) = values_of(session.journal, Kind.SESSION)
    assert {values["hash"] for values in values_of(session.journal, Kind.DECISION)} == {started["hash"]}
    assert session.journal.stem == f"paper-{str(started['hash'])[:8]}"


def test_other_settings_begin_another_journal_and_say_so(short):
    first = run_session(short)
    other = run_session(riskier(short))
    assert other.journal != first.journal
    assert "begins, for another strategy text or other settings than" in other.sentence
    assert first.journal.name in other.sentence
    assert run_session(short).is_up_to_date


def test_a_journal_that_can_not_be_replayed_stops_the_session(short):
    session = run_session(short)
    connection = sqlite3.connect(session.journal)
    connection.execute("drop trigger journal_keeps_its_rows")
    connection.execute("update journal set payload = replace(payload, '\"lots\":', '\"lots\":1') where kind = 'intent'")
    connection.commit()
    connection.close()
    with pytest.raises(TradingHalted, match=r"can't be replayed: row \d+ holds"):
        run_session(short)
    assert [alert["severity"] for alert in values_of(session.journal, Kind.ALERT)] == ["info", "critical"]


def test_the_end_of_a_session_is_announced_once(short):
    session = run_session(short)
    run_session(short)
    (alert,) = values_of(session.journal, Kind.ALERT)
    assert alert["title"] == f"session ended: {session.journal.stem}"
    assert f"{CLOSES} closes to 2023-01-15 00:00 UTC" in str(alert["body"])


def test_intents_are_in_the_journal_in_one_transaction_with_what_caused_them(short):
    session = run_session(short)
    with JournalReader(session.journal) as journal:
        rows = list(journal.rows())
    recorded: dict[int, set[str]] = {}
    for row in rows:
        recorded.setdefault(row.recorded_at, set()).add(row.kind)
    assert all(Kind.SNAPSHOT in kinds for kinds in recorded.values() if Kind.INTENT in kinds)
    places = [row for row in rows if row.kind == Kind.INTENT and row.values["intent"] == "place"]
    assert len({row.key for row in places}) == len(places) > 0


def test_nothing_is_decided_before_it_is_known(short):
    session = run_session(short)
    with JournalReader(session.journal) as journal:
        signals = [row for row in journal.rows(kinds=[Kind.EVENT]) if row.values["event"] == "signal"]
        closes = {row.at for row in journal.rows(kinds=[Kind.SNAPSHOT])}
    assert signals
    for row in signals:
        assert row.values["known_at"] <= row.at
        assert row.at in closes
        assert row.at - row.values["known_at"] < timedelta(minutes=15) // timedelta(microseconds=1)


def test_a_killed_session_ends_as_if_undisturbed(short, home):
    assert_kills_change_nothing(short, kills=3)


@pytest.mark.deep
def test_a_session_killed_twenty_times_ends_as_if_undisturbed(short, home):
    assert_kills_change_nothing(short, kills=20)


def assert_kills_change_nothing(short: Settings, kills: int) -> None:
    undisturbed = run_session(with_session(short, name="undisturbed")).journal
    disturbed = undisturbed.with_name(undisturbed.name.replace("undisturbed", "disturbed"))
    chance = random.Random(kills)
    for number in range(kills):
        with started() as process:
            wait_for(disturbed, chance.randrange(number, number + 1 + CLOSES // (kills + 1)))
            process.kill()
    with started() as process:
        assert process.wait() == 0
    with JournalReader(disturbed) as journal:
        assert journal.verify().broken_at is None
    assert rows_of(disturbed) == rows_of(undisturbed)


PROGRAM = f"""
from config.settings import load_settings
from tasks.session import run_session

settings = load_settings()
session = settings.session.model_copy(update={{"name": "disturbed", "candles": {CLOSES}}})
run_session(settings.model_copy(update={{"session": session}}))
"""


def started() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", PROGRAM], cwd=ROOT)


def wait_for(journal: Path, closes: int) -> None:
    """Watch a journal that another process writes until it holds so many closes."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if journal.exists() and journal.stat().st_size and len(rows_of(journal, Kind.SNAPSHOT)) >= closes:
            return
        time.sleep(0.005)
    raise AssertionError(f"{journal.name} does not reach {closes} closes")


def cut_after(journal: Path, copy: Path, closes: int) -> None:
    """A journal that holds the first `closes` closes of another: what a session that ended then would have left."""
    with JournalReader(journal) as whole, Journal(copy, holder="test", clock=SteppedClock()) as part:
        for row in whole.rows(kinds=REPLAYED):
            part.append([Entry(Kind(row.kind), row.at, row.instrument, row.key, row.values)])
            closes -= row.kind == Kind.SNAPSHOT
            if not closes:
                return
