"""`raw.batches`: what was landed, from where, and what became of it; and the report of a landing, for people."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

import duckdb

from trading.errors import InputUnusable

State = Literal["landed", "validated", "partly", "refused"]  # partly: the checks refused some instruments of it
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
class Refusal:
    """A file without one usable candle. It is a refused batch of its own, and its lines are in quarantine."""

    name: str
    batch_id: str
    reason: str  # in whole sentences
    rows: int
    is_new: bool  # False: this content had been refused before, and was left alone

    def __str__(self) -> str:
        said = "was refused" if self.is_new else "was refused before and was not tried again"
        record = f"{said} (batch {self.batch_id}, {self.rows:,} rows in quarantine)"
        if self.reason.startswith(self.name):
            return f"{self.reason} It {record}."
        return f"{self.name} {record}: {self.reason}"


@dataclass(frozen=True)
class BatchReport:
    """What became of a batch: the sums of its files. All rows are 0 when its content had been landed before.

    `refusals` are files beside the batch, not counted in it. Where nothing but refusals was found, the state is
    `refused`, the id is the first refusal's, and the rows are those of all refusals.
    """

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
    refusals: tuple[Refusal, ...] = field(default=())

    @property
    def sentences(self) -> tuple[str, ...]:
        """For the person who started it; what was refused comes first."""
        return (*_shortened([str(refusal) for refusal in self.refusals]), *self._of_the_batch())

    def raise_new_refusals(self) -> None:
        """Raise InputUnusable, naming the files, if some were refused; not for those that were refused before."""
        new = [str(refusal) for refusal in self.refusals if refusal.is_new]
        if not new:
            return
        rest = "nothing was landed" if self.state == "refused" else f"the rest is in batch {self.batch_id}"
        told = f"{len(new)} files at {self.path} can't be used; {rest}. {' '.join(_shortened(new))}"
        if len(new) == 1:
            told = f"{new[0]} {rest[0].upper()}{rest[1:]}."
        raise InputUnusable(
            f"{told} Mend or remove what was refused; to try it again as it is, land it by its own path."
        )

    def _of_the_batch(self) -> tuple[str, ...]:
        skipped = _shortened(list(self.skipped))
        if self.state == "refused":
            return tuple(skipped)
        if self.already_landed:
            known = f"{self.path.name} holds what batch {self.batch_id} landed already; nothing was landed twice."
            return (known, *skipped)
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


def find_batch(connection: duckdb.DuckDBPyConnection, content_hash: str, path: Path) -> BatchReport | None:
    """The batch that landed this content and was not refused, as a report on `path` that lands nothing."""
    row = connection.execute(
        "select batch_id, state from raw.batches where content_hash = ? and state <> 'refused'", [content_hash]
    ).fetchone()
    if row is None:
        return None
    batch_id, state = row
    return BatchReport(batch_id, state, path, True, 0, 0, 0, 0, 0, spans(connection, batch_id), (), ())


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


def add_batch(
    connection: duckdb.DuckDBPyConnection,
    report: BatchReport,
    *,
    source: str,
    content_hash: str,
    fetched_at: datetime,
    detail: str,
) -> None:
    """Write the row of a batch that was landed or refused just now."""
    connection.execute(
        "insert into raw.batches values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [report.batch_id, source, str(report.path), content_hash, fetched_at, report.state, report.rows_read,
         report.rows_landed, report.rows_unchanged, report.rows_revised, report.rows_quarantined, detail],
    )  # fmt: skip


def judge_files(
    connection: duckdb.DuckDBPyConnection, batch_id: str, refused: frozenset[str] | None, detail: str
) -> State:
    """Record what validation found: files of `refused` instruments are refused, None is all, the others are validated.

    What was validated before stays so, whatever a later judgement says: other batches have left out what it told.

    Returns:
        The state of the batch: `partly` when it has files of both kinds.
    """
    connection.execute(
        "update raw.files set state = if($all or list_contains($refused, instrument), 'refused', 'validated')"
        " where batch_id = $batch_id and state <> 'validated'",
        {"all": refused is None, "refused": sorted(refused or ()), "batch_id": batch_id},
    )
    states = connection.execute("select distinct state from raw.files where batch_id = ?", [batch_id]).fetchall()
    state: State = "partly" if len(states) > 1 else states[0][0]
    connection.execute("update raw.batches set state = ?, detail = ? where batch_id = ?", [state, detail, batch_id])
    return state
