"""The journals of sessions as `marts.journal`, read through DuckDB's sqlite extension while they are written.

A file is known again by its chain, not by its name: a journal that was moved away and begun anew has the old name and
other hashes. It becomes a session of its own, `<name>@<first 8 characters of the hash of its row 1>`.
"""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeAlias

import duckdb
import polars as pl

from trading.errors import InputUnusable, SetupFailed
from warehouse.connection import configure
from warehouse.schema import JOURNAL


class JournalsLoaded(NamedTuple):
    """What one look at the folder of journals brought."""

    added: int  # rows
    left_out: tuple[str, ...]  # a sentence for each file that could not be loaded


class _End(NamedTuple):
    """How far a session has been loaded."""

    seq: int
    hash: str


_Ends: TypeAlias = dict[str, _End]  # by session


def load_journals(connection: duckdb.DuckDBPyConnection, folder: Path) -> JournalsLoaded:
    """Add to `marts.journal` the rows that it does not have yet. A session is its file's name without the ending.

    Journals only grow, so a row that was loaded is never looked at again. A file that can't be read, or is no journal,
    keeps no other from being loaded.

    Raises:
        SetupFailed: the sqlite extension is not installed.
    """
    connection.execute("create schema if not exists marts")
    connection.execute(JOURNAL)
    ends = _ends(connection)
    added, left_out = 0, []
    for file in sorted(folder.glob("*.sqlite")):
        try:
            session, rows = _grown(file, ends)
        except InputUnusable as error:
            left_out.append(str(error))
        else:
            _insert(connection, session, rows)
            added += rows.height
    return JournalsLoaded(added, tuple(left_out))


def _ends(connection: duckdb.DuckDBPyConnection) -> _Ends:
    query = "select session, max(seq), max_by(hash, seq) from marts.journal group by session"
    return {session: _End(seq, hash_) for session, seq, hash_ in connection.execute(query).fetchall()}


def _grown(file: Path, ends: _Ends) -> tuple[str, pl.DataFrame]:
    """The file's session, and its rows that were not loaded yet."""
    with _reading(file) as journal:
        session = _session(journal, file, ends)
        rows = journal.execute(
            """
            select
                seq, make_timestamptz(recorded_at) as recorded_at, kind, make_timestamptz(happened_at) as happened_at,
                instrument, key, payload::json as payload, hash
            from journal
            where seq > $seq
            order by seq
            """,
            {"seq": ends[session].seq if session in ends else 0},
        ).pl()
    return session, rows


@contextmanager
def _reading(file: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB of the file's own, with its rows as `journal`: an error of DuckDB ends the transaction it happens in."""
    extension = _extension()
    with duckdb.connect(":memory:") as journal:
        configure(journal)
        journal.load_extension(str(extension))
        try:
            path = str(file).replace("'", "''")  # a view takes no parameters
            journal.execute(f"create view journal as from sqlite_scan('{path}', 'journal')")
            yield journal
        except duckdb.Error as error:
            reason = str(error).partition("\n")[0]  # what follows is the query, and DuckDB's stack
            raise InputUnusable(
                f"{file} is left out of marts.journal, it can't be read ({reason}): restore it from its backup, or "
                "move it away."
            ) from error


def _session(journal: duckdb.DuckDBPyConnection, file: Path, ends: _Ends) -> str:
    """The session that the file's chain goes on with, or begins.

    Raises InputUnusable: rows that were loaded are gone from it, or others are in their place.
    """
    first = _hash(journal, 1) or ""
    for name in (file.stem, f"{file.stem}@{first[:8]}"):
        if name not in ends or _hash(journal, ends[name].seq) == ends[name].hash:
            return name
    raise InputUnusable(
        f"{file} is left out of marts.journal, its row {ends[name].seq} is not the one that was loaded as session "
        f"{name}: `slipway audit verify` says whether it was changed. Restore it from its backup, or move it away."
    )


def _hash(journal: duckdb.DuckDBPyConnection, seq: int) -> str | None:
    row = journal.execute("select hash from journal where seq = ?", [seq]).fetchone()
    return None if row is None else str(row[0])


def _insert(connection: duckdb.DuckDBPyConnection, session: str, rows: pl.DataFrame) -> None:
    connection.register("grown", rows)
    connection.execute(
        """
        insert into marts.journal
        select $session, seq, recorded_at, kind, happened_at, instrument, key, payload, hash
        from grown
        order by seq
        """,
        {"session": session},
    )
    connection.unregister("grown")


def _extension() -> Path:
    """The extension of exactly this DuckDB, from its wheel: nothing is fetched."""
    wheel = importlib.util.find_spec("duckdb_extension_sqlite_scanner")
    if wheel is not None and wheel.origin is not None:
        name = "sqlite_scanner.duckdb_extension"
        found = Path(wheel.origin).parent / "extensions" / f"v{duckdb.__version__}" / name
        if found.is_file():
            return found
    raise SetupFailed(f"DuckDB's sqlite extension {duckdb.__version__} is not installed: run `make run` to install it.")
