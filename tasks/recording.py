"""What one close of the candles becomes in the journal, and back. Pure: rows in, rows out.

Candles, signals and rates of funding are inputs; fills, intents, decisions and the account are what follows from them.
All are rows, so a journal can be replayed without any other source, and what follows can be compared row by row.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from exchange.rows import NOBODY, Candle, Fill, Rate, Signal, Verdict
from exchange.simulator import Moment
from ops.journal import Entry, Kind, Row, canonical
from trading.errors import TradingHalted
from trading.model import Decision, Event, EventKind, Intent, IntentKind, Role, client_order_id

REPLAYED = (Kind.EVENT, Kind.INTENT, Kind.DECISION, Kind.SNAPSHOT)  # a close's rows; the snapshot is its last

# Fields that versions before did not know. While they are 0, a journal of then replays to the same rows.
ADDED = {
    "entry_distance", "long_buckets", "short_buckets", "paused_until", "initial_e8", "maintenance_e8",
    "spread_e8", *Candle._field_defaults,
}  # fmt: skip


class Identity(NamedTuple):
    """Whose rows these are. `hash` stands for the strategy's text and the settings it trades with."""

    strategy: str
    hash: str
    instruments: tuple[str, ...]  # by number


class RecordedClose(NamedTuple):
    """One close as the journal holds it."""

    candles: tuple[Candle, ...]
    signals: tuple[Signal, ...]
    rates: tuple[Rate, ...]
    rows: tuple[Row, ...]


def entries_of(
    candles: Sequence[Candle], signals: Sequence[Signal], moment: Moment, identity: Identity
) -> tuple[Entry, ...]:
    """The rows of one close: its candles, and the rates that were paid; then each event with its intents and decision;
    then the account."""
    entries = [_candle_entry(candle, identity) for candle in candles]
    entries += [_rate_entry(rate, candles[0].closed_at, identity) for rate in moment.rates]
    assert len(signals) == len(moment.decisions), "a signal without an answer"
    fills, verdicts = iter(moment.fills), iter(moment.decisions)
    told = {(signal.instrument, signal.signal_at): signal for signal in signals}
    for event, intents in moment.taken:
        decision: list[Entry] = []
        if event.kind == EventKind.FILL:
            entries.append(_fill_entry(next(fills), identity))
        elif event.kind == EventKind.SIGNAL:
            entries.append(_signal_entry(told[event.instrument, event.signal_at], event.at, identity))
            decision.append(_decision_entry(next(verdicts), identity))
        elif event.kind != EventKind.CANDLE:
            entries.append(_event_entry(event, identity))
        entries += [_intent_entry(intent, event.at, identity) for intent in intents.items[: intents.number]]
        entries += decision
    entries.append(_snapshot_entry(candles[0].closed_at, moment))
    return tuple(entries)


def closes_of(rows: Iterable[Row], identity: Identity) -> Iterator[RecordedClose]:
    """The closes of a journal, in order.

    Raises TradingHalted: the journal ends inside a close, which no writer of ours does.
    """
    number = {name: index for index, name in enumerate(identity.instruments)}
    pending: list[Row] = []
    for row in rows:
        if row.kind not in REPLAYED:
            continue
        pending.append(row)
        if row.kind == Kind.SNAPSHOT:
            yield _recorded_close(pending, number)
            pending = []
    if pending:
        raise TradingHalted(f"The journal ends at row {pending[-1].seq}, inside a close: it was not written by us.")


def first_difference(close: RecordedClose, entries: Sequence[Entry]) -> str | None:
    """Where the journal and a replay of the same inputs part, in words; None if they don't."""
    for row, entry in zip(close.rows, entries, strict=False):
        was, is_now = row_projection(row), entry_projection(_as_it_would_have_been(entry, row))
        if was != is_now:
            return f"row {row.seq} holds {was}, the replay gives {is_now}"
    if len(close.rows) != len(entries):
        return f"the close at row {close.rows[-1].seq} has {len(close.rows)} rows, the replay gives {len(entries)}"
    return None


def row_projection(row: Row) -> str:
    """A row without what differs from run to run (number, receive time, hashes): what parity compares."""
    return canonical({"kind": row.kind, "at": row.at, "for": row.instrument, "key": row.key, "payload": row.payload})


def entry_projection(entry: Entry) -> str:
    """The projection that the entry will have as a row."""
    stored = Row(0, 0, str(entry.kind), entry.at, entry.instrument, entry.key, canonical(entry.payload), "", "")
    return row_projection(stored)


