"""The journal of one trading session: append-only, hash-chained, on disk before anything leaves the building.

SQLite in WAL mode with `synchronous=FULL`: a row that `append` has returned survives kill -9 and a power cut, and
readers never block the writer (I54). SQLite's answer to both is checked: on a file system that refuses, there is no
journal. A wait for another writer ends after `BUSY_TIMEOUT_S`. One file per session; `table journal` has one row per
thing that happened.

What the chain proves: each row's hash covers the row and the hash before it, so a changed, removed, inserted or
reordered row breaks the chain at that row. What it can't prove alone: that the last rows are still there. A cut tail
is caught by the head (sequence number and hash) that the file itself keeps, and whoever can write the file can rewrite
that, or the whole chain. Against such a person only a head kept elsewhere helps: give it to `verify` as `anchor`.

The lease: opening a journal for writing takes the next token, and every append checks it inside its own transaction.
The newest writer wins; the older one gets `TradingHalted` at its next append and has written nothing (I41).
"""

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from trading.errors import CheckFailed, InputUnusable, SetupFailed, TradingHalted
from trading.ports import Clock

GENESIS = "0" * 64  # the hash before the first row
APPLICATION_ID = 0x534C5057  # "SLPW" in the file's header, so that no other SQLite file is taken for a journal
SCHEMA_VERSION = 1
BUSY_TIMEOUT_S = 5.0  # how long one statement waits for another process that writes
SYNCHRONOUS_FULL = 2  # SQLite answers with the number
DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}  # of a file; other errors are its surroundings'

SCHEMA = (
    """create table journal (
        seq integer primary key check (seq > 0),
        recorded_at integer not null,
        kind text not null,
        happened_at integer not null,
        instrument text not null,
        key text unique,
        payload text not null,
        previous text not null,
        hash text not null
    ) strict""",
    "create index journal_kind on journal (kind, seq)",
    """create trigger journal_keeps_its_rows before update on journal
    begin select raise(abort, 'the journal is append-only'); end""",
    """create trigger journal_loses_no_row before delete on journal
    begin select raise(abort, 'the journal is append-only'); end""",
    "create table head (one integer primary key check (one = 1), seq integer not null, hash text not null) strict",
    "create table lease (one integer primary key check (one = 1), token integer not null, holder text not null) strict",
    f"insert into head values (1, 0, '{GENESIS}')",
    "insert into lease values (1, 0, 'nobody')",
    f"pragma application_id = {APPLICATION_ID}",
    f"pragma user_version = {SCHEMA_VERSION}",
)


class Kind(StrEnum):
    """What a row records. Names are stored, so they never change meaning."""

    SESSION = "session"  # a session started, recovered or ended
    LEASE = "lease"  # a writer took over
    READING = "reading"  # a published candle that is decided upon from here on, until another reading of it
    EVENT = "event"  # what happened at the venue: candle, signal, price, fill, funding, timer
    INTENT = "intent"  # what the core wants done; written before it is sent
    OUTCOME = "outcome"  # what became of an intent: accepted, refused, unavailable, unknown
    DECISION = "decision"  # why a signal was taken or not
    SNAPSHOT = "snapshot"  # state after an event, so that a replay can be compared
    CHANNEL = "channel"  # an alert channel was there for the first time; it is told what comes after this row
    ALERT = "alert"  # raised; the outbox
    DELIVERY = "delivery"  # an alert reached its channel, or has none
    COMMAND = "command"  # a person's word


class Entry(NamedTuple):
    """A row to be appended. `at` is the venue's time in µs; `payload` holds JSON values.

    `key`, where given, is the identity of what the row records (a client order id, an event's identity): the
    journal holds it once.
    """

    kind: Kind
    at: int
    instrument: str = ""
    key: str | None = None
    payload: Mapping[str, object] = {}


class Row(NamedTuple):
    """A row of the journal. `recorded_at` is the writer's clock, `at` the venue's, both µs since 1970 UTC.

    In the file `at` is called `happened_at`: DuckDB, which people read it with, keeps the word `at` for itself.
    """

    seq: int
    recorded_at: int
    kind: str
    at: int
    instrument: str
    key: str | None
    payload: str
    previous: str
    hash: str

    @property
    def values(self) -> dict[str, Any]:
        """The payload as it was given."""
        values: dict[str, Any] = json.loads(self.payload)
        return values


class Head(NamedTuple):
    """The end of the chain: number and hash of the last row. `Head(0, GENESIS)` is an empty journal."""

    seq: int
    hash: str


class Verdict(NamedTuple):
    """What `verify` found: `broken_at` is the first row that does not hold, `None` if all do."""

    rows: int
    head: Head
    broken_at: int | None
    reason: str


