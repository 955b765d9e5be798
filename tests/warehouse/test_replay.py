"""The warehouse as a stream of events: ordered, whole, the same in pieces, and never ahead of the clock."""

import datetime as dt
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl
import pytest
from doses import examples
from hypothesis import given
from hypothesis import strategies as st

from trading.errors import InputUnusable, SetupFailed
from warehouse.connection import configure
from warehouse.replay import (
    TIMEFRAMES,
    ClosedCandle,
    Point,
    Span,
    batches,
    bounded_reading,
    instruments_in,
    read_candles,
    replay,
)
from warehouse.schema import SCHEMA_VERSION, TIMEFRAME_US

DAY = dt.datetime(2023, 1, 1, tzinfo=dt.UTC)
SPANS = {name: dt.timedelta(microseconds=us) for name, us in TIMEFRAME_US.items()}
INSTRUMENTS = ("BTC/USD", "ETH/USD", "Z/USD", "a/USD")
COLUMNS = """
    instrument varchar, timeframe varchar, opened_at timestamptz, closed_at timestamptz, open decimal(18, 10),
    high decimal(18, 10), low decimal(18, 10), close decimal(18, 10), volume decimal(28, 10), trades bigint,
    source varchar, batch_id varchar
"""


def candle(instrument: str = "BTC/USD", timeframe: str = "15m", number: int = 0) -> ClosedCandle:
    """The candle number `number` of its day; the day's own close is shared by all timeframes."""
    opened_at = DAY + number * SPANS[timeframe]
    price = Decimal(f"{number + 1}.0000000001")
    return ClosedCandle(
        instrument, timeframe, opened_at, opened_at + SPANS[timeframe], price, price, price, price,
        Decimal("123456789012.0000000001"), number, "kraken", "b1",
    )  # fmt: skip


def place(one: ClosedCandle) -> tuple[dt.datetime, int, str]:
    return one.closed_at, TIMEFRAMES.index(one.timeframe), one.instrument


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        configure(connection)
        connection.execute("create schema marts")
        connection.execute(f"create table marts.candles ({COLUMNS})")
        yield connection


def hold(connection: duckdb.DuckDBPyConnection, candles: list[ClosedCandle]) -> None:
    """Have these candles in the table, in this order."""
    connection.execute("delete from marts.candles")
    for one in candles:
        connection.execute("insert into marts.candles values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", list(one))


timeframes = st.sampled_from(TIMEFRAMES)
one_candle = st.builds(candle, st.sampled_from(INSTRUMENTS), timeframes, st.integers(0, 8))
some_candles = st.lists(one_candle, unique=True, max_size=30)
moments = st.integers(0, 200).map(lambda quarters: DAY + quarters * SPANS["15m"])


@examples(60)
@given(candles=some_candles, batch_rows=st.integers(1, 40))
def test_the_stream_is_the_sorted_table_whatever_the_batches(connection, candles, batch_rows):
    hold(connection, candles)
    assert list(replay(connection, Span(), batch_rows=batch_rows)) == sorted(candles, key=place)


@examples(60)
@given(candles=some_candles, batch_rows=st.integers(1, 40), seen=st.integers(0, 30))
def test_it_goes_on_right_after_any_candle(connection, candles, batch_rows, seen):
    hold(connection, candles)
    whole = list(replay(connection, Span()))
    after = whole[min(seen, len(whole)) - 1].point if whole and seen else None
    assert list(replay(connection, Span(), after, batch_rows=batch_rows)) == whole[seen:]


@examples(60)
@given(candles=some_candles, now=moments)
def test_no_candle_is_seen_before_its_close(connection, candles, now):
    hold(connection, candles)
    by_then = list(replay(connection, Span(last=now)))
    whole = list(replay(connection, Span()))
    assert all(one.closed_at <= now for one in by_then)
    assert by_then == whole[: len(by_then)], "what was known by then is how the whole stream begins"
    assert all(one.closed_at > now for one in whole[len(by_then) :])


@examples(60)
@given(
    candles=some_candles,
    instruments=st.none() | st.lists(st.sampled_from(INSTRUMENTS), unique=True).map(tuple),
    wanted=st.lists(timeframes, unique=True).map(tuple),
    first=st.none() | moments,
    last=st.none() | moments,
)
def test_a_span_is_the_whole_stream_without_the_rest(connection, candles, instruments, wanted, first, last):
    hold(connection, candles)
    span = Span(instruments, wanted, first, last)
    inside = [
        one
        for one in sorted(candles, key=place)
        if (instruments is None or one.instrument in instruments)
        and one.timeframe in wanted
        and (first is None or one.opened_at >= first)
        and (last is None or one.closed_at <= last)
    ]
    assert list(replay(connection, span)) == inside
    assert instruments_in(connection, span) == sorted({one.instrument for one in inside})


@examples(30)
@given(candles=some_candles, batch_rows=st.integers(1, 40))
def test_frames_hold_the_rows_of_the_stream(connection, candles, batch_rows):
    hold(connection, candles)
    frames = list(batches(connection, Span(), batch_rows=batch_rows))
    assert all(0 < len(frame) <= batch_rows for frame in frames)
    whole = read_candles(connection, Span())
    assert pl.concat([whole.clear(), *frames]).equals(whole)
    assert list(map(ClosedCandle._make, whole.iter_rows())) == list(replay(connection, Span()))


