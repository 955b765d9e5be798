"""The late rows of what a stage or a check reads, under the names that its text calls them by.

Late rows of tables are copied, once each. Views are views here too, of late rows of their inputs: a reader then takes
the columns that it names, and those rows alone that it asks for.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta

import duckdb

from warehouse.changes.sources import CANDLES, lies_in_files
from warehouse.grammar.trees import Input
from warehouse.increments import SERIES_COLUMNS, columns_of
from warehouse.schema import TIMEFRAME_US, with_their_files
from warehouse.stages import Stage

ROWS = "raw.candle_rows"
_LONGEST = timedelta(microseconds=max(TIMEFRAME_US.values()))


class Slices:
    """Slices made during one build, or for one run of checks.

    A table may be written until it is sliced for the first time, not after. `margin` is how much earlier than its first
    reader the others are expected to ask for landed candles: finding late ones among all of them is what costs.
    """

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, stages: Mapping[str, Stage], margin: timedelta = timedelta(0)
    ) -> None:
        self._connection = connection
        self._stages = stages
        self._margin = margin
        self._is_series: dict[str, bool] = {}
        self._copied: dict[str, datetime] = {}
        self._views: dict[tuple[str, datetime], str] = {}

    def since(self, table: str, at: datetime) -> str:
        """Name of what has the rows of `table` that close at or after `at`; it may have some earlier ones too.

        A table that is no series of rows with a close is read as it is.
        """
        if table not in self._is_series:
            self._is_series[table] = columns_of(self._connection, table).keys() >= SERIES_COLUMNS
        if not self._is_series[table]:
            return table
        stage = self._stages.get(table)
        if stage and stage.header.materialized == "view" and stage.header.span is not None:
            # The database does not carry a bound through every join.
            late = {name: self.since(name, at - stage.header.span) for name in stage.inputs}
            return self._view(table, at, reading(stage.sql, stage.places, late))
        if table == CANDLES and lies_in_files(self._connection, table):
            # Their close is computed. A bound on what is stored spares the database from computing it for all rows.
            bound = f"where opened_at >= {_literal(at - _LONGEST)}"
            return self._view(table, at, f"{with_their_files(self._landed(at))} {bound}")
        return self._copy(table, at, f"closed_at >= {_literal(at)}")

    def drop(self) -> None:
        """Give their memory back."""
        for view in reversed(self._views.values()):
            self._connection.execute(f"drop view {view}")
        for table in self._copied:
            self._connection.execute(f"drop table {_named(table)}")
        self._views.clear()
        self._copied.clear()

    def _landed(self, at: datetime) -> str:
        """A copy of `raw.candle_rows`, of those that close late."""
        if ROWS in self._copied and self._copied[ROWS] <= at:
            return _named(ROWS)
        at -= self._margin
        bound = f"opened_at >= {_literal(at - _LONGEST)}"
        if self._margin:  # days of candles, of many files
            return self._copy(ROWS, at, bound)
        # All files of a first load reach to its end, so candles of its last day lie all over the table. Two columns of
        # them tell which close late, and most often it is those of the newest files alone.
        row = self._connection.execute(
            f"""
            select min(file_id) from {ROWS} join raw.files using (file_id)
            where {bound} and epoch_us(opened_at) + candle_us >= epoch_us({_literal(at)})
            """
        ).fetchone()
        assert row is not None
        return self._copy(ROWS, at, f"{bound} and file_id >= {row[0] or 0}")

    def _copy(self, table: str, at: datetime, bound: str) -> str:
        name = _named(table)
        if table not in self._copied or self._copied[table] > at:
            self._copied[table] = at
            self._connection.execute(
                f"create or replace temp table {name.removeprefix('temp.')} as select * from {table} where {bound}"
            )
        return name

    def _view(self, table: str, at: datetime, rows: str) -> str:
        if (table, at) not in self._views:
            name = f"{_named(table)}__{len(self._views)}"
            self._connection.execute(
                f"create or replace temp view {name.removeprefix('temp.')} as"
                f" select * from (\n{rows}\n) where closed_at >= {_literal(at)}"
            )
            self._views[table, at] = name
        return self._views[table, at]


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


def _named(table: str) -> str:
    return f"temp.slice__{table.replace('.', '__')}"


def _literal(at: datetime) -> str:
    # A view takes no bound values.
    return f"'{at.isoformat()}'::timestamptz"
