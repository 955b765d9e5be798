"""What is past its limit goes: from the warehouse, from the disk, from Prefect. Each says how much it was."""

from datetime import UTC, datetime, timedelta

from config.settings import Settings
from ops import stack
from ops.backups.room import refuse_no_room
from ops.leftovers import Removed, remove_old_files
from ops.orchestrator import Orchestrator
from warehouse.connection import unit_of_work
from warehouse.upkeep import compaction, retention
from warehouse.upkeep.compaction import Compaction
from warehouse.upkeep.retention import Forgotten

OUR_TAG = "slipway"  # of every deployment in prefect.yaml, and so of its runs


def forget_old_rows(settings: Settings) -> Forgotten:
    """Remove from the warehouse what is past its limit.

    Raises WarehouseBusy: another process held the build file for the whole bounded wait.
    """
    limits = settings.lifecycle
    if not settings.paths.build.is_file():
        return Forgotten()
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
        return retention.forget(
            warehouse,
            refused_before=_ago(limits.refused_days),
            texts_before=_ago(limits.quarantine_text_days),
            checks_before=_ago(limits.check_days),
        )


def compact(settings: Settings) -> Compaction:
    """Write the build file anew, if enough of it is free.

    Raises:
        WarehouseBusy: another process held the build file for the whole bounded wait.
        SetupFailed: no room.
        CheckFailed: the new file would not be equal to the old one, which stays.
    """
    build = settings.paths.build
    refuse_no_room(build, build.stat().st_size if build.is_file() else 0, "the warehouse, written anew")
    return compaction.compact(
        build,
        least_free_share=settings.lifecycle.compact_free_share,
        **settings.warehouse.model_dump(),
    )


def forget_old_files(settings: Settings) -> Removed:
    """Remove logs, reports and leftovers past their limit."""
    return remove_old_files(settings.paths.state, _ago(settings.lifecycle.file_days))


def forget_old_runs(settings: Settings) -> int:
    """Delete our runs past their limit from the Prefect server in use; how many. None is in use: 0.

    Raises SetupFailed: the server does not answer, or refuses.
    """
    running = stack.read(settings.paths.state)
    if running is None:
        return 0
    with Orchestrator(running.api_url) as server:
        return server.forget_runs(OUR_TAG, _ago(settings.lifecycle.run_days))


def _ago(days: int) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)
