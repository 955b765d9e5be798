"""`temp.batch_candles`: the candles of one batch as they would stand in the warehouse, each beside the one before it.

A batch of corrections has candles far apart, with good ones between them that an earlier batch landed, and a batch of
one new candle has nothing to compare it with. So the rows are, of each series:

- the batch's own (`is_new`);
- the validated ones that it leaves as they are, between its first and its last: with its own they are `is_within`;
- the last validated one before its first and the first after its last, if at most `LENDING_DAYS` lie between. They only
  lend their prices: no rule counts them, and a hole between them and the batch is no fault of the batch
  (`marts.candle_gaps` lists it).

`previous_close` is of the row before, null at the start of a series, and `previous_opened_at` too if that row is
within. A pair of rows is the batch's to answer for (`is_judged`) when one of the two is new.
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

# Rows of other validated batches that the batch does not replace: those inside its spans and one beside each end.
_KEPT = f"""
    with new as ({_NEW}),
    spans as (
        select
            series_id,
            min(opened_at) as first_at,
            max(opened_at) as last_at,
            make_timestamptz(epoch_us(min(opened_at)) - {_LENDING_US}) as lent_from,
            make_timestamptz(epoch_us(max(opened_at)) + {_LENDING_US}) as lent_to
        from new group by series_id
    ),
    around as (
        select {_VALUES}, first_at, last_at
        from raw.candle_rows join series_files using (file_id) join spans using (series_id)
        where not is_of_batch and opened_at between lent_from and lent_to
        qualify row_number() over (partition by series_id, opened_at order by file_id desc) = 1
    ),
    lenders as (
        select
            series_id,
            max(opened_at) filter (opened_at < first_at) as lender_before,
            min(opened_at) filter (opened_at > last_at) as lender_after
        from around group by series_id
    ),
    beside as (
        select {_VALUES}, false as is_new, opened_at between first_at and last_at as is_within
        from around join lenders using (series_id)
        where opened_at between first_at and last_at or opened_at in (lender_before, lender_after)
    )
    select *, true as is_new, true as is_within from new
    union all
    from beside anti join new using (series_id, opened_at)
"""

# Two windows more, over millions of rows, would say of a first load what is known.
_ALL_NEW = "true as is_new, true as is_within, true as was_new, true as was_within"
_OF_THE_ROW_BEFORE = "lag(is_new) over () as was_new, lag(is_within) over () as was_within"


def take_batch_candles(connection: duckdb.DuckDBPyConnection, batch_id: str) -> None:
    """Create `temp.batch_candles`, and `temp.batch` with the row of `raw.batches`."""
    connection.execute("create or replace temp table batch as select * from raw.batches where batch_id = ?", [batch_id])
    _take_series_files(connection)
    is_alone = _is_true(connection, "select bool_and(is_of_batch) from series_files")
    rows = _NEW if is_alone else _KEPT
    if not (is_alone and _is_in_order(connection)):
        rows = f"select * from ({rows}) order by series_id, opened_at"
    # A window without order takes the rows as they come. Sorting them into partitions would double the validation.
    connection.execute(
        f"""
        create or replace temp table batch_rows as
        with candles as (
            {rows}
        ),
        beside as (
            select
                *,
                series_id = lag(series_id) over () as has_previous,
                lag(opened_at) over () as opened_before,
                lag(close) over () as close_before,
                {_ALL_NEW if is_alone else _OF_THE_ROW_BEFORE}
            from candles
        )
        select
            {_VALUES}, is_new, is_within,
            is_new or (has_previous and was_new) as is_judged,
            case when has_previous and was_within then opened_before end as previous_opened_at,
            case when has_previous then close_before end as previous_close
        from beside
        """
    )
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
    connection.execute("drop view temp.batch_candles")
    for table in ("batch_rows", "series_files", "batch"):
        connection.execute(f"drop table temp.{table}")


def _take_series_files(connection: duckdb.DuckDBPyConnection) -> None:
    """Files of the batch, and files of validated batches with the same series; a series is named by its first file."""
    connection.execute(
        """
        create or replace temp table series_files as
        with candidates as (
            select files.*, files.batch_id = (select batch_id from temp.batch) as is_of_batch
            from raw.files as files join raw.batches as batches using (batch_id)
            where batches.state = 'validated' or is_of_batch
        )
        select *, min(file_id) over (partition by instrument, timeframe) as series_id
        from candidates
        qualify bool_or(is_of_batch) over (partition by instrument, timeframe)
        """
    )


def _is_in_order(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether the batch's rows lie series by series, and in each by time."""
    return _is_true(
        connection,
        f"""
        with beside as (
            select
                series_id is distinct from lag(series_id) over () as is_first,
                series_id = lag(series_id) over () and opened_at < lag(opened_at) over () as is_back
            from ({_NEW})
        )
        select
            count(*) filter (is_back) = 0
            and count(*) filter (is_first) = (select count(distinct series_id) from series_files)
        from beside
        """,
    )


def _is_true(connection: duckdb.DuckDBPyConnection, query: str) -> bool:
    row = connection.execute(query).fetchone()
    assert row is not None
    return bool(row[0])
