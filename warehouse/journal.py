"""The journals of sessions as `marts.journal`, read through DuckDB's sqlite extension while they are written."""

import importlib.util
from pathlib import Path

import duckdb

from trading.errors import SetupFailed

_TABLE = """
    create table if not exists marts.journal (
        session varchar not null, seq bigint not null, recorded_at timestamptz not null, kind varchar not null,
        happened_at timestamptz not null, instrument varchar not null, key varchar, payload json not null,
        hash varchar not null
    )
"""


def load_journals(connection: duckdb.DuckDBPyConnection, folder: Path) -> int:
    """Add to `marts.journal` the rows that it does not have yet; how many. A session is its file's name.

    Journals only grow, so a row that was loaded is never looked at again.

    Raises:
        SetupFailed: the sqlite extension is not installed, or a file in `folder` can't be read.
    """
    connection.execute("create schema if not exists marts")
    connection.execute(_TABLE)
    files = sorted(folder.glob("*.sqlite"))
    if files:
        connection.load_extension(str(_extension()))
    return sum(_load(connection, file) for file in files)


def _load(connection: duckdb.DuckDBPyConnection, file: Path) -> int:
    try:
        row = connection.execute(
            """
            insert into marts.journal
            select
                $session, seq, make_timestamptz(recorded_at), kind, make_timestamptz(happened_at), instrument, key,
                payload, hash
            from sqlite_scan($file, 'journal')
            where seq > (select coalesce(max(seq), 0) from marts.journal where session = $session)
            order by seq
            """,
            {"session": file.stem, "file": str(file)},
        ).fetchone()
    except duckdb.Error as error:
        raise SetupFailed(f"The journal {file} can't be read: {error}") from error
    assert row is not None
    count: int = row[0]
    return count


def _extension() -> Path:
    """The extension of exactly this DuckDB, from its wheel: nothing is fetched."""
    wheel = importlib.util.find_spec("duckdb_extension_sqlite_scanner")
    if wheel is not None and wheel.origin is not None:
        name = "sqlite_scanner.duckdb_extension"
        found = Path(wheel.origin).parent / "extensions" / f"v{duckdb.__version__}" / name
        if found.is_file():
            return found
    raise SetupFailed(f"DuckDB's sqlite extension {duckdb.__version__} is not installed: run `make run` to install it.")
