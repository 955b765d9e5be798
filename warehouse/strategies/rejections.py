"""Why there is no trade today: what became of the candidates of a strategy that were none of its signals.

A file whose header says `-- rejections: candidates` has a CTE of that name, a row for each candidate, with the reason
in `rejection`, or NULL. The same text with another last line gives those that were rejected.
"""

import re

import duckdb

from trading.errors import InputUnusable
from warehouse import ledger
from warehouse.grammar.trees import names_of_ctes, parse_select

ALL = "marts.signal_rejections"
KEY = ("instrument", "timeframe", "closed_at", "side")
COLUMNS = ("instrument", "timeframe", "closed_at", "known_at", "side", "close", "score", "rejection")
_LAST_LINE = re.compile(r"\n\s*select \* from [a-z_][a-z0-9_]*\s*$", re.IGNORECASE)


def table_of(strategy: str) -> str:
    """`marts.rejections_smc` of `marts.signals_smc`."""
    return strategy.replace(".signals_", ".rejections_")


def rejections_sql(sql: str, candidates: str, file: str) -> str:
    """What `sql` becomes when it is asked for the candidates that it rejects.

    Raises:
        InputUnusable: it has no such CTE, or does not end in `select * from …`, which is the line that is replaced.
    """
    if candidates not in names_of_ctes(parse_select(sql, file)):
        raise InputUnusable(f"{file}: the header says `-- rejections: {candidates}`, and there is no CTE of that name.")
    head, found = _LAST_LINE.subn("", sql)
    if not found:
        raise InputUnusable(f"{file}: a file with `-- rejections:` ends in the line `select * from signals`.")
    return f"{head}\n\nselect {', '.join(COLUMNS)} from {candidates} where rejection is not null"


def all_rejections_sql(strategies: list[str]) -> str:
    """A row for each rejected candidate of every strategy."""
    return " union all by name ".join(
        f"select '{name.rpartition('.')[2]}' as strategy, * from {table_of(name)}" for name in strategies
    )


def count_rejections(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, int]]:
    """By strategy and reason, the most frequent first. Empty where no strategy tells of them."""
    if ledger.kind_of(connection, ALL) is None:
        return {}
    rows = connection.execute(
        f"select strategy, rejection, count(*) as candidates from {ALL} group by all order by strategy, candidates desc"
    ).fetchall()
    counts: dict[str, dict[str, int]] = {}
    for strategy, reason, candidates in rows:
        counts.setdefault(strategy, {})[reason] = candidates
    return counts
