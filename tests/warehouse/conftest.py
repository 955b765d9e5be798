"""Kraken's archives as a test writes them, and a build file to land them in."""

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from exchange.kraken.symbols import series_of_file
from warehouse.batches import BatchReport
from warehouse.connection import configure
from warehouse.intake.landing import land
from warehouse.intake.layouts import ColumnMap
from warehouse.schema import create_schema

FETCHED = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)


@pytest.fixture
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse of ours, empty and gone after the test."""
    with duckdb.connect(config={"threads": 2, "memory_limit": "500MB"}) as connection:
        configure(connection)
        create_schema(connection)
        yield connection


@pytest.fixture
def landed(warehouse: duckdb.DuckDBPyConnection, tmp_path: Path) -> Callable[..., BatchReport]:
    """Lands a file, or `{name: text}` as a folder, as one transaction."""

    def land_here(
        what: Path | dict[str, str | bytes],
        *,
        columns: dict[str, str] | None = None,
        fetched_at: dt.datetime = FETCHED,
        is_inbox: bool = False,
        source: str = "kraken",
        covers: tuple[dt.datetime, dt.datetime] | None = None,
    ) -> BatchReport:
        path = what if isinstance(what, Path) else written(tmp_path / f"inbox{len(list(tmp_path.iterdir()))}", what)
        warehouse.begin()
        try:
            report = land(
                warehouse,
                path,
                source=source,
                series_of=series_of_file,
                columns=ColumnMap.of(columns) if columns else None,
                fetched_at=fetched_at,
                scratch=tmp_path / "scratch",
                is_inbox=is_inbox,
                covers=covers,
            )
        except BaseException:
            warehouse.rollback()
            raise
        warehouse.commit()
        return report

    return land_here


@pytest.fixture
def ask(warehouse: duckdb.DuckDBPyConnection) -> Callable[[str], list[tuple[Any, ...]]]:
    """Rows of a query."""
    return lambda query: warehouse.execute(query).fetchall()


def written(folder: Path, files: dict[str, str | bytes]) -> Path:
    """A folder with these files."""
    folder.mkdir(parents=True)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder
