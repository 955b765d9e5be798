"""The build file written anew, without the room that deleted and replaced rows have left in it."""

from pathlib import Path
from typing import NamedTuple

import duckdb

from trading.errors import CheckFailed, SetupFailed
from warehouse.connection import sync, whole_file
from warehouse.upkeep.copies import UNWRITTEN, contents_of


class Compaction(NamedTuple):
    """Sizes of the build file. They are equal when it was left alone, 0 when there is none."""

    bytes_before: int
    bytes_after: int


def compact(build: Path, *, least_free_share: float, lock_wait_s: float, memory_limit: str, threads: int) -> Compaction:
    """Write the build file anew when at least `least_free_share` of its blocks are free, proven equal, in one rename.

    Killed at any point it leaves the old file or the new one; what it left beside it is removed by the next one.

    Raises:
        WarehouseBusy: another process held the build file for `lock_wait_s` seconds.
        SetupFailed: no room for the new one.
        CheckFailed: the new file does not hold what the old one does; the old one stays.
    """
    if not build.is_file():
        return Compaction(0, 0)
    fresh = build.with_name(f".{build.name}.compacting")
    with whole_file(build, lock_wait_s=lock_wait_s, memory_limit=memory_limit, threads=threads) as opened:
        before = build.stat().st_size
        _remove(fresh)
        with opened() as connection:
            if _free_share(connection) < least_free_share:
                return Compaction(before, before)
            try:
                _write_anew(connection, fresh)
            except BaseException:
                _remove(fresh)
                raise
        # The old file has no WAL left: it was checkpointed, and closed by the only one who may write to it.
        fresh.replace(build)
        sync(build.parent)
    return Compaction(before, build.stat().st_size)


def _free_share(connection: duckdb.DuckDBPyConnection) -> float:
    connection.execute("checkpoint")  # only then is known what is free
    row = connection.execute(
        "select free_blocks / greatest(total_blocks, 1) from pragma_database_size()"
        " where database_name = current_database()"
    ).fetchone()
    assert row is not None
    return float(row[0])


def _write_anew(connection: duckdb.DuckDBPyConnection, fresh: Path) -> None:
    contents = contents_of(connection)
    row = connection.execute("select current_database()").fetchone()
    assert row is not None
    name = f'"{row[0]}"'
    path = str(fresh).replace("'", "''")
    try:
        connection.execute(f"attach '{path}' as fresh")
        connection.execute(f"copy from database {name} to fresh")
        connection.execute("checkpoint fresh")
    except UNWRITTEN as error:
        raise SetupFailed(f"The warehouse can't be written anew to {fresh}: {error}") from error
    connection.execute("use fresh")
    if contents_of(connection) != contents:
        raise CheckFailed(f"The warehouse written anew to {fresh} is not equal to the old one, which stays in use.")
    connection.execute(f"use {name}")
    connection.execute("detach fresh")
    sync(fresh)


def _remove(fresh: Path) -> None:
    for path in (fresh, fresh.with_name(f"{fresh.name}.wal")):
        path.unlink(missing_ok=True)
