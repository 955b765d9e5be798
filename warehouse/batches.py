"""`raw.batches`: what was landed, from where, and what became of it; and the report of a landing, for people."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

import duckdb

State = Literal["landed", "validated", "refused"]
MOST_SENTENCES = 20  # about single files; a zip has hundreds


@dataclass(frozen=True)
class SeriesSpan:
    """What a batch holds of one series."""

    instrument: str
    timeframe: str
    rows: int
    first_opened_at: datetime
    last_opened_at: datetime


@dataclass(frozen=True)
class FileReport:
    """What became of one file. rows_read = rows_landed + rows_unchanged + rows_revised + rows_quarantined."""

    name: str
    instrument: str
    timeframe: str
    rows_read: int
    rows_landed: int
    rows_unchanged: int
    rows_revised: int
    rows_quarantined: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class BatchReport:
    """What became of a batch: the sums of its files. All rows are 0 when its content had been landed before."""

    batch_id: str
    state: State
    path: Path
    already_landed: bool
    rows_read: int
    rows_landed: int
    rows_unchanged: int
    rows_revised: int
    rows_quarantined: int
    series: tuple[SeriesSpan, ...]
    files: tuple[FileReport, ...]
    skipped: tuple[str, ...]  # a sentence about each thing that was left out
    quarantined: tuple[str, ...] = field(default=())  # the first bad rows: file, line, reason

    @property
    def sentences(self) -> tuple[str, ...]:
        """For the person who started it."""
        if self.already_landed:
            return (f"{self.path.name} holds what batch {self.batch_id} landed already; nothing was landed twice.",)
        counts = (
            f"{self.path.name}: {self.rows_read:,} rows read, {self.rows_landed:,} landed, {self.rows_revised:,} "
            f"revised, {self.rows_unchanged:,} unchanged, {self.rows_quarantined:,} in quarantine "
            f"(batch {self.batch_id})."
        )
        notes = [f"{file.name}: {note}." for file in self.files for note in file.notes]
        return (counts, *_shortened([*notes, *self.skipped]), *_shortened(list(self.quarantined)))


def _shortened(sentences: list[str]) -> list[str]:
    left_out = len(sentences) - MOST_SENTENCES
    return [*sentences[:MOST_SENTENCES], f"… and {left_out} more."] if left_out > 0 else sentences


def find_batch(connection: duckdb.DuckDBPyConnection, content_hash: str) -> BatchReport | None:
    """The batch that landed this content and was not refused, as a report that lands nothing."""
    row = connection.execute(
        "select batch_id, state, path from raw.batches where content_hash = ? and state <> 'refused'", [content_hash]
    ).fetchone()
    if row is None:
        return None
    batch_id, state, path = row
    return BatchReport(batch_id, state, Path(path), True, 0, 0, 0, 0, 0, spans(connection, batch_id), (), ())


def spans(connection: duckdb.DuckDBPyConnection, batch_id: str) -> tuple[SeriesSpan, ...]:
    """Of each series, the rows that a batch added to `raw`."""
    rows = connection.execute(
        "select instrument, timeframe, count(*), min(opened_at), max(opened_at) from raw.kraken_ohlcvt"
        " where batch_id = ? group by instrument, timeframe order by all",
        [batch_id],
    ).fetchall()
    return tuple(SeriesSpan(*row) for row in rows)


def forget_refused(connection: duckdb.DuckDBPyConnection, content_hash: str) -> None:
    """Remove refused batches with this content: nothing has ever read them, and the content is being landed anew."""
    batches = "select batch_id from raw.batches where content_hash = $1 and state = 'refused'"
    connection.execute(
        f"delete from raw.candle_rows where file_id in (select file_id from raw.files where batch_id in ({batches}))",
        [content_hash],
    )
    for table in ("raw.files", "raw.quarantine", "raw.batches"):
        connection.execute(f"delete from {table} where batch_id in ({batches})", [content_hash])


def set_state(connection: duckdb.DuckDBPyConnection, batch_id: str, state: State, detail: str) -> None:
    """Record what validation found."""
    connection.execute("update raw.batches set state = ?, detail = ? where batch_id = ?", [state, detail, batch_id])
