"""One bounded paper session: published candles one by one through the same `step()`, each close on disk as it is lived.

Starting is recovering; there is no other way to start. The journal's candles and signals are replayed through the same
rules, and what follows must be what the journal holds, row by row; then the session goes on where it ended. A journal
belongs to one strategy text and one set of trading settings: another pair begins another file.

A close is lived through once, with what is published by then. A candle that lands later, or is revised, would never be
seen again (I31). So before it goes on, the session compares the candles and signals that its journal holds with what
is published for the same span now. No hash is kept for it: the journal holds the very values. Where they differ no
close is traded, entries least of all, and a person is told what differs first and what to do. What it read to decide is
in the journal too (`tasks/revisions/readings.py`), so that a revision is told even when the session never runs again.

Candles of one instrument may be published before those of another. A session that went ahead would live through closes
without the other's candles, and could never see them. So it lives no further than the candles of all its instruments
reach, says which of them it waits for, and alerts when it waits for long.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np

from config.settings import Settings
from exchange.rows import Candle, Signal
from exchange.simulator import Simulator
from ops.alerts import Channels, Delivery, Outbox
from ops.clock import SteppedClock, SystemClock, as_datetime
from ops.journal import Entry, Journal, JournalReader, Kind
from tasks.market import History, IntTable, Market, load_history
from tasks.provenance import code_version, settings_hash, text_hash
from tasks.recording import Identity, closes_of, entries_of, first_difference
from tasks.revisions.readings import Readings, read_otherwise, readings_between, readings_of
from tasks.startup import told
from trading.errors import TradingHalted
from trading.model import E8, Decision, equity_e8
from trading.ports import Clock
from warehouse.strategies.loading import Strategy, load_strategy

Row: TypeAlias = tuple[int, ...]  # of a table of candles or signals

MOST_CLOSES_BEHIND = 96  # of one instrument behind the others, before a person is told: a day of 15m candles


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
    waits_for: str = ""  # the instruments that hold it back, in words; empty: none does

    @property
    def is_up_to_date(self) -> bool:
        return self.added.closes == 0

    @property
    def sentence(self) -> str:
        """The summary for a person."""
        stands = f"equity {self.equity_usd:,.2f} USD, open positions: {self.open_positions}"
        waits = f" It waits for {self.waits_for}." if self.waits_for else ""
        return f"{self.note}: {self._done}; {stands}.{waits}"

    @property
    def _done(self) -> str:
        if not self.last_close_at:
            return "no close yet"
        if self.is_up_to_date:
            return f"up to date, nothing new after {_when(self.last_close_at)}"
        added = self.added
        return (
            f"{added.closes} closes to {_when(self.last_close_at)}, {added.signals} signals, {added.entries} entries, "
            f"{added.fills} fills"
        )


class Close(NamedTuple):
    """What is known at one close: its candles, and the signals that can be acted on since the close before."""

    at: int
    candles: tuple[Candle, ...]
    signals: tuple[Signal, ...]
    readings: tuple[Entry, ...] = ()  # what has closed since the close before, of every timeframe, as it was published


class Straggler(NamedTuple):
    """An instrument whose candles end before those of another."""

    name: str
    last_close_at: int  # µs; 0: it has no candles
    closes_behind: int  # closes of other instruments after its last one

    def __str__(self) -> str:
        end = f"whose candles end {_when(self.last_close_at)}" if self.last_close_at else "which has no candles"
        return f"{self.name}, {end}, {self.closes_behind} closes behind"


class Past(NamedTuple):
    """What a journal holds of the closes before: what happened, and what was decided on."""

    tally: Tally
    last_close_at: int  # µs; 0: none
    candles: tuple[Candle, ...]
    signals: tuple[Signal, ...]


def run_session(settings: Settings) -> SessionSummary:
    """Trade the closes that the journal does not hold yet, at most `session.candles` of them, then end.

    The first run of a journal begins `session.candles` closes before the end of the published data, which is where the
    candles of the first of its instruments end. Whatever keeps it from starting, or stops it, is alerted before it is
    raised.

    Raises:
        SetupFailed: nothing is published, the journal can't be opened, or an alert address can't be used.
        InputUnusable: there are no candles, or the strategy can't be used.
        CheckFailed: the strategy gives signals that can't be traded, or the journal's file is damaged.
        TradingHalted: a replay differs from the journal; what it decided on is published otherwise by now; another
            writer took over; the journal can't be written.
    """
    clock, name = SystemClock(), settings.session.name
    channels = Channels(settings.alerts.urls, clock)
    with told(channels, f"session-not-started:{name}", f"session can't start: {name}"):
        channels.refuse_unusable()
        strategy = load_strategy(settings.paths.sql / "marts" / f"{settings.strategy.name}.sql")
        identity = identity_of(settings, strategy)
        path = settings.paths.journals / f"{name}-{identity.hash[:8]}.sqlite"
        note = _note(path)
        journal = Journal(path, holder=f"{name}, process {os.getpid()}", clock=clock)
    with journal:
        outbox = Outbox(journal, channels, clock)
        # Only now: what a session that has just ended decided on can't be newer than what is read under our lease.
        with told(outbox, f"session-not-started:{name}:{journal.token}", f"session can't start: {name}"):
            # The perpetuals' own candles come later than spot's: what was traded on would seem to be revised by them.
            history = load_history(settings, strategy, with_beside=True, own_prices=False)
        # The token makes it another alert each time: a session that halts again has to be told again.
        with told(outbox, f"session-halted:{path.stem}:{journal.token}", f"session halted: {path.stem}"):
            stragglers = stragglers_of(history.market, identity.instruments)
            summary = _lived(journal, history, identity, settings.session.candles, clock)
            summary = summary._replace(note=note, waits_for="; ".join(map(str, stragglers)))
            return summary._replace(alert=_announce(outbox, summary, stragglers))


def recover(journal: JournalReader, simulator: Simulator, identity: Identity) -> Past:
    """Replay the journal through `simulator`; what it held.

    Raises TradingHalted: the same inputs no longer give what the journal holds, so nothing may be built upon it.
    """
    tally, last_close_at = Tally(), 0
    candles: list[Candle] = []
    signals: list[Signal] = []
    for recorded in closes_of(journal.rows(), identity):
        moment = simulator.advance(recorded.candles, recorded.signals, rates=recorded.rates)
        entries = entries_of(recorded.candles, recorded.signals, moment, identity)
        difference = first_difference(recorded, entries)
        if difference is not None:
            raise TradingHalted(
                f"{journal.path.name} can't be replayed: {difference}. Either the file was changed, or the rules were "
                f"since it was written ({_writers(journal)}): run that code, or move the file away to begin anew."
            )
        tally = _counted(tally, entries)
        last_close_at = recorded.candles[0].closed_at
        candles += recorded.candles
        signals += recorded.signals
    return Past(tally, last_close_at, tuple(candles), tuple(signals))


def first_revision(past: Past, market: Market, instruments: Sequence[str]) -> str | None:
    """The first of what was decided on that is published otherwise by now, in words; None if all is as it was."""
    if not past.candles:
        return None
    began_at = min(candle.opened_at for candle in past.candles)
    span = began_at, past.last_close_at
    # Volumes are corrected for days, and no decision is made on one.
    was, is_now = (
        {tuple(Candle(*row)._replace(volume_lots=0)) for row in rows}
        for rows in (past.candles, _between(market.candles, CLOSED_AT, *span))
    )
    candle = _first_change(was, is_now, CLOSED_AT, instruments)
    if candle is not None:
        return f"the candle of {candle}"
    signal = _first_change(set(past.signals), _between(market.signals, KNOWN_AT, *span), SIGNAL_AT, instruments)
    if signal is None:
        return None
    return f"the signal of {signal}: candles from before the session, or the code of the features, differ"


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
        journal.append([*close.readings, *entries])
        tally = _counted(tally, entries)
    return tally, clock.now()


def stragglers_of(market: Market, instruments: Sequence[str]) -> tuple[Straggler, ...]:
    """The instruments whose published candles end before those of another, the furthest behind first."""
    times, ends = np.unique(market.candles[:, CLOSED_AT]), _ends(market)
    behind = [int(np.count_nonzero(times > end)) for end in ends]
    found = (Straggler(*row) for row in zip(instruments, ends, behind, strict=True))
    return tuple(sorted((one for one in found if one.closes_behind), key=lambda one: one.last_close_at))


def known_of_all(market: Market) -> Market:
    """The market as far as the candles of every instrument reach: where the first of them ends, no close is known."""
    horizon = min(_ends(market))
    return market._replace(candles=market.candles[market.candles[:, CLOSED_AT] <= horizon])


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
SIGNAL_AT, KNOWN_AT = Signal._fields.index("signal_at"), Signal._fields.index("known_at")
INSTRUMENT = 0  # of both tables


def _ends(market: Market) -> list[int]:
    """Last published close of each instrument by number, in µs; 0: it has no candles."""
    numbers, closed_at = market.candles[:, INSTRUMENT], market.candles[:, CLOSED_AT]
    return [int(closed_at[numbers == number].max(initial=0)) for number in range(len(market.rules))]


def _between(table: IntTable, column: int, after: int, last: int) -> set[Row]:
    chosen = table[(table[:, column] > after) & (table[:, column] <= last)]
    return {tuple(row) for row in chosen.tolist()}


def _first_change(was: set[Row], is_now: set[Row], closed_at: int, instruments: Sequence[str]) -> str | None:
    """The first difference of two tables; `closed_at` is the column with the close of a row's candle."""
    before, by_now = ({(row[closed_at], row[INSTRUMENT]) for row in rows} for rows in (was, is_now))
    changed = sorted({(row[closed_at], row[INSTRUMENT]) for row in was ^ is_now})
    if not changed:
        return None
    first = changed[0]
    fate = "came late" if first not in before else "is gone" if first not in by_now else "was revised"
    others = f", as one of {len(changed)}" if len(changed) > 1 else ""
    return f"{instruments[first[1]]}, closed {_when(first[0])}, {fate}{others}"


