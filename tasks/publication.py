"""New rows of runs and sessions, out to the people who query them."""

from datetime import UTC, datetime

from config.settings import Settings
from tasks.provenance import code_version
from trading.errors import CheckFailed
from warehouse.connection import PublishReport, publish, unit_of_work
from warehouse.journal import load_journals


def publish_journals(settings: Settings) -> int:
    """Add what the journals of all sessions have grown by to `marts.journal`, and publish; how many rows were added.

    Raises:
        WarehouseBusy: another process held the build file for the whole bounded wait.
        SetupFailed: a journal can't be read, or there is no room for the copy.
    """
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
        added = load_journals(warehouse, settings.paths.journals)
    publish_what_passed(settings)
    return added


def publish_what_passed(settings: Settings) -> PublishReport | None:
    """Publish the build if it has passed its checks; else None, and it comes out with the build that passes."""
    try:
        return publish(
            settings.paths.build,
            settings.paths.published,
            published_at=datetime.now(UTC),
            code_version=code_version(),
            **settings.warehouse.model_dump(),
        )
    except CheckFailed:
        return None
