"""What a session read before it decided, kept in its journal: the spot candles as they were published to it (I31).

The journal's candles are the perpetual's, in whole ticks: a volume, or a price that moved by less than a tick, can't be
seen in them. When a candle was read can't be told by clocks either: what a session reads was published a while before
it records. So the values themselves are kept, for every timeframe alike, and compared with what is believed by now
(`marts.revised_decisions`). A reading holds until the next one of the same candle: a session that goes on reads all of
its candles again, and keeps those that changed.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

import polars as pl

from exchange.rows import Candle
from ops.journal import Entry, JournalReader, Kind, canonical
from tasks.market import History

VALUES = ("open", "high", "low", "close", "volume")

Readings: TypeAlias = dict[tuple[int, str], Entry]  # by close (µs) and instrument


def readings_of(history: History, since: int) -> Readings:
    """A row for each published candle that opened at `since` (µs) or later. Values as text: exact decimals."""
    times = [pl.col(name).dt.epoch("us") for name in ("opened_at", "closed_at")]
    values = [pl.col(name).cast(pl.String) for name in VALUES]
    rows = history.candles.select("instrument", "timeframe", *times, *values).filter(pl.col("opened_at") >= since)
    return {
        (row["closed_at"], name): Entry(Kind.READING, row["closed_at"], name, payload=row)
        for row in rows.iter_rows(named=True)
        for name in (row.pop("instrument"),)
    }


def readings_at(candles: Iterable[Candle], readings: Readings, instruments: Sequence[str]) -> tuple[Entry, ...]:
    """Those of `candles`, which are published. `instruments` are their names, by number."""
    return tuple(readings[candle.closed_at, instruments[candle.instrument]] for candle in candles)


def read_otherwise(journal: JournalReader, read_now: Iterable[Entry]) -> Iterator[Entry]:
    """Those of `read_now` that are not what the journal holds as the last reading of their candle."""
    last = {(row.at, row.instrument): row.payload for row in journal.rows(kinds=[Kind.READING])}
    return (entry for entry in read_now if canonical(entry.payload) != last.get((entry.at, entry.instrument)))
