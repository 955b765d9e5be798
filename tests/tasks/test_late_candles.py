"""What a session decided on is what is published, or it trades no further: late and revised candles (I31)."""

from pathlib import Path

import duckdb
import numpy as np
import pytest

from config.settings import Settings
from exchange.simulator import Candle, Signal
from ops.journal import JournalReader, Kind
from tasks.market import Market
from tasks.recording import REPLAYED, row_projection
from tasks.session import Past, Tally, first_revision, run_session
from trading.errors import TradingHalted

BAR = 900_000_000
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


def test_a_candle_that_came_late_halts_before_another_close_is_traded(short):
    publish(short, but="instrument = 'ETH/USD' and closed_at > '2023-01-13'")
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
        "the signal of ETH/USD, closed 1970-01-01 00:30 UTC, is gone: a candle from before the session differs"
    )
