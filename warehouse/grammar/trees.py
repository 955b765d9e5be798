"""SQL as a tree: DuckDB's own parser, read through `json_serialize_sql`, which neither binds nor runs anything."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import duckdb

from trading.errors import InputUnusable

Node = dict[str, Any]


@dataclass(frozen=True)
class Input:
    """One place where a statement reads a table; `offset` counts bytes of the UTF-8 text."""

    schema: str
    table: str
    offset: int
    aliased: bool  # the text gives it a name of its own

    @property
    def name(self) -> str:
        """`schema.table`, or the bare table when the text gives no schema."""
        return f"{self.schema}.{self.table}" if self.schema else self.table


def parse_select(sql: str, name: str) -> Node:
    """Tree of the one SELECT in `sql`; `name` is the file, for errors.

    Raises:
        InputUnusable: the text does not parse, or is not exactly one SELECT; with file, line and the parser's reason.
    """
    if not sql.strip():
        raise InputUnusable(f"{name} is empty; it must hold one SELECT.")
    # A cursor of its own: tasks may parse in several threads.
    row = _parser().cursor().execute("select json_serialize_sql(?)", [sql]).fetchone()
    assert row is not None
    tree = json.loads(row[0])
    if tree["error"]:
        line = line_at(sql, int(tree.get("position") or 0))
        raise InputUnusable(f"{name} line {line} is not one SELECT: {tree['error_message']}")
    if len(tree["statements"]) != 1:
        raise InputUnusable(f"{name} holds {len(tree['statements'])} statements; it must hold one SELECT.")
    node: Node = tree["statements"][0]["node"]
    return node


def inputs_of(tree: Node) -> tuple[Input, ...]:
    """Every place that reads a table which is not one of the statement's own CTEs, in the order of the text."""
    own = names_of_ctes(tree)
    found = (
        Input(node["schema_name"].lower(), node["table_name"].lower(), node["query_location"], bool(node["alias"]))
        for node in nodes(tree)
        if node.get("type") == "BASE_TABLE"
    )
    return tuple(sorted({place for place in found if place.schema or place.table not in own}, key=lambda p: p.offset))


def names_of_ctes(tree: Node) -> frozenset[str]:
    """Names of the statement's own CTEs, lower case."""
    return frozenset(cte["key"].lower() for cte in _ctes(tree))


def nodes(tree: Any) -> Iterator[Node]:
    """Every object of the tree, parents first."""
    pending = [tree]
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            yield part
            pending.extend(child for child in reversed(part.values()) if isinstance(child, dict | list))
        elif isinstance(part, list):
            pending.extend(reversed(part))


def line_at(sql: str, offset: int) -> int:
    """Line number, from 1, of a byte offset; an offset outside the text (the parser's "unknown") is line 1."""
    text = sql.encode()
    return text[:offset].count(b"\n") + 1 if 0 <= offset <= len(text) else 1


def _ctes(tree: Node) -> Iterator[Node]:
    for node in nodes(tree):
        yield from node.get("cte_map", {}).get("map", ())


@cache
def _parser() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(":memory:", config={"python_enable_replacements": False})
