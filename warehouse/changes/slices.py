"""The late rows of what a stage or a check reads, in temporary copies, under the names that its text calls them by."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

import duckdb

from warehouse.changes.sources import CANDLES
from warehouse.grammar.trees import Input
from warehouse.increments import SERIES_COLUMNS, columns_of
from warehouse.schema import TIMEFRAME_US
from warehouse.stages import Stage

_LONGEST_US = max(TIMEFRAME_US.values())


class Slices:
    """Copies made during one build, or for one run of checks. What needs the same late rows shares them.

    A table may be written until its first copy is made, not after.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, stages: Mapping[str, Stage]) -> None:
        self._connection = connection
        self._stages = stages
        self._made: dict[str, datetime] = {}

    def since(self, table: str, at: datetime) -> str:
        """Name of a copy of the rows of `table` that close at or after `at`; it may hold some earlier ones too.

        A table that is no series of rows with a close is read as it is.
        """
        if not columns_of(self._connection, table).keys() >= SERIES_COLUMNS:
            return table
        made = self._made.get(table)
        if made is None or made > at:
            rows = self._late_rows(table, at)
            self._connection.execute(f"create or replace temp table {_copy(table)} as {rows}", {"at": at})
            self._made[table] = at
        return f"temp.{_copy(table)}"

    def drop(self) -> None:
        """Give their memory back."""
        for table in self._made:
            self._connection.execute(f"drop table temp.{_copy(table)}")
        self._made.clear()

    def _late_rows(self, table: str, at: datetime) -> str:
        stage = self._stages.get(table)
        if stage and stage.header.materialized == "view" and stage.header.span is not None:
            # A view is computed from late rows of its inputs: the database does not carry a bound through every join.
            earlier = at - stage.header.span
            text = reading(stage.sql, stage.places, {name: self.since(name, earlier) for name in stage.inputs})
            return f"select * from (\n{text}\n) where closed_at >= $at"
        if table == CANDLES:
            # Its close is computed. A bound on what is stored spares the database from computing it for all rows.
            bound = f"opened_at >= make_timestamptz(epoch_us($at::timestamptz) - {_LONGEST_US})"
            return f"select * from {table} where {bound} and closed_at >= $at"
        return f"select * from {table} where closed_at >= $at"


@contextmanager
def counted(
    connection: duckdb.DuckDBPyConnection, tables: tuple[str, ...], since: datetime, lookback: int
) -> Iterator[Mapping[str, str]]:
    """Temporary copies of `tables`: of each series the rows from `since` on, and `lookback` + 1 before them.

    One more than the lookback, because an as-of join finds the last row *before* `since` even if nothing looks back.
    """
    copies = {table: f"counted__{table.replace('.', '__')}" for table in tables}
    for table, copy in copies.items():
        connection.execute(
            f"""
            create or replace temp table {copy} as
            with starts as (
                select instrument, timeframe, list_min(max(closed_at, {lookback + 1})) as starts_at
                from {table} where closed_at < $since group by instrument, timeframe
            )
            select kept.* from {table} as kept left join starts using (instrument, timeframe)
            where kept.closed_at >= coalesce(starts_at, '-infinity'::timestamptz)
            """,
            {"since": since},
        )
    yield {table: f"temp.{copy}" for table, copy in copies.items()}
    for copy in copies.values():
        connection.execute(f"drop table temp.{copy}")


def reading(sql: str, places: tuple[Input, ...], copies: Mapping[str, str]) -> str:
    """`sql` with its inputs replaced by copies, under the names that the text calls their columns by."""
    text = sql.encode()
    for place in reversed(places):
        head, tail = text[: place.offset], text[place.offset :].decode()
        match = re.match(rf'"?{place.schema}"?\s*\.\s*"?{place.table}"?', tail, re.IGNORECASE)
        assert match is not None, f"no {place.name} at byte {place.offset} of: {sql}"
        named = copies[place.name] if place.aliased else f"{copies[place.name]} as {place.table}"
        text = head + (named + tail[match.end() :]).encode()
    return text.decode()


def _copy(table: str) -> str:
    return f"slice__{table.replace('.', '__')}"