def test_candles_that_close_together_come_shortest_first_then_by_instrument(connection):
    midnight = [("1d", 0), ("4h", 5), ("1h", 23), ("15m", 95)]
    hold(connection, [candle(name, timeframe, n) for name in ("ETH/USD", "BTC/USD") for timeframe, n in midnight])
    assert [(one.timeframe, one.instrument) for one in replay(connection, Span())] == [
        (timeframe, name) for timeframe in ("15m", "1h", "4h", "1d") for name in ("BTC/USD", "ETH/USD")
    ]


def test_rows_are_typed_and_exact(connection):
    hold(connection, [candle(number=3)])
    (row,) = replay(connection, Span())
    assert row == candle(number=3)
    assert str(row.open) == "4.0000000001"
    assert str(row.volume) == "123456789012.0000000001"
    assert row.closed_at.utcoffset() == dt.timedelta(0)


def test_a_query_in_between_loses_no_candle(connection):
    candles = [candle(number=number) for number in range(9)]
    hold(connection, candles)
    seen = []
    for one in replay(connection, Span(), batch_rows=2):
        seen.append(one)
        connection.execute("select 1").fetchall()
    assert seen == candles


def test_two_streams_side_by_side_do_not_disturb_each_other(connection):
    hold(connection, [candle(number=number) for number in range(9)])
    pairs = list(zip(replay(connection, Span(), batch_rows=2), replay(connection, Span(), batch_rows=3), strict=True))
    assert len(pairs) == 9
    assert all(one == other for one, other in pairs)


def test_a_timeframe_that_there_is_not_is_named(connection):
    with pytest.raises(InputUnusable, match="no candles of 7m: choose from 15m, 1h, 4h, 1d"):
        list(replay(connection, Span(timeframes=("15m", "7m"))))
    with pytest.raises(InputUnusable, match="no candles of 2h"):
        list(replay(connection, Span(), Point(DAY, "2h", "BTC/USD")))


def publish(path: Path, moments: int) -> Path:
    """A published warehouse with candles of four instruments at so many moments, in the wrong order."""
    with duckdb.connect(str(path)) as connection:
        configure(connection)
        connection.execute("create schema marts")
        connection.execute("create schema meta")
        connection.execute("create table meta.publication (schema_version integer)")
        connection.execute("insert into meta.publication values (?)", [SCHEMA_VERSION])
        connection.execute(f"create table marts.candles ({COLUMNS})")
        connection.execute(
            """
            insert into marts.candles
            select
                instrument, '15m', make_timestamptz(1672531200000000 + n * 900000000),
                make_timestamptz(1672531200000000 + (n + 1) * 900000000), 1, 1, 1, 1, n, n, 'kraken', 'b1'
            from range($moments) as t(n), unnest(['D/USD', 'B/USD', 'C/USD', 'A/USD']) as i(instrument)
            order by hash(n, instrument)
            """,
            {"moments": moments},
        )
    return path


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200,000 candles: more than the limits below hold."""
    return publish(tmp_path_factory.mktemp("published") / "slipway.duckdb", 50_000)


def test_what_memory_can_not_hold_is_sorted_in_files_that_are_gone_afterwards(published, tmp_path):
    scratch = tmp_path / "scratch"
    with bounded_reading(published, memory_limit="24MB", threads=1, scratch=scratch) as connection:
        stream = batches(connection, Span())
        frames = [next(stream)]
        assert any(scratch.iterdir()), "it was to be more than fits"
        frames += stream
    points = pl.concat(frames).select("closed_at", "instrument")
    assert points.equals(points.sort("closed_at", "instrument"))
    assert len(points) == points.n_unique() == 200_000
    assert not scratch.exists() or not any(scratch.iterdir())
    assert [file.name for file in published.parent.iterdir()] == [published.name]


def test_a_limit_that_holds_nothing_says_what_to_do(published, tmp_path):
    with (
        bounded_reading(published, memory_limit="1MB", threads=1, scratch=tmp_path / "scratch") as connection,
        pytest.raises(SetupFailed, match="raise it, or choose fewer"),
    ):
        next(replay(connection, Span()))


def test_a_bounded_reading_of_nothing_says_what_to_do(tmp_path):
    with (
        pytest.raises(SetupFailed, match="make run"),
        bounded_reading(tmp_path / "none.duckdb", memory_limit="1GB", threads=1, scratch=tmp_path),
    ):
        pass


HIGHEST = """
import sys
from pathlib import Path
import psutil
from warehouse.replay import Span, batches, bounded_reading

path, rows, highest = Path(sys.argv[1]), 0, 0
with bounded_reading(path, memory_limit="64MB", threads=1, scratch=path.parent / "scratch") as connection:
    for frame in batches(connection, Span()):
        rows += len(frame)
        highest = max(highest, psutil.Process().memory_info().rss)  # not getrusage: a child inherits its parent's
print(rows, highest // 2**20)
"""


@pytest.mark.deep
def test_ten_times_the_candles_take_no_more_memory(tmp_path):
    highest = []
    for moments in (100_000, 1_000_000):
        path = publish(tmp_path / f"{moments}.duckdb", moments)
        done = subprocess.run([sys.executable, "-c", HIGHEST, str(path)], capture_output=True, text=True, check=True)
        candles, highest_mb = map(int, done.stdout.split())
        assert candles == 4 * moments
        highest.append(highest_mb)
    assert highest[1] - highest[0] < 50, highest
