"""The candles of `marts.candles` as arrays, one series after the other, read in a few large bites."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import groupby, pairwise
from typing import Any, NamedTuple

import duckdb
import numpy as np
import polars as pl
from numpy.typing import NDArray

MOST_AT_ONCE = 1_000_000  # candles in memory, unless one series has more
KEY = ("instrument", "timeframe", "closed_at")
FROM_THE_FIRST = -1


class Span(NamedTuple):
    """The candles of one series that opened after a time."""

    instrument: str
    timeframe: str
    after_us: int = FROM_THE_FIRST


class Bars(NamedTuple):
    """Candles, oldest first; times in µs since 1970, prices in the quote currency, volume in the base."""

    opened_us: NDArray[np.int64]
    closed_us: NDArray[np.int64]
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.float64]


def series_in(connection: duckdb.DuckDBPyConnection, since: datetime | None = None) -> list[tuple[str, str]]:
    """Instrument and timeframe of every series; given `since`, of those with a candle that closes at or after it."""
    return connection.execute(
        "select instrument, timeframe from marts.candles group by all"
        " having $since is null or max(closed_at) >= $since order by all",
        {"since": since},
    ).fetchall()


def read_bars(
    connection: duckdb.DuckDBPyConnection, spans: list[Span], *, are_few: bool = False
) -> Iterator[tuple[Span, Bars]]:
    """The candles of each span, in the order of the spans; one without candles has empty arrays.

    They are counted first, so that not too many are in memory, unless the caller knows that `are_few`.
    """
    for bite in [spans] if are_few or len(spans) == 1 else _bites(connection, spans):
        found = _read(connection, bite)
        ends = np.searchsorted(found.pop("number"), np.arange(len(bite) + 1))
        for span, (start, end) in zip(bite, pairwise(ends.tolist()), strict=True):
            yield span, Bars(**{name: column[start:end] for name, column in found.items()})


def is_sound(bars: Bars) -> NDArray[np.bool]:
    """Which candles do not contradict themselves."""
    return (
        (bars.low <= np.minimum(bars.open, bars.close))
        & (bars.high >= np.maximum(bars.open, bars.close))
        & np.isfinite(bars.high - bars.low)
        & (bars.volume >= 0)
    )


def microseconds(at: datetime) -> int:
    """Since 1970."""
    return round(at.timestamp() * 1_000_000)


def _bites(connection: duckdb.DuckDBPyConnection, spans: list[Span]) -> list[list[Span]]:
    """Spans, in their order, in groups of at most so many candles."""
    with _wanted(connection, spans):
        counts = connection.execute(
            "select count(closed_at) from wanted left join marts.candles as candles"
            " on candles.instrument = wanted.instrument and candles.timeframe = wanted.timeframe"
            " and candles.opened_at > make_timestamptz(wanted.after_us) group by number order by number"
        ).fetchnumpy()
    (sizes,) = counts.values()
    bite_of = np.cumsum(sizes) // MOST_AT_ONCE
    grouped = groupby(zip(bite_of.tolist(), spans, strict=True), key=lambda pair: pair[0])
    return [[span for _, span in group] for _, group in grouped]


def _read(connection: duckdb.DuckDBPyConnection, spans: list[Span]) -> dict[str, NDArray[Any]]:
    with _wanted(connection, spans):
        return connection.execute(
            """
            select
                number, epoch_us(opened_at) as opened_us, epoch_us(closed_at) as closed_us, open::double as open,
                high::double as high, low::double as low, close::double as close, volume::double as volume
            from marts.candles as candles join wanted
                on candles.instrument = wanted.instrument and candles.timeframe = wanted.timeframe
                and candles.opened_at > make_timestamptz(wanted.after_us)
            order by number, closed_at
            """
        ).fetchnumpy()


@contextmanager
def _wanted(connection: duckdb.DuckDBPyConnection, spans: list[Span]) -> Iterator[None]:
    rows = [(number, span.instrument, span.timeframe, span.after_us) for number, span in enumerate(spans)]
    schema = {"number": pl.Int64, "instrument": pl.String, "timeframe": pl.String, "after_us": pl.Int64}
    connection.register("wanted", pl.DataFrame(rows, schema, orient="row"))
    try:
        yield
    finally:
        connection.unregister("wanted")
