"""Rows of features on their way into their table: frames of one series after the other, written some at a time."""

from collections.abc import Iterable

import duckdb
import polars as pl

MOMENT = pl.Datetime("us", "UTC")
MOST_ROWS = 200_000  # in memory, of half a kilobyte each, unless one series has more


def insert_rows(connection: duckdb.DuckDBPyConnection, table: str, frames: Iterable[pl.DataFrame]) -> None:
    """Some series with one statement: one for each would be slow, and all of them much memory."""
    waiting: list[pl.DataFrame] = []
    for frame in frames:
        waiting.append(frame)
        if sum(map(len, waiting)) >= MOST_ROWS:
            _flush(connection, table, waiting)
    _flush(connection, table, waiting)


def _flush(connection: duckdb.DuckDBPyConnection, table: str, waiting: list[pl.DataFrame]) -> None:
    if waiting:
        connection.register("computed", pl.concat(waiting))
        connection.execute(f"insert into {table} by name select * from computed")
        connection.unregister("computed")
        waiting.clear()
