"""What a session read before it decided, kept in its journal: the spot candles as they were published to it (I31).

The journal's candles are the perpetual's, in whole ticks: a volume, or a price that moved by less than a tick, can't be
seen in them. When a candle was read can't be told by clocks either: what a session reads was published a while before
it records. So the values themselves are kept, for every timeframe alike, and compared with what is believed by now
(`marts.revised_decisions`). A reading holds until the next one of the same candle: a session that goes on reads all of
its candles again, and keeps those that changed, or were published late.

A strategy that does not keep timeframes apart may read any of them, and its text does not say which. So the candles of
all are kept then, from the ones on that were in force when the session began: a third more rows beside those of
15m, and 4.3 more for each of 1h.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

import polars as pl

from ops.journal import Entry, JournalReader, Kind, canonical
from tasks.market import History

VALUES = ("open", "high", "low", "close", "volume")

Readings: TypeAlias = Sequence[Entry]  # in the order of their closes


def readings_of(history: History, since: int) -> Readings:
    """A row for each published candle that opened at `since` (µs) or later. Values as text: exact decimals.

    Of other timeframes those that closed after `since`, and of each series the newest one before.
    """
    candles, beside = _in_microseconds(history.candles), _in_microseconds(history.beside)
    newest = pl.col("closed_at").filter(pl.col("closed_at") <= since).max().over("instrument", "timeframe")
    read = (
        candles.filter(pl.col("opened_at") >= since),
        beside.filter((pl.col("closed_at") > since) | (pl.col("closed_at") == newest)),
    )
    rows = pl.concat(read).sort("closed_at", maintain_order=True).iter_rows(named=True)
    return [Entry(Kind.READING, row["closed_at"], row.pop("instrument"), payload=row) for row in rows]


def readings_between(readings: Readings, after: int, last: int) -> tuple[Entry, ...]:
    """Those of candles that closed after `after`, and by `last` (µs)."""
    first, end = (bisect_right(readings, at, key=lambda reading: reading.at) for at in (after, last))
    return tuple(readings[first:end])


def read_otherwise(journal: JournalReader, read_now: Iterable[Entry]) -> Iterator[Entry]:
    """Those of `read_now` that are not what the journal holds as the last reading of their candle."""
    rows = journal.rows(kinds=[Kind.READING])
    last = {(row.at, row.instrument, row.values["timeframe"]): row.payload for row in rows}
    return (
        entry
        for entry in read_now
        if canonical(entry.payload) != last.get((entry.at, entry.instrument, entry.payload["timeframe"]))
    )


def _in_microseconds(candles: pl.DataFrame) -> pl.DataFrame:
    times = [pl.col(name).dt.epoch("us") for name in ("opened_at", "closed_at")]
    return candles.select("instrument", "timeframe", *times, *(pl.col(name).cast(pl.String) for name in VALUES))
