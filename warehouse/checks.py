"""SQL checks: each file in `sql/checks/` is a query for the offending rows. None means passed.

Results are stored whether they pass or not, so storing and refusing are two steps: the caller commits the results,
then raises. An error inside the unit of work would take the evidence back with it.

A check may say `-- lookback: 0 days`: whether a row offends is told by it and by rows of its own close (or so many days
before it), and what else the check reads matters to rows that change with it. Of the stages, such a check reads only
what has changed since it last passed and the warehouse was cleared.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path

import duckdb

from trading.errors import CheckFailed, InputUnusable
from warehouse import ledger
from warehouse.changes.slices import Slices, reading
from warehouse.changes.unchecked import note_checked, unchecked_since
from warehouse.gate.clearance import judged
from warehouse.grammar.headers import Header, parse_header
from warehouse.grammar.parameters import parameters_set, values_of
from warehouse.grammar.trees import Input, inputs_of, parse_select
from warehouse.increments import SHOWN, as_text, columns_of
from warehouse.stages import Stage

SUITE = "sql"


@dataclass(frozen=True)
class CheckResult:
    """What one check found."""

    name: str
    inputs: tuple[str, ...]
    offenders: int
    detail: str  # the first offending rows, one per line
    instruments: frozenset[str] | None = None  # of the offending rows; None: they don't say, so it concerns all

    @property
    def passed(self) -> bool:
        return self.offenders == 0


def run_checks(
    connection: duckdb.DuckDBPyConnection,
    directory: Path,
    *,
    run: str,
    checked_at: datetime,
    touching: frozenset[str] | None = None,
    params: Mapping[str, object] | None = None,
    stages: tuple[Stage, ...] = (),
) -> tuple[CheckResult, ...]:
    """Run every check in `directory` and store the results in `checks.results` as those of `run`.

    `touching` limits them to checks that read one of these tables (`schema.table`). `params` are thresholds; each
    check takes those that its header declares. `stages` are those that were built: of them a check of rows alone reads
    what it has not passed yet; without them, all.

    Raises:
        InputUnusable: a check that is not one SELECT, or does not run; names the file.
    """
    checks = [_check(path.name, path.read_text(encoding="utf-8")) for path in sorted(directory.glob("*.sql"))]
    built = _as_built(connection, stages)
    late = Slices(connection, built)
    looked_at = judged(connection) if built else None  # checks change nothing of it
    results = tuple(
        _run_check(connection, check, params or {}, late, frozenset(built), looked_at)
        for check in checks
        if touching is None or touching & set(check.inputs)
    )
    late.drop()
    _store(connection, results, run, checked_at)
    return results


def refuse_failed(results: tuple[CheckResult, ...]) -> None:
    """Raise CheckFailed with the offending rows of every check that did not pass."""
    failed = [result for result in results if not result.passed]
    if failed:
        said = "\n".join(f"{r.name}: {r.offenders} offending rows, among them:\n{r.detail}" for r in failed)
        raise CheckFailed(f"{len(failed)} of {len(results)} checks failed.\n{said}")


def _as_built(connection: duckdb.DuckDBPyConnection, stages: tuple[Stage, ...]) -> dict[str, Stage]:
    """Stages whose text is the one that was built last: what they hold is known by it."""
    if not stages or not ledger.kind_of(connection, "meta.stages"):
        return {}
    recipes = {name: entry.recipe for name, entry in ledger.entries(connection).items()}
    return {stage.name: stage for stage in stages if recipes.get(stage.name) == stage.recipe}


@dataclass(frozen=True)
class _Check:
    name: str
    file: str
    sql: str
    header: Header
    places: tuple[Input, ...]

    @property
    def inputs(self) -> tuple[str, ...]:
        return tuple(sorted({place.name for place in self.places}))


@lru_cache(maxsize=256)  # a backfill judges batch after batch
def _check(name: str, text: str) -> _Check:
    file = f"sql/checks/{name}"
    sql = text.strip().removesuffix(";")
    return _Check(name.removesuffix(".sql"), file, sql, parse_header(sql, file), inputs_of(parse_select(sql, file)))


def _run_check(
    connection: duckdb.DuckDBPyConnection,
    check: _Check,
    params: Mapping[str, object],
    late: Slices,
    built: frozenset[str],
    looked_at: str | None,
) -> CheckResult:
    declared = check.header.params
    given = {param.name: params[param.name] for param in declared if param.name in params}
    values = values_of(declared, given, check.file)
    try:
        with parameters_set(connection, values):
            if check.header.span is None or not built:
                return _offenders(connection, check, check.sql)
            text = hashlib.sha256(json.dumps([check.sql, values], default=str).encode()).hexdigest()
            result = _offenders(connection, check, _unchecked(connection, check, text, late, built))
    except (duckdb.ProgrammingError, duckdb.DataError) as error:
        raise InputUnusable(f"{check.file}: {error}") from error
    note_checked(connection, check.name, text, looked_at if result.passed else None)
    return result


def _unchecked(
    connection: duckdb.DuckDBPyConnection, check: _Check, text: str, late: Slices, built: frozenset[str]
) -> str:
    """The text of a check, reading what it has not passed yet."""
    assert check.header.span is not None
    since = unchecked_since(connection, check.name, text, built & set(check.inputs))
    if since is None:
        return check.sql
    earlier = since - check.header.span
    copies = {name: late.since(name, earlier) if name in built else name for name in check.inputs}
    return reading(check.sql, check.places, copies)


def _offenders(connection: duckdb.DuckDBPyConnection, check: _Check, sql: str) -> CheckResult:
    # Most checks find nothing. Counting looks at all rows on all cores; keeping rows in their order, on one.
    if connection.execute(f"select count(*) from (\n{sql}\n)").fetchone() == (0,):
        return CheckResult(check.name, check.inputs, 0, "")
    connection.execute(f"create or replace temp table offenders as {sql}")
    row = connection.execute("select count(*) from temp.offenders").fetchone()
    assert row is not None
    detail = as_text(connection.execute(f"select * from temp.offenders limit {SHOWN}"))
    instruments = _instruments_of_offenders(connection)
    connection.execute("drop table temp.offenders")
    return CheckResult(check.name, check.inputs, row[0], detail, instruments)


def _instruments_of_offenders(connection: duckdb.DuckDBPyConnection) -> frozenset[str] | None:
    if "instrument" not in columns_of(connection, "temp.offenders"):
        return None
    names = {name for (name,) in connection.execute("select distinct instrument from temp.offenders").fetchall()}
    return None if None in names else frozenset(names)


def _store(
    connection: duckdb.DuckDBPyConnection, results: tuple[CheckResult, ...], run: str, checked_at: datetime
) -> None:
    connection.execute("create schema if not exists checks")
    connection.execute(
        "create table if not exists checks.results (batch_or_run varchar, suite varchar, check_name varchar,"
        " passed boolean, offenders bigint, detail varchar, checked_at timestamptz)"
    )
    for result in results:
        connection.execute(
            "insert into checks.results values (?, ?, ?, ?, ?, ?, ?)",
            [run, SUITE, result.name, result.passed, result.offenders, result.detail, checked_at],
        )
