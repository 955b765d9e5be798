"""One batch: files -> `raw`. Good rows land, bad rows go to quarantine, nothing is lost.

    rows_read = rows_landed + rows_unchanged + rows_revised + rows_quarantined

`raw` only grows. A row that says what a validated batch said already is not stored again; one that says otherwise is
stored beside it, and the newest validated batch wins in `staging`. A file without one usable candle is no part of the
batch: it is refused on its own, beside it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import duckdb

from trading.errors import InputUnusable
from warehouse.batches import (
    BatchReport,
    FileReport,
    Refusal,
    SeriesSpan,
    add_batch,
    find_batch,
    forget_refused,
)
from warehouse.intake import archives
from warehouse.intake.archives import Archive, NothingToLand, SeriesOf, Unnamed, Unusable, has_changed
from warehouse.intake.layouts import ColumnMap, survey
from warehouse.intake.reading import CANDLE, LANDED, STAGED, Surveyed, read_files, take_back
from warehouse.intake.refusals import (
    Origin,
    content_hash,
    first_rejects,
    keep_lines,
    known_refusal,
    known_refusals,
    refuse_files,
    refuse_together,
    refuse_unopened,
)
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
    is_inbox: bool = False,
    covers: tuple[datetime, datetime] | None = None,
) -> BatchReport:
    """Land what lies at `path`: a CSV file, a zip, or a folder of either, chosen by the rules of `archives`.

    `series_of` reads instrument and timeframe off a file's name. Content that an earlier batch has landed is not
    landed twice: a report of that batch comes back, with `already_landed`. Files that can't be used are `refusals` of
    the report: the caller commits, and then raises them. Of an inbox, a file that was written to within the last minute
    is left for the next look, and what was refused before is not tried again; of anything else, a batch of which the
    checks have refused a part is judged again. `covers` is the span that the source was asked for, begin and end: an
    interval in it that has no candle had none at the source. Without it, that holds as far as a file's candles reach.

    Raises:
        NothingToLand: there is nothing that could be landed or refused. Nothing was written.
        InputUnusable: the column map states a timeframe that there is not.
        SetupFailed: no room to unpack a zip.
    """
    origin = Origin(path, source, columns, fetched_at, covers)
    settled_at = fetched_at if is_inbox else None
    with archives.opened(path, _stated_first(series_of, columns), scratch, settled_at) as archive:
        found = _examine(connection, origin, archive, is_retried=not is_inbox)
        earlier = _earlier(connection, origin, found.files)
        if not found.files or earlier is not None:
            return _no_news(origin, earlier, found, is_retried=not is_inbox)
        reading = _read(connection, found.files, round(fetched_at.timestamp() * 1_000_000))
    report = _landed(connection, origin, found, reading)
    for kind, name in STAGED:
        connection.execute(f"drop {kind} temp.{name}")
    return report


def inbox_holds_candles(inbox: Path, series_of: SeriesOf, columns: ColumnMap | None, looked_at: datetime) -> bool:
    """Whether landing an inbox at `looked_at` would find a file to read.

    Raises:
        InputUnusable: the column map states a timeframe that there is not.
    """
    return archives.holds_candles(inbox, _stated_first(series_of, columns), looked_at)


def inbox_unnamed(
    inbox: Path, series_of: SeriesOf, columns: ColumnMap | None, looked_at: datetime
) -> tuple[Unnamed, ...]:
    """The files of an inbox that landing passes over: neither their names nor the column map say what they hold.

    Raises:
        InputUnusable: the column map states a timeframe that there is not.
    """
    return archives.unnamed(inbox, _stated_first(series_of, columns), looked_at)


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


@dataclass(frozen=True)
class _Found:
    """What is to be read, and what became of everything else."""

    files: tuple[Surveyed, ...]
    skipped: tuple[str, ...]
    refusals: tuple[Refusal, ...]


def _examine(connection: duckdb.DuckDBPyConnection, origin: Origin, archive: Archive, *, is_retried: bool) -> _Found:
    files, empty, unopened = _survey(archive, origin.columns, _next_file_id(connection))
    unusable = [*archive.unusable, *unopened]
    if not files and not unusable:
        unusable, empty = empty, []  # an archive may well have empty files; nothing but empty ones is a fault
    skipped = (*archive.skipped, *(f"{file.name} is empty." for file in empty))
    refusals = refuse_unopened(connection, origin, unusable, is_retried=is_retried)
    if not is_retried:
        files, known = _leave_known_out(connection, origin, files)
        refusals += known
    return _Found(tuple(files), skipped, tuple(refusals))


def _next_file_id(connection: duckdb.DuckDBPyConnection) -> int:
    row = connection.execute("select coalesce(max(file_id), 0) + 1 from raw.files").fetchone()
    assert row is not None
    number: int = row[0]
    return number


def _survey(
    archive: Archive, columns: ColumnMap | None, first_id: int
) -> tuple[list[Surveyed], list[Unusable], list[Unusable]]:
    """Every file that has a line in it, numbered; those that are empty; those that can't be opened."""
    files: list[Surveyed] = []
    empty: list[Unusable] = []
    unusable: list[Unusable] = []
    for source in archive.files:
        try:
            seen = survey(source.path, source.name, columns)
        except OSError as error:
            unusable.append(Unusable(source.name, source.path, f"It can't be read: {error.strerror or error}."))
            continue
        if seen is None:
            empty.append(Unusable(source.name, source.path, f"{source.name} is empty: there is no candle in it."))
        else:
            files.append(Surveyed(first_id + len(files), source, seen))
    return files, empty, unusable