def _as_it_would_have_been(entry: Entry, row: Row) -> Entry:
    """`entry` as the version wrote it that wrote `row`: one of before did not say to whom a signal was lost."""
    if "lost_to" not in entry.payload or "lost_to" in row.values:
        return entry
    return entry._replace(payload=_without(entry.payload, "lost_to"))


def _candle_entry(candle: Candle, identity: Identity) -> Entry:
    name = identity.instruments[candle.instrument]
    payload = {"event": "candle", **_as_ever(_without(candle._asdict(), "instrument"))}
    return Entry(Kind.EVENT, candle.closed_at, name, f"candle:{name}:{candle.closed_at}", payload)


def _rate_entry(rate: Rate, at: int, identity: Identity) -> Entry:
    name = identity.instruments[rate.instrument]
    payload = {"event": "rate", **_without(rate._asdict(), "instrument")}
    return Entry(Kind.EVENT, at, name, f"rate:{name}:{rate.hour}:{at}", payload)


def _signal_entry(signal: Signal, at: int, identity: Identity) -> Entry:
    name = identity.instruments[signal.instrument]
    payload = {"event": "signal", **_as_ever(_without(signal._asdict(), "instrument"))}
    return Entry(Kind.EVENT, at, name, f"signal:{name}:{signal.signal_at}", payload)


def _fill_entry(fill: Fill, identity: Identity) -> Entry:
    name = identity.instruments[fill.instrument]
    order = client_order_id(identity.strategy, name, fill.signal_at, fill.role)
    payload = {
        "event": "fill",
        "order": order,
        **_as_ever(_without(fill._asdict(), "instrument", "at", "role")),
        "role": _word(Role(fill.role)),
    }
    return Entry(Kind.EVENT, fill.at, name, f"fill:{order}:{fill.at}", payload)


def _event_entry(event: Event, identity: Identity) -> Entry:
    used = {field: value for field, value in _without(event._asdict(), "kind", "at", "instrument").items() if value}
    return Entry(
        Kind.EVENT,
        event.at,
        identity.instruments[event.instrument],
        None,
        {"event": _word(EventKind(event.kind)), **used},
    )


def _intent_entry(intent: Intent, at: int, identity: Identity) -> Entry:
    """Placing and editing have an identity for ever (I11); cancelling twice is harmless, and has none."""
    name = identity.instruments[intent.instrument]
    kind = _word(IntentKind(intent.kind))
    order = client_order_id(identity.strategy, name, intent.signal_at, intent.role)
    key = None if intent.kind == IntentKind.CANCEL else f"{kind}:{order}:{intent.revision}"
    payload = {
        "intent": kind,
        "order": order,
        **_without(intent._asdict(), "kind", "instrument", "role"),
        "role": _word(Role(intent.role)),
    }
    return Entry(Kind.INTENT, at, name, key, payload)


def _decision_entry(verdict: Verdict, identity: Identity) -> Entry:
    name = identity.instruments[verdict.instrument]
    payload = {
        "decision": _word(Decision(verdict.decision)),
        "side": verdict.side,
        "signal_at": verdict.signal_at,
        "strategy": identity.strategy,
        "hash": identity.hash,
    }
    if verdict.lost_to != NOBODY:
        payload["lost_to"] = identity.instruments[verdict.lost_to]
    return Entry(Kind.DECISION, verdict.at, name, f"decision:{name}:{verdict.signal_at}", payload)


def _snapshot_entry(at: int, moment: Moment) -> Entry:
    return Entry(Kind.SNAPSHOT, at, "", f"snapshot:{at}", _as_ever(moment.account._asdict()))


def _recorded_close(rows: Sequence[Row], number: dict[str, int]) -> RecordedClose:
    candles, signals, rates = [], [], []
    for row in rows:
        values = row.values
        event = values.pop("event", None)
        if event == "candle":
            candles.append(Candle(instrument=number[row.instrument], **values))
        elif event == "signal":
            signals.append(Signal(instrument=number[row.instrument], **values))
        elif event == "rate":
            rates.append(Rate(instrument=number[row.instrument], **values))
    return RecordedClose(tuple(candles), tuple(signals), tuple(rates), tuple(rows))


def _as_ever(values: dict[str, int]) -> dict[str, int]:
    """`values` as versions wrote them that did not know all of it: what they lacked is left out while it is 0."""
    return {name: value for name, value in values.items() if value or name not in ADDED}


def _without(values: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}


def _word(member: Role | EventKind | IntentKind | Decision) -> str:
    return member.name.lower()
