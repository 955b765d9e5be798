"""Files of a backup, back to where they belong: copied beside their place and proven first, then names only.

What was there before is never deleted: it stays beside, under its name and the time of the restore.
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from ops.backups.folders import sync
from ops.backups.manifest import digest_of
from trading.errors import CheckFailed, SetupFailed

# What a database of that name would take for its own. An index of the WAL holds nothing that the WAL does not.
INDEX = "-shm"
SQLITE_COMPANIONS = ("-wal", INDEX)
DUCKDB_COMPANIONS = (".wal",)
ASIDE_FORMAT = "%Y%m%dT%H%M%S.%fZ"  # to the microsecond, so that no two restores ever put files aside under one name


class Placement(NamedTuple):
    """A file of a backup, and its place. `companions` are endings of files that belong to what lies there now."""

    source: Path
    target: Path
    sha256: str
    companions: tuple[str, ...]

    @property
    def copy(self) -> Path:
        """Where the proven copy waits."""
        return self.target.with_name(f".{self.target.name}.restoring")


@contextmanager
def staged(placements: Sequence[Placement]) -> Iterator[None]:
    """For the time of the block a proven copy of every file lies beside its place.

    Raises:
        SetupFailed: no room, or no right, there.
        CheckFailed: a copy does not have the hash it should have.
    """
    try:
        for placement in placements:
            _stage(placement)
        yield
    finally:
        for placement in placements:
            placement.copy.unlink(missing_ok=True)


def put_in_place(placement: Placement, restored_at: datetime) -> Path | None:
    """Rename the copy to its place; where what was there lies now, or None when there was nothing.

    Nobody may have that file open. There is no moment without one: whoever looked for it then would make an empty one.

    Raises:
        SetupFailed: what is there can't be kept, and was not replaced.
    """
    target = placement.target
    aside = target.with_name(f"{target.name}.before-{restored_at.strftime(ASIDE_FORMAT)}")
    was_something = False
    for ending in ("", *placement.companions):
        present = target.with_name(target.name + ending)
        if present.exists():
            was_something |= ending != INDEX and present.stat().st_size > 0
            _keep(present, aside.with_name(aside.name + ending))
            if ending:  # whoever looked whether the file is held has opened and closed it: a sound one needs it no more
                present.unlink()
    placement.copy.replace(target)
    sync(target.parent)
    return aside if was_something else None


def _keep(present: Path, aside: Path) -> None:
    """Give the file a second name, which stays when the first one is another file's."""
    try:
        aside.hardlink_to(present)
    except OSError:  # a disk without hard links, FAT or some networks': a whole copy gets the name
        _keep_copy(present, aside)


def _keep_copy(present: Path, aside: Path) -> None:
    unfinished = present.with_name(f".{aside.name}.restoring")
    try:
        shutil.copyfile(present, unfinished)
        sync(unfinished)
        unfinished.rename(aside)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise SetupFailed(f"{present} can't be kept as {aside.name}: {error.strerror}. It was not replaced.") from error


def _stage(placement: Placement) -> None:
    folder = placement.target.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(placement.source, placement.copy)
        found = digest_of(placement.copy)
    except OSError as error:
        raise SetupFailed(
            f"{placement.source} can't be copied to {folder}: {error.strerror}. Nothing was replaced."
        ) from error
    if found != placement.sha256:
        raise CheckFailed(f"The copy of {placement.source} in {folder} has another hash. Nothing was replaced.")
