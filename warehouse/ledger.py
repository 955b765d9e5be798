"""`meta.stages`: from what each stage was last built, so that the next build can tell what is to be done."""

import json
from collections.abc import Mapping
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
    there = connection.execute(
        "select table_schema || '.' || table_name from information_schema.tables"
        " where table_catalog = current_database()"
    ).fetchall()
    return {entry.stage: entry for entry in found if (entry.stage,) in there}


def record(connection: duckdb.DuckDBPyConnection, entry: Entry) -> None:
    """Remember how a stage was built."""
    connection.execute(
        "insert or replace into meta.stages values (?, ?, ?, ?, ?)",
        [entry.stage, entry.recipe, json.dumps(entry.inputs), entry.content, entry.rows],
    )


def forget(connection: duckdb.DuckDBPyConnection, stage: str) -> None:
    """Drop the table or view of a stage whose file is gone, and its entry."""
    drop(connection, stage)
    connection.execute("delete from meta.stages where stage = ?", [stage])


def kind_of(connection: duckdb.DuckDBPyConnection, name: str) -> Kind | None:
    """What `schema.table` is in this warehouse, or None when it is not there."""
    schema, _, table = name.rpartition(".")
    row = connection.execute(
        "select table_type from information_schema.tables"
        " where table_catalog = current_database() and table_schema = ? and table_name = ?",
        [schema, table],
    ).fetchone()
    if row is None:
        return None
    return "view" if row[0] == "VIEW" else "table"


def drop(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Drop a table or a view, if it is there."""
    kind = kind_of(connection, name)
    if kind:
        connection.execute(f"drop {kind} {name}")
