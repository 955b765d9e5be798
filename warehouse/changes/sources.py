"""Whether and since when the candles in `raw` have changed, told by their files instead of their rows.

`raw.candle_rows` only grows, and a file's rows go with the file: so a row of `raw.files` that is new, gone or not what
it was accounts for all that changed, and the first candle of such a file says since when. `meta.files` has the files as
the last build saw them.
"""

import hashlib
from datetime import datetime

import duckdb

from warehouse import ledger
from warehouse.increments import Change, columns_of
from warehouse.schema import SCHEMA_VERSION, with_their_files

CANDLES = "raw.kraken_ohlcvt"
# When more of the rows than that are late ones, slices of them cost more than they save.
MOST_LATE = 0.5

_PARTS = frozenset({"raw.candle_rows", "raw.files"})


def lies_in_files(connection: duckdb.DuckDBPyConnection, name: str) -> bool:
    """Whether `name` is the view of landed candles over their files, so that `candles_changed` can speak for it."""
    if name != CANDLES:
        return False
    kinds = ledger.kinds(connection)
    return kinds.get(name) == "view" and all(kinds.get(part) == "table" for part in _PARTS)


def candles_changed(connection: duckdb.DuckDBPyConnection) -> tuple[str, Change | None]:
    """Fingerprint of all landed candles with their lineage, and how they changed since the last build, if they did.

    Writes `meta.files`: call it once in a build, in its transaction.
    """
    connection.execute("create schema if not exists meta")
    connection.execute(
        "create table if not exists meta.files"
        " (file_id integer, told ubigint, candles bigint, first_closed_at timestamptz, schema_version integer)"
    )
    before = _content(connection)
    since = _bring_up_to_date(connection)
    if not _accounts_for_all(connection):
        connection.execute("delete from meta.files")
        _bring_up_to_date(connection)
        since = None
    content = _content(connection)
    if content == before:
        return content, None
    return content, Change(before, since if since and _is_late(connection, since) else None)


def _content(connection: duckdb.DuckDBPyConnection) -> str:
    """Of a file without candles nothing is seen, so it does not count."""
    row = connection.execute(
        "select count(*), coalesce(sum(candles), 0), coalesce(sum(hash(files)::hugeint), 0)"
        " from meta.files as files where candles > 0"
    ).fetchone()
    assert row is not None
    # The view over the files is replaced by what it says now: another text says something else of the same files.
    view = repr((columns_of(connection, CANDLES), with_their_files("raw.candle_rows")))
    return f"files:{row[0]}:{row[1]}:{row[2]}:{hashlib.sha256(view.encode()).hexdigest()[:16]}"


def _bring_up_to_date(connection: duckdb.DuckDBPyConnection) -> datetime | None:
    """Make `meta.files` say what `raw.files` does; close of the first candle of a file that was or is otherwise."""
    connection.execute(
        f"""
        create or replace temp table changed_files as
        with seen as (
            select file_id, hash(files) as told, candle_us from raw.files as files
        ),
        known as (
            select file_id, told from meta.files where schema_version = {SCHEMA_VERSION}
        ),
        other as (
            select * from seen anti join known using (file_id, told)
        ),
        held as (
            select file_id, count(*) as candles, min(opened_at) as first_opened_at
            from raw.candle_rows semi join other using (file_id) group by file_id
        )
        select
            file_id, told, coalesce(candles, 0) as candles,
            make_timestamptz(epoch_us(first_opened_at) + candle_us) as first_closed_at
        from other left join held using (file_id)
        """
    )
    gone = "from meta.files where (file_id, told) not in (select file_id, hash(files) from raw.files as files)"
    row = connection.execute(
        "select min(first_closed_at) from"
        f" (select first_closed_at from changed_files union all select first_closed_at {gone})"
    ).fetchone()
    connection.execute(f"delete {gone} or schema_version <> {SCHEMA_VERSION}")
    connection.execute(f"insert into meta.files select *, {SCHEMA_VERSION} from changed_files")
    connection.execute("drop table temp.changed_files")
    assert row is not None
    since: datetime | None = row[0]
    return since


def _accounts_for_all(connection: duckdb.DuckDBPyConnection) -> bool:
    """Rows that came or went without their file would be missed: then nothing is taken for granted."""
    row = connection.execute(
        "select (select coalesce(sum(candles), 0) from meta.files) = (select count(*) from raw.candle_rows)"
    ).fetchone()
    return row == (True,)


def _is_late(connection: duckdb.DuckDBPyConnection, since: datetime) -> bool:
    # The scan sees the bound, and a count of all reads nothing: where files came as time went by, neither do old rows.
    row = connection.execute(
        f"""
        select count(*) <= {MOST_LATE} * (select count(*) from raw.candle_rows)
        from raw.candle_rows where opened_at >= $since
        """,
        {"since": since},
    ).fetchone()
    return row == (True,)
