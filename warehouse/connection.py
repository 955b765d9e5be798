"""The build file: open, one unit of work, commit, close, bounded wait. The published file: replaced by rename.

Nobody works on the file that users open. A lock file beside the build file makes units queue, within one process
too; the kernel drops it when its holder dies. DuckDB's own lock still stands against anything else that opens the file.
"""

import errno
import fcntl
import io
import mmap
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

import duckdb

from trading.errors import Outdated, SetupFailed, WarehouseBusy
from warehouse.gate.clearance import is_cleared
from warehouse.schema import SCHEMA_VERSION, create_schema

LONGEST_PAUSE_S = 0.5
COPIED_BYTES = 4 << 20  # at a time, by whoever publishes

Config = dict[str, str | bool | int | float | list[str]]
Opener = Callable[[], AbstractContextManager[duckdb.DuckDBPyConnection]]


@dataclass(frozen=True)
class PublishReport:
    """The file that people open from now on."""

    path: Path
    published_at: datetime
    size_bytes: int


@contextmanager
def unit_of_work(
    path: Path, *, lock_wait_s: float, memory_limit: str, threads: int
) -> Iterator[duckdb.DuckDBPyConnection]:
    """One transaction on the build file: committed at the end, taken back on any error, closed in both cases.

    Raises:
        WarehouseBusy: another process held the file for `lock_wait_s` seconds; says which, if it can.
        SetupFailed: the file can't be opened, made or written: no disk, no room, no right, not a warehouse.
    """
    deadline = time.monotonic() + lock_wait_s
    with (
        _queued(path, deadline),
        _opened(path, deadline, memory_limit, threads) as connection,
        _transaction(connection),
    ):
        create_schema(connection)
        yield connection


@contextmanager
def whole_file(path: Path, *, lock_wait_s: float, memory_limit: str, threads: int) -> Iterator[Opener]:
    """The build file to oneself, to copy, rewrite or replace it; units of work wait meanwhile.

    Yields what opens it, as often as it is called. In between nobody of ours has it open.

    Raises:
        WarehouseBusy: another process held the file for `lock_wait_s` seconds; says which, if it can.
        SetupFailed: the file can't be opened or made.
    """
    deadline = time.monotonic() + lock_wait_s
    with _queued(path, deadline):
        yield lambda: _opened(path, deadline, memory_limit, threads)


