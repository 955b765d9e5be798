"""SQL checks: each file in `sql/checks/` is a query for the offending rows. None means passed.

Results are stored whether they pass or not, so storing and refusing are two steps: the caller commits the results,
then raises. An error inside the unit of work would take the evidence back with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from trading.errors import CheckFailed, InputUnusable
from warehouse.grammar.headers import parse_header
from warehouse.grammar.parameters import parameters_set, values_of
from warehouse.grammar.trees import inputs_of, parse_select
from warehouse.increments import SHOWN, as_text, columns_of

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
) -> tuple[CheckResult, ...]:
    """Run every check in `directory` and store the results in `checks.results` as those of `run`.

    `touching` limits them to checks that read one of these tables (`schema.table`). `params` are thresholds; each
    check takes those that its header declares.

    Raises:
        InputUnusable: a check that is not one SELECT, or does not run; names the file.
    """
    paths = sorted(directory.glob("*.sql"))
    checks = [_load(path) for path in paths]
    results = tuple(
        _run_check(connection, check, params or {})
        for check in checks
        if touching is None or touching & set(check.inputs)
    )
    _store(connection, results, run, checked_at)
    return results


def refuse_failed(results: tuple[CheckResult, ...]) -> None:
    """Raise CheckFailed with the offending rows of every check that did not pass."""
    failed = [result for result in results if not result.passed]
    if failed:
        said = "\n".join(f"{r.name}: {r.offenders} offending rows, among them:\n{r.detail}" for r in failed)
        raise CheckFailed(f"{len(failed)} of {len(results)} checks failed.\n{said}")


@dataclass(frozen=True)
class _Check:
    name: str
    file: str
    sql: str
    inputs: tuple[str, ...]


def _load(path: Path) -> _Check:
    file = f"sql/checks/{path.name}"
    sql = path.read_text(encoding="utf-8").strip().removesuffix(";")
    inputs = {place.name for place in inputs_of(parse_select(sql, file))}
    return _Check(path.stem, file, sql, tuple(sorted(inputs)))


def _run_check(connection: duckdb.DuckDBPyConnection, check: _Check, params: Mapping[str, object]) -> CheckResult:
    declared = parse_header(check.sql, check.file).params
    given = {param.name: params[param.name] for param in declared if param.name in params}
    try:
        with parameters_set(connection, values_of(declared, given, check.file)):
            # Most checks find nothing. Counting looks at all rows on all cores; keeping rows in their order, on one.
            if connection.execute(f"select count(*) from (\n{check.sql}\n)").fetchone() == (0,):
                return CheckResult(check.name, check.inputs, 0, "")
            connection.execute(f"create or replace temp table offenders as {check.sql}")
    except (duckdb.ProgrammingError, duckdb.DataError) as error:
        raise InputUnusable(f"{check.file}: {error}") from error
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
