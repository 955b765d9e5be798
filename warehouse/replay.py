"""Any span of the published candles as one ordered stream of events: what happened, in the order in which it was known.

A candle is an event at its close, never before. Candles that close together come with the shortest timeframe first,
then by instrument: whoever sees a day's candle has seen the quarter hour that ended it. No two have the same place in
this order, so a stream that broke off goes on right after the last candle that was seen.

There is one query. Backtests and sessions take it as a frame, or as frames of bounded size; the sandbox and whoever
wants events take it row by row. DuckDB sorts; what does not fit into its memory limit it sorts in files.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import duckdb
import polars as pl

from trading.errors import InputUnusable, SetupFailed
from warehouse.connection import configure, reading
from warehouse.schema import TIMEFRAME_US

BATCH_ROWS = 16_384
TIMEFRAMES = tuple(TIMEFRAME_US)  # shortest first: the order of candles that close together
RANK = f"list_position([{', '.join(map(repr, TIMEFRAMES))}], timeframe)"


class Span(NamedTuple):
    """Which candles: those that open at or after `first` and close at or before `last`. None is no bound."""

    instruments: tuple[str, ...] | None = None  # None: every one
    timeframes: tuple[str, ...] = TIMEFRAMES
    first: datetime | None = None
    last: datetime | None = None


class Point(NamedTuple):
    """A candle's place in the stream."""

    closed_at: datetime
    timeframe: str
    instrument: str


class ClosedCandle(NamedTuple):
    """A row of `marts.candles`. Prices in the quote currency, volume in the base, exact; times aware, UTC."""

    instrument: str
    timeframe: str
    opened_at: datetime
    closed_at: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    trades: int
    source: str
    batch_id: str | None  # None: of several, or derived

    @property
    def point(self) -> Point:
        return Point(self.closed_at, self.timeframe, self.instrument)


@contextmanager
def bounded_reading(
    published: Path, *, memory_limit: str, threads: int, scratch: Path
) -> Iterator[duckdb.DuckDBPyConnection]:
    """As `reading`, for spans of any length: what `memory_limit` can't hold is sorted in files under `scratch`.

    The files are gone when it is left. Raises SetupFailed: nothing is published, or by other code than this.
    """
    with reading(published) as connection:
        for name, value in (("memory_limit", memory_limit), ("threads", threads), ("temp_directory", str(scratch))):
            connection.execute(f"set {name} = $value", {"value": value})
        yield connection


def replay(
    connection: duckdb.DuckDBPyConnection, span: Span, after: Point | None = None, *, batch_rows: int = BATCH_ROWS
) -> Iterator[ClosedCandle]:
    """The candles of `span` one by one; with `after`, only those behind that place.

    Raises InputUnusable: `span` or `after` names a timeframe that there is not. And SetupFailed: the memory limit holds
    not even what sorting in files needs.
    """
    for frame in batches(connection, span, after, batch_rows=batch_rows):
        yield from map(ClosedCandle._make, frame.iter_rows())


def batches(
    connection: duckdb.DuckDBPyConnection, span: Span, after: Point | None = None, *, batch_rows: int = BATCH_ROWS
) -> Iterator[pl.DataFrame]:
    """The same as frames of at most `batch_rows` rows, with the columns of `ClosedCandle`; none of them is empty.

    `connection` may be used for other things meanwhile, and must stay open until the last frame.
    """
    query, values = _query(span, after)
    with closing(_companion(connection)) as cursor:
        for batch in _sorted(cursor, query, values).to_arrow_reader(batch_rows):
            frame = pl.from_arrow(batch)
            assert isinstance(frame, pl.DataFrame)
            yield frame


def read_candles(connection: duckdb.DuckDBPyConnection, span: Span) -> pl.DataFrame:
    """The same as one frame."""
    return connection.execute(*_query(span, None)).pl()


def instruments_in(connection: duckdb.DuckDBPyConnection, span: Span) -> list[str]:
    """Those that have a candle in `span`, in their order."""
    conditions, values = _conditions(span, None)
    query = f"select distinct instrument from marts.candles where {conditions} order by instrument"
    return [name for (name,) in connection.execute(query, values).fetchall()]


def _query(span: Span, after: Point | None) -> tuple[str, dict[str, object]]:
    conditions, values = _conditions(span, after)
    columns = ", ".join(ClosedCandle._fields)
    order = f"closed_at, {RANK}, instrument"
    return f"select {columns} from marts.candles where {conditions} order by {order}", values


def _conditions(span: Span, after: Point | None) -> tuple[str, dict[str, object]]:
    """Only what was asked for: a bound that is none costs nothing."""
    _refuse_unknown(*span.timeframes, *([after.timeframe] if after else []))
    asked: dict[str, tuple[str, object]] = {
        "timeframes": ("list_contains($timeframes, timeframe)", list(span.timeframes)),
        "instruments": (
            "list_contains($instruments, instrument)",
            None if span.instruments is None else list(span.instruments),
        ),
        "first": ("opened_at >= $first", span.first),
        "last": ("closed_at <= $last", span.last),
    }
    given = {name: each for name, each in asked.items() if each[1] is not None}
    conditions = [condition for condition, _ in given.values()]
    values = {name: value for name, (_, value) in given.items()}
    if after is not None:
        conditions += ["closed_at >= $closed_at", f"(closed_at, {RANK}, instrument) > ($closed_at, $rank, $instrument)"]
        values |= {
            "closed_at": after.closed_at,
            "rank": TIMEFRAMES.index(after.timeframe) + 1,
            "instrument": after.instrument,
        }
    return " and ".join(conditions), values


def _refuse_unknown(*timeframes: str) -> None:
    unknown = sorted(set(timeframes) - set(TIMEFRAMES))
    if unknown:
        raise InputUnusable(f"There are no candles of {', '.join(unknown)}: choose from {', '.join(TIMEFRAMES)}.")


def _companion(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """A second connection to the same database. A stream ends in silence when its own is used for anything else."""
    row = connection.execute("select current_database()").fetchone()
    assert row is not None
    companion = connection.cursor()
    configure(companion)  # what is set for a session is not set for its companions
    companion.execute(f'use "{row[0]}"')
    return companion


def _sorted(cursor: duckdb.DuckDBPyConnection, query: str, values: dict[str, object]) -> duckdb.DuckDBPyConnection:
    try:
        return cursor.execute(query, values)
    except duckdb.OutOfMemoryException as error:
        raise SetupFailed(
            "The candles can't be sorted within the memory limit, not even with files: raise it, or choose fewer. "
            + str(error).partition("\n")[0]
        ) from error
