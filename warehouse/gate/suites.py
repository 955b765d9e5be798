"""Suites put to Great Expectations: the worst of every series against its ranges, verdicts as rows, and Data Docs.

Importing the library takes seconds: that happens in `open_gate`, and nowhere else.
"""

import logging
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from trading.errors import SetupFailed
from warehouse.checks import CheckResult
from warehouse.gate.measures import Measure, Suite

SHOWN = 5


@dataclass(frozen=True)
class Gate:
    """Great Expectations, imported, without telemetry, and the folder for its Data Docs."""

    library: Any
    docs: Path


class Measured(NamedTuple):
    """The values of a suite's measures: a data frame with a row per series."""

    suite: Suite
    worst: Any


class Examined(NamedTuple):
    """What a suite found: one result per measure, its offenders the series that are out of range."""

    suite: str
    results: tuple[CheckResult, ...]


def open_gate(docs: Path) -> Gate:
    """Import the library; takes seconds, so do it before a unit of work begins."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its dependencies, about one another
        import great_expectations

    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    logging.getLogger("great_expectations.render.renderer.site_builder").addFilter(_raise_fault)
    return Gate(great_expectations, docs)


def measure(connection: duckdb.DuckDBPyConnection, suite: Suite) -> Measured:
    """Find the worst of every series that a suite judges."""
    return Measured(suite, connection.execute(suite.sql).df())


def examine(
    gate: Gate, run: str, measured: Sequence[Measured], thresholds: Mapping[str, float]
) -> tuple[tuple[Examined, ...], Path]:
    """Judge what was measured, and write the Data Docs of this run into a folder of its name.

    Returns:
        What each suite found, and the index page of the Data Docs.

    Raises SetupFailed: the Data Docs can't be written.
    """
    context = gate.library.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    warehouse = context.data_sources.add_pandas("warehouse")
    examined = tuple(_examine(gate, context, warehouse, run, each, thresholds) for each in measured)
    try:
        return examined, _write_docs(context, gate.docs / run)
    except OSError as error:
        raise SetupFailed(
            f"The Data Docs can't be written to {gate.docs / run}: {error.strerror or error}. Nothing was judged. Make "
            "room, and start again."
        ) from error


def store(connection: duckdb.DuckDBPyConnection, run: str, examined: Sequence[Examined], checked_at: datetime) -> None:
    """Keep the results in `checks.results`, in the caller's transaction; those of an earlier such run go."""
    connection.executemany(
        "delete from checks.results where batch_or_run = ? and suite = ?", [(run, each.suite) for each in examined]
    )
    rows = [
        (run, each.suite, result.name, result.passed, result.offenders, result.detail, checked_at)
        for each in examined
        for result in each.results
    ]
    connection.executemany("insert into checks.results values (?, ?, ?, ?, ?, ?, ?)", rows)


def _raise_fault(_: logging.LogRecord) -> bool:
    """What the disk says about a page, which the library only logs, is raised again."""
    error = sys.exc_info()[1]
    if isinstance(error, OSError):
        raise error
    return True


def _examine(
    gate: Gate, context: Any, warehouse: Any, run: str, measured: Measured, thresholds: Mapping[str, float]
) -> Examined:
    suite, worst = measured
    expectations = [_expectation(gate.library.expectations, each, thresholds) for each in suite.measures]
    expected = context.suites.add(gate.library.ExpectationSuite(name=suite.name, expectations=expectations))
    series = warehouse.add_dataframe_asset(f"worst of each series, {suite.name}")
    definition = context.validation_definitions.add(
        gate.library.ValidationDefinition(
            name=f"{run}, {suite.name}", data=series.add_batch_definition_whole_dataframe(run), suite=expected
        )
    )
    outcome = definition.run(
        batch_parameters={"dataframe": worst},
        result_format={"result_format": "COMPLETE", "unexpected_index_column_names": ["series"]},  # named on the pages
        run_id=gate.library.RunIdentifier(run_name=run),
    )
    judged = zip(suite.measures, outcome.results, strict=True)
    return Examined(suite.name, tuple(_result(suite, each, result, worst) for each, result in judged))


def _expectation(kinds: Any, measure: Measure, thresholds: Mapping[str, float]) -> Any:
    return kinds.ExpectColumnValuesToBeBetween(
        column=measure.name,
        min_value=_bound(measure.lowest, thresholds),
        max_value=_bound(measure.highest, thresholds),
        strict_min=measure.is_strict,
    )


def _bound(bound: float | str | None, thresholds: Mapping[str, float]) -> float | None:
    if bound is None:
        return None
    return float(thresholds[bound] if isinstance(bound, str) else bound)


def _result(suite: Suite, measure: Measure, result: Any, worst: Any) -> CheckResult:
    # A value that is missing is out of range too; the library would leave it out of its count.
    named = [each["series"] for each in result.result.get("unexpected_index_list") or []]
    out = worst[worst[measure.name].isna() | worst["series"].isin(named)]
    if result.success and out.empty:
        return CheckResult(measure.name, (suite.judged,), 0, "")
    shown = out[["series", measure.name]].head(SHOWN).itertuples(index=False)
    lines = "\n".join(f"  {series}: {measure.name}={value}, {measure.range}" for series, value in shown)
    instruments = frozenset(out["instrument"]) or None
    return CheckResult(measure.name, (suite.judged,), max(1, len(out)), lines, instruments)


def _write_docs(context: Any, folder: Path) -> Path:
    context.add_data_docs_site(
        site_name="batch",
        site_config={
            "class_name": "SiteBuilder",
            "show_how_to_buttons": False,
            "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder)},
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        },
    )
    context.build_data_docs(site_names=["batch"])
    return folder / "index.html"
