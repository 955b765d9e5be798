"""What a session decided on is what is published, or it trades no further: late and revised candles (I31)."""

from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np
import pytest

from config.settings import Settings
from exchange.rows import Candle, Signal
from ops.clock import as_datetime
from ops.journal import JournalReader, Kind
from tasks.market import Market
from tasks.recording import REPLAYED, row_projection
from tasks.session import Past, Tally, first_revision, run_session
from trading.errors import TradingHalted

BAR = 900_000_000
ON_THE_13TH = "closed_at > '2023-01-13' and closed_at < '2023-01-14'"
CANDLES = [Candle(number, bar * BAR, (bar + 1) * BAR, 9, 9, 9, 9) for bar in range(4) for number in range(2)]
SIGNALS = [Signal(1, 2 * BAR, 3 * BAR, 1, 9, 5, 0, 0, 0, 0, 0)]
PAST = Past(Tally(2), 3 * BAR, tuple(CANDLES[2:6]), tuple(SIGNALS))  # of the second and the third close


@pytest.fixture
def short(settings: Settings) -> Settings:
    return settings.model_copy(update={"session": settings.session.model_copy(update={"candles": 200})})


def publish(settings: Settings, but: str = "false") -> None:
    """Publish what the warehouse holds, without the candles for which `but` holds."""
    settings.paths.published.chmod(0o644)
    with duckdb.connect(str(settings.paths.published)) as published:
        published.execute("set timezone = 'UTC'")
        published.execute("create table if not exists marts.all_candles as from marts.candles")
        published.execute("drop view if exists marts.candles")
        published.execute(f"create view marts.candles as from marts.all_candles where not ({but})")


def named(settings: Settings, name: str) -> Settings:
    return settings.model_copy(update={"session": settings.session.model_copy(update={"name": name})})


def warnings_of(path: Path) -> list[dict[str, object]]:
    return [values for values in values_of(path, Kind.ALERT) if values["severity"] == "warning"]


def values_of(path: Path, kind: str) -> list[dict[str, object]]:
    with JournalReader(path) as journal:
        return [row.values for row in journal.rows(kinds=[kind])]


def closes_of(path: Path) -> list[str]:
    with JournalReader(path) as journal:
        return [row_projection(row) for row in journal.rows(kinds=REPLAYED)]


def market_of(candles: list[Candle], signals: list[Signal]) -> Market:
    return Market(np.array(candles, np.int64), np.array(signals, np.int64).reshape(-1, len(Signal._fields)), (), (), ())


def revision(candles: list[Candle], signals: list[Signal], past: Past = PAST) -> str | None:
    return first_revision(past, market_of(candles, signals), ("BTC/USD", "ETH/USD"))


def test_a_session_waits_for_the_instrument_whose_candles_come_last_and_then_goes_on(short):
    publish(short, but="instrument = 'ETH/USD' and closed_at > '2023-01-13'")
    first = run_session(short)
    assert as_datetime(first.last_close_at) == datetime(2023, 1, 13, tzinfo=UTC)
    assert "waits for ETH/USD, whose candles end 2023-01-13 00:00 UTC, 192 closes behind." in first.sentence
    publish(short)
    second = run_session(short)
    assert (second.added.closes, second.waits_for) == (192, "")


def test_candles_that_come_one_instrument_after_the_other_are_traded_as_if_they_had_come_together(short):
    for name, late in (("together", "true"), ("apart", "instrument = 'BTC/USD'")):
        for until in ("2023-01-13", "2023-01-14"):
            publish(short, but=f"closed_at > '{until}' and {late}")
            run_session(named(short, name))
        publish(short)
        run_session(named(short, name))
    together, apart = sorted(short.paths.journals.glob("*.sqlite"), reverse=True)
    assert closes_of(apart) == closes_of(together)


