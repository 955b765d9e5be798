"""One bounded paper session: published candles one by one through the same `step()`, each close on disk as it is lived.

Starting is recovering; there is no other way to start. The journal's candles and signals are replayed through the same
rules, and what follows must be what the journal holds, row by row; then the session goes on where it ended. A journal
belongs to one strategy text and one set of trading settings: another pair begins another file.
"""

import logging
import os
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np

from config.settings import Settings
from exchange.simulator import Candle, Signal, Simulator
from ops.alerts import Delivery, Outbox
from ops.clock import SteppedClock, SystemClock, as_datetime
from ops.journal import Entry, Journal, JournalReader, Kind
from tasks.market import Market, load_history
from tasks.provenance import code_version, settings_hash, text_hash
from tasks.recording import Identity, closes_of, entries_of, first_difference
from trading.errors import TradingHalted
from trading.model import E8, Decision, equity_e8
from trading.ports import Clock
from warehouse.strategies import Strategy, load_strategy

log = logging.getLogger(__name__)


class Tally(NamedTuple):
    """What happened, counted."""

    closes: int = 0
    signals: int = 0
    entries: int = 0
    fills: int = 0


class SessionSummary(NamedTuple):
    """One run of the session: what it added, and where the whole journal stands now."""

    journal: Path
    note: str  # a new journal, a recovered one, and why
    added: Tally
    total: Tally
    last_close_at: int  # µs; 0 before the first close
    equity_usd: float
    open_positions: int
    alert: Delivery

    @property
    def is_up_to_date(self) -> bool:
        return self.added.closes == 0

    @property
    def sentence(self) -> str:
        """The summary for a person."""
        done = (
            f"up to date, nothing new after {_when(self.last_close_at)}"
            if self.is_up_to_date
            else f"{self.added.closes} closes to {_when(self.last_close_at)}, {self.added.signals} signals, "
            f"{self.added.entries} entries, {self.added.fills} fills"
        )
        return f"{self.note}: {done}; equity {self.equity_usd:,.2f} USD, {self.open_positions} positions open."


class Close(NamedTuple):
    """What is known at one close: its candles, and the signals that can be acted on since the close before."""

    at: int
    candles: tuple[Candle, ...]
    signals: tuple[Signal, ...]


def run_session(settings: Settings) -> SessionSummary:
    """Trade the closes that the journal does not hold yet, at most `session.candles` of them, then end.

    The first run of a journal begins `session.candles` closes before the end of the published data.

    Raises:
        SetupFailed: nothing is published, or the journal can't be opened.
        TradingHalted: a replay differs from the journal; another writer took over; the journal can't be written.
    """
    clock = SystemClock()
    strategy = load_strategy(settings.paths.sql / "marts" / f"{settings.strategy.name}.sql")
    market = load_history(settings, strategy).market
    identity = identity_of(settings, strategy)
    path = settings.paths.journals / f"{settings.session.name}-{identity.hash[:8]}.sqlite"
    note = _note(path)
    with Journal(path, holder=f"{settings.session.name}, process {os.getpid()}", clock=clock) as journal:
        outbox = Outbox(journal, settings.alerts.urls, clock)
        try:
            summary = _lived(journal, market, identity, settings.session.candles, clock)
        except TradingHalted as halt:
            _announce_halt(outbox, path.stem, halt)
            raise
        return summary._replace(note=note, alert=_announce(outbox, summary))


def recover(journal: JournalReader, simulator: Simulator, identity: Identity) -> tuple[Tally, int]:
    """Replay the journal through `simulator`; what it held, and its last close (0: none).

    Raises TradingHalted: the same inputs no longer give what the journal holds, so nothing may be built upon it.
    """
    tally, last_close_at = Tally(), 0
    for recorded in closes_of(journal.rows(), identity):
        moment = simulator.advance(recorded.candles, recorded.signals)
        entries = entries_of(recorded.candles, recorded.signals, moment, identity)
        difference = first_difference(recorded, entries)
        if difference is not None:
            raise TradingHalted(
                f"{journal.path.name} can't be replayed: {difference}. Either the file was changed, or the rules were "
                f"since it was written ({_writers(journal)}): run that code, or move the file away to begin anew."
            )
        tally = _counted(tally, entries)
        last_close_at = recorded.candles[0].closed_at
    return tally, last_close_at


def trade(
    journal: Journal, simulator: Simulator, identity: Identity, closes: Iterable[Close], last_close_at: int
) -> tuple[Tally, int]:
    """Live through `closes`; each is in the journal, whole, before the next one is looked at.

    The simulated venue lives in this process: what a kill keeps from the journal has not happened to it either.
    """
    tally, clock = Tally(), SteppedClock(last_close_at)
    for close in closes:
        clock.sleep_until(close.at)
        assert all(signal.known_at <= clock.now() for signal in close.signals), "a signal from the future"
        entries = entries_of(close.candles, close.signals, simulator.advance(close.candles, close.signals), identity)
        journal.append(entries)
        tally = _counted(tally, entries)
    return tally, clock.now()


