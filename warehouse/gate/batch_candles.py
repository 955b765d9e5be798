"""`temp.batch_candles`: the candles of one batch as they would stand in the warehouse, each beside the one before it.

A batch of corrections has candles far apart, with good ones between them that an earlier batch landed, and a batch of
one new candle has nothing to compare it with. So the rows are, of each series:

- the batch's own (`is_new`);
- the validated ones that it leaves as they are, between its first and its last: with its own they are `is_within`;
- the first validated one after its last, if at most `LENDING_DAYS` lie between. No rule counts it: a hole before it is
  no fault of the batch (`marts.candle_gaps` lists it).

`previous_close` is of the row before, and `previous_opened_at` too if that row is within. To the first row of a series
the last validated candle before it lends its close, if it is as near, and nothing else; `previous_close` is null where
there is none. A pair of candles is the batch's to answer for (`is_judged`) when one of the two is new.
"""

import duckdb

BATCH_CANDLES = "temp.batch_candles"

# Over a longer silence a multiple of a price may be real, so a candle beyond it says nothing of what prices may be.
LENDING_DAYS = 30
_LENDING_US = LENDING_DAYS * 86_400_000_000

_VALUES = "series_id, file_id, candle_us, opened_at, open, high, low, close, volume, trades"

_NEW = f"""
    select {_VALUES}
    from raw.candle_rows join series_files using (file_id) where is_of_batch
"""

_ALL_NEW = f"select *, true as is_new, true as is_within, null as lent_close from ({_NEW})"

# Of each series the batch's first and last candle, and the validated one beside each, as near as `LENDING_DAYS`. This
# looks at weeks of candles, but at two columns of them.
_NEIGHBOURS = f"""
    with spans as (
        select
            series_id,
            min(opened_at) as first_at,
            max(opened_at) as last_at,
            make_timestamptz(epoch_us(min(opened_at)) - {_LENDING_US}) as lent_from,
            make_timestamptz(epoch_us(max(opened_at)) + {_LENDING_US}) as lent_to
        from raw.candle_rows join series_files using (file_id)
        where is_of_batch
        group by series_id
    ),
    around as (
        select spans.*, opened_at
        from spans
        join series_files using (series_id)
        join raw.candle_rows using (file_id)
        where not is_of_batch and opened_at between lent_from and lent_to and opened_at between $lent_from and $lent_to
    ),
    lenders as (
        select
            series_id,
            max(opened_at) filter (opened_at < first_at) as lender_before,
            min(opened_at) filter (opened_at > last_at) as lender_after
        from around group by series_id
    )
    select series_id, first_at, last_at, lender_before, lender_after from spans left join lenders using (series_id)
"""

# Rows of other validated batches that the batch does not replace: those inside its spans and one after each.
_KEPT = f"""
    with new as ({_NEW}),
    beside as (
        select {_VALUES}, false as is_new, opened_at between first_at and last_at as is_within
        from raw.candle_rows join series_files using (file_id) join neighbours using (series_id)
        where not is_of_batch
            and (opened_at between first_at and last_at or opened_at = lender_after)
            and opened_at between $first_at and $last_at
        qualify row_number() over (partition by series_id, opened_at order by file_id desc) = 1
    ),
    lent as (
        select series_id, arg_max(close, file_id) as lent_close
        from raw.candle_rows join series_files using (file_id) join neighbours using (series_id)
        where not is_of_batch and opened_at = lender_before and opened_at between $first_lent_at and $last_lent_at
        group by series_id
    ),
    rows as (
        select *, true as is_new, true as is_within from new
        union all
        from beside anti join new using (series_id, opened_at)
    )
    from rows left join lent using (series_id)
"""

# A window without order takes the rows as they come, on one core: so there are as many as there are cores, each with
# files of its own. Nothing may stand between it and the table: what leaves a join need not keep its order.
_LANE = """
    select
        files.series_id, rows.file_id, files.candle_us, opened_at, open, high, low, close, volume, trades,
        true as is_new, true as is_within, true as is_judged,
        case when files.series_id = before.series_id then opened_before end as previous_opened_at,
        case when files.series_id = before.series_id then close_before end as previous_close
    from (
        select
            *,
            lag(file_id) over () as file_before,
            lag(opened_at) over () as opened_before,
            lag(close) over () as close_before
        from raw.candle_rows
        where file_id between {first} and {last}
    ) as rows
    join series_files as files on rows.file_id = files.file_id and files.lane = {lane}
    left join series_files as before on rows.file_before = before.file_id
"""


