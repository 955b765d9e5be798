"""Run one strategy file, from anywhere, over the published warehouse.

The bytes of the file run unchanged in an in-memory database whose `marts.candles`, `features.indicators` and
`features.smc` are the warehouse's own. An indicator that the file needs and the warehouse does not keep is computed on
the spot, from the same anchor.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

import duckdb
import polars as pl

from trading.errors import InputUnusable, SetupFailed
from warehouse.connection import configure, refuse_other_schema
from warehouse.features.indicators import TABLE as INDICATORS
from warehouse.features.indicators import write_indicators
from warehouse.features.smc import TABLE as SMC
from warehouse.grammar.lint import series_columns_bound
from warehouse.grammar.parameters import parameters_set
from warehouse.increments import columns_of
from warehouse.strategies.contract import read_signals, refuse_bad_signals, refuse_other_columns
from warehouse.strategies.loading import Strategy

SIGNALS = "temp.signals"
Publication: TypeAlias = duckdb.DuckDBPyConnection  # as `publication` opens it


@contextmanager
def publication(
    published: Path, *, threads: int | None = None, memory_limit: str | None = None
) -> Iterator[Publication]:
    """What is published now, by the tables' usual names, with room beside it in which strategies run.

    All that is read through it is of one publication, whatever is published meanwhile. Without limits it may take what
    the machine has.

    Raises:
        SetupFailed: nothing is published yet, or by other code than this.
    """
    if not published.is_file():
        raise SetupFailed(f"There is no published warehouse at {published} yet; `make run` builds it.")
    with scratch() as connection:
        if threads is not None:
            connection.execute(f"set threads = {threads}")
        if memory_limit is not None:
            connection.execute("set memory_limit = $limit", {"limit": memory_limit})
        try:
            connection.execute(f"attach {_quoted((str(published),))} as published (read_only)")
        except duckdb.Error as error:
            raise SetupFailed(f"The published warehouse at {published} can't be opened: {error}") from error
        refuse_other_schema(connection, published, "published")
        connection.execute("use published")
        yield connection


def candles_hash(connection: Publication, last: datetime | None) -> str:
    """Fingerprint of all published candles that close by `last`, to the last digit: what features and signals hang on;
    and of what the perpetuals told by then, which they are traded at.

    Sums of hashes of rows, which one version of DuckDB computes alike on every machine.
    """
    told = (
        ("instrument, timeframe, opened_at, open, high, low, close, volume, trades", "marts.candles", "closed_at"),
        ("instrument, price, timeframe, opened_at, open, high, low, close", "marts.futures_candles", "closed_at"),
        ("instrument, began_at, rate", "marts.funding_rates", "began_at"),
    )
    sums = []
    for columns, table, time in told:
        query = (
            "select concat_ws(' ', count(*), sum(hash(told)::hugeint)) from"
            f" (select {columns} from {table} where $last is null or {time} <= $last) as told"
        )
        row = connection.execute(query, {"last": last}).fetchone()
        assert row is not None
        sums.append(str(row[0]))
    return ", ".join(sums)


def run_strategy(
    strategy: Strategy,
    connection: duckdb.DuckDBPyConnection,
    *,
    timeframe: str,
    instruments: tuple[str, ...],
    first: datetime | None = None,
    last: datetime | None = None,
) -> pl.DataFrame:
    """Signals of one timeframe, the contract's columns, oldest first; `first` and `last` are closes, both included.

    `connection` is a `publication`. All of history is computed whatever the bounds, so they only choose rows.

    Raises:
        InputUnusable: the SQL does not run, or gives other columns than the contract's; names the column.
        CheckFailed: two signals at one close, or a row that can't be traded; with the rows.
    """
    with _room(connection):
        _offer_candles(connection, strategy, timeframe, instruments)
        _offer_indicators(connection, strategy)
        _offer_smc(connection, strategy)
        run_text(connection, strategy)
        refuse_bad_signals(connection, SIGNALS, strategy.file)
        return read_signals(connection, SIGNALS, timeframe=timeframe, instruments=instruments, first=first, last=last)


@contextmanager
def scratch() -> Iterator[duckdb.DuckDBPyConnection]:
    """An in-memory database with the schemas that strategies read."""
    connection = duckdb.connect(":memory:")
    try:
        configure(connection)
        connection.execute("create schema marts")
        connection.execute("create schema features")
        yield connection
    finally:
        connection.close()


@contextmanager
def _room(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """The scratch database under the names of the published one; empty again afterwards."""
    connection.execute("use memory")
    try:
        yield
    finally:
        for schema in ("marts", "features"):
            connection.execute(f"drop schema {schema} cascade")
            connection.execute(f"create schema {schema}")
        connection.execute("use published")


def _offer_candles(
    connection: duckdb.DuckDBPyConnection, strategy: Strategy, timeframe: str, instruments: tuple[str, ...]
) -> None:
    """`marts.candles`, without the series that the text keeps apart from those asked for."""
    bound = series_columns_bound(strategy.sql, strategy.file)
    wanted = {"timeframe": (timeframe,), "instrument": instruments}
    conditions = ["true", *(f"{column} in ({_quoted(wanted[column])})" for column in sorted(bound))]
    connection.execute(
        f"create view marts.candles as select * from published.marts.candles where {' and '.join(conditions)}"
    )


def _quoted(texts: tuple[str, ...]) -> str:
    return ", ".join("'" + text.replace("'", "''") + "'" for text in texts) or "null"


def _offer_indicators(connection: duckdb.DuckDBPyConnection, strategy: Strategy) -> None:
    kept = columns_of(connection, f"published.{INDICATORS}")
    if all(column in kept for need in strategy.needs for column in need.columns):
        connection.execute(f"create view {INDICATORS} as select * from published.{INDICATORS}")
    else:
        write_indicators(connection, INDICATORS, strategy.needs)


def _offer_smc(connection: duckdb.DuckDBPyConnection, strategy: Strategy) -> None:
    if not strategy.reads_smc:
        return
    try:
        connection.execute(f"create view {SMC} as select * from published.{SMC}")
    except duckdb.CatalogException as error:
        raise InputUnusable(
            f"{strategy.file} reads {SMC}, which is not published: that was done before there was any, or no file "
            "under sql/ reads it. Build and publish anew (`transform/build`), with such a file there."
        ) from error


def run_text(connection: duckdb.DuckDBPyConnection, strategy: Strategy) -> None:
    """Fill `temp.signals` from the tables that `connection` offers. Raises InputUnusable: the SQL does not run."""
    with parameters_set(connection, strategy.values):
        run_with_parameters_set(connection, strategy)


def run_with_parameters_set(connection: duckdb.DuckDBPyConnection, strategy: Strategy) -> None:
    """As `run_text`, where the parameters have been set before, for many runs."""
    try:
        connection.execute(f"create or replace temp table signals as {strategy.sql}")
    except (duckdb.ProgrammingError, duckdb.DataError) as error:
        raise InputUnusable(f"{strategy.file}: {error}") from error
    refuse_other_columns(columns_of(connection, SIGNALS), strategy.file)
