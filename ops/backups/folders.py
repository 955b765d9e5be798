"""The folder of all backups: each is a folder `<UTC time>`, there as a whole or not at all.

A backup is made in a folder with a dot before its name and renamed when it is complete; one that is deleted is renamed
back first. So whatever is killed, a name without a dot is a whole backup, and the next one to come removes the rest.
"""

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from ops.backups.manifest import MANIFEST
from trading.errors import SetupFailed, WarehouseBusy

NAME_FORMAT = "%Y%m%dT%H%M%SZ"
NAME = re.compile(r"\d{8}T\d{6}Z")
DAY = 8  # characters of a name


@contextmanager
def new_backup(root: Path, taken_at: datetime) -> Iterator[Path]:
    """An empty folder, which becomes `<root>/<taken_at>` when the block ends without an error, and is gone otherwise.

    `taken_at` is UTC.

    Raises:
        WarehouseBusy: another backup is at work in `root`.
        SetupFailed: no room, or no right, in `root`.
    """
    final = place_of(root, taken_at)
    unfinished = root / f".{final.name}.part"
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)  # positions and trades are nobody else's business
        with _alone(root):
            _remove_unfinished(root)
            unfinished.mkdir()
            try:
                yield unfinished
                _sync_all(unfinished)
                unfinished.rename(final)
            except BaseException:
                shutil.rmtree(unfinished)
                raise
            sync(root)
    except OSError as error:
        raise SetupFailed(
            f"There is no new backup in {root}: {error.strerror or error}. Those before it are as they were. Make room,"
            " or name another place in paths.backups."
        ) from error


def place_of(root: Path, taken_at: datetime) -> Path:
    """Where a backup lies when it is complete."""
    return root / taken_at.strftime(NAME_FORMAT)


def backups(root: Path) -> list[Path]:
    """All complete backups, oldest first."""
    return sorted(path for path in root.glob("*") if NAME.fullmatch(path.name) and (path / MANIFEST).is_file())


def prune(root: Path, keep_days: int) -> list[Path]:
    """Delete all backups but the newest of each of the last `keep_days` days that have one; say which.

    Raises:
        WarehouseBusy: another backup is at work in `root`.
        SetupFailed: one can't be deleted.
    """
    newest_of_day = {path.name[:DAY]: path for path in backups(root)}
    kept = sorted(newest_of_day.values())[-keep_days:]
    surplus = [path for path in backups(root) if path not in kept]
    try:
        with _alone(root):
            for path in surplus:
                path.rename(root / f".{path.name}.part")
            _remove_unfinished(root)
    except OSError as error:
        raise SetupFailed(f"An old backup in {root} can't be deleted: {error.strerror or error}.") from error
    return surplus


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Hold the lock of the folder; the kernel drops it when its holder dies."""
    with (root / ".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise WarehouseBusy(f"Another backup is at work in {root}; try again when it is done.") from error
        yield


def _remove_unfinished(root: Path) -> None:
    for path in root.glob(".*.part"):
        shutil.rmtree(path)


def _sync_all(folder: Path) -> None:
    for path in folder.rglob("*"):
        sync(path)
    sync(folder)


def sync(path: Path) -> None:
    """On return the file, or the names in the folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
