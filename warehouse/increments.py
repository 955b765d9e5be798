"""From new rows to a changed table: which rows differ, and from which close on.

A table's rows are compared by its key; only those that differ are deleted and inserted. What changed travels down the
graph as the close of the earliest changed row: a row looks back only, so nothing that closed before it can differ.
The new rows of a stage are then computed from slices of its inputs (`warehouse/changes/slices.py`).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import duckdb

from trading.errors import CheckFailed
from warehouse.features.written import AsBefore, frame_of

FRESH = "temp.fresh"  # the new rows, before they are compared
SERIES_COLUMNS = frozenset({"instrument", "timeframe", "closed_at"})
SHOWN = 20  # offending rows in an error message


@dataclass(frozen=True)
class Change:
    """How a table changed during this build."""

    before: str  # its content, as `content_of` told it; empty for a new table
    since: datetime | None  # close of the earliest row that changed; None is "all of it, or no telling"


def columns_of(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    """Type of each column, in the order of the table."""
    rows = connection.execute(f"describe {table}").fetchall()
    return {row[0]: row[1] for row in rows}


def content_of(connection: duckdb.DuckDBPyConnection, table: str) -> str:
    """Fingerprint of the columns and rows of a table or view, whatever the order of the rows."""
    # A sum, not an exclusive or, under which two equal rows would vanish.
    row = connection.execute(
        f"select count(*), coalesce(sum(hash(whole_row)::hugeint), 0) from {table} as whole_row"
    ).fetchone()
    assert row is not None
    # A row's hash does not know what its columns are called.
    columns = hashlib.sha256(repr([*columns_of(connection, table).items()]).encode()).hexdigest()
    return f"{row[0]}:{row[1]}:{columns[:16]}"


def refuse_repeated_keys(
    connection: duckdb.DuckDBPyConnection, table: str, key: tuple[str, ...], name: str, file: str
) -> None:
    """Raise CheckFailed, with the rows, when `key` is not unique in `table` or has a null.

    `name` is what the rows are to become, for the message.
    """
    listed = ", ".join(key)
    nulls = " or ".join(f"{column} is null" for column in key)
    # Counting hashes is several times faster than grouping; equal hashes of unequal keys only cost the slow look.
    row = connection.execute(
        f"select count(*) = count(distinct hash({listed})) and count(*) filter ({nulls}) = 0 from {table}"
    ).fetchone()
    assert row is not None
    if row[0]:
        return
    offenders = connection.execute(
        f"select * from {table} qualify count(*) over (partition by {listed}) > 1 or {nulls}"
        f" order by {listed} limit {SHOWN}"
    )
    rows = as_text(offenders)
    if rows:
        raise CheckFailed(f"{file}: the key ({listed}) of {name} is not unique, or null, in these rows:\n{rows}")


def as_text(result: duckdb.DuckDBPyConnection) -> str:
    """Rows of a query as lines for a person, one per row: `column=value, …`."""
    names = [column[0] for column in result.description or ()]
    lines = (", ".join(f"{name}={value}" for name, value in zip(names, row, strict=True)) for row in result.fetchall())
    return "\n".join(f"  {line}" for line in lines)


class Upserted(NamedTuple):
    """What an upsert did."""

    keys: int  # inserted, replaced or removed
    since: datetime | None  # close of the earliest; None when none changed, or the table has no `closed_at`
    content: str  # of the table afterwards, as `content_of` would tell it


def upsert_fresh(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    key: tuple[str, ...],
    since: datetime | None,
    content: str,
    as_before: Sequence[AsBefore] = (),
) -> Upserted:
    """Make the rows of `table` those of `temp.fresh`, touching only rows that differ; both have the same columns.

    `since` limits both sides to rows that close at or after it. Rows that are `as_before` stay, and are not among the
    fresh ones. `content` is that of the table before.
    """
    listed = ", ".join(key)
    within = "true" if since is None else "closed_at >= $since"
    and_within = "" if since is None else f"and target.{within}"
    given = {} if since is None else {"since": since}
    closed_at = (
        "least(fresh.closed_at, old.closed_at)" if "closed_at" in columns_of(connection, table) else "null::timestamptz"
    )
    connection.execute(
        f"""
        create or replace temp table differing as
        select {listed}, {closed_at} as changed_at, hash(old)::hugeint as old_hash, hash(fresh)::hugeint as fresh_hash,
            old.{key[0]} is not null as is_old, fresh.{key[0]} is not null as is_fresh
        from (select * from {FRESH} where {within}) as fresh
        full join (select * from {table} where {within} and {_may_differ(connection, table, as_before)}) as old
            using ({listed})
        where fresh is distinct from old
        """,
        given,
    )
    row = connection.execute(
        """
        select
            count(*), min(changed_at), count(*) filter (is_old), count(*) filter (is_fresh),
            coalesce(sum(fresh_hash) filter (is_fresh), 0) - coalesce(sum(old_hash) filter (is_old), 0)
        from temp.differing
        """
    ).fetchone()
    assert row is not None
    keys, changed_since, old_rows, fresh_rows, more_hashes = row
    match = " and ".join(f"target.{column} = differing.{column}" for column in key)
    if old_rows:
        connection.execute(f"delete from {table} as target using temp.differing where {match} {and_within}", given)
    if fresh_rows:
        connection.execute(
            f"insert into {table} select * from (select * from {FRESH} where {within}) as target"
            f" semi join temp.differing on {match}",
            given,
        )
    connection.execute("drop table temp.differing")
    connection.execute("drop table if exists temp.as_before")
    rows, hashes, columns = content.split(":")
    return Upserted(keys, changed_since, f"{int(rows) + fresh_rows - old_rows}:{int(hashes) + more_hashes}:{columns}")


def _may_differ(connection: duckdb.DuckDBPyConnection, table: str, as_before: Sequence[AsBefore]) -> str:
    """Condition of a row that is not `as_before`; by number, so that nothing else of those that are is read."""
    if not as_before:
        return "true"
    connection.register("given", frame_of(as_before))
    connection.execute("create or replace temp table as_before as from given")
    connection.unregister("given")
    return (
        f"rowid in (select target.rowid from {table} as target left join temp.as_before using (instrument, timeframe)"
        " where until is null or closed_at > until)"
    )
