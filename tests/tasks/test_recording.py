"""The shape of a session's rows, pinned: journals are read for years, so a change here is a change of format."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from exchange.rows import Candle, Costs, Signal
from exchange.simulator import Simulator
from ops.clock import SteppedClock
from ops.journal import Entry, Journal, Kind
from tasks.recording import Identity, RecordedClose, closes_of, entries_of, entry_projection, first_difference
from trading.errors import TradingHalted
from trading.model import PPM, Rules, client_order_id, opening

IDENTITY = Identity("signals_test", "f" * 64, ("BTC/USD",))
BOTH = Identity("signals_test", "f" * 64, ("BTC/USD", "ETH/USD"))
RULES = Rules(
    unit_e8=10_000, minimum_lots=1, maximum_lots=10**9, taker_fee_ppm=500, maker_fee_ppm=200, risk_ppm=10_000,
    max_notional_ppm=PPM, max_positions=2, max_daily_loss_ppm=50_000, max_drawdown_ppm=600_000, cooldown_us=0,
)  # fmt: skip
BAR = 900_000_000
FIRST = Candle(0, 0, BAR, 20_000, 20_100, 19_900, 20_000)
SECOND = Candle(0, BAR, 2 * BAR, 20_000, 20_050, 19_950, 20_010)
LONG = Signal(0, BAR, BAR, 1, 20_000, 500, 1_000, 0, 0, 0, PPM)


@pytest.fixture
def simulator() -> Simulator:
    return Simulator([RULES], Costs(slippage_ppm=0, latency_us=250_000), opening(100_000 * 10**8))


def entries(simulator: Simulator, candle: Candle, *signals: Signal) -> tuple[Entry, ...]:
    return entries_of([candle], signals, simulator.advance([candle], signals), IDENTITY)


def test_a_signal_its_intent_and_its_decision(simulator):
    candle, signal, intent, decision, snapshot = entries(simulator, FIRST, LONG)
    order = client_order_id("signals_test", "BTC/USD", BAR, 1)
    assert candle == Entry(
        Kind.EVENT, BAR, "BTC/USD", f"candle:BTC/USD:{BAR}",
        {
            "event": "candle", "opened_at": 0, "closed_at": BAR,
            "open": 20_000, "high": 20_100, "low": 19_900, "close": 20_000,
        },
    )  # fmt: skip
    assert signal[:4] == (Kind.EVENT, BAR, "BTC/USD", f"signal:BTC/USD:{BAR}")
    assert {"event": "signal", "side": 1, "stop_distance": 500, "known_at": BAR}.items() <= signal.payload.items()
    assert intent[:4] == (Kind.INTENT, BAR, "BTC/USD", f"place:{order}:0")
    assert {"intent": "place", "role": "entry", "order": order, "lots": 20_000}.items() <= intent.payload.items()
    assert decision == Entry(
        Kind.DECISION, BAR, "BTC/USD", f"decision:BTC/USD:{BAR}",
        {"decision": "entered", "side": 1, "signal_at": BAR, "strategy": "signals_test", "hash": "f" * 64},
    )  # fmt: skip
    assert snapshot[:4] == (Kind.SNAPSHOT, BAR, "", f"snapshot:{BAR}")
    assert snapshot.payload["cash_e8"] == 100_000 * 10**8


def test_while_what_later_versions_added_is_off_a_snapshot_is_what_it_always_was(simulator):
    """A journal of before replays to its very rows."""
    *_, snapshot = entries(simulator, FIRST, LONG)
    assert set(snapshot.payload) == {
        "cash_e8", "unrealized_e8", "transferred_e8", "peak_e8", "day", "day_start_e8", "day_low_e8",
        "losses_in_a_row", "halted", "open_positions", "long_notional_e8", "short_notional_e8",
    }  # fmt: skip


def test_a_limit_is_in_the_row_of_its_signal_and_no_limit_is_not(simulator, tmp_path):
    limited = LONG._replace(entry_distance=40)
    close = entries(simulator, FIRST, limited)
    assert close[1].payload["entry_distance"] == 40
    with Journal(tmp_path / "journal.sqlite", holder="test", clock=SteppedClock()) as journal:
        journal.append(close)
        (recorded,) = closes_of(journal.rows(), IDENTITY)
    assert recorded.signals == (limited,)
    other = Simulator([RULES], Costs(slippage_ppm=0, latency_us=250_000), opening(100_000 * 10**8))
    assert "entry_distance" not in entries(other, FIRST, LONG)[1].payload


def test_what_is_on_is_in_the_snapshot():
    rules = RULES._replace(max_bucket_positions=1, bucket_unit=64)
    bucketed = Simulator([rules], Costs(slippage_ppm=0, latency_us=250_000), opening(100_000 * 10**8))
    *_, snapshot = entries(bucketed, FIRST, LONG)
    assert snapshot.payload["long_buckets"] == 64
    assert "paused_until" not in snapshot.payload


def test_who_lost_to_whom_is_in_the_journal_and_comes_after():
    rows = close_with_an_outbid_signal()
    told = [
        (row.instrument, row.payload["decision"], row.payload.get("lost_to"))
        for row in rows
        if row.kind == Kind.DECISION
    ]
    assert told == [("ETH/USD", "entered", None), ("BTC/USD", "max_positions", "ETH/USD")]


def test_a_journal_that_never_said_to_whom_a_signal_was_lost_replays(tmp_path):
    rows = close_with_an_outbid_signal()
    before = [
        row._replace(payload={name: value for name, value in row.payload.items() if name != "lost_to"}) for row in rows
    ]
    assert first_difference(journaled(rows, tmp_path / "now.sqlite"), rows) is None
    assert first_difference(journaled(before, tmp_path / "before.sqlite"), rows) is None
    assert "lost_to" in str(first_difference(journaled(rows, tmp_path / "other.sqlite"), before))


def close_with_an_outbid_signal() -> tuple[Entry, ...]:
    """A close at which two instruments propose a trade, and the second has the higher score and the only room."""
    narrow = Simulator([RULES._replace(max_positions=1)] * 2, Costs(0, 250_000), opening(100_000 * 10**8))
    signals = (LONG, LONG._replace(instrument=1, score=2 * PPM))
    candles = (FIRST, FIRST._replace(instrument=1))
    return entries_of(candles, signals, narrow.advance(candles, signals), BOTH)


def journaled(entries: Sequence[Entry], path: Path) -> RecordedClose:
    with Journal(path, holder="test", clock=SteppedClock()) as journal:
        journal.append(entries)
        (close,) = closes_of(journal.rows(), BOTH)
    return close


def test_a_fill_comes_before_the_orders_that_protect_it(simulator):
    entries(simulator, FIRST, LONG)
    _, fill, stop, target, _ = entries(simulator, SECOND)
    assert fill[:3] == (Kind.EVENT, BAR + 250_000, "BTC/USD")
    assert {"event": "fill", "role": "entry", "price": 20_000, "stop_price": 19_500}.items() <= fill.payload.items()
    assert (stop.payload["role"], stop.payload["price"], stop.payload["reduce_only"]) == ("stop", 19_500, 1)
    assert (target.payload["role"], target.payload["price"]) == ("target_1", 21_000)


def test_the_same_inputs_give_the_same_lines(simulator):
    again = Simulator([RULES], Costs(slippage_ppm=0, latency_us=250_000), opening(100_000 * 10**8))
    one, other = entries(simulator, FIRST, LONG), entries(again, FIRST, LONG)
    assert [*map(entry_projection, one)] == [*map(entry_projection, other)]
    assert all(json.loads(entry_projection(entry)) for entry in one)


def test_a_journal_gives_its_closes_back(simulator, tmp_path):
    written = [entries(simulator, FIRST, LONG), entries(simulator, SECOND)]
    with Journal(tmp_path / "journal.sqlite", holder="test", clock=SteppedClock()) as journal:
        for close in written:
            journal.append(close)
        first, second = closes_of(journal.rows(), IDENTITY)
    assert (first.candles, first.signals) == ((FIRST,), (LONG,))
    assert (second.candles, second.signals) == ((SECOND,), ())
    assert first_difference(first, written[0]) is None
    assert "the replay gives" in str(first_difference(first, written[1]))
    assert "has 5 rows, the replay gives 4" in str(first_difference(first, written[0][:4]))


def test_a_journal_that_ends_inside_a_close_is_not_ours(simulator, tmp_path):
    with Journal(tmp_path / "journal.sqlite", holder="test", clock=SteppedClock()) as journal:
        journal.append(entries(simulator, FIRST, LONG)[:3])
        with pytest.raises(TradingHalted, match="ends at row 4, inside a close"):
            list(closes_of(journal.rows(), IDENTITY))
