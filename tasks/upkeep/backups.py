"""A backup of the warehouse and of all journals, proven before it counts and before an older one goes."""

from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from config.settings import Settings
from ops.backups.folders import new_backup, place_of, prune
from ops.backups.journals import copy_journals
from ops.backups.manifest import JournalFile, Manifest, WarehouseFile, refuse_altered, write_manifest
from ops.backups.room import refuse_no_room
from tasks.provenance import code_version
from trading.errors import CheckFailed, SetupFailed
from warehouse.upkeep.copies import DUCKDB_VERSION, copy_build


class BackupReport(NamedTuple):
    """A backup that was written, read back and found equal."""

    folder: Path
    size_bytes: int
    tables: int  # and views
    journals: tuple[JournalFile, ...]
    left_out: tuple[str, ...]  # a sentence for each journal that could not be copied
    pruned: tuple[Path, ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        """The report for a person."""
        rows = sum(journal.seq for journal in self.journals)
        written = (
            f"{self.folder}: {self.tables} tables and views, {len(self.journals)} journals with {rows:,} rows, "
            f"{self.size_bytes / 1e6:,.1f} MB, read back and found equal."
        )
        pruned = f"Deleted {len(self.pruned)} older backups." if self.pruned else ""
        return tuple(filter(None, (written, pruned, *self.left_out)))

    def refuse_left_out(self) -> None:
        """Raise CheckFailed when a journal could not be copied: the rest is safe, this one is not."""
        if self.left_out:
            raise CheckFailed(f"{' '.join(self.left_out)} No older backup was deleted. Restore it, or move it away.")


def back_up(settings: Settings) -> BackupReport:
    """Copy the build file and all journals into a new folder of `paths.backups`, prove the copies, delete old backups.

    A journal that is damaged is left out, and nothing is deleted then.

    Raises:
        SetupFailed: there is nothing to back up, or no room.
        CheckFailed: a copy is not what was copied; nothing is left of it.
        WarehouseBusy: another process held the build file, or makes a backup.
    """
    paths, taken_at = settings.paths, datetime.now(UTC)
    _refuse_no_room(settings)
    with new_backup(paths.backups, taken_at) as folder:
        # The warehouse first: it holds rows of the journals, and may not know one that the journals beside it lack.
        warehouse = _copied_warehouse(settings, folder) if paths.build.is_file() else None
        journals, left_out = copy_journals(paths.journals, folder)
        if warehouse is None and not journals:
            raise SetupFailed("There is neither a warehouse nor a sound journal to back up: `make run` makes both.")
        manifest = Manifest(taken_at=taken_at, code_version=code_version(), warehouse=warehouse, journals=journals)
        write_manifest(folder, manifest)
        refuse_altered(folder, manifest)
    return BackupReport(
        folder=place_of(paths.backups, taken_at),
        size_bytes=sum(file.size_bytes for file in manifest.files),
        tables=len(warehouse.contents) if warehouse else 0,
        journals=journals,
        left_out=left_out,
        pruned=() if left_out else tuple(prune(paths.backups, settings.lifecycle.backup_days)),
    )


def _refuse_no_room(settings: Settings) -> None:
    paths = settings.paths
    sources = [path for path in (paths.build, *paths.journals.glob("*.sqlite")) if path.is_file()]
    refuse_no_room(paths.backups, sum(path.stat().st_size for path in sources), "a backup")


def _copied_warehouse(settings: Settings, folder: Path) -> WarehouseFile:
    copy = copy_build(settings.paths.build, folder / "warehouse.duckdb", **settings.warehouse.model_dump())
    return WarehouseFile(
        size_bytes=copy.path.stat().st_size,
        sha256=copy.sha256,
        schema_version=copy.schema_version,
        duckdb_version=DUCKDB_VERSION,
        contents=copy.contents,
    )
