"""The Great Expectations suite of a backfill batch, its results as rows, and its Data Docs.

The library has no DuckDB source that works, and looking at millions of rows one by one costs it seconds and
gigabytes. So DuckDB finds the worst of every series (its lowest price, its longest hole, …), exactly, and the suite
states what the worst may be: the same verdict as row by row, and Data Docs that name the series.

Importing the library takes seconds: that happens in `open_gate`, and nowhere else.
"""

import logging
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from warehouse.checks import CheckResult
from warehouse.gate.batch_candles import BATCH_CANDLES

SUITE = "great_expectations"
SHOWN = 5


class Measure(NamedTuple):
    """The worst of one series in one respect, and the range that it must keep. A bound may be a threshold's name."""

    name: str
    sql: str  # an aggregate over the rows of one series in `temp.batch_candles`
    lowest: float | str | None = None
    highest: float | str | None = None
    is_strict: bool = False  # the lowest value itself is out of range


_REFERENCE = "nullif(coalesce(previous_close, open), 0)::double"
_TOP = "greatest(open, close, previous_close)::double"
_BOTTOM = "nullif(least(open, close, previous_close), 0)::double"

MEASURES = (
    Measure("candles", "count(*) filter (is_within)", lowest=1),
    Measure(
        "values_missing",
        "count(*) * 6 - count(opened_at) - count(open) - count(high) - count(low) - count(close) - count(volume)",
        highest=0,
    ),
    Measure("lowest_price", "min(least(open, high, low, close))::double", lowest=0, is_strict=True),
    Measure("least_high_above_body", "min(high - greatest(open, close))::double", lowest=0),
    Measure("least_low_below_body", "min(least(open, close) - low)::double", lowest=0),
    Measure("lowest_volume", "min(volume)::double", lowest=0),
    Measure("most_seconds_off_grid", "max(epoch_us(opened_at) % candle_us) / 1e6", highest=0),
    # Zero is the same candle twice: this is the rule of uniqueness, and the next that of gaps.
    Measure(
        "fewest_candles_to_previous",
        "coalesce(min(epoch_us(opened_at) - epoch_us(previous_opened_at)) / any_value(candle_us), 1)",
        lowest=0,
        is_strict=True,
    ),
    Measure(
        "most_candles_to_previous",
        "coalesce("
        "max(epoch_us(opened_at) - epoch_us(previous_opened_at)) filter (is_within and is_judged)"
        " / any_value(candle_us), 1)",
        highest="max_gap_candles",
    ),
    Measure(
        "highest_jump",
        # As in `no_jump`. A price of zero is another measure's matter; here it would be a jump without end.
        f"coalesce(max(greatest({_TOP} / {_REFERENCE}, high::double / {_TOP}, {_REFERENCE} / {_BOTTOM},"
        f" {_BOTTOM} / nullif(low, 0)::double)) filter (is_judged), 1)",
        highest="max_jump_ratio",
    ),
    Measure(
        "missing_share",
        "1 - count(*) filter (is_within) / ("
        "(epoch_us(max(opened_at) filter (is_within)) - epoch_us(min(opened_at) filter (is_within)))"
        " / any_value(candle_us) + 1)",
        highest="max_missing_share",
    ),
    Measure(
        "quarantined_share",
        "(select rows_quarantined / greatest(rows_read, 1) from temp.batch)",
        highest="max_quarantined_share",
    ),
)


@dataclass(frozen=True)
class Gate:
    """Great Expectations, imported, without telemetry, and the folder for its Data Docs."""

    library: Any
    docs: Path


def open_gate(docs: Path) -> Gate:
    """Import the library; takes seconds, so do it before a unit of work begins."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its dependencies, about one another
        import great_expectations

    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    return Gate(great_expectations, docs)


def examine(
    gate: Gate, connection: duckdb.DuckDBPyConnection, batch_id: str, thresholds: Mapping[str, float]
) -> tuple[tuple[CheckResult, ...], Path]:
    """Validate `temp.batch_candles` and write the Data Docs.

    Returns:
        One result per measure, its offenders the series that are out of range, and the index page of the Data Docs.
    """
    worst = _worst_of_each_series(connection)
    context = gate.library.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    suite = context.suites.add(gate.library.ExpectationSuite(name="backfill"))
    for measure in MEASURES:
        suite.add_expectation(_expectation(gate.library.expectations, measure, thresholds))
    series = context.data_sources.add_pandas("warehouse").add_dataframe_asset("worst_of_each_series")
    definition = context.validation_definitions.add(
        gate.library.ValidationDefinition(
            name=batch_id, data=series.add_batch_definition_whole_dataframe(batch_id), suite=suite
        )
    )
    outcome = definition.run(batch_parameters={"dataframe": worst}, result_format="COMPLETE")
    results = tuple(_result(measure, result, worst) for measure, result in zip(MEASURES, outcome.results, strict=True))
    return results, _write_docs(context, gate.docs / batch_id)


def _worst_of_each_series(connection: duckdb.DuckDBPyConnection) -> Any:
    listed = ", ".join(f"{measure.sql} as {measure.name}" for measure in MEASURES)
    # By number first: names for each of millions of rows would cost more than the measures.
    return connection.execute(
        f"""
        with worst as (
            select series_id, {listed} from batch_rows group by series_id
        )
        select files.instrument || ' ' || files.timeframe as series, worst.* exclude (series_id)
        from worst join series_files as files on files.file_id = worst.series_id
        order by series
        """
    ).df()


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


def _result(measure: Measure, result: Any, worst: Any) -> CheckResult:
    # A value that is missing is out of range too; the library would leave it out of its count.
    out = worst[worst[measure.name].isna()].index.union(result.result.get("unexpected_index_list") or [])
    if result.success and out.empty:
        return CheckResult(measure.name, (BATCH_CANDLES,), 0, "")
    shown = worst.loc[out[:SHOWN], ["series", measure.name]].itertuples(index=False)
    lines = "\n".join(f"  {series}: {measure.name}={value}, {_range(measure)}" for series, value in shown)
    return CheckResult(measure.name, (BATCH_CANDLES,), max(1, len(out)), lines)


def _range(measure: Measure) -> str:
    """The range for people, thresholds by name."""
    if measure.highest is not None:
        return f"at most {measure.highest}"
    return f"above {measure.lowest}" if measure.is_strict else f"at least {measure.lowest}"


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
