"""Files without one usable candle. Each is a refused batch of its own, so that it holds up no other file, nothing of it
is lost, and the same content is known when it is met again.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import duckdb

from warehouse.batches import BatchReport, Refusal, add_batch, forget_refused
from warehouse.intake.archives import Unusable, stamp_of
from warehouse.intake.layouts import ColumnMap
from warehouse.intake.reading import Surveyed
from warehouse.intake.rules import NOT_CLOSED

SHOWN_REASONS = 5


@dataclass(frozen=True)
class Origin:
    """What all batches of one landing have in common."""

    path: Path  # what the person pointed at
    source: str
    columns: ColumnMap | None
    fetched_at: datetime
    covers: tuple[datetime, datetime] | None  # what the source was asked for; None: as far as its candles reach

    def batch_id(self, content: str) -> str:
        return f"{self.fetched_at:%Y%m%dT%H%M%S}-{content[:8]}"

    def place(self, name: str) -> Path:
        """Where a file lies that is called `name` within what the person pointed at; without a name, that itself."""
        return self.path / name if self.path.is_dir() or not name else self.path.parent / name


def content_hash(files: Sequence[Surveyed], origin: Origin) -> str:
    """Hash of what is landed: bytes, series and how columns are read, wherever the files lie.

    What a source was asked for is part of what it says, and of who says it: the same candles told of a longer span are
    news.
    """
    parts = [(file.source.instrument, file.source.timeframe, file.survey.digest) for file in files]
    content: dict[str, object] = {
        "files": sorted(parts),
        "columns": asdict(origin.columns) if origin.columns else None,
    }
    if origin.covers:
        content |= {"source": origin.source, "covers": [at.isoformat() for at in origin.covers]}
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def known_refusals(
    connection: duckdb.DuckDBPyConnection, origin: Origin, files: Sequence[Surveyed]
) -> dict[int, Refusal]:
    """By number of the file: what was refused before."""
    found = {file.file_id: known_refusal(connection, origin, [file], file.source.name) for file in files}
    return {file_id: refusal for file_id, refusal in found.items() if refusal is not None}


def known_refusal(
    connection: duckdb.DuckDBPyConnection, origin: Origin, files: Sequence[Surveyed], name: str
) -> Refusal | None:
    """The refusal of some files together, which `name` stands for, by an earlier landing."""
    return _find_refusal(connection, origin, content_hash(files, origin), name)


def refuse_unopened(
    connection: duckdb.DuckDBPyConnection, origin: Origin, files: Sequence[Unusable], *, is_retried: bool
) -> list[Refusal]:
    """Record files that have no lines to keep. Without `is_retried`, one that was refused before stays as it is."""
    refusals: dict[str, Refusal] = {}  # by content: two copies of a broken zip are one refused batch
    for file in files:
        content = _bytes_hash(file.path)
        known = refusals.get(content) or (None if is_retried else _find_refusal(connection, origin, content, file.name))
        refusals[content] = known or _recorded(connection, origin, file.name, content, file.reason, 0)
    return list(refusals.values())


def refuse_files(connection: duckdb.DuckDBPyConnection, origin: Origin, files: Sequence[Surveyed]) -> list[Refusal]:
    """Record files that were read in vain; their lines go from `temp.rejected` to quarantine."""
    alike: dict[str, list[Surveyed]] = {}
    for file in files:
        alike.setdefault(content_hash([file], origin), []).append(file)
    return [_refused(connection, origin, group[0].source.name, group) for group in alike.values()]


def refuse_together(connection: duckdb.DuckDBPyConnection, origin: Origin, files: Sequence[Surveyed]) -> Refusal:
    """Record files that leave no candle to one another as one refused batch, by the name of what they lie in."""
    return _refused(connection, origin, "", files)


def keep_lines(
    connection: duckdb.DuckDBPyConnection,
    origin: Origin,
    batch_id: str,
    rows_read: Mapping[int, int],
    state: Literal["landed", "refused"],
) -> None:
    """Write the rows of `raw.files` and `raw.quarantine` of some files, by number with the rows that were read."""
    batch = {
        "batch_id": batch_id,
        "source": origin.source,
        "fetched_at": origin.fetched_at,
        "numbers": list(rows_read),
    }
    covers_from, covers_until = origin.covers or (None, None)
    connection.execute(
        """
        insert into raw.files
        with counted as (
            select unnest($numbers::integer[]) as file_id, unnest($rows_read::bigint[]) as rows_read
        ),
        spans as (
            select file_id, min(opened_at) as first_at, max(opened_at) as last_at from incoming group by file_id
        ),
        bad as (
            select file_id, count(*) as bad_rows from rejected group by file_id
        )
        select
            file_id, $batch_id, $source, name, instrument, timeframe, candle_us, $fetched_at, $state,
            coalesce($covers_from::timestamptz, first_at),
            coalesce($covers_until::timestamptz, make_timestamptz(epoch_us(last_at) + candle_us)),
            rows_read, coalesce(bad_rows, 0)
        from counted
        join sources using (file_id)
        left join spans using (file_id)
        left join bad using (file_id)
        """,
        {
            **batch,
            "state": state,
            "rows_read": list(rows_read.values()),
            "covers_from": covers_from,
            "covers_until": covers_until,
        },
    )
    connection.execute(
        """
        insert into raw.quarantine
        select $batch_id, $source, name, line, instrument, timeframe, opened_at, reason, row_text, $fetched_at
        from rejected join sources using (file_id) where list_contains($numbers, file_id)
        """,
        batch,
    )


def first_rejects(connection: duckdb.DuckDBPyConnection, count: int, numbers: Sequence[int]) -> tuple[str, ...]:
    """File, line and reason of the first bad lines of some files, a sentence each."""
    rows = connection.execute(
        "select name, line, reason from rejected join sources using (file_id)"
        " where list_contains($numbers, file_id) order by file_id, line limit $count",
        {"numbers": list(numbers), "count": count},
    ).fetchall()
    return tuple(f"{name}, line {line}: {reason}." for name, line, reason in rows)


def _find_refusal(connection: duckdb.DuckDBPyConnection, origin: Origin, content: str, name: str) -> Refusal | None:
    """The refusal of this content by landing, which found no candle in it; what the checks refused had some.

    It says nothing any more when a candle that was still open then has closed since.
    """
    row = connection.execute(
        """
        select batch_id, detail, rows_read from raw.batches as refused
        where content_hash = $content and state = 'refused' and rows_read = rows_quarantined
        and not exists (
            select 1 from raw.quarantine join raw.files using (batch_id, timeframe)
            where batch_id = refused.batch_id and reason = $not_closed
            and epoch_us(opened_at) + candle_us <= epoch_us($now::timestamptz)
        )
        """,
        {"content": content, "not_closed": NOT_CLOSED, "now": origin.fetched_at},
    ).fetchone()
    if row is None:
        return None
    batch_id, reason, rows = row
    return Refusal(name, batch_id, reason, rows, is_new=False)


def _bytes_hash(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        # What nobody may read is known by what changes when that does.
        return hashlib.sha256(repr(stamp_of(path)).encode()).hexdigest()


def _refused(connection: duckdb.DuckDBPyConnection, origin: Origin, name: str, files: Sequence[Surveyed]) -> Refusal:
    numbers = [file.file_id for file in files]
    lines = _count_rejected(connection, numbers)
    reason = f"There is no usable candle in it. {' '.join(first_rejects(connection, SHOWN_REASONS, numbers))}".strip()
    refusal = _recorded(connection, origin, name, content_hash(files, origin), reason, lines)
    rejected = dict(connection.execute("select file_id, count(*) from rejected group by file_id").fetchall())
    rows_read = {number: rejected.get(number, 0) for number in numbers}
    keep_lines(connection, origin, refusal.batch_id, rows_read, "refused")
    for table in ("sources", "rejected"):
        connection.execute(f"delete from temp.{table} where list_contains(?, file_id)", [numbers])
    return refusal


def _recorded(
    connection: duckdb.DuckDBPyConnection, origin: Origin, name: str, content: str, reason: str, rows: int
) -> Refusal:
    forget_refused(connection, content)
    batch_id, place = origin.batch_id(content), origin.place(name)
    report = BatchReport(batch_id, "refused", place, False, rows, 0, 0, 0, rows, (), (), ())
    add_batch(
        connection,
        report,
        source=origin.source,
        content_hash=content,
        fetched_at=origin.fetched_at,
        detail=reason,
    )
    return Refusal(name or origin.path.name, batch_id, reason, rows, is_new=True)


def _count_rejected(connection: duckdb.DuckDBPyConnection, numbers: Sequence[int]) -> int:
    row = connection.execute(
        "select count(*) from rejected where list_contains(?, file_id)", [list(numbers)]
    ).fetchone()
    assert row is not None
    count: int = row[0]
    return count
