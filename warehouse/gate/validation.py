"""A batch is validated as a whole, or refused as a whole.

Every batch passes the SQL checks in `sql/checks/batches/`, which read `temp.batch_candles`; a backfill passes Great
Expectations too. The verdict is stored with its evidence; the caller commits it before anything is raised.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from trading.errors import CheckFailed, InputUnusable
from warehouse.batches import set_state
from warehouse.checks import CheckResult, run_checks
from warehouse.gate.batch_candles import drop_batch_candles, take_batch_candles
from warehouse.gate.suites import SUITE, Gate, examine


@dataclass(frozen=True)
class Verdict:
    """What validation found of one batch."""

    batch_id: str
    results: tuple[CheckResult, ...]
    docs: Path | None  # index of the Data Docs of a backfill

    @property
    def failed(self) -> tuple[CheckResult, ...]:
        return tuple(result for result in self.results if not result.passed)

    @property
    def passed(self) -> bool:
        return not self.failed

    def refuse_failed(self) -> None:
        """Raise CheckFailed, with the offending rows, when the batch was refused."""
        if self.failed:
            said = [f"{result.name}: {result.offenders:,} offender(s)\n{result.detail}" for result in self.failed]
            raise CheckFailed("\n".join([f"Batch {self.batch_id} was refused by {len(said)} check(s).", *said]))


def validate(
    connection: duckdb.DuckDBPyConnection,
    batch_id: str,
    *,
    checks: Path,
    thresholds: Mapping[str, float],
    checked_at: datetime,
    gate: Gate | None,
) -> Verdict:
    """Judge a landed batch and store the verdict: `validated` or `refused`. `gate` is Great Expectations' part.

    Raises:
        InputUnusable: there is no such batch.
    """
    if connection.execute("select 1 from raw.batches where batch_id = ?", [batch_id]).fetchone() is None:
        raise InputUnusable(f"There is no batch {batch_id!r}; `from raw.batches` lists those there are.")
    take_batch_candles(connection, batch_id)
    results = run_checks(connection, checks, run=batch_id, checked_at=checked_at, params=thresholds)
    docs = None
    if gate is not None:
        expected, docs = examine(gate, connection, batch_id, thresholds)
        _store(connection, batch_id, expected, checked_at)
        results += expected
    drop_batch_candles(connection)
    verdict = Verdict(batch_id, results, docs)
    refusals = ", ".join(result.name for result in verdict.failed)
    set_state(connection, batch_id, "validated" if verdict.passed else "refused", refusals)
    return verdict


def _store(
    connection: duckdb.DuckDBPyConnection, batch_id: str, results: tuple[CheckResult, ...], checked_at: datetime
) -> None:
    connection.executemany(
        "insert into checks.results values (?, ?, ?, ?, ?, ?, ?)",
        [
            (batch_id, SUITE, result.name, result.passed, result.offenders, result.detail, checked_at)
            for result in results
        ],
    )