def test_a_long_wait_is_alerted_once_and_a_short_one_is_not(short):
    publish(short, but="instrument = 'ETH/USD' and closed_at > '2023-01-14'")
    journal = run_session(short).journal
    assert warnings_of(journal) == []
    publish(short, but="instrument = 'ETH/USD' and closed_at >= '2023-01-14'")
    one_day_and_a_candle = named(short, "long")
    journal = run_session(one_day_and_a_candle).journal
    run_session(one_day_and_a_candle)
    (warning,) = warnings_of(journal)
    assert "ETH/USD, whose candles end 2023-01-13 23:45 UTC, 97 closes behind" in str(warning["body"])


def test_a_session_waits_for_an_instrument_without_candles_and_says_so(short):
    publish(short, but="instrument = 'ETH/USD'")
    session = run_session(short)
    assert (session.total.closes, session.is_up_to_date) == (0, True)
    assert "no close yet" in session.sentence
    assert "waits for ETH/USD, which has no candles" in session.sentence
    (warning,) = warnings_of(session.journal)
    assert "strategy.instruments" in str(warning["body"])


def test_a_candle_that_came_late_halts_before_another_close_is_traded(short):
    publish(short, but=f"instrument = 'ETH/USD' and {ON_THE_13TH}")
    first = run_session(short)
    before = closes_of(first.journal)
    publish(short)
    with pytest.raises(TradingHalted, match=r"candle of ETH/USD, closed 2023-01-13 00:15 UTC, came late, as one of"):
        run_session(short)
    assert closes_of(first.journal) == before
    alert = values_of(first.journal, Kind.ALERT)[-1]
    assert alert["severity"] == "critical"
    assert all(word in str(alert["body"]) for word in ("ETH/USD", "2023-01-13 00:15", "move ", str(first.journal)))


def test_a_halt_goes_on_by_itself_once_the_candles_are_as_they_were(short):
    publish(short, but="closed_at > '2023-01-14'")
    first = run_session(short)
    publish(short, but="closed_at = '2023-01-13 12:00'")
    with pytest.raises(TradingHalted, match=r"candle of BTC/USD, closed 2023-01-13 12:00 UTC, is gone, as one of 2"):
        run_session(short)
    publish(short)
    assert run_session(short).added.closes > 0
    assert closes_of(first.journal)


def test_a_halt_is_told_again_by_every_session_that_halts(short):
    journal = run_session(short).journal
    publish(short, but="closed_at = '2023-01-14'")
    for _ in range(2):
        with pytest.raises(TradingHalted):
            run_session(short)
    halts = [values for values in values_of(journal, Kind.ALERT) if values["severity"] == "critical"]
    assert len({values["key"] for values in halts}) == len(halts) == 2


def test_what_is_published_as_it_was_is_no_revision_whatever_lies_around_it():
    earlier, later = SIGNALS[0]._replace(known_at=BAR), SIGNALS[0]._replace(known_at=4 * BAR)
    assert revision(CANDLES, SIGNALS) is None
    assert revision(CANDLES[1:7], [earlier, *SIGNALS, later]) is None
    assert revision([], [], Past(Tally(), 0, (), ())) is None


def test_a_late_a_lost_and_a_revised_candle_are_told_apart():
    one, other = CANDLES[2], CANDLES[5]
    late = PAST._replace(candles=PAST.candles[:-1])
    assert revision(CANDLES, SIGNALS, late) == ("the candle of ETH/USD, closed 1970-01-01 00:45 UTC, came late")
    assert "BTC/USD, closed 1970-01-01 00:30 UTC, is gone" in revision([c for c in CANDLES if c != one], SIGNALS)
    revised = [c._replace(low=8) if c in (one, other) else c for c in CANDLES]
    assert revision(revised, SIGNALS) == (
        "the candle of BTC/USD, closed 1970-01-01 00:30 UTC, was revised, as one of 2"
    )


def test_a_signal_that_is_proposed_otherwise_by_now_is_a_revision_too():
    assert revision(CANDLES, []) == (
        "the signal of ETH/USD, closed 1970-01-01 00:30 UTC, is gone: candles from before the session, or the code "
        "of the features, differ"
    )