def _leave_known_out(
    connection: duckdb.DuckDBPyConnection, origin: Origin, files: Sequence[Surveyed]
) -> tuple[list[Surveyed], list[Refusal]]:
    """The files that were not refused before, each alone or all together; and the refusals of the others."""
    known = known_refusals(connection, origin, files)
    rest = [file for file in files if file.file_id not in known]
    together = known_refusal(connection, origin, rest, origin.path.name)
    return ([], [*known.values(), together]) if together else (rest, list(known.values()))


def _earlier(connection: duckdb.DuckDBPyConnection, origin: Origin, files: Sequence[Surveyed]) -> BatchReport | None:
    return find_batch(connection, content_hash(files, origin), origin.path)


def _no_news(origin: Origin, earlier: BatchReport | None, found: _Found, *, is_retried: bool = False) -> BatchReport:
    """The report when no row is landed: on the batch that landed all of it before, or on refusals alone."""
    if earlier is not None:
        state = "landed" if is_retried and earlier.state == "partly" else earlier.state
        return replace(earlier, state=state, skipped=found.skipped, refusals=found.refusals)
    if not found.refusals:
        raise NothingToLand(f"Nothing of {origin.path} was landed. {' '.join(found.skipped)}")
    return BatchReport(
        batch_id=found.refusals[0].batch_id,
        state="refused",
        path=origin.path,
        already_landed=False,
        rows_read=sum(refusal.rows for refusal in found.refusals),
        rows_landed=0,
        rows_unchanged=0,
        rows_revised=0,
        rows_quarantined=sum(refusal.rows for refusal in found.refusals),
        series=(),
        files=(),
        skipped=found.skipped,
        refusals=found.refusals,
    )


@dataclass(frozen=True)
class _Reading:
    """What `temp.incoming` and `temp.rejected` hold."""

    files: tuple[Surveyed, ...]  # with a candle in each
    in_vain: tuple[Surveyed, ...]  # without one
    moved: tuple[Surveyed, ...]  # changed while they were read, so nothing of them is held
    unsorted: set[int]
    agreeing: Mapping[int, int]


def _read(connection: duckdb.DuckDBPyConnection, files: Sequence[Surveyed], fetched_us: int) -> _Reading:
    """Read what was surveyed, and only that: without a file that changed in between, all others are read again.

    Rows of a file that is half written would have been compared with those of the others.
    """
    moved: list[Surveyed] = _changed(files)  # a file that is gone by now would break the transaction
    while True:
        still = [file for file in files if file not in moved]
        read_files(connection, still, fetched_us)
        good = _by_file(connection, "select file_id, count(*) from incoming group by file_id")
        unsorted = unsorted_files(connection)
        agreeing = set_repeats_aside(connection, still, unsorted)
        changed = _changed(still)
        if not changed:
            used = tuple(file for file in still if file.file_id in good)
            in_vain = tuple(file for file in still if file.file_id not in good)
            return _Reading(used, in_vain, tuple(moved), unsorted, agreeing)
        take_back(connection, still)
        moved += changed


def _changed(files: Sequence[Surveyed]) -> list[Surveyed]:
    return [file for file in files if has_changed(file.source.path, file.source.stamp)]


def _landed(connection: duckdb.DuckDBPyConnection, origin: Origin, found: _Found, reading: _Reading) -> BatchReport:
    """Refuse what was read in vain, land the rest."""
    files = reading.files
    refusals = [*found.refusals, *refuse_files(connection, origin, reading.in_vain)]
    if files and not _count(connection, "incoming"):  # files that disagree on every candle
        refusals.append(refuse_together(connection, origin, files))
        files = ()
    moved = (f"{file.source.name} changed while it was read; land it when it is complete." for file in reading.moved)
    found = _Found(files, (*found.skipped, *moved), tuple(refusals))
    earlier = _earlier(connection, origin, files)
    if not files or earlier is not None:
        return _no_news(origin, earlier, found)
    content = content_hash(files, origin)
    forget_refused(connection, content)
    _compare_with_landed(connection, origin.source)
    reports = _file_reports(connection, files, reading.unsorted, reading.agreeing)
    report = _batch_report(connection, origin, content, reports, found)
    _write(connection, origin, report, content, files)
    return report


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    row = connection.execute(f"select count(*) from temp.{table}").fetchone()
    assert row is not None
    count: int = row[0]
    return count


