"""Candles from files into the warehouse: land, validate, publish. Each step is a unit of work of its own."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from config.settings import Settings
from exchange.kraken.symbols import series_of_file
from tasks.provenance import code_version
from trading.errors import CheckFailed
from warehouse import connection
from warehouse.batches import BatchReport
from warehouse.connection import PublishReport, unit_of_work
from warehouse.gate import validation
from warehouse.gate.clearance import is_cleared
from warehouse.gate.suites import open_gate
from warehouse.gate.validation import Verdict
from warehouse.intake import landing
from warehouse.intake.layouts import ColumnMap


def land_archive(settings: Settings, path: Path, columns: Mapping[str, str] | None = None) -> BatchReport:
    """Land what lies at `path`: a CSV file, a zip or a folder, Kraken's or, with a map of its columns, a person's own.

    Raises:
        InputUnusable: there is no candle in it; names file and reason. Nothing was landed.
        WarehouseBusy: another process held the build file for the whole bounded wait.
        SetupFailed: no room to unpack a zip.
    """
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
        return landing.land(
            warehouse,
            path,
            source="kraken" if columns is None else "own",
            series_of=series_of_file,
            columns=None if columns is None else ColumnMap.of(columns),
            fetched_at=datetime.now(UTC),
            scratch=settings.paths.build.parent,
        )


def validate_batch(settings: Settings, batch: BatchReport) -> Verdict | None:
    """Put a landed batch through the SQL checks and Great Expectations; None when it was validated before.

    Raises:
        CheckFailed: the batch was refused, with the offending rows. Nothing of it goes downstream.
        WarehouseBusy: another process held the build file for the whole bounded wait.
    """
    if batch.state == "validated":
        return None
    gate = open_gate(settings.paths.state / "gx")  # takes seconds, so not while the build file is held
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
        verdict = validation.validate(
            warehouse,
            batch.batch_id,
            checks=settings.paths.sql / "checks" / "batches",
            thresholds=settings.validation.model_dump(),
            checked_at=datetime.now(UTC),
            gate=gate,
        )
    verdict.refuse_failed()
    return verdict


def publish(settings: Settings) -> PublishReport:
    """Replace the published file by a copy of the build file.

    Raises:
        CheckFailed: the build is not what the checks passed, because they failed or a batch came in since.
        WarehouseBusy: another process held the build file for the whole bounded wait.
        SetupFailed: there is nothing to publish, or no room for the copy.
    """
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
        if not is_cleared(warehouse):
            raise CheckFailed(
                "Not published: the warehouse is not what the checks passed. If a batch was validated in the "
                "meantime, the build that it started publishes it."
            )
    return connection.publish(
        settings.paths.build,
        settings.paths.published,
        published_at=datetime.now(UTC),
        code_version=code_version(),
        **settings.warehouse.model_dump(),
    )
