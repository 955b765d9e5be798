"""One batch: files -> `raw`. Good rows land, bad rows go to quarantine, nothing is lost.

    rows_read = rows_landed + rows_unchanged + rows_revised + rows_quarantined

`raw` only grows. A row that says what a validated batch said already is not stored again; one that says otherwise is
stored beside it, and the newest validated batch wins in `staging`.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import duckdb

from trading.errors import InputUnusable
from warehouse.batches import BatchReport, FileReport, SeriesSpan, find_batch, forget_refused
from warehouse.intake import archives
from warehouse.intake.archives import Archive, SeriesOf
from warehouse.intake.layouts import ColumnMap, survey
from warehouse.intake.reading import Surveyed, read_files
from warehouse.intake.repeats import SAME_VALUES, set_repeats_aside, unsorted_files
from warehouse.schema import TIMEFRAME_US

SHOWN_REJECTS = 20


def land(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    *,
    source: str,
    series_of: SeriesOf,
    columns: ColumnMap | None,
    fetched_at: datetime,
    scratch: Path,
) -> BatchReport:
    """Land what lies at `path`: a CSV file, a zip, or a folder of either.

    `series_of` reads instrument and timeframe off a file's name. Content that an earlier batch has landed is not
    landed twice: a report of that batch comes back, with `already_landed`.

    Raises:
        InputUnusable: there is no candle in it at all; names file and reason. Nothing was landed.
        SetupFailed: no room to unpack a zip.
    """
    with archives.opened(path, _stated_first(series_of, columns), scratch) as archive:
        files, empty = _survey(archive, columns, _next_file_id(connection))
        if not files:
            raise InputUnusable(f"{path} can't be used: {' '.join(empty)} Nothing was landed.")
        content = _content_hash(files, columns)
        earlier = find_batch(connection, content)
        if earlier is not None:
            return earlier
        forget_refused(connection, content)
        read_files(connection, files, round(fetched_at.timestamp() * 1_000_000))
        unsorted = unsorted_files(connection)
        agreeing = set_repeats_aside(connection, files, unsorted)
    _refuse_without_candles(connection, path)
    _compare_with_landed(connection)
    reports = _file_reports(connection, files, unsorted, agreeing)
    batch_id = f"{fetched_at:%Y%m%dT%H%M%S}-{content[:8]}"
    report = _batch_report(connection, path, batch_id, reports, (*archive.skipped, *empty))
    _write(connection, report, source, content, fetched_at)
    return report


def _stated_first(series_of: SeriesOf, columns: ColumnMap | None) -> SeriesOf:
    """What the column map states of instrument and timeframe goes before what file names state."""
    if columns is None or not (columns.instrument or columns.timeframe):
        return series_of
    stated = columns
    if stated.timeframe and stated.timeframe not in TIMEFRAME_US:
        known = ", ".join(TIMEFRAME_US)
        raise InputUnusable(f"The column map states timeframe {stated.timeframe!r}; there are {known}.")

    def series(name: str) -> tuple[str, str] | None:
        instrument, timeframe = series_of(name) or (None, None)
        instrument, timeframe = stated.instrument or instrument, stated.timeframe or timeframe
        return (instrument, timeframe) if instrument and timeframe and name.lower().endswith(".csv") else None

    return series


def _next_file_id(connection: duckdb.DuckDBPyConnection) -> int:
    row = connection.execute("select coalesce(max(file_id), 0) + 1 from raw.files").fetchone()
    assert row is not None
    number: int = row[0]
    return number


def _survey(archive: Archive, columns: ColumnMap | None, first_id: int) -> tuple[list[Surveyed], tuple[str, ...]]:
    """Every file that has a line in it, numbered; a sentence about each that has none."""
    surveyed = [(source, survey(source.path, source.name, columns)) for source in archive.files]
    found = [(source, seen) for source, seen in surveyed if seen is not None]
    files = [Surveyed(first_id + place, source, seen) for place, (source, seen) in enumerate(found)]
    return files, tuple(f"{source.name} is empty." for source, seen in surveyed if seen is None)


def _content_hash(files: Sequence[Surveyed], columns: ColumnMap | None) -> str:
    """Hash of what is landed: bytes, series and how columns are read, wherever the files lie."""
    parts = [(file.source.instrument, file.source.timeframe, file.survey.digest) for file in files]
    content = {"files": sorted(parts), "columns": asdict(columns) if columns else None}
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _refuse_without_candles(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    if _count(connection, "incoming"):
        return
    raise InputUnusable(
        f"There is no usable candle in {path}, nothing was landed. {' '.join(_first_rejects(connection, 5))}"
    )


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    row = connection.execute(f"select count(*) from temp.{table}").fetchone()
    assert row is not None
    count: int = row[0]
    return count


def _first_rejects(connection: duckdb.DuckDBPyConnection, count: int) -> tuple[str, ...]:
    rows = connection.execute(
        "select name, line, reason from rejected join sources using (file_id) order by file_id, line limit ?", [count]
    ).fetchall()
    return tuple(f"{name}, line {line}: {reason}." for name, line, reason in rows)


def _compare_with_landed(connection: duckdb.DuckDBPyConnection) -> None:
    """Fill `temp.known`: incoming rows whose candle is in `raw` already; whether a validated batch says the same."""
    connection.execute(
        "create or replace temp table known"
        " (file_id integer, opened_at timestamptz, is_same boolean, is_validated boolean)"
    )
    connection.execute(
        """
        create or replace temp table rivals as
        select file_id, instrument, timeframe, state
        from raw.files join raw.batches using (batch_id) semi join sources using (instrument, timeframe)
        where state <> 'refused'
        """
    )
    if _count(connection, "rivals") == 0:
        return  # new series; the database would find that out only after building a table of all that comes in
    connection.execute(
        f"""
        insert into known
        with landed as (
            select instrument, timeframe, opened_at, {SAME_VALUES} as landed_values, file_id, state
            from raw.candle_rows join rivals using (file_id)
        ),
        newest as (
            select
                instrument, timeframe, opened_at,
                arg_max(landed_values, file_id) filter (state = 'validated') as validated_values
            from landed group by all
        )
        select
            incoming.file_id, incoming.opened_at, coalesce(validated_values = {SAME_VALUES}, false) as is_same,
            validated_values is not null as is_validated
        from incoming join sources using (file_id) join newest using (instrument, timeframe, opened_at)
        """
    )


def _file_reports(
    connection: duckdb.DuckDBPyConnection, files: Sequence[Surveyed], unsorted: set[int], agreeing: Mapping[int, int]
) -> tuple[FileReport, ...]:
    good = _by_file(connection, "select file_id, count(*) from incoming group by file_id")
    same = _by_file(connection, "select file_id, count(*) from known where is_same group by file_id")
    revised = _by_file(
        connection, "select file_id, count(*) from known where is_validated and not is_same group by file_id"
    )
    bad = _by_file(connection, "select file_id, count(*) from rejected group by file_id")
    return tuple(
        FileReport(
            name=file.source.name,
            instrument=file.source.instrument,
            timeframe=file.source.timeframe,
            rows_read=good.get(number, 0) + bad.get(number, 0) + agreeing.get(number, 0),
            rows_landed=good.get(number, 0) - same.get(number, 0) - revised.get(number, 0),
            rows_unchanged=same.get(number, 0) + agreeing.get(number, 0),
            rows_revised=revised.get(number, 0),
            rows_quarantined=bad.get(number, 0),
            notes=_notes(file, number in unsorted),
        )
        for file in files
        for number in (file.file_id,)
    )


def _by_file(connection: duckdb.DuckDBPyConnection, query: str) -> dict[int, int]:
    return dict(connection.execute(query).fetchall())


def _notes(file: Surveyed, is_unsorted: bool) -> tuple[str, ...]:
    unit = file.survey.layout.unit
    said = {
        "times read as text, UTC unless they say otherwise": unit == "text" and not file.survey.layout.refusal,
        f"times read as {unit}": unit in {"milliseconds", "microseconds"},
        "rows are not in the order of time, which does no harm": is_unsorted,
        "the last line has no end; if the file was cut there, its last number is too": file.survey.is_cut,
    }
    return tuple(note for note, applies in said.items() if applies)


def _batch_report(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    batch_id: str,
    files: tuple[FileReport, ...],
    skipped: tuple[str, ...],
) -> BatchReport:
    spans = connection.execute(
        """
        with file_spans as (
            select file_id, count(*) as candles, min(opened_at) as first_at, max(opened_at) as last_at
            from incoming group by file_id
        )
        select instrument, timeframe, sum(candles)::bigint, min(first_at), max(last_at)
        from file_spans join sources using (file_id) group by instrument, timeframe order by all
        """
    ).fetchall()
    return BatchReport(
        batch_id=batch_id,
        state="landed",
        path=path,
        already_landed=False,
        rows_read=sum(file.rows_read for file in files),
        rows_landed=sum(file.rows_landed for file in files),
        rows_unchanged=sum(file.rows_unchanged for file in files),
        rows_revised=sum(file.rows_revised for file in files),
        rows_quarantined=sum(file.rows_quarantined for file in files),
        series=tuple(SeriesSpan(*span) for span in spans),
        files=files,
        skipped=skipped,
        quarantined=_first_rejects(connection, SHOWN_REJECTS),
    )


def _write(
    connection: duckdb.DuckDBPyConnection, report: BatchReport, source: str, content: str, fetched_at: datetime
) -> None:
    batch = {"batch_id": report.batch_id, "source": source, "fetched_at": fetched_at}
    connection.execute(
        "insert into raw.batches values (?, ?, ?, ?, ?, 'landed', ?, ?, ?, ?, ?, '')",
        [report.batch_id, source, str(report.path), content, fetched_at, report.rows_read, report.rows_landed,
         report.rows_unchanged, report.rows_revised, report.rows_quarantined],
    )  # fmt: skip
    connection.execute(
        "insert into raw.files"
        " select file_id, $batch_id, $source, name, instrument, timeframe, candle_us, $fetched_at from sources",
        batch,
    )
    values = "file_id, opened_at, open, high, low, close, volume, trades"
    if _count(connection, "known"):
        connection.execute(
            f"insert into raw.candle_rows select {values}, is_same is not null"
            " from incoming left join known using (file_id, opened_at) where is_same is not true"
        )
    else:
        connection.execute(f"insert into raw.candle_rows select {values}, false from incoming")
    connection.execute(
        """
        insert into raw.quarantine
        select $batch_id, $source, name, line, instrument, timeframe, opened_at, reason, row_text, $fetched_at
        from rejected join sources using (file_id)
        """,
        batch,
    )
    for table in ("sources", "incoming", "rejected", "rivals", "known"):
        connection.execute(f"drop table temp.{table}")
