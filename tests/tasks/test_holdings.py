"""Open positions by the journals: as many as the session itself says, over all journals that lie there."""

from ops.clock import SystemClock
from ops.journal import Entry, Journal, JournalReader, Kind, Row, canonical
from tasks.session import run_session
from tasks.universe.holdings import held_markets, open_instruments

PERPETUALS = {"BTC/USD": "PF_XBTUSD", "ETH/USD": "PF_ETHUSD"}


def fill(number: int, instrument: str, side: int, lots: int) -> Row:
    entry = Entry(Kind.EVENT, number, instrument, None, {"event": "fill", "side": side, "lots": lots})
    return Row(number, 0, str(entry.kind), entry.at, instrument, None, canonical(entry.payload), "", "")


def test_at_each_close_of_a_session_the_fills_say_what_its_account_says(settings):
    short = settings.model_copy(update={"session": settings.session.model_copy(update={"candles": 200})})
    with JournalReader(run_session(short).journal) as journal:
        rows = list(journal.rows(kinds=[Kind.EVENT, Kind.SNAPSHOT]))
    seen = set()
    for number, row in enumerate(rows):
        if row.kind == Kind.SNAPSHOT:
            held = len(open_instruments(each for each in rows[:number] if each.kind == Kind.EVENT))
            account = row.values
            assert held <= account["open_positions"], "which counts what is in flight too"
            assert held or not account["unrealized_e8"]
            seen.add(held)
    assert len(seen) > 1


def test_a_position_counts_until_it_is_closed_whole():
    fills = [fill(1, "BTC/USD", 1, 5), fill(2, "ETH/USD", -1, 2), fill(3, "BTC/USD", -1, 3), fill(4, "ETH/USD", 1, 2)]
    assert open_instruments(fills) == {"BTC/USD"}
    assert open_instruments([*fills, fill(5, "BTC/USD", -1, 2)]) == set()


def test_the_journal_of_a_session_that_was_begun_anew_counts_too(tmp_path):
    for name in ("paper-1", "paper-2"):
        with Journal(tmp_path / f"{name}.sqlite", holder="a test", clock=SystemClock()) as journal:
            journal.append([Entry(Kind.EVENT, 1, "BTC/USD", None, {"event": "fill", "side": -1, "lots": 5})])
    held = "journal paper-1, paper-2"
    assert held_markets(tmp_path, PERPETUALS) == {"BTC/USD": held, "PF_XBTUSD": held}
    assert held_markets(tmp_path, {}) == {"BTC/USD": held}


def test_without_journals_nothing_is_held(tmp_path):
    assert held_markets(tmp_path / "journals", PERPETUALS) == {}