@contextmanager
def reading(published: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A read-only connection to the published file, as it is now; later publishing does not disturb it.

    Raises:
        SetupFailed: nothing has been published yet, or what lies there was published by other code than this.
    """
    if not published.is_file():
        raise SetupFailed(f"There is no published warehouse at {published} yet: run `make run` first.")
    try:
        connection = duckdb.connect(str(published), read_only=True)
    except duckdb.Error as error:
        raise SetupFailed(f"The published warehouse at {published} can't be opened: {error}") from error
    try:
        configure(connection)
        refuse_other_schema(connection, published)
        yield connection
    finally:
        connection.close()


def publish(
    build: Path,
    published: Path,
    *,
    published_at: datetime,
    code_version: str,
    lock_wait_s: float,
    memory_limit: str,
    threads: int,
) -> PublishReport:
    """Replace the published file by a copy of the build file, in one rename: a reader sees the old or the new one.

    Killed at any point it leaves the old file in place; what it left beside it is removed by the next publish. Whether
    the build is cleared is asked under the lock that is held until the copy is made: nobody can change it in between.

    Raises:
        Outdated: the build is not what the checks passed; what was published before stays.
        WarehouseBusy: another process held the build file for `lock_wait_s` seconds.
        SetupFailed: there is nothing to publish, or no room for the copy.
    """
    if not build.is_file():
        raise SetupFailed(f"There is no warehouse at {build} to publish: land candles first, with `make run`.")
    deadline = time.monotonic() + lock_wait_s
    with _queued(build, deadline):
        with _opened(build, deadline, memory_limit, threads) as connection:
            with _transaction(connection):
                create_schema(connection)
                _refuse_uncleared(connection)
                connection.execute("delete from meta.publication")
                connection.execute(
                    "insert into meta.publication values (?, ?, ?)", [published_at, SCHEMA_VERSION, code_version]
                )
            connection.execute("checkpoint")  # all of it in the one file that is copied
        _replace(build, published)
    return PublishReport(published, published_at, published.stat().st_size)


@contextmanager
def _transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    connection.begin()
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def refuse_other_schema(connection: duckdb.DuckDBPyConnection, published: Path, catalog: str = "") -> None:
    """Raise SetupFailed when a published file has other tables than this code reads.

    `catalog` is the name under which the file is attached to `connection`; empty when it is what was opened.
    """
    table = f"{catalog}.meta.publication" if catalog else "meta.publication"
    try:
        row = connection.execute(f"select schema_version from {table}").fetchone()
    except (duckdb.CatalogException, duckdb.BinderException):
        row = None
    if row is None:
        raise SetupFailed(f"{published} is no published warehouse: run `make run` to publish one.")
    version: int = row[0]
    if version < SCHEMA_VERSION:
        raise SetupFailed(
            f"The published warehouse at {published} is older than this code (schema {version}, not {SCHEMA_VERSION}):"
            " run `make run` to publish it anew."
        )
    if version > SCHEMA_VERSION:
        raise SetupFailed(
            f"The published warehouse at {published} is newer than this code (schema {version}, not {SCHEMA_VERSION}):"
            " bring this checkout up to date."
        )


@contextmanager
def _queued(path: Path, deadline: float) -> Iterator[None]:
    """Hold the lock file of `path`. It names its holder, for whoever gives up waiting."""
    lock = path.with_name(path.name + ".lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = lock.open("a+", encoding="utf-8")
    except OSError as error:
        raise SetupFailed(f"The warehouse at {path} can't be written: {error.strerror}.") from error
    with file:
        for pause_s in _pauses(deadline):
            if _locked(file):
                break
            if pause_s is None:
                raise WarehouseBusy(f"{path} is still in use by {_holder(file)}; try again when it is done.")
            time.sleep(pause_s)
        file.truncate(0)
        file.write(f"process {os.getpid()}")
        file.flush()
        yield


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(file: IO[str]) -> str:
    file.seek(0)
    return file.read().strip() or "another process"


@contextmanager
def _opened(path: Path, deadline: float, memory_limit: str, threads: int) -> Iterator[duckdb.DuckDBPyConnection]:
    connection = _connect(path, deadline, {"memory_limit": memory_limit, "threads": threads})
    try:
        with _faults_named(path):
            configure(connection)
            yield connection
    finally:
        connection.close()


@contextmanager
def _faults_named(path: Path) -> Iterator[None]:
    """What DuckDB says of the disk, as an error of ours. At a commit that is a broken transaction."""
    try:
        yield
    except (duckdb.IOException, duckdb.TransactionException) as error:
        if "No files found that match" in str(error):
            raise SetupFailed(
                f"A file went away while it was read: {str(error).partition(chr(10))[0]} Nothing of its batch has "
                "landed. Start again, with the file or without."
            ) from error
        if isinstance(error, duckdb.TransactionException) and "Failed to commit: Could not" not in str(error):
            raise
        reason = str(error).partition("\n")[0]  # what follows is about DuckDB itself
        raise SetupFailed(
            f"The warehouse at {path} can't be written: {reason}. It is as it was before. Make room, or mend what is "
            "named, and start again."
        ) from error


def _connect(path: Path, deadline: float, config: Config) -> duckdb.DuckDBPyConnection:
    """Wait as long as someone holds DuckDB's own lock: a prompt that was opened on the build file, say."""
    for pause_s in _pauses(deadline):
        try:
            return duckdb.connect(str(path), config=config)
        except duckdb.IOException as error:
            _, is_lock, holder = str(error).partition("Conflicting lock is held in ")
            if not is_lock:
                raise SetupFailed(f"The warehouse at {path} can't be opened: {error}") from error
            if pause_s is None:
                raise WarehouseBusy(
                    f"{path} is still open in {holder.partition('. ')[0]}; close it and try again."
                ) from error
            time.sleep(pause_s)
    raise AssertionError("pauses end with None")


def _pauses(deadline: float) -> Iterator[float | None]:
    """How long to wait before each next try, None when this one is the last. Jittered, so that waiters don't march."""
    longest_s = 0.02
    while (left_s := deadline - time.monotonic()) > 0:
        yield min(left_s, random.uniform(0.5, 1.0) * longest_s)  # noqa: S311  # no secret depends on it
        longest_s = min(2 * longest_s, LONGEST_PAUSE_S)
    yield None


def configure(connection: duckdb.DuckDBPyConnection) -> None:
    """What every connection of ours has set, said in one place."""
    connection.execute("set TimeZone = 'UTC'")
    connection.execute("set python_enable_replacements = false")  # a mistyped table must not read a Python variable
    connection.execute("set preserve_insertion_order = true")  # landing relies on a file's rows staying together
    # Of what a transaction has just made it knows no sizes, takes it for nearly empty, and compares all rows with all.
    connection.execute("set asof_loop_join_threshold = 0")
    connection.execute("set autoinstall_known_extensions = false")  # never a download in the middle of a query


def _refuse_uncleared(connection: duckdb.DuckDBPyConnection) -> None:
    if not is_cleared(connection):
        raise Outdated(
            "Not published: the warehouse is not what the checks passed. What came in meanwhile is checked and "
            "published by the next build: every quarter of an hour, or now, with `transform/build`."
        )


def _replace(build: Path, published: Path) -> None:
    published.parent.mkdir(parents=True, exist_ok=True)
    for left_over in published.parent.glob(f".{published.name}.*.tmp"):
        left_over.unlink()  # of a publish that was killed: publishers queue, so no other is at work now
    temporary = published.with_name(f".{published.name}.{os.getpid()}.tmp")
    try:
        _copy(build, temporary)
        temporary.chmod(0o444)
        sync(temporary)
        temporary.replace(published)
        sync(published.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise SetupFailed(f"The warehouse can't be published to {published}: {error.strerror}.") from error


def _copy(source: Path, target: Path) -> None:
    """Copy a file past the page cache: making room there for a second warehouse takes longer than the disk does.

    Raises OSError: the source ends before its size, or the target can't be written.
    """
    size, at = source.stat().st_size, 0
    room = memoryview(mmap.mmap(-1, COPIED_BYTES))  # begins with a page, which is what the disk is written from
    with source.open("rb", buffering=0) as reader, _opened_past_the_cache(target) as writer:
        while at < size:
            end = at + os.preadv(reader.fileno(), [room], at)
            if end < size:
                end -= end % mmap.PAGESIZE  # what was read of a broken page is read again
            if end == at:
                raise OSError(errno.EIO, f"{source} ends after {at} of {size} bytes")
            pages = room[: -(-(end - at) // mmap.PAGESIZE) * mmap.PAGESIZE]
            done = os.pwrite(writer.fileno(), pages, at)
            at = min(at + done - done % mmap.PAGESIZE, end)
        writer.truncate(size)


def _opened_past_the_cache(path: Path) -> io.FileIO:
    """Opened to be written anew; through the cache where the system or the file system knows no other way."""

    def opened(flags: int) -> io.FileIO:
        return io.FileIO(path, "wb", opener=lambda name, given: os.open(name, given | flags, 0o666))

    try:
        return opened(getattr(os, "O_DIRECT", 0))
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return opened(0)


def sync(path: Path) -> None:
    """On return the file, or the names in the folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