def closes_after(market: Market, last_close_at: int, limit: int) -> Iterator[Close]:
    """The market's closes after `last_close_at`, at most `limit`; of a session without a past the last `limit`."""
    times = np.unique(market.candles[:, CLOSED_AT])
    fresh = times[times > last_close_at]
    chosen = fresh[:limit] if last_close_at else fresh[-limit:]
    if not chosen.size:
        return
    candles = market.candles[np.isin(market.candles[:, CLOSED_AT], chosen)]
    known_after = last_close_at or int(candles[:, OPENED_AT].min())
    known = market.signals[:, KNOWN_AT]
    waiting = [Signal(*row) for row in market.signals[(known > known_after) & (known <= chosen[-1])].tolist()]
    for at, rows in groupby((Candle(*row) for row in candles.tolist()), key=lambda candle: candle.closed_at):
        due = tuple(signal for signal in waiting if signal.known_at <= at)
        waiting = waiting[len(due) :]
        yield Close(at, tuple(rows), due)


def identity_of(settings: Settings, strategy: Strategy) -> Identity:
    """Whose journal it is: the strategy's text and the trading settings, under one hash."""
    whole = text_hash(settings_hash(settings), strategy.hash)
    return Identity(settings.strategy.name, whole, settings.strategy.instruments)


OPENED_AT, CLOSED_AT = Candle._fields.index("opened_at"), Candle._fields.index("closed_at")
KNOWN_AT = Signal._fields.index("known_at")


def _lived(journal: Journal, market: Market, identity: Identity, limit: int, clock: Clock) -> SessionSummary:
    simulator = Simulator(market.rules, market.costs, market.account)
    replayed, last_close_at = recover(journal, simulator, identity)
    closes = closes_after(market, last_close_at, limit)
    journal.append([_started(clock.now(), identity)])
    added, last_close_at = trade(journal, simulator, identity, closes, last_close_at)
    return SessionSummary(
        journal=journal.path,
        note="",
        added=added,
        total=_sum(replayed, added),
        last_close_at=last_close_at,
        equity_usd=equity_e8(simulator.account) / E8,
        open_positions=simulator.account.open_positions,
        alert=Delivery(0, 0, 0),
    )


def _note(path: Path) -> str:
    if path.exists():
        return f"session {path.stem} goes on"
    session = path.stem.rpartition("-")[0]
    others = sorted(other.name for other in path.parent.glob(f"{session}-????????.sqlite"))
    if not others:
        return f"session {path.stem} begins"
    return f"session {path.stem} begins, for another strategy text or other settings than {', '.join(others)}"


def _started(at: int, identity: Identity) -> Entry:
    payload = {"session": "started", "strategy": identity.strategy, "hash": identity.hash, "code": code_version()}
    return Entry(Kind.SESSION, at, payload=payload)


def _writers(journal: JournalReader) -> str:
    versions = dict.fromkeys(str(row.values.get("code")) for row in journal.rows(kinds=[Kind.SESSION]))
    return f"by code {', '.join(versions)}" if versions else "by unknown code"


def _announce(outbox: Outbox, summary: SessionSummary) -> Delivery:
    """One alert per end of a session: raised again after a kill in between, and only then."""
    if not summary.last_close_at:
        return outbox.deliver()
    name, total = summary.journal.stem, summary.total
    body = (
        f"{total.closes} closes to {_when(summary.last_close_at)}: {total.signals} signals, {total.entries} entries, "
        f"{total.fills} fills. Equity {summary.equity_usd:,.2f} USD, {summary.open_positions} positions open."
    )
    outbox.raise_alert(f"session-ended:{name}:{summary.last_close_at}", "info", f"session ended: {name}", body)
    return outbox.deliver()


def _announce_halt(outbox: Outbox, session: str, halt: TradingHalted) -> None:
    try:
        outbox.send(f"session-halted:{session}:{halt}", "critical", f"session halted: {session}", str(halt))
    except TradingHalted:
        log.critical("the journal of %s can't take the alert either; the halt: %s", session, halt)


def _counted(tally: Tally, entries: Iterable[Entry]) -> Tally:
    words = [entry.payload.get("event", entry.payload.get("decision")) for entry in entries]
    return _sum(tally, Tally(1, words.count("signal"), words.count(Decision.ENTERED.name.lower()), words.count("fill")))


def _sum(one: Tally, other: Tally) -> Tally:
    return Tally(*(a + b for a, b in zip(one, other, strict=True)))


def _when(at: int) -> str:
    return as_datetime(at).strftime("%Y-%m-%d %H:%M UTC")
