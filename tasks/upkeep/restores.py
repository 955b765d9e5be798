"""A backup put back in place, and the drill that does so beside everything, to prove that it can be done."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple

from config.settings import Settings
from ops.backups.folders import backups
from ops.backups.journals import journals_to_restore, refuse_held, refuse_other_chain
from ops.backups.manifest import JournalFile, Manifest, WarehouseFile, read_manifest, refuse_altered
from ops.backups.placing import DUCKDB_COMPANIONS, SQLITE_COMPANIONS, Placement, put_in_place, staged
from ops.backups.room import refuse_no_room
from tasks.publication import publish_what_passed
from trading.errors import SetupFailed
from warehouse.connection import unit_of_work, whole_file
from warehouse.schema import SCHEMA_VERSION
from warehouse.upkeep.copies import DUCKDB_VERSION, refuse_opened, refuse_other_contents

Only = Literal["warehouse", "journals"]


class RestoreReport(NamedTuple):
    """What was put in place of what."""

    folder: Path
    restored: tuple[Path, ...]
    unchanged: int  # journals that are as the backup has them
    kept: tuple[Path, ...]  # what was there before, where it lies now
    is_published: bool | None  # None: there was no warehouse to publish

    @property
    def sentences(self) -> tuple[str, ...]:
        """The report for a person."""
        published = {
            True: "The warehouse is published.",
            False: "The warehouse is not published: it was backed up between a change and its checks. Start "
            "`transform/build`.",
            None: "",
        }[self.is_published]
        same = f"{self.unchanged} journals were as in the backup, and left alone." if self.unchanged else ""
        kept = [f"What was there before lies at {path}; delete it when you don't need it." for path in self.kept]
        restored = ", ".join(path.name for path in self.restored) or "nothing, all of it was there"
        return tuple(filter(None, (f"Restored from {self.folder}: {restored}.", same, published, *kept)))


class DrillReport(NamedTuple):
    """A backup that was restored into a folder of its own, and is what it was."""

    folder: Path
    tables: int
    rows: int  # of all journals
    missing: tuple[str, ...]  # journals that the backup has and the machine has not

    @property
    def sentences(self) -> tuple[str, ...]:
        """The report for a person."""
        gone = [f"{name} is in the backup, and no longer on this machine." for name in self.missing]
        proven = (
            f"{self.folder} was restored beside everything: {self.tables} tables and views and {self.rows:,} rows of "
            "journals are what they were."
        )
        return (proven, *gone)


def restore(settings: Settings, folder: Path, *, only: Only | None = None, is_forced: bool = False) -> RestoreReport:
    """Put the files of the backup in `folder` in place, by renames, and publish. What was there is kept beside.

    Everything is looked at before anything is touched. Killed in between, it is simply started again.

    Raises:
        InputUnusable: `folder` is no backup; or, without `is_forced`, a present journal holds what the backup's lacks.
        CheckFailed: the backup's files are not the ones that were written.
        WarehouseBusy: somebody has the build file or a journal open that would be replaced.
        SetupFailed: no room, or the backup was made by newer code.
    """
    manifest = read_manifest(folder)
    refuse_altered(folder, manifest)
    chosen = manifest.model_copy(
        update={
            "warehouse": None if only == "journals" else manifest.warehouse,
            "journals": () if only == "warehouse" else manifest.journals,
        }
    )
    return _put_back(settings, folder, chosen, is_forced=is_forced)._replace(
        is_published=_published(settings) if chosen.warehouse else None
    )


def rehearse_restore(settings: Settings) -> DrillReport:
    """Restore the newest backup into a scratch folder, open what came of it, and compare all of it.

    Then the journals of this machine must still pass through the end that they had in the backup: whoever rewrote a
    chain rewrote it all, but not what was written down elsewhere.

    Raises:
        SetupFailed: there is no backup, or no room for the drill.
        CheckFailed: something is not what it was.
    """
    folder = _newest(settings)
    manifest = read_manifest(folder)
    settings.paths.state.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=settings.paths.state, prefix="drill-") as scratch:
        elsewhere = _moved(settings, Path(scratch))
        refuse_altered(folder, manifest)
        _put_back(elsewhere, folder, manifest, is_forced=False)
        _compare(elsewhere, manifest)
        if manifest.warehouse:
            _published(elsewhere)  # what today's code can't work with is no warehouse
    present = {journal: journal.place(settings.paths.journals) for journal in manifest.journals}
    for journal, path in present.items():
        if path.is_file():
            refuse_other_chain(path, journal)
    return DrillReport(
        folder=folder,
        tables=len(manifest.warehouse.contents) if manifest.warehouse else 0,
        rows=sum(journal.seq for journal in manifest.journals),
        missing=tuple(path.name for path in present.values() if not path.is_file()),
    )


def _put_back(settings: Settings, folder: Path, manifest: Manifest, *, is_forced: bool) -> RestoreReport:
    """Put the files that `manifest` names in place, without publishing."""
    _refuse_newer(manifest.warehouse)
    _refuse_no_room(settings, manifest)
    journals = journals_to_restore(folder, manifest.journals, settings.paths.journals, is_forced=is_forced)
    build = [_of_warehouse(settings, folder, manifest.warehouse)] if manifest.warehouse else []
    others = [_of_journal(settings, folder, journal) for journal in journals]
    with staged([*build, *others]):
        kept = _put_in_place(settings, build, others)
    return RestoreReport(
        folder=folder,
        restored=tuple(placement.target for placement in (*build, *others)),
        unchanged=len(manifest.journals) - len(journals),
        kept=kept,
        is_published=None,
    )


def _refuse_newer(warehouse: WarehouseFile | None) -> None:
    version = warehouse.schema_version if warehouse else None
    if version is not None and version > SCHEMA_VERSION:
        raise SetupFailed(
            f"The backup was made by newer code (schema {version}, not {SCHEMA_VERSION}): bring this checkout up to "
            "date, then restore."
        )


def _refuse_no_room(settings: Settings, manifest: Manifest) -> None:
    published = manifest.warehouse.size_bytes if manifest.warehouse else 0
    files = sum(file.size_bytes for file in manifest.files)
    refuse_no_room(settings.paths.state, files + published, "what the backup holds")


def _of_warehouse(settings: Settings, folder: Path, warehouse: WarehouseFile) -> Placement:
    return Placement(folder / warehouse.name, settings.paths.build, warehouse.sha256, DUCKDB_COMPANIONS)


def _of_journal(settings: Settings, folder: Path, journal: JournalFile) -> Placement:
    return Placement(folder / journal.name, journal.place(settings.paths.journals), journal.sha256, SQLITE_COMPANIONS)


def _put_in_place(settings: Settings, build: list[Placement], journals: list[Placement]) -> tuple[Path, ...]:
    """Refuse what somebody holds; then renames only. Where the files lie that were there before."""
    with whole_file(settings.paths.build, **settings.warehouse.model_dump()) as opened:
        for placement in build:
            refuse_opened(placement.target, opened)
        for placement in journals:
            refuse_held(placement.target)
        restored_at = datetime.now(UTC)
        kept = [put_in_place(placement, restored_at) for placement in (*build, *journals)]
    return tuple(path for path in kept if path is not None)


def _published(settings: Settings) -> bool:
    """Bring the build file up to date if older code made it, then publish it; False: it has not passed its checks."""
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()):
        pass  # opening migrates, and as one transaction
    return publish_what_passed(settings) is not None


def _newest(settings: Settings) -> Path:
    """The folder of the newest complete backup. Raises SetupFailed: there is none."""
    found = backups(settings.paths.backups)
    if not found:
        raise SetupFailed(f"There is no backup in {settings.paths.backups}: `slipway backup` makes one.")
    return found[-1]


def _moved(settings: Settings, home: Path) -> Settings:
    """The same settings, for files that lie under `home`."""
    places = {"state": home / "state", "published": home / "published.duckdb"}
    return settings.model_copy(update={"paths": settings.paths.model_copy(update=places)})


def _compare(settings: Settings, manifest: Manifest) -> None:
    paths, limits = settings.paths, settings.warehouse
    if manifest.warehouse and manifest.warehouse.duckdb_version == DUCKDB_VERSION:
        refuse_other_contents(
            paths.build, manifest.warehouse.contents, memory_limit=limits.memory_limit, threads=limits.threads
        )
    for journal in manifest.journals:
        refuse_other_chain(journal.place(paths.journals), journal)