def _compare_with_landed(connection: duckdb.DuckDBPyConnection, source: str) -> None:
    """Fill `temp.known`: incoming rows whose candle is in `raw` already; whether to store them, and what they change.

    Nothing is added by what the same source has said last, nor by a source that says what is believed from a better
    one, or from one as good. A better one is stored though it only confirms: nobody below it may correct it later. A
    candle that was refused is there too, though it says nothing: its batch may be judged again, and then one of the two
    must revise.
    """
    connection.execute(
        "create or replace temp table known"
        " (file_id integer, opened_at timestamptz, is_same boolean, is_revision boolean)"
    )
    connection.execute(
        """
        create or replace temp table rivals as
        select file_id, instrument, timeframe, source, state
        from raw.files semi join sources using (instrument, timeframe)
        """
    )
    if _count(connection, "rivals") == 0:
        return  # new series; the database would find that out only after building a table of all that comes in
    # What closes now is compared with what is that new, not with years of it: the bounds must reach the scan.
    first, last = connection.execute("select min(opened_at), max(opened_at) from incoming").fetchall()[0]
    connection.execute(
        f"""
        insert into known
        with landed as (
            select
                instrument, timeframe, opened_at, {SAME_VALUES} as landed_values, file_id, source, state,
                coalesce(precedence, 0) as rank
            from raw.candle_rows join rivals using (file_id) left join raw.sources using (source)
            where opened_at between $first and $last
        ),
        newest as (
            select
                instrument, timeframe, opened_at,
                arg_max(landed_values, file_id) filter (state = 'validated' and source = $source) as said,
                arg_max(landed_values, (rank, file_id)) filter (state = 'validated') as believed,
                max(rank) filter (state = 'validated') as best_rank
            from landed group by all
        )
        select
            incoming.file_id, incoming.opened_at,
            coalesce(
                {SAME_VALUES} = said
                or {SAME_VALUES} = believed
                and best_rank >= coalesce((select precedence from raw.sources where source = $source), 0),
                false
            ) as is_same,
            coalesce({SAME_VALUES} <> believed, false) as is_revision
        from incoming join sources using (file_id) join newest using (instrument, timeframe, opened_at)
        """,
        {"source": source, "first": first, "last": last},
    )


def _file_reports(
    connection: duckdb.DuckDBPyConnection, files: Sequence[Surveyed], unsorted: set[int], agreeing: Mapping[int, int]
) -> tuple[FileReport, ...]:
    good = _by_file(connection, "select file_id, count(*) from incoming group by file_id")
    same = _by_file(connection, "select file_id, count(*) from known where is_same group by file_id")
    revised = _by_file(
        connection, "select file_id, count(*) from known where is_revision and not is_same group by file_id"
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
    origin: Origin,
    content: str,
    files: tuple[FileReport, ...],
    found: _Found,
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
        batch_id=origin.batch_id(content),
        state="landed",
        path=origin.path,
        already_landed=False,
        rows_read=sum(file.rows_read for file in files),
        rows_landed=sum(file.rows_landed for file in files),
        rows_unchanged=sum(file.rows_unchanged for file in files),
        rows_revised=sum(file.rows_revised for file in files),
        rows_quarantined=sum(file.rows_quarantined for file in files),
        series=tuple(SeriesSpan(*span) for span in spans),
        files=files,
        skipped=found.skipped,
        quarantined=first_rejects(connection, SHOWN_REJECTS, [file.file_id for file in found.files]),
        refusals=found.refusals,
    )


def _write(
    connection: duckdb.DuckDBPyConnection,
    origin: Origin,
    report: BatchReport,
    content: str,
    files: Sequence[Surveyed],
) -> None:
    add_batch(
        connection,
        report,
        source=origin.source,
        content_hash=content,
        fetched_at=origin.fetched_at,
        detail="",
    )
    rows_read = {file.file_id: told.rows_read for file, told in zip(files, report.files, strict=True)}
    keep_lines(connection, origin, report.batch_id, rows_read, "landed")
    if _count(connection, "known"):
        connection.execute(
            f"insert into {LANDED} select file_id, {CANDLE}, is_same is not null"
            " from waiting left join known using (file_id, opened_at) where is_same is not true"
        )
    else:
        connection.execute(f"insert into {LANDED} select file_id, {CANDLE}, false from waiting")
    for table in ("rivals", "known"):
        connection.execute(f"drop table temp.{table}")
