"""Only what has passed its checks is published: they leave a mark, and whatever changes afterwards outdates it."""

import duckdb

# All that the checks looked at: which batches count, and what each stage holds. Backtests add rows and change neither.
_JUDGED = """
    select md5(coalesce(string_agg(part, '|' order by part), '')) from (
        select batch_id as part from raw.batches where state = 'validated'
        union all
        select concat_ws(' ', stage, recipe, content) from meta.stages
    )
"""


def clear(connection: duckdb.DuckDBPyConnection) -> None:
    """Note that the warehouse, as it stands, has passed its checks. Call it in the transaction of the checks."""
    connection.execute(f"create or replace table meta.cleared as select ({_JUDGED}) as judged")


def is_cleared(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether the warehouse is what the checks passed."""
    known = connection.execute(
        "select count(*) from duckdb_tables() where schema_name = 'meta' and table_name in ('cleared', 'stages')"
    ).fetchone()
    if known != (2,):
        return False
    row = connection.execute(f"select judged = ({_JUDGED}) from meta.cleared").fetchone()
    return row == (True,)
