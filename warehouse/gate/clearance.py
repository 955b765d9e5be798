"""Only what has passed its checks is published: they leave a mark, and whatever changes afterwards outdates it.

Building and checking are two units of work, and a batch may be validated in between. The checks then see its candles
in views, but not what is computed from them. So a build notes which files it was made of, and counts for no others.
"""

import duckdb

from warehouse import ledger
from warehouse.changes.unchecked import forget_changed

_NO_FILE = "select md5('')"
_FILES = """
    select md5(coalesce(string_agg(file_id, '|' order by file_id), '')) from raw.files where state = 'validated'
"""

# All that the checks looked at: which files count, and what each stage holds. Backtests add rows and change neither.
_JUDGED = """
    select md5(coalesce(string_agg(part, '|' order by part), '')) from (
        select concat_ws(' ', 'file', file_id) as part from raw.files where state = 'validated'
        union all
        select concat_ws(' ', stage, recipe, content) from meta.stages
    )
"""


def note_built(connection: duckdb.DuckDBPyConnection) -> None:
    """Note which files count. Call it in the transaction of the build."""
    files = _FILES if ledger.kind_of(connection, "raw.files") else _NO_FILE
    connection.execute(f"create or replace table meta.built as select ({files}) as files")


def clear(connection: duckdb.DuckDBPyConnection) -> bool:
    """Note that the warehouse, as it stands, has passed its checks. Call it in the transaction of the checks.

    False, and nothing is noted, when it was not built from the files that count by now: it has to be built again.
    """
    built = "select files from meta.built" if ledger.kind_of(connection, "meta.built") else _NO_FILE
    if connection.execute(f"select ({built}) = ({_FILES})").fetchone() != (True,):
        return False
    connection.execute(f"create or replace table meta.cleared as select ({_JUDGED}) as judged")
    forget_changed(connection)
    return True


def judged(connection: duckdb.DuckDBPyConnection) -> str | None:
    """Fingerprint of all that the checks look at, or None before the first build."""
    if not ledger.kinds(connection).keys() >= {"meta.stages", "raw.files"}:
        return None
    row = connection.execute(_JUDGED).fetchone()
    assert row is not None
    text: str = row[0]
    return text


def is_cleared(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether the warehouse is what the checks passed."""
    known = connection.execute(
        "select count(*) from duckdb_tables() where schema_name = 'meta' and table_name in ('cleared', 'stages')"
    ).fetchone()
    if known != (2,):
        return False
    row = connection.execute(f"select judged = ({_JUDGED}) from meta.cleared").fetchone()
    return row == (True,)