class JournalReader:
    """Reads a journal while its writer, if any, goes on writing."""

    def __init__(self, path: Path) -> None:
        """Raises SetupFailed: there is no journal at `path`, or the file is none."""
        if not path.is_file():
            raise SetupFailed(f"There is no journal at {path}.")
        self.path = path
        self._connection = _opened(path, "ro", _refuse_other_files)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def rows(self, after: int = 0, kinds: Sequence[str] = ()) -> Iterator[Row]:
        """Rows with a number above `after`, in order; of some kinds only, if given.

        Raises CheckFailed: the file itself is damaged, so that SQLite can't read it.
        """
        chosen = f"and kind in ({', '.join('?' * len(kinds))})" if kinds else ""
        query = f"select * from journal where seq > ? {chosen} order by seq"
        with self._readable():
            yield from map(Row._make, self._connection.execute(query, (after, *kinds)))

    def find(self, key: str) -> Row | None:
        """The row with this key.

        Raises CheckFailed: the file itself is damaged.
        """
        with self._readable():
            row = self._connection.execute("select * from journal where key = ?", (key,)).fetchone()
        return None if row is None else Row._make(row)

    def head(self) -> Head:
        """The end of the chain, as the file states it.

        Raises CheckFailed: the file itself is damaged.
        """
        with self._readable():
            return Head._make(self._connection.execute("select seq, hash from head").fetchone())

    def verify(self, anchor: Head | None = None) -> Verdict:
        """Walk the chain from its first row; the verdict names the first row that is broken.

        `anchor` is a head kept outside the file: the row of that number must still be there with that hash.

        Raises CheckFailed: the file itself is damaged, so that SQLite can't read it.
        """
        with self._readable():
            self._connection.execute("begin")  # rows and head from one snapshot, though the writer goes on
            try:
                return verify_rows(self.rows(), self.head(), anchor)
            finally:
                self._connection.execute("commit")

    def copy_to(self, path: Path) -> None:
        """Write the journal as it is now to a new file, one that is whole without a WAL; its writer goes on meanwhile.

        Raises:
            CheckFailed: this file is damaged.
            SetupFailed: the copy can't be written.
        """
        try:
            with closing(sqlite3.connect(path)) as copy:
                self._connection.backup(copy)
                copy.execute("pragma journal_mode = delete")
        except sqlite3.Error as error:
            if error.sqlite_errorcode & 0xFF in DAMAGED:
                raise CheckFailed(f"The journal {self.path} can't be copied ({error}): the file is damaged.") from error
            raise SetupFailed(f"The journal {self.path} can't be copied to {path}: {error}.") from error

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise CheckFailed(
                f"The journal {self.path} can't be read ({error}): the file is damaged. Restore it from its backup, "
                "or move it away to begin anew."
            ) from error


