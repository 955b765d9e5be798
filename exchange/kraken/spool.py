"""What one backfill job has fetched so far, on disk, so that a kill costs it no more than the page in flight.

A spool is one SQLite file. Every page is one transaction: its rows, and all that is needed to go on after it. A spool
belongs to one process at a time; the kernel frees it when that dies.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self

from trading.errors import InputUnusable, SetupFailed, WarehouseBusy

Dataset = Literal["ohlc", "trades", "charts", "funding"]
VERSION = 2
SCHEMA = f"""
create table job (
    dataset text not null, instrument text not null, from_s text not null, until_s integer not null,
    increments text not null, asked_by text not null, progress text not null, is_complete integer not null
);
create table candles (
    series text not null, timeframe text not null, opened_s integer not null, open text not null, high text not null,
    low text not null, close text not null, volume text not null, trades integer,
    primary key (series, timeframe, opened_s)
) without rowid;
create table funding (
    began_s integer primary key, rate text not null, relative_rate text not null
);
pragma user_version = {VERSION};
"""
HOW_TO_GO_ON = "Look at room and rights there, and start the backfill again: it goes on after the last page."
NO_SPOOL = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_ERROR)  # the last one: it lacks a table


def key_of(series: str, timeframe: str) -> str:
    """One series in one timeframe, as a job names it: `PF_XBTUSD.mark 15m`."""
    return f"{series} {timeframe}"


class Job(NamedTuple):
    """One dataset of one instrument. What it spans is fixed when it begins, by the venue's clock.

    Candles that opened at `from_s` of their `key_of` or later, and closed at `until_s` or before; in seconds. What has
    no key there is no part of the job.
    """

    dataset: Dataset
    instrument: str
    from_s: Mapping[str, int]
    until_s: int
    increments: tuple[str, ...] = ()  # keys of what merely goes on from what its source has told already
    asked_by: str = ""  # the request that it was begun for


class Row(NamedTuple):
    """A closed candle, its numbers as exact text. `series` is the instrument, or `PF_XBTUSD.mark`."""

    series: str
    timeframe: str
    opened_s: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    trades: int | None  # None: the source does not count them


class Rate(NamedTuple):
    """A funding rate as exact text: of one base unit in quote units, and relative to the index."""

    began_s: int
    rate: str
    relative_rate: str


class Spool:
    """A job's file, as a context manager. `progress` is what the last page left for the one after it."""

    job: Job
    progress: dict[str, Any]
    is_complete: bool
    rows: int  # candles and rates

    def __init__(self, path: Path, job: Job | None) -> None:
        """Go on with what is there, whatever its span; only where nothing is, begin this job. None: it must be there.

        Whatever is done with it later may raise the same, but for the last.

        Raises:
            WarehouseBusy: another process is at work on it.
            SetupFailed: it can't be read or written: no room, no right, a fault of the disk.
            InputUnusable: the file is no spool.
        """
        self.path = path
        with _faults_named(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = _opened(path, job)
            try:
                self._read()
            except BaseException:
                self._connection.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def keep(self, rows: Iterable[Row | Rate], progress: Mapping[str, Any], *, is_complete: bool = False) -> None:
        """One page, and what is needed to go on after it, in one transaction that is on disk when this returns."""
        rows = list(rows)
        with _faults_named(self.path), self._connection:
            for table, kind in (("candles", Row), ("funding", Rate)):
                marks = ", ".join("?" * len(kind._fields))
                self._connection.executemany(
                    f"insert into {table} values ({marks})", [row for row in rows if isinstance(row, kind)]
                )
            self._connection.execute(
                "update job set progress = ?, is_complete = ?", (json.dumps(dict(progress)), is_complete)
            )
        self.progress, self.is_complete = dict(progress), is_complete
        self.rows += len(rows)

    def series(self) -> list[tuple[str, str]]:
        """Every series that has a candle, and its timeframe."""
        with _faults_named(self.path):
            return self._connection.execute("select distinct series, timeframe from candles order by 1, 2").fetchall()

    def candles(self, series: str, timeframe: str, from_s: int = 0) -> Iterator[Row]:
        """Candles of one series in the order of time, one by one."""
        with _faults_named(self.path):
            found = self._connection.execute(
                "select * from candles where series = ? and timeframe = ? and opened_s >= ? order by opened_s",
                (series, timeframe, from_s),
            )
            yield from map(Row._make, found)

    def rates(self) -> Iterator[Rate]:
        """Funding rates in the order of time."""
        with _faults_named(self.path):
            yield from map(Rate._make, self._connection.execute("select * from funding order by began_s"))

    def remove(self) -> None:
        """Close the file and delete it: what it held has landed."""
        with _faults_named(self.path):
            self._connection.close()  # takes the files of its log with it
            self.path.unlink()

    def _read(self) -> None:
        row = self._connection.execute("select * from job").fetchone()
        dataset, instrument, from_s, until_s, increments, asked_by, progress, is_complete = row
        self.job = Job(dataset, instrument, json.loads(from_s), until_s, tuple(json.loads(increments)), asked_by)
        self.progress, self.is_complete = json.loads(progress), bool(is_complete)
        (self.rows,) = self._connection.execute(
            "select (select count(*) from candles) + (select count(*) from funding)"
        ).fetchone()


def _opened(path: Path, job: Job | None) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=0)
    try:
        connection.execute("pragma locking_mode = exclusive")  # to the end of the connection, or of the process
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = full")
        (version,) = connection.execute("pragma user_version").fetchone()
        if version == 0 and job is not None:
            _begin(connection, job)
            version = VERSION
        if version != VERSION:
            raise InputUnusable(f"{path} is no spool of this code. Remove it: what it holds is fetched again.")
    except BaseException:
        connection.close()
        raise
    return connection


def _begin(connection: sqlite3.Connection, job: Job) -> None:
    with connection:
        connection.executescript(f"begin immediate; {SCHEMA}")
        connection.execute(
            "insert into job values (?, ?, ?, ?, ?, ?, '{}', 0)",
            (
                job.dataset,
                job.instrument,
                json.dumps(dict(job.from_s)),
                job.until_s,
                json.dumps(job.increments),
                job.asked_by,
            ),
        )


@contextmanager
def _faults_named(path: Path) -> Iterator[None]:
    """What SQLite and the disk raise, as errors of ours that name the file. A broken constraint is our own mistake."""
    try:
        yield
    except OSError as error:
        raise SetupFailed(f"The spool {path} can't be used: {error.strerror}. {HOW_TO_GO_ON}") from error
    except sqlite3.DatabaseError as error:
        if type(error) not in (sqlite3.DatabaseError, sqlite3.OperationalError):
            raise
        primary = error.sqlite_errorcode & 0xFF
        if primary == sqlite3.SQLITE_BUSY:
            raise WarehouseBusy(f"{path} is in use by another backfill ({error}). Wait until it is done.") from error
        if primary in NO_SPOOL:
            raise InputUnusable(f"{path} is no spool ({error}). Remove it: what it held is fetched again.") from error
        raise SetupFailed(f"The spool {path} can't be used: {error}. {HOW_TO_GO_ON}") from error