def _lived(journal: Journal, history: History, identity: Identity, limit: int, clock: Clock) -> SessionSummary:
    market = history.market
    simulator = Simulator(market.rules, market.costs, market.account, market.funding)
    past = recover(journal, simulator, identity)
    _refuse_revision(journal, past, market, identity)
    closes = tuple(closes_after(known_of_all(market), past.last_close_at, limit))
    readings = _readings(history, past, closes)
    read_again = readings_between(readings, 0, past.last_close_at)
    journal.append([_started(clock.now(), identity), *read_otherwise(journal, read_again)])
    read = _with_readings(closes, readings, past.last_close_at)
    added, last_close_at = trade(journal, simulator, identity, read, past.last_close_at)
    return SessionSummary(
        journal=journal.path,
        note="",
        added=added,
        total=_sum(past.tally, added),
        last_close_at=last_close_at,
        equity_usd=equity_e8(simulator.account) / E8,
        open_positions=simulator.account.open_positions,
        alert=Delivery(0, 0, 0),
    )


def _readings(history: History, past: Past, closes: Sequence[Close]) -> Readings:
    """Of all candles that the session has seen or is about to see."""
    seen = [*past.candles, *(candle for close in closes for candle in close.candles)]
    return readings_of(history, min(candle.opened_at for candle in seen)) if seen else []


