"""Funding rates are judged before they land: what is refused never was in `raw`, and is fetched again the next time."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import duckdb
import pyarrow as pa

from warehouse.gate.reference_suites import JUDGED_RATES, TOLD_RATES
from warehouse.gate.suites import Gate, examine, measure, store
from warehouse.gate.validation import Verdict
from warehouse.reference.funding import FundingHour


def validate_rates(
    connection: duckdb.DuckDBPyConnection,
    hours: Sequence[FundingHour],
    *,
    run: str,
    thresholds: Mapping[str, float],
    checked_at: datetime,
    gate: Gate,
) -> Verdict:
    """Judge the rates of one contract, and store the verdict as that of `run`, in the caller's transaction.

    Whoever calls lands them if it passed, and lets the verdict commit in any case.
    """
    _take(connection, hours)
    examined, docs = examine(gate, run, [measure(connection, TOLD_RATES)], thresholds)
    connection.execute(f"drop table {JUDGED_RATES}")
    store(connection, run, examined, checked_at)
    results = tuple(result for each in examined for result in each.results)
    return Verdict(run, "validated" if all(result.passed for result in results) else "refused", results, docs)


def _take(connection: duckdb.DuckDBPyConnection, hours: Sequence[FundingHour]) -> None:
    told = pa.table(
        {
            "instrument": pa.array([hour.instrument for hour in hours], pa.string()),
            "began_at": pa.array([hour.began_at for hour in hours], pa.timestamp("us", tz="UTC")),
            "rate": pa.array([float(hour.rate) for hour in hours], pa.float64()),
            "relative_rate": pa.array([float(hour.relative_rate) for hour in hours], pa.float64()),
        }
    )
    connection.register("told_rates", told)
    try:
        connection.execute(f"create or replace temp table {JUDGED_RATES.partition('.')[2]} as from told_rates")
    finally:
        connection.unregister("told_rates")
