"""The rows that a batch is judged by are the same however its candles lie, and those of a first load are not copied."""

import datetime as dt

import duckdb
import pytest
from doses import examples
from hypothesis import given
from hypothesis import strategies as st

from warehouse.connection import configure
from warehouse.gate.batch_candles import drop_batch_candles, take_batch_candles
from warehouse.schema import create_schema

NOW = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
COLUMNS = (
    "series_id, file_id, candle_us, opened_at, open, high, low, close, volume, trades, is_new, is_within, is_judged,"
    " previous_opened_at, previous_close"
)

# Of each file: its series, how many candles it has, and in which batch it came, of which only `b1` is judged.
some_files = st.lists(
    st.tuples(
        st.sampled_from(["BTC/USD", "ETH/USD", "SOL/USD", "XRP/USD"]),
        st.integers(0, 4_000),
        st.sampled_from([("b1", "landed")] * 6 + [("b0", "landed"), ("b0", "refused"), ("b0", "validated")]),
    ),
    min_size=1,
    max_size=8,
)


def put(connection, files):
    """Files of candles with holes, one after another, as landing leaves them; numbered from 1."""
    connection.execute("delete from raw.files")
    connection.execute("delete from raw.candle_rows")
    for number, (instrument, candles, (batch_id, state)) in enumerate(files, start=1):
        connection.execute(
            "insert into raw.files values (?, ?, 'kraken', ?, ?, '15m', 900000000, ?, ?, null, null, ?, 0)",
            [number, batch_id, f"{number}.csv", instrument, NOW, state, candles],
        )
        # Files of one series overlap in time, but have no candle in common.
        connection.execute(
            """
            insert into raw.candle_rows
            select
                $number::integer, make_timestamptz((1_500_000_000 + 900 * (8 * (3 * i + i % 3) + $number)) * 1_000_000),
                hash(i, $number, 1) % 1000 / 10, hash(i, $number, 2) % 1000 / 10, hash(i, $number, 3) % 1000 / 10,
                hash(i, $number, 4) % 1000 / 10, hash(i, $number, 5) % 1000 / 10, i, false
            from range($candles) as numbers (i)
            """,
            {"number": number, "candles": candles},
        )


def shuffle(connection):
    connection.execute("create or replace temp table shuffled as from raw.candle_rows order by hash(opened_at)")
    connection.execute("delete from raw.candle_rows")
    connection.execute("insert into raw.candle_rows from shuffled")


def take(connection, table):
    """Keep the rows in a table; whether they had to be copied to be read."""
    take_batch_candles(connection, "b1")
    connection.execute(f"create or replace temp table {table} as select {COLUMNS} from batch_rows")
    copies = connection.execute("select count(*) from duckdb_tables() where table_name = 'sorted_rows'").fetchone()
    drop_batch_candles(connection)
    return copies != (0,)


def take_by_sorting(connection, table):
    """The same by windows that sort, of a batch whose series nobody else has."""
    connection.execute(
        f"""
        create or replace temp table {table} as
        with files as (  -- of which one without a candle may give its number to the series
            select *, min(file_id) over (partition by instrument, timeframe) as series_id
            from raw.files where batch_id = 'b1'
        ),
        candles as (from raw.candle_rows join files using (file_id))
        select
            {COLUMNS.partition(", is_new")[0]}, true, true, true,
            lag(opened_at) over (partition by series_id order by opened_at),
            lag(close) over (partition by series_id order by opened_at)
        from candles
        """
    )


def are_equal(connection, one, other):
    return connection.execute(
        f"""
        select count(*) = 0 and (select count(*) from {one}) = (select count(*) from {other})
        from (from {one} except all from {other})
        """
    ).fetchone() == (True,)


@pytest.fixture(scope="module", params=[1, 2, 3])
def connection(request):
    """A warehouse that is emptied for every example, read by as many threads as the parameter says."""
    with duckdb.connect(config={"memory_limit": "500MB"}) as opened:
        opened.execute(f"set threads = {request.param}")
        configure(opened)
        create_schema(opened)
        yield opened


@examples(15)
@given(files=some_files)
def test_the_rows_are_the_same_however_the_candles_lie(connection, files):
    put(connection, files)
    take(connection, "as_landed")
    shuffle(connection)
    take(connection, "as_shuffled")
    assert are_equal(connection, "as_landed", "as_shuffled")
    believed = {instrument for instrument, _, (_, state) in files if state == "validated"}
    if not any(instrument in believed for instrument, _, (batch_id, _) in files if batch_id == "b1"):
        take_by_sorting(connection, "as_sorted")
        assert are_equal(connection, "as_landed", "as_sorted")


@examples(15)
@given(sizes=st.lists(st.integers(1, 4_000), min_size=1, max_size=6))
def test_the_candles_of_a_first_load_are_not_copied(connection, sizes):
    put(connection, [(f"C{number}/USD", size, ("b1", "landed")) for number, size in enumerate(sizes)])
    assert not take(connection, "as_landed")
    take_by_sorting(connection, "as_sorted")
    assert are_equal(connection, "as_landed", "as_sorted")


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ([("BTC/USD", 2_000, ("b1", "landed"))] * 2, "two files of one series that overlap"),
        ([("BTC/USD", 2_000, ("b0", "validated")), ("BTC/USD", 2_000, ("b1", "landed"))], "candles of another batch"),
        (
            [
                ("BTC/USD", 1, ("b1", "landed")),
                ("SOL/USD", 1, ("b0", "landed")),
                ("BTC/USD", 1, ("b1", "landed")),
                ("ETH/USD", 0, ("b1", "landed")),
            ],
            "a series cut in two, and another without a candle",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_other_candles_are_sorted_into_a_copy(connection, files, why):
    put(connection, files)
    assert take(connection, "as_landed"), why


def test_the_candle_before_a_batch_lends_its_close_and_the_one_after_it_is_a_row(connection):
    put(connection, [("BTC/USD", 3, ("b0", "validated")), ("BTC/USD", 1, ("b1", "landed"))])
    first, middle, last = connection.execute(
        "select opened_at, close from raw.candle_rows where file_id = 1 order by opened_at"
    ).fetchall()
    take(connection, "rows_of_the_batch")
    rows = connection.execute(
        "select opened_at, is_new, is_within, is_judged, previous_opened_at, previous_close"
        " from rows_of_the_batch order by opened_at"
    ).fetchall()
    ((new_at, new_close),) = connection.execute(
        "select opened_at, close from raw.candle_rows where file_id = 2"
    ).fetchall()
    assert first[0] < new_at < middle[0] < last[0]
    assert rows == [
        (new_at, True, True, True, None, first[1]),
        (middle[0], False, False, True, new_at, new_close),
    ]
