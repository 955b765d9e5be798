"""`meta.stages`: from what each stage was last built, so that the next build can tell what is to be done."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import duckdb

Kind = Literal["table", "view"]


@dataclass(frozen=True)
class Entry:
    """One stage as it was last built."""

    stage: str
    recipe: str  # hash of its text, parameters and header
    inputs: Mapping[str, str]  # content of each input at that time
    content: str
    rows: int


def create_table(connection: duckdb.DuckDBPyConnection) -> None:
    """Create `meta.stages` where it is missing."""
    connection.execute("create schema if not exists meta")
    connection.execute(
        "create table if not exists meta.stages"
        " (stage varchar primary key, recipe varchar, inputs varchar, content varchar, rows bigint)"
    )


def entries(connection: duckdb.DuckDBPyConnection) -> dict[str, Entry]:
    """Every stage that was built into this warehouse and is still there, by name."""
    rows = connection.execute("select stage, recipe, inputs, content, rows from meta.stages").fetchall()
    found = (Entry(stage, recipe, json.loads(inputs), content, count) for stage, recipe, inputs, content, count in rows)
    there = kinds(connection)
    return {entry.stage: entry for entry in found if entry.stage in there}


def record(connection: duckdb.DuckDBPyConnection, built: Sequence[Entry]) -> None:
    """Remember how some stages were built."""
    columns = {
        "stages": [entry.stage for entry in built],
        "recipes": [entry.recipe for entry in built],
        "inputs": [json.dumps(entry.inputs) for entry in built],
        "contents": [entry.content for entry in built],
        "rows": [entry.rows for entry in built],
    }
    connection.execute(
        "insert or replace into meta.stages select unnest($stages::varchar[]), unnest($recipes::varchar[]),"
        " unnest($inputs::varchar[]), unnest($contents::varchar[]), unnest($rows::bigint[])",
        columns,
    )


def forget(connection: duckdb.DuckDBPyConnection, stage: str) -> None:
    """Drop the table or view of a stage whose file is gone, and its entry."""
    drop(connection, stage)
    connection.execute("delete from meta.stages where stage = ?", [stage])


def kinds(connection: duckdb.DuckDBPyConnection) -> dict[str, Kind]:
    """What there is in this warehouse, by `schema.table`."""
    rows = connection.execute(
        """
        select schema_name || '.' || table_name, 'table' from duckdb_tables() where database_name = current_database()
        union all
        select schema_name || '.' || view_name, 'view' from duckdb_views() where database_name = current_database()
        """
    ).fetchall()
    return dict(rows)


def kind_of(connection: duckdb.DuckDBPyConnection, name: str) -> Kind | None:
    """What `schema.table` is in this warehouse, or None when it is not there. Who asks for many takes `kinds`."""
    return kinds(connection).get(name)


def drop(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Drop a table or a view, if it is there."""
    kind = kind_of(connection, name)
    if kind:
        connection.execute(f"drop {kind} {name}")
