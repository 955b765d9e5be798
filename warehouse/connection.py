"""Who opens which file. Flows write a private build file in short units; people read a published copy.

DuckDB lets one process write a file or many read it. So nobody works on the file that people open: a unit of work
opens the build file under a bounded wait, commits and closes; `publish` copies it beside the published file and
renames it into place. A prompt that has the old file open keeps it, whole and unchanged, for as long as it likes.
"""

import os
import random
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from trading.errors import SetupFailed, WarehouseBusy

# Everything that could make the same rows come out differently on another machine is said here, once.
SESSION = (
    "set TimeZone = 'UTC'",
    "set python_enable_replacements = false",  # else a mistyped table name reads a Python variable
    "set autoinstall_known_extensions = false",
    "set autoload_known_extensions = false",
)
PARTIAL = ".publishing"  # ending of a copy that is not whole yet


@dataclass(frozen=True)
class Publication:
    """What people see from now on."""

    path: Path
    published_at: datetime
    megabytes: float


@contextmanager
def unit_of_work(
    path: Path, *, lock_wait_s: float, memory_limit: str, threads: int
) -> Iterator[duckdb.DuckDBPyConnection]:
    """One transaction on the build file: committed when the block ends, rolled back when it raises, then closed.

    Raises:
        WarehouseBusy: another process held the file for `lock_wait_s` seconds.
        SetupFailed: the file can't be opened at all.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = _opened(path, lock_wait_s, {"memory_limit": memory_limit, "threads": str(threads)})
    try:
        _prepare(connection)
        connection.execute(f"set temp_directory = '{_quoted(path.parent / 'spill')}'")
        connection.begin()
        try:
            yield connection
        except BaseException:
            connection.rollback()
            raise
        connection.commit()
    finally:
        connection.close()


@contextmanager
def reading(published: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The published file, read-only. A later publication does not disturb it.

    Raises SetupFailed: nothing has been published yet.
    """
    if not published.is_file():
        raise SetupFailed(f"There is no {published.name} yet: `make run` makes it.")
    connection = duckdb.connect(str(published), read_only=True)
    try:
        _prepare(connection)
        yield connection
    finally:
        connection.close()


def publish(build: Path, published: Path, *, lock_wait_s: float, code_version: str) -> Publication:
    """Replace the published file by a read-only copy of the build file, at once and as a whole.

    A kill at any moment leaves the old publication or the new one; the half-made copy is swept up by the next call.

    Raises:
        WarehouseBusy: the build file was held for the whole wait.
        SetupFailed: there is no build file, or no room for the copy.
    """
    if not build.is_file():
        raise SetupFailed("There is nothing to publish: the build file does not exist yet.")
    published.parent.mkdir(parents=True, exist_ok=True)
    published_at = datetime.now(UTC)
    connection = _opened(build, lock_wait_s, {})
    try:
        connection.execute("create schema if not exists meta")
        connection.execute(
            "create or replace table meta.publication as select ?::timestamptz as published_at, ? as code_version",
            [published_at, code_version],
        )
        connection.execute("checkpoint")
        # Still open, so no other process can write while the file is being copied.
        partial = published.with_name(f".{published.name}.{os.getpid()}{PARTIAL}")
        _sweep(published)
        try:
            shutil.copyfile(build, partial)
            _flush(partial)
            partial.chmod(0o444)
            partial.replace(published)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise SetupFailed(f"The warehouse can't be published to {published}: {error}.") from error
    finally:
        connection.close()
    _flush(published.parent)
    return Publication(published, published_at, published.stat().st_size / 1e6)


def _opened(path: Path, lock_wait_s: float, config: dict[str, str]) -> duckdb.DuckDBPyConnection:
    deadline = time.monotonic() + lock_wait_s
    pause_s = 0.02
    while True:
        try:
            return duckdb.connect(str(path), config=dict(config))
        except duckdb.IOException as error:
            if "lock" not in str(error):
                raise SetupFailed(f"The warehouse {path} can't be opened: {error}") from error
            if time.monotonic() + pause_s > deadline:
                raise WarehouseBusy(
                    f"Another process held {path.name} for {lock_wait_s:g} seconds. {_holder(str(error))}"
                ) from error
        # Jitter keeps two waiting processes from asking in step for ever.
        time.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311  # not a secret
        pause_s = min(pause_s * 1.5, 0.5)


def _prepare(connection: duckdb.DuckDBPyConnection) -> None:
    for statement in SESSION:
        connection.execute(statement)


def _holder(message: str) -> str:
    """What DuckDB says about the holder of the lock: `... is held in <program> (PID n) ...`."""
    start = message.find("Conflicting lock is held in")
    return message[start:].split(". ")[0] if start >= 0 else ""


def _sweep(published: Path) -> None:
    """Remove the half-made copies of killed publications. The build file's lock keeps living ones away."""
    for leftover in published.parent.glob(f".{published.name}.*{PARTIAL}"):
        leftover.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    """Make a file, or the entry of a rename in its folder, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
