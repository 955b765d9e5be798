"""Only what has passed its checks is published: they leave a mark, and whatever changes afterwards outdates it.

Views and checks read `raw` as it is when they are asked. So the mark is a fingerprint of all of `raw` and of what every
stage holds. Backtests, journals and the results of checks are rows of other schemas, and outdate nothing.

It is asked at every publish, so no row of a candle is read for it. Rows of `raw` never change, but come, and go when
what was refused is forgotten: their count, which the database knows, tells of both. Batches and files do change; they
are few, and are read.

Building and checking are two units of work, and a batch may be validated in between, or a venue be looked at. The
checks then see it in views, but not what is computed from it. So a build notes the files, looks and bad lines that it
was made of, and counts for no more. What else it reads, it reads in views.
"""

import duckdb

from warehouse import ledger
from warehouse.changes.unchecked import forget_changed

_CHANGING = ("raw.batches", "raw.files")

# What the stages are computed from, of what their views show at once.
_SOURCES = """
    select md5(concat_ws(' ', count(*), coalesce(sum(hash(source)::hugeint), 0))) from (
        select 'file', file_id from raw.files where state = 'validated'
        union all
        select 'look', discovery_id from raw.discoveries where state = 'accepted'
        union all
        select 'bad lines', count(*)::varchar from raw.quarantine having count(*) > 0
    ) as source
"""
_NO_SOURCE = "select md5('0 0')"


def note_built(connection: duckdb.DuckDBPyConnection) -> None:
    """Note which files, and which looks at a venue, count. Call it in the transaction of the build."""
    there = ledger.kinds(connection).keys() >= {"raw.files", "raw.discoveries", "raw.quarantine"}
    connection.execute(f"create or replace table meta.built as select ({_SOURCES if there else _NO_SOURCE}) as sources")


def clear(connection: duckdb.DuckDBPyConnection) -> bool:
    """Note that the warehouse, as it stands, has passed its checks. Call it in the transaction of the checks.

    False, and nothing is noted, when it was not built from what counts by now: it has to be built again.
    """
    # Older code called the one column otherwise.
    noted = "select sources from meta.built as built (sources)"
    built = noted if ledger.kind_of(connection, "meta.built") else _NO_SOURCE
    if connection.execute(f"select ({built}) = ({_SOURCES})").fetchone() != (True,):
        return False
    connection.execute("create or replace table meta.cleared (judged varchar)")
    connection.execute("insert into meta.cleared values (?)", [judged(connection)])
    forget_changed(connection)
    return True


def judged(connection: duckdb.DuckDBPyConnection) -> str | None:
    """Fingerprint of all that views and checks look at, or None before the first build."""
    kinds = ledger.kinds(connection)
    if not kinds.keys() >= {"meta.stages", *_CHANGING}:
        return None
    tables = [name for name, kind in kinds.items() if name.startswith("raw.") and kind == "table"]
    stages = "select 'meta.stages' as part, count(*) as rows, sum(hash(stage, recipe, content)::hugeint) as told"
    parts = (
        f"{stages} from meta.stages",
        *(f"select '{name}', count(*), sum(hash(changing)::hugeint) from {name} as changing" for name in _CHANGING),
        *(f"select '{name}', count(*), 0 from {name}" for name in tables if name not in _CHANGING),
    )
    row = connection.execute(
        "select md5(string_agg(concat_ws(' ', part, rows, told), '|' order by part))"
        f" from ({' union all '.join(parts)})"
    ).fetchone()
    assert row is not None
    text: str = row[0]
    return text


def is_cleared(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether the warehouse is what the checks passed."""
    if not ledger.kind_of(connection, "meta.cleared"):
        return False
    passed = connection.execute("select judged from meta.cleared").fetchone()
    return passed is not None and passed[0] is not None and passed[0] == judged(connection)
