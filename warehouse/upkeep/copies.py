"""The build file, copied for a backup and proven equal; and what proves it: a fingerprint of each table and view."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import duckdb

from trading.errors import CheckFailed, SetupFailed
from warehouse.connection import Opener, configure, whole_file
from warehouse.increments import content_of
from warehouse.upkeep.migrations import version_of

CHUNK_BYTES = 4 << 20
UNWRITTEN = (duckdb.IOException, duckdb.TransactionException)  # a full disk is the one, or at a commit the other
DUCKDB_VERSION: str = duckdb.__version__  # fingerprints of another version may differ for the same rows


class WarehouseCopy(NamedTuple):
    """A copy of the build file, and what is in it."""

    path: Path
    sha256: str
    schema_version: int | None  # None: it has no tables
    contents: Mapping[str, str]  # fingerprint by name of table or view


def copy_build(build: Path, target: Path, *, lock_wait_s: float, memory_limit: str, threads: int) -> WarehouseCopy:
    """Copy the build file to `target`, which must not exist, as it is between two units of work.

    Then the copy is opened, and each of its tables and views compared with what the build file held.

    Raises:
        WarehouseBusy: another process held the build file for `lock_wait_s` seconds.
        SetupFailed: the build file can't be opened.
        CheckFailed: the copy is not what was copied.
        OSError: the copy can't be written.
    """
    with whole_file(build, lock_wait_s=lock_wait_s, memory_limit=memory_limit, threads=threads) as opened:
        with opened() as source:
            version, contents = version_of(source), contents_of(source)
            _checkpoint(source, build)
        sha256 = _copied(build, target)
    refuse_other_contents(target, contents, memory_limit=memory_limit, threads=threads)
    return WarehouseCopy(target, sha256, version, contents)


def refuse_other_contents(path: Path, contents: Mapping[str, str], *, memory_limit: str, threads: int) -> None:
    """Raise CheckFailed when the warehouse at `path` can't be opened, or differs from `contents`; names the tables."""
    with _looking_into(path, memory_limit, threads) as copy:
        found = contents_of(copy)
    different = sorted(name for name in {*found, *contents} if found.get(name) != contents.get(name))
    if different:
        raise CheckFailed(f"{path} does not hold what it was copied from: {', '.join(different)} differ.")


def contents_of(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """A fingerprint of each table (its columns, constraints and rows) and view (its text), by name."""
    definitions = connection.execute(
        """
        select schema_name || '.' || table_name as name, sql, true as is_table
        from duckdb_tables() where database_name = current_database() and not internal
        union all
        select schema_name || '.' || view_name, sql, false
        from duckdb_views() where database_name = current_database() and not internal
        order by name
        """
    ).fetchall()
    return {
        name: f"{content_of(connection, name) if is_table else 'view'}:{hashlib.sha256(sql.encode()).hexdigest()[:16]}"
        for name, sql, is_table in definitions
    }


def refuse_opened(build: Path, opened: Opener) -> None:
    """Raise WarehouseBusy when somebody who does not queue, a prompt, say, has the build file open."""
    if not build.is_file():
        return
    try:
        with opened():
            return
    except (SetupFailed, duckdb.Error):
        return  # damaged, so nobody has it open; what it is to be replaced for


def _checkpoint(connection: duckdb.DuckDBPyConnection, build: Path) -> None:
    try:
        connection.execute("checkpoint")  # all of it in the one file that is copied
    except UNWRITTEN as error:
        raise SetupFailed(f"The warehouse at {build} can't be written: {error}") from error


def _copied(source: Path, target: Path) -> str:
    """Copy a file; SHA-256, in hex, of what was read."""
    digest = hashlib.sha256()
    with source.open("rb") as reader, target.open("xb") as writer:
        while chunk := reader.read(CHUNK_BYTES):
            digest.update(chunk)
            writer.write(chunk)
        writer.flush()
        os.fsync(writer.fileno())
    return digest.hexdigest()


@contextmanager
def _looking_into(path: Path, memory_limit: str, threads: int) -> Iterator[duckdb.DuckDBPyConnection]:
    config: dict[str, str | bool | int | float | list[str]] = {"memory_limit": memory_limit, "threads": threads}
    try:
        with duckdb.connect(str(path), read_only=True, config=config) as connection:
            configure(connection)
            yield connection
    except duckdb.Error as error:
        raise CheckFailed(f"{path} can't be read back: {error}") from error
