"""The candles of `marts.candles` as arrays, one series after the other, read in a few large bites."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import pairwise
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
    candles: int  # so many at the most
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


def series_in(connection: duckdb.DuckDBPyConnection, since: datetime | None = None) -> list[Span]:
    """Every series, from its first candle on; given `since`, those with a candle that closes at or after it."""
    rows = connection.execute(
        "select instrument, timeframe, count(*) as candles from marts.candles group by all"
        " having $since is null or max(closed_at) >= $since order by all",
        {"since": since},
    ).fetchall()
    return [Span(*row) for row in rows]


def read_bars(connection: duckdb.DuckDBPyConnection, spans: Iterable[Span]) -> Iterator[tuple[Span, Bars]]:
    """The candles of each span, in the order of the spans; one without candles has empty arrays."""
    for bite in _bites(spans):
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


def fingerprint(bars: Bars) -> int:
    """A sum of a hash of each candle: of candles and those after them, it is that of both, modulo 2**64."""
    hashes = np.zeros(len(bars.close), np.uint64)
    for column in bars:
        hashes = _scattered(hashes ^ np.ascontiguousarray(column).view(np.uint64))
    return int(hashes.sum(dtype=np.uint64))


def microseconds(at: datetime) -> int:
    """Since 1970."""
    return round(at.timestamp() * 1_000_000)


def _scattered(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Each other, and in all its bits: the last steps of splitmix64."""
    words = words + np.uint64(0x9E3779B97F4A7C15)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def _bites(spans: Iterable[Span]) -> Iterator[list[Span]]:
    """Spans, in their order, in groups of at most so many candles."""
    bite: list[Span] = []
    for span in spans:
        if bite and sum(each.candles for each in bite) + span.candles > MOST_AT_ONCE:
            yield bite
            bite = []
        bite.append(span)
    if bite:
        yield bite


def _read(connection: duckdb.DuckDBPyConnection, spans: list[Span]) -> dict[str, NDArray[Any]]:
    with _wanted(connection, spans):
        found = connection.execute(
            """
            select
                number, epoch_us(opened_at) as opened_us, epoch_us(closed_at) as closed_us, open::double as open,
                high::double as high, low::double as low, close::double as close, volume::double as volume
            from marts.candles as candles join wanted
                on candles.instrument = wanted.instrument and candles.timeframe = wanted.timeframe
                and candles.opened_at > make_timestamptz(wanted.after_us)
            """
        ).fetchnumpy()
    # Numbers are sorted faster than whole rows.
    order = np.lexsort((found["closed_us"], found["number"]))
    return {name: column[order] for name, column in found.items()}


@contextmanager
def _wanted(connection: duckdb.DuckDBPyConnection, spans: list[Span]) -> Iterator[None]:
    rows = [(number, span.instrument, span.timeframe, span.after_us) for number, span in enumerate(spans)]
    schema = {"number": pl.Int64, "instrument": pl.String, "timeframe": pl.String, "after_us": pl.Int64}
    connection.register("wanted", pl.DataFrame(rows, schema, orient="row"))
    try:
        yield
    finally:
        connection.unregister("wanted")