class Journal(JournalReader):
    """The one writer of a journal. Opening takes the lease; an older writer is fenced out from then on."""

    def __init__(self, path: Path, *, holder: str, clock: Clock) -> None:
        """Open or create the journal at `path` and take its lease; `holder` says who writes, for people.

        Raises:
            SetupFailed: the file can't be created or opened, or is no journal.
        """
        self.path = path
        self._clock = clock
        self._connection = _opened(path, "rwc", _prepare)
        self.token = self._take_lease(holder)

    def append(self, entries: Iterable[Entry]) -> tuple[Row, ...]:
        """Append in one transaction and return what was written; on return it is on disk.

        An entry whose key is in the journal with the same content is left out, so a repeat is harmless.

        Raises:
            TradingHalted: another writer took over; the disk is full or broken; a key returned with other content.
                Nothing of `entries` was written.
            InputUnusable: a payload is not JSON.
        """
        prepared = [(entry, canonical(entry.payload)) for entry in entries]
        with self._transaction():
            self._check_lease()
            return self._write(prepared)

    def _take_lease(self, holder: str) -> int:
        with self._transaction():
            query = "update lease set token = token + 1, holder = ? returning token"
            token: int = self._connection.execute(query, (holder,)).fetchone()[0]
            payload = canonical({"token": token, "holder": holder})
            self._write([(Entry(Kind.LEASE, self._clock.now()), payload)])
        return token

    def _check_lease(self) -> None:
        token, holder = self._connection.execute("select token, holder from lease").fetchone()
        if token != self.token:
            raise TradingHalted(
                f"Another writer ({holder}) took over {self.path.name}: its lease is {token}, ours was {self.token}. "
                "This process has written nothing since and must stop."
            )

    def _write(self, entries: Sequence[tuple[Entry, str]]) -> tuple[Row, ...]:
        seq, previous = self.head()
        recorded_at = self._clock.now()
        written: list[Row] = []
        for entry, payload in entries:
            if self._is_repeat(entry, payload):
                continue
            seq += 1
            row = _chained(seq, recorded_at, entry, payload, previous)
            self._connection.execute("insert into journal values (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
            written.append(row)
            previous = row.hash
        self._connection.execute("update head set seq = ?, hash = ?", (seq, previous))
        return tuple(written)

    def _is_repeat(self, entry: Entry, payload: str) -> bool:
        stored = None if entry.key is None else self.find(entry.key)
        if stored is None:
            return False
        if (stored.kind, stored.at, stored.instrument, stored.payload) == (*entry[:3], payload):
            return True
        raise TradingHalted(
            f"{self.path.name} row {stored.seq} already holds {entry.key!r} with other content: "
            "the same identity was given to two different things."
        )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._connection.execute("begin immediate")
            try:
                yield
            except BaseException:
                self._roll_back()
                raise
            self._connection.execute("commit")
        except (sqlite3.Error, CheckFailed) as error:  # what can't be read can't be continued either
            self._roll_back()
            raise TradingHalted(
                f"The journal {self.path} can't be written ({error}); nothing may be sent that it does not hold."
            ) from error

    def _roll_back(self) -> None:
        if self._connection.in_transaction:  # a full disk makes SQLite roll back by itself
            self._connection.execute("rollback")


def canonical(payload: Mapping[str, object]) -> str:
    """The one JSON text of a payload: keys sorted, no blanks, ASCII only, so that equal values are equal bytes.

    Raises InputUnusable: a value has no JSON form (NaN, infinity, an object).
    """
    try:
        return json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputUnusable(f"The journal can't hold {payload!r}: {error}.") from error


def chain_hash(row: Row) -> str:
    """SHA-256, in hex, over all of the row but its own hash; the previous hash is one of the fields."""
    return hashlib.sha256(json.dumps(row[:-1], separators=(",", ":"), ensure_ascii=True).encode()).hexdigest()


def verify_rows(rows: Iterable[Row], head: Head, anchor: Head | None = None) -> Verdict:
    """Walk `rows` as a chain that must end at `head` and pass through `anchor`."""
    end = Head(0, GENESIS)
    anchored = anchor is None or anchor == end
    for row in rows:
        reason = _fault(row, end)
        if reason:
            return Verdict(end.seq, head, row.seq, reason)
        end = Head(row.seq, row.hash)
        if anchor is not None and end.seq == anchor.seq:
            anchored = end.hash == anchor.hash
            if not anchored:
                return Verdict(end.seq, head, end.seq, "differs from the anchor kept outside: the chain was rewritten")
    if end != head:
        return Verdict(end.seq, head, end.seq + 1, f"the file's head is row {head.seq}, the rows end at {end.seq}")
    if not anchored:
        return Verdict(end.seq, head, end.seq + 1, "the anchor kept outside lies beyond the last row: the tail is gone")
    return Verdict(end.seq, head, None, "")


def _fault(row: Row, end: Head) -> str:
    if row.seq != end.seq + 1:
        return f"follows row {end.seq}: a row is missing or out of order"
    if row.previous != end.hash:
        return f"does not continue the hash of row {end.seq}"
    if chain_hash(row) != row.hash:
        return "does not match its own hash: its content was changed"
    return ""


def _chained(seq: int, recorded_at: int, entry: Entry, payload: str, previous: str) -> Row:
    bare = Row(seq, recorded_at, str(entry.kind), entry.at, entry.instrument, entry.key, payload, previous, "")
    return bare._replace(hash=chain_hash(bare))


def _opened(path: Path, mode: str, prepare: Callable[[sqlite3.Connection], None]) -> sqlite3.Connection:
    try:
        if mode == "rwc":
            path.parent.mkdir(parents=True, exist_ok=True)
        address = f"{path.absolute().as_uri()}?mode={mode}"
        connection = sqlite3.connect(address, uri=True, isolation_level=None, timeout=BUSY_TIMEOUT_S)
        try:
            prepare(connection)
        except BaseException:
            connection.close()
            raise
    except (sqlite3.Error, OSError) as error:
        raise SetupFailed(f"The journal {path} can't be opened: {error}.") from error
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    """Make an empty file a journal; refuse a file that is something else before anything in it changes."""
    connection.execute("begin immediate")
    is_new = connection.execute("select count(*) from sqlite_schema").fetchone()[0] == 0
    if is_new:
        for statement in SCHEMA:
            connection.execute(statement)
    connection.execute("commit")
    _refuse_other_files(connection)
    insist_on_durability(connection)


def insist_on_durability(connection: sqlite3.Connection) -> None:
    """WAL and full sync, or none: SQLite does not fail where it can't, it answers with what it does instead.

    Raises sqlite3.NotSupportedError: the file system has no shared memory (a network share, some containers' mounts).
    """
    (mode,) = connection.execute("pragma journal_mode = wal").fetchone()
    connection.execute("pragma synchronous = full")
    (synchronous,) = connection.execute("pragma synchronous").fetchone()
    if (mode, synchronous) != ("wal", SYNCHRONOUS_FULL):
        raise sqlite3.NotSupportedError(
            f"its file system refuses WAL with full sync (SQLite uses journal_mode {mode}, synchronous {synchronous}); "
            "keep journals on a local disk"
        )


def _refuse_other_files(connection: sqlite3.Connection) -> None:
    found = tuple(connection.execute(f"pragma {name}").fetchone()[0] for name in ("application_id", "user_version"))
    if found != (APPLICATION_ID, SCHEMA_VERSION):
        raise sqlite3.DatabaseError("it is not a journal of this version")
