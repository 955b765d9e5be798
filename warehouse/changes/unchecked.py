"""What has changed since the checks last cleared the warehouse, so that a check of rows alone reads only that.

`meta.unchecked` has a row per build and stage that it changed, until the warehouse is cleared. `meta.checked` says what
each check looked at when it last passed; it counts as long as that is what was cleared.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

import duckdb

from warehouse import ledger

NOTHING = datetime(9999, 1, 1, tzinfo=UTC)  # no candle closes that late

_UNCHECKED = "create table if not exists meta.unchecked (stage varchar not null, since timestamptz)"
_CHECKED = (
    "create table if not exists meta.checked (check_name varchar primary key, text varchar not null,"
    " judged varchar not null)"
)


def note_changed(connection: duckdb.DuckDBPyConnection, changed: Mapping[str, datetime | None]) -> None:
    """Note since when each changed stage did; None is "all of it". Call it in the transaction of the build."""
    connection.execute(_UNCHECKED)
    if changed:
        connection.execute(
            "insert into meta.unchecked select unnest($stages::varchar[]), unnest($since::timestamptz[])",
            {"stages": list(changed), "since": list(changed.values())},
        )


def forget_changed(connection: duckdb.DuckDBPyConnection) -> None:
    """Call it when everything has passed its checks, in the transaction that notes it."""
    connection.execute("create schema if not exists meta")
    connection.execute(_UNCHECKED)
    connection.execute("delete from meta.unchecked")


def note_checked(connection: duckdb.DuckDBPyConnection, check: str, text: str, judged: str | None) -> None:
    """Note what a check, as told by `text`, looked at when it passed. `judged` is None when it did not pass."""
    connection.execute("create schema if not exists meta")
    connection.execute(_CHECKED)
    if judged is None:
        connection.execute("delete from meta.checked where check_name = ?", [check])
    else:
        connection.execute("insert or replace into meta.checked values (?, ?, ?)", [check, text, judged])


def unchecked_since(
    connection: duckdb.DuckDBPyConnection, check: str, text: str, stages: frozenset[str]
) -> datetime | None:
    """Close from which on these stages hold rows that the check has not passed; None when it has to look at all."""
    if not ledger.kinds(connection).keys() >= {"meta.unchecked", "meta.checked", "meta.cleared"}:
        return None
    known = connection.execute(
        "select count(*) from meta.checked join meta.cleared using (judged) where check_name = ? and text = ?",
        [check, text],
    ).fetchone()
    if known != (1,):
        return None
    row = connection.execute(
        "select count(*) filter (since is null), min(since) from meta.unchecked where list_contains(?, stage)",
        [sorted(stages)],
    ).fetchone()
    assert row is not None
    altogether, since = row
    return None if altogether else since or NOTHING
