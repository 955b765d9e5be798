"""Candles from files into the warehouse: land, validate, publish. Each step is a unit of work of its own."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from config.settings import Settings
from exchange.kraken.symbols import series_of_file
from tasks.alerting import alert
from tasks.provenance import code_version
from warehouse import connection
from warehouse.batches import BatchReport
from warehouse.connection import PublishReport, unit_of_work
from warehouse.gate import validation
from warehouse.gate.suites import Gate, open_gate
from warehouse.gate.validation import Verdict
from warehouse.intake import held, landing
from warehouse.intake.archives import NothingToLand
from warehouse.intake.layouts import ColumnMap

SHOWN_NAMES = 10
LEFT_OVER_AFTER = timedelta(minutes=15)  # by then whoever landed a batch has judged it, or is gone


def land_archive(settings: Settings, path: Path, columns: Mapping[str, str] | None = None) -> BatchReport:
    """Land what lies at `path`: a CSV file, a zip or a folder, Kraken's or, with a map of its columns, a person's own.

    Files of a folder that can't be used are `refusals` of the report; the others land.

    Raises:
        InputUnusable: there is no candle in it; names file and reason. What was read of it is in quarantine.
        WarehouseBusy: another process held the build file for the whole bounded wait.
        SetupFailed: no room to unpack a zip.
    """
    return _landed(settings, path, columns, is_inbox=False)


def land_inbox(settings: Settings, inbox: Path, columns: Mapping[str, str] | None = None) -> BatchReport | None:
    """Land what is new in a folder that is looked at again and again; None when it holds no candles at rest.

    A file that was written to within the last minute is left for the next look. One that was refused before is reported
    but not tried again until its content changes, a candle that was still open closes, or `land_archive` is pointed at
    it.

    Raises:
        InputUnusable: no file has a candle, and one of them was not refused before.
        WarehouseBusy: another process held the build file for the whole bounded wait.
        SetupFailed: no room to unpack a zip.
    """
    # A glance, so that an inbox without news neither waits for the build file nor makes one.
    if not landing.inbox_holds_candles(inbox, series_of_file, _map_of(columns), datetime.now(UTC)):
        return None
    try:
        return _landed(settings, inbox, columns, is_inbox=True)
    except NothingToLand:
        return None  # while this waited for the build file, someone began to write what was at rest, or took it away


def alert_unnamed(settings: Settings, inbox: Path, columns: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Alert that files in an inbox are never read, since nothing states their series; the sentence, if there are any.

    Once for the same files, as long as nobody writes to them: whoever drops another one in, or a new one under the same
    name, is told of all that lie there. It is the last thing that is done for an inbox: candles don't wait for it.

    Raises:
        SetupFailed: the journal of these alerts can't be opened.
        CheckFailed: it is damaged.
    """
    files = landing.inbox_unnamed(inbox, series_of_file, _map_of(columns), datetime.now(UTC))
    if not files:
        return ()
    names = ", ".join(file.name for file in files[:SHOWN_NAMES])
    said = (
        f"{len(files)} file(s) in {inbox} are not read, for their names state no instrument and timeframe: "
        f"{names}{' …' if len(files) > SHOWN_NAMES else ''}. Call them like XBTUSD_15.csv, or land them by their path "
        "with a column map that states both."
    )
    digest = hashlib.sha256("\n".join(f"{file.name} {file.written_s}" for file in files).encode()).hexdigest()[:12]
    alert(
        settings, "ingest", key=f"unnamed:{digest}", severity="warning", title="files in the inbox not read", body=said
    )
    return (said,)


def validate_batch(settings: Settings, batch: BatchReport) -> Verdict | None:
    """Put a landed batch through the SQL checks and Great Expectations; None when it was validated or refused before.

    The caller raises what was refused (`Verdict.refuse_failed`) after what passed has been announced.

    Raises:
        WarehouseBusy: another process held the build file for the whole bounded wait.
    """
    if batch.state != "landed":
        return None
    return _validated(settings, batch.batch_id, open_gate(settings.paths.state / "gx"))


def judge_left_over(settings: Settings) -> tuple[Verdict, ...]:
    """Put batches through their checks that landed a while ago and were not, because a kill or a restore came between.

    Raises:
        WarehouseBusy: another process held the build file for the whole bounded wait.
    """
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
        left = held.left_unjudged(warehouse, datetime.now(UTC) - LEFT_OVER_AFTER)
    if not left:
        return ()
    gate = open_gate(settings.paths.state / "gx")  # takes seconds, so not while the build file is held
    return tuple(_validated(settings, batch_id, gate) for batch_id in left)


def publish(settings: Settings) -> PublishReport:
    """Replace the published file by a copy of the build file.

    Raises:
        Outdated: the build is not what the checks passed, because they failed or something came in since.
        WarehouseBusy: another process held the build file for the whole bounded wait.
        SetupFailed: there is nothing to publish, or no room for the copy.
    """
    return connection.publish(
        settings.paths.build,
        settings.paths.published,
        published_at=datetime.now(UTC),
        code_version=code_version(),
        **settings.warehouse.model_dump(),
    )


def _validated(settings: Settings, batch_id: str, gate: Gate) -> Verdict:
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
        return validation.validate(
            warehouse,
            batch_id,
            checks=settings.paths.sql / "checks" / "batches",
            thresholds=settings.validation.model_dump(),
            checked_at=datetime.now(UTC),
            gate=gate,
        )


def _landed(settings: Settings, path: Path, columns: Mapping[str, str] | None, *, is_inbox: bool) -> BatchReport:
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
        report = landing.land(
            warehouse,
            path,
            source="kraken" if columns is None else "own",
            series_of=series_of_file,
            columns=_map_of(columns),
            fetched_at=datetime.now(UTC),
            scratch=settings.paths.build.parent,
            is_inbox=is_inbox,
        )
    if report.state == "refused":
        report.raise_new_refusals()  # after the commit: what was refused, and why, stays on record
    return report


def _map_of(columns: Mapping[str, str] | None) -> ColumnMap | None:
    return None if columns is None else ColumnMap.of(columns)