def take_batch_candles(connection: duckdb.DuckDBPyConnection, batch_id: str) -> None:
    """Create `temp.batch_candles`, and `temp.batch_files` with the batch's rows of `raw.files`.

    `temp.batch_rows` has the same rows without their names. It is computed anew by whoever reads it when the rows lie
    in `raw` as they are wanted, as those of a first load do: storing them takes longer than all checks do.
    """
    connection.execute(
        "create or replace temp table batch_files as select * from raw.files where batch_id = ?", [batch_id]
    )
    _take_series_files(connection)
    _read_in_lanes(connection)
    is_alone = _is_true(connection, "select bool_and(is_of_batch) from series_files")
    if not (is_alone and _is_in_order(connection)):
        if is_alone:
            _sort_rows(connection, _ALL_NEW, {})
        else:
            _sort_rows(connection, _KEPT, _take_neighbours(connection))
    # The names come last, so that a check carries them for its offenders only.
    connection.execute(
        """
        create or replace temp view batch_candles as
        select files.instrument, files.timeframe, files.file, batch_rows.*
        from batch_rows join series_files as files using (file_id)
        """
    )


def drop_batch_candles(connection: duckdb.DuckDBPyConnection) -> None:
    """Give their memory back."""
    for view in ("batch_candles", "batch_rows"):
        connection.execute(f"drop view temp.{view}")
    for table in ("series_files", "batch_files"):
        connection.execute(f"drop table temp.{table}")
    for table in ("neighbours", "sorted_rows"):
        connection.execute(f"drop table if exists temp.{table}")


def _take_series_files(connection: duckdb.DuckDBPyConnection) -> None:
    """Files of the batch, and validated ones of others with the same series; a series is named by its first file.

    `lane` is the same for all files of a series, and all lanes have about as many rows. There are as many as cores.
    """
    connection.execute(
        """
        create or replace temp table series_files as
        with candidates as (
            select *, file_id in (select file_id from temp.batch_files) as is_of_batch
            from raw.files
            where state = 'validated' or is_of_batch
        ),
        series as (
            select *, min(file_id) over (partition by instrument, timeframe) as series_id
            from candidates
            qualify bool_or(is_of_batch) over (partition by instrument, timeframe)
        )
        select
            *,
            (greatest(sum(rows_read) over (order by series_id), 1) - 1) * current_setting('threads')
            // greatest(sum(rows_read) over (), 1) as lane
        from series
        """
    )


def _read_in_lanes(connection: duckdb.DuckDBPyConnection) -> None:
    """Make `temp.batch_rows` a view of the rows as they lie in `raw`."""
    spans = connection.execute("select lane, min(file_id), max(file_id) from series_files group by lane").fetchall()
    # A batch may be without a file.
    lanes = [_LANE.format(lane=lane, first=first, last=last) for lane, first, last in spans or [(0, 0, 0)]]
    connection.execute(f"create or replace temp view batch_rows as {' union all '.join(lanes)}")


def _is_in_order(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether the rows in `raw` come series by series, nothing of others between them, and in each by time."""
    return _is_true(
        connection,
        """
        select
            count(*) filter (previous_opened_at is null) = count(distinct series_id)
            and count(*) filter (opened_at < previous_opened_at) = 0
        from batch_rows
        """,
    )


def _take_neighbours(connection: duckdb.DuckDBPyConnection) -> dict[str, object]:
    """Create `temp.neighbours`; between which times all of them lie: values, which the scans of `raw` can use."""
    row = connection.execute(
        f"""
        select make_timestamptz(epoch_us(min(opened_at)) - {_LENDING_US}),
            make_timestamptz(epoch_us(max(opened_at)) + {_LENDING_US})
        from raw.candle_rows where file_id in (select file_id from temp.batch_files)
        """
    ).fetchone()
    assert row is not None
    connection.execute(
        f"create or replace temp table neighbours as {_NEIGHBOURS}", {"lent_from": row[0], "lent_to": row[1]}
    )
    row = connection.execute(
        """
        select min(first_at), max(greatest(last_at, lender_after)), min(lender_before), max(lender_before)
        from temp.neighbours
        """
    ).fetchone()
    assert row is not None
    return dict(zip(("first_at", "last_at", "first_lent_at", "last_lent_at"), row, strict=True))


def _sort_rows(connection: duckdb.DuckDBPyConnection, rows: str, given: dict[str, object]) -> None:
    """Have `temp.batch_rows` read `rows` in order, from a table."""
    connection.execute(
        f"""
        create or replace temp table sorted_rows as
        with candles as (
            select * from ({rows}) order by series_id, opened_at
        ),
        beside as (
            select
                *,
                coalesce(series_id = lag(series_id) over (), false) as has_previous,
                lag(opened_at) over () as opened_before,
                lag(close) over () as close_before,
                lag(is_new) over () as was_new,
                lag(is_within) over () as was_within
            from candles
        )
        select
            {_VALUES}, is_new, is_within,
            is_new or (has_previous and was_new) as is_judged,
            case when has_previous and was_within then opened_before end as previous_opened_at,
            if(has_previous, close_before, lent_close) as previous_close
        from beside
        """,
        given,
    )
    connection.execute("create or replace temp view batch_rows as select * from temp.sorted_rows")


def _is_true(connection: duckdb.DuckDBPyConnection, query: str) -> bool:
    row = connection.execute(query).fetchone()
    assert row is not None
    return bool(row[0])
