"""The candles of an instrument are validated as a whole, or refused as a whole: one bad one holds up no other.

Every batch passes the SQL checks in `sql/checks/batches/`, which read `temp.batch_candles`; a backfill passes Great
Expectations too, in the suite of its source. The verdict is stored with its evidence; the caller commits it before
anything is raised.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from trading.errors import CheckFailed, InputUnusable
from warehouse.batches import State, judge_files
from warehouse.checks import CheckResult, run_checks
from warehouse.gate.batch_candles import drop_batch_candles, take_batch_candles
from warehouse.gate.candle_suites import suite_of
from warehouse.gate.suites import Gate, examine, measure, store


@dataclass(frozen=True)
class Verdict:
    """What validation found of one batch."""

    batch_id: str
    state: State
    results: tuple[CheckResult, ...]
    docs: Path | None  # index of the Data Docs of a backfill

    @property
    def failed(self) -> tuple[CheckResult, ...]:
        return tuple(result for result in self.results if not result.passed)

    @property
    def passed(self) -> bool:
        return not self.failed

    def refuse_failed(self) -> None:
        """Raise CheckFailed, with the offending rows, when the batch or a part of it was refused."""
        if self.failed:
            said = [f"{result.name}: {result.offenders:,} offender(s)\n{result.detail}" for result in self.failed]
            refused = refused_by(self.failed)
            part = f"{', '.join(sorted(refused or ()))} of batch"
            what = f"{'Batch' if self.state == 'refused' else part} {self.batch_id}"
            raise CheckFailed("\n".join([f"{what} was refused by {len(said)} check(s).", *said]))


def validate(
    connection: duckdb.DuckDBPyConnection,
    batch_id: str,
    *,
    checks: Path,
    thresholds: Mapping[str, float],
    checked_at: datetime,
    gate: Gate | None,
) -> Verdict:
    """Judge a landed batch, instrument by instrument, and store the verdict. `gate` is Great Expectations' part.

    Raises:
        InputUnusable: there is no such batch.
    """
    source = connection.execute("select source from raw.batches where batch_id = ?", [batch_id]).fetchone()
    if source is None:
        raise InputUnusable(f"There is no batch {batch_id!r}; `from raw.batches` lists those there are.")
    take_batch_candles(connection, batch_id)
    results = run_checks(connection, checks, run=batch_id, checked_at=checked_at, params=thresholds)
    docs = None
    if gate is not None:
        examined, docs = examine(gate, batch_id, [measure(connection, suite_of(source[0]))], thresholds)
        store(connection, batch_id, examined, checked_at)
        results += tuple(result for each in examined for result in each.results)
    drop_batch_candles(connection)
    failed = tuple(result for result in results if not result.passed)
    detail = ", ".join(result.name for result in failed)
    state = judge_files(connection, batch_id, refused_by(failed), detail)
    return Verdict(batch_id, state, results, docs)


def refused_by(failed: tuple[CheckResult, ...]) -> frozenset[str] | None:
    """The instruments that did not pass some check; None when a check does not say which."""
    named = [result.instruments for result in failed]
    known = [instruments for instruments in named if instruments is not None]
    return frozenset().union(*known) if len(known) == len(named) else None