def _with_readings(closes: Iterable[Close], readings: Readings, last_close_at: int) -> Iterator[Close]:
    for close in closes:
        yield close._replace(readings=readings_between(readings, last_close_at, close.at))
        last_close_at = close.at


def _refuse_revision(journal: JournalReader, past: Past, market: Market, identity: Identity) -> None:
    revision = first_revision(past, market, identity.instruments)
    if revision is not None:
        raise TradingHalted(
            f"{journal.path.name} decided on something else than is published now: {revision}. No close is traded. "
            f"If what is published is right, move {journal.path} away, and a session begins anew on it; if it is "
            "wrong, mend and publish the candles, and this session goes on."
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


def _announce(outbox: Outbox, summary: SessionSummary, stragglers: Sequence[Straggler]) -> Delivery:
    """One alert per instrument that a session waits for, and one per end of a session, whoever says it again."""
    for straggler in stragglers:
        if straggler.closes_behind > MOST_CLOSES_BEHIND:
            _warn_of(outbox, straggler, summary.journal.stem)
    if summary.last_close_at:
        _tell_end(outbox, summary)
    return outbox.deliver()


def _warn_of(outbox: Outbox, straggler: Straggler, name: str) -> None:
    """Told once for each close that an instrument's candles have stopped at."""
    body = (
        f"It waits for {straggler}: no close after that is traded, and no stop is looked at. Land the candles of "
        f"{straggler.name}, or take it out of strategy.instruments, and another session begins."
    )
    key = f"session-waits:{name}:{straggler.name}:{straggler.last_close_at}"
    outbox.raise_alert(key, "warning", f"session waits: {name}", body)


def _tell_end(outbox: Outbox, summary: SessionSummary) -> None:
    """Raised again after a kill in between, and only then."""
    name, total = summary.journal.stem, summary.total
    body = (
        f"{total.closes} closes to {_when(summary.last_close_at)}: {total.signals} signals, {total.entries} entries, "
        f"{total.fills} fills. Equity {summary.equity_usd:,.2f} USD, open positions: {summary.open_positions}."
    )
    outbox.raise_alert(f"session-ended:{name}:{summary.last_close_at}", "info", f"session ended: {name}", body)


def _counted(tally: Tally, entries: Iterable[Entry]) -> Tally:
    words = [entry.payload.get("event", entry.payload.get("decision")) for entry in entries]
    return _sum(tally, Tally(1, words.count("signal"), words.count(Decision.ENTERED.name.lower()), words.count("fill")))


def _sum(one: Tally, other: Tally) -> Tally:
    return Tally(*(a + b for a, b in zip(one, other, strict=True)))


def _when(at: int) -> str:
    return as_datetime(at).strftime("%Y-%m-%d %H:%M UTC")
