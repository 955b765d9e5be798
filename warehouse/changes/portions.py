"""What a stage reads, some instruments at a time: however many there are, what it keeps in memory stays the same."""

from collections.abc import Iterator, Mapping

import duckdb

ROWS_AT_ONCE = 5_000_000  # of all inputs together; a candle that is grouped, joined and sorted takes some 100 bytes


def by_instrument(connection: duckdb.DuckDBPyConnection, tables: tuple[str, ...]) -> Iterator[Mapping[str, str]]:
    """Views of `tables`, by their names: each time of other instruments, in the order of these, in the end of all.

    There is one time at least, if only to see that there is nothing. The next time replaces the views of this one.
    """
    views = {table: f"portion__{table.replace('.', '__')}" for table in tables}
    for first, last in _spans(connection, tables):
        for table, view in views.items():
            # A view takes no bound values.
            connection.execute(
                f"create or replace temp view {view} as"
                f" select * from {table} where instrument between {_literal(first)} and {_literal(last)}"
            )
        yield {table: f"temp.{view}" for table, view in views.items()}
    for view in views.values():
        connection.execute(f"drop view temp.{view}")


def _spans(connection: duckdb.DuckDBPyConnection, tables: tuple[str, ...]) -> list[tuple[str, str]]:
    """First and last instrument of each portion."""
    rows = " union all ".join(f"select instrument from {table}" for table in tables)
    spans = connection.execute(
        f"""
        with counted as (
            select instrument, count(*) as candles from ({rows}) group by instrument
        ),
        placed as (
            select instrument, (sum(candles) over (order by instrument) - 1) // {ROWS_AT_ONCE} as portion from counted
        )
        select min(instrument), max(instrument) from placed group by portion order by portion
        """
    ).fetchall()
    return spans or [("", "")]


def _literal(name: str) -> str:
    return "'" + name.replace("'", "''") + "'"
