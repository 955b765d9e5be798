"""New rows of runs and sessions, out to the people who query them."""

from datetime import UTC, datetime
from typing import NamedTuple

from config.settings import Settings
from tasks.provenance import code_version
from trading.errors import CheckFailed
from warehouse.connection import PublishReport, publish, unit_of_work
from warehouse.journal import load_journals


class JournalsReport(NamedTuple):
    """What the journals brought to `marts.journal`, and whether people can query it yet."""

    added: int  # rows
    left_out: tuple[str, ...]  # a sentence for each file that could not be loaded
    is_published: bool

    @property
    def sentences(self) -> tuple[str, ...]:
        """The report for a person."""
        added = f"Added {self.added:,} rows to marts.journal"
        if self.is_published:
            return (f"{added}.", *self.left_out)
        waiting = "not published yet: the build has not passed its checks since it changed. The next one that does"
        return (f"{added}, {waiting} brings them out: start `transform/build`.", *self.left_out)


def publish_journals(settings: Settings) -> JournalsReport:
    """Add what the journals of all sessions have grown by to `marts.journal`, and publish it if the build may be.

    Raises:
        WarehouseBusy: another process held the build file for the whole bounded wait.
        SetupFailed: DuckDB's sqlite extension is missing, or there is no room for the copy.
    """
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
        loaded = load_journals(warehouse, settings.paths.journals)
    return JournalsReport(loaded.added, loaded.left_out, publish_what_passed(settings) is not None)


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
