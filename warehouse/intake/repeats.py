"""Rows of one batch that claim the same candle. Only one of them can land, and only if they agree.

Two files that agree on a candle are no fault: archives overlap. A file that repeats itself is one, and rows that
disagree are not trusted at all: who could say which is right?
"""

from collections.abc import Sequence

import duckdb

from warehouse.intake.reading import Surveyed, lines_of, read_again

SAME_VALUES = "(open, high, low, close, volume, trades)"


def unsorted_files(connection: duckdb.DuckDBPyConnection) -> set[int]:
    """Files in `temp.incoming` whose times don't always rise."""
    # A window without order looks at rows as they were inserted, file by file; sorting or grouping them would cost more
    # than reading them did.
    rows = connection.execute(
        """
        select distinct file_id from (
            select
                file_id, file_id = lag(file_id) over () as is_same_file, opened_at <= lag(opened_at) over () as is_back
            from incoming
        ) where is_same_file and is_back
        """
    ).fetchall()
    return {file_id for (file_id,) in rows}


def set_repeats_aside(
    connection: duckdb.DuckDBPyConnection, files: Sequence[Surveyed], unsorted: set[int]
) -> dict[int, int]:
    """Leave one row per candle in `temp.incoming`, or none; move the others to `temp.rejected`, with the reason.

    Returns:
        Rows left out of each file because another file of the batch says the very same.
    """
    suspects = unsorted | _overlapping_files(connection)
    if not suspects or not _find_repeats(connection, suspects):
        return {}
    read_fast = connection.execute("select distinct file_id from repeats where line is null").fetchall()
    without_lines = {file_id for (file_id,) in read_fast}
    if without_lines:
        read_again(connection, [file for file in files if file.file_id in without_lines])
        _find_repeats(connection, suspects)
    _judge(connection)
    _move(connection, files)
    agreeing = connection.execute(
        "select file_id, count(*) from judged_repeats where reason = '' group by file_id"
    ).fetchall()
    return dict(agreeing)


def _overlapping_files(connection: duckdb.DuckDBPyConnection) -> set[int]:
    """Files of the same series whose spans touch."""
    rows = connection.execute(
        """
        with file_spans as (
            select file_id, min(opened_at) as first_at, max(opened_at) as last_at from incoming group by file_id
        ),
        spans as (
            select file_spans.*, instrument, timeframe from file_spans join sources using (file_id)
        )
        select distinct one.file_id
        from spans as one join spans as other using (instrument, timeframe)
        where one.file_id <> other.file_id and one.first_at <= other.last_at and other.first_at <= one.last_at
        """
    ).fetchall()
    return {file_id for (file_id,) in rows}


def _find_repeats(connection: duckdb.DuckDBPyConnection, suspects: set[int]) -> bool:
    connection.execute(
        """
        create or replace temp table repeats as
        with suspicious as (
            select * from incoming join sources using (file_id) where list_contains($suspects, file_id)
        ),
        keys as (
            select instrument, timeframe, opened_at from suspicious group by all having count(*) > 1
        )
        select suspicious.* from suspicious semi join keys using (instrument, timeframe, opened_at)
        """,
        {"suspects": sorted(suspects)},
    )
    row = connection.execute("select count(*) > 0 from repeats").fetchone()
    assert row is not None
    found: bool = row[0]
    return found


def _judge(connection: duckdb.DuckDBPyConnection) -> None:
    """Every repeated row that must not land: why, or an empty reason where another file says the same."""
    connection.execute(
        f"""
        create or replace temp table judged_repeats as
        with compared as (
            select
                *,
                count(distinct {SAME_VALUES}) over candle as versions,
                row_number() over (candle order by file_id, line) as place,
                row_number() over (partition by file_id, opened_at order by line) as place_in_file,
                first_value(name) over (candle order by file_id, line) as first_name,
                first_value(line) over (candle order by file_id, line) as first_line,
                first_value(line) over (partition by file_id, opened_at order by line) as first_line_in_file,
                first_value({SAME_VALUES}) over (candle order by file_id, line) as first_values
            from repeats
            window candle as (partition by instrument, timeframe, opened_at)
        ),
        others as (
            -- For each candle, a row that disagrees with the first one: what the first is said to disagree with.
            select
                instrument, timeframe, opened_at,
                min_by('disagrees with ' || name || ' line ' || line, (file_id, line)) as said
            from compared where {SAME_VALUES} is distinct from first_values group by all
        )
        select
            file_id, line, opened_at,
            case
                when versions > 1 and {SAME_VALUES} is distinct from first_values
                    then 'disagrees with ' || first_name || ' line ' || first_line || ' on the same candle'
                when versions > 1 then said || ' on the same candle'
                when place_in_file > 1 then 'repeats line ' || first_line_in_file
                else ''
            end as reason
        from compared left join others using (instrument, timeframe, opened_at)
        where versions > 1 or place > 1
        """
    )


def _move(connection: duckdb.DuckDBPyConnection, files: Sequence[Surveyed]) -> None:
    rejects = connection.execute(
        "select file_id, list(line) from judged_repeats where reason <> '' group by file_id"
    ).fetchall()
    by_id = {file.file_id: file for file in files}
    texts = [
        (file_id, line, text)
        for file_id, lines in rejects
        for line, text in lines_of(by_id[file_id], set(lines)).items()
    ]
    connection.execute("create or replace temp table repeated_texts (file_id integer, line bigint, row_text varchar)")
    if texts:
        connection.executemany("insert into repeated_texts values (?, ?, ?)", texts)
    connection.execute(
        """
        insert into rejected
        select file_id, line, opened_at, reason, row_text from judged_repeats join repeated_texts using (file_id, line)
        """
    )
    connection.execute(
        "delete from waiting using judged_repeats"
        " where waiting.file_id = judged_repeats.file_id and waiting.line = judged_repeats.line"
    )
