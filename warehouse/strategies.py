"""Run one strategy file, from anywhere, over the published warehouse or over a frame of candles.

The bytes of the file run unchanged in an in-memory database whose `marts.candles` and `features.indicators` are the
warehouse's own. What the file needs and the warehouse does not keep is computed on the spot, from the same anchor.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import polars as pl

from trading.errors import InputUnusable, SetupFailed
from trading.indicators.needs import Need, parse_need
from warehouse.connection import configure, refuse_other_schema
from warehouse.features import TABLE as INDICATORS
from warehouse.features import write_indicators
from warehouse.grammar.headers import Header, complete, parse_header
from warehouse.grammar.lint import refuse, series_columns_bound, strategy_lint
from warehouse.grammar.parameters import Value, parameters_set, values_of
from warehouse.increments import columns_of
from warehouse.signals import read_signals, refuse_bad_signals, refuse_other_columns

SIGNALS = "temp.signals"


@dataclass(frozen=True)
class Strategy:
    """One strategy file as it was when it was loaded, found clean, with the parameters it will run with."""

    name: str
    file: str
    sql: str
    header: Header
    values: Mapping[str, Value]

    @property
    def hash(self) -> str:
        """Of the text and the parameters: what decides, with the candles, which signals come out."""
        return hashlib.sha256(json.dumps([self.sql, dict(self.values)], sort_keys=True).encode()).hexdigest()

    @property
    def needs(self) -> tuple[Need, ...]:
        return tuple(sorted({parse_need(text) for text in self.header.needs}))


def load_strategy(path: Path, params: Mapping[str, object] | None = None) -> Strategy:
    """The strategy in `path`, with `params` over the defaults of its header.

    Raises:
        InputUnusable: no such file, an incomplete header, an unknown or wrong parameter, or SQL that could look
            ahead or come out differently; names the file and the lines.
    """
    file = path.name
    try:
        sql = path.read_text(encoding="utf-8").strip().removesuffix(";")
    except (OSError, UnicodeDecodeError) as error:
        raise InputUnusable(f"The strategy {path} can't be read: {error}") from error
    header = complete(parse_header(sql, file), file)
    values = values_of(header.params, params or {}, file)
    refuse(strategy_lint(sql, header, values, file), file)
    return Strategy(path.stem, file, sql, header, values)


@contextmanager
def publication(published: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """What is published now, by the tables' usual names, with room beside it in which strategies run.

    All that is read through it is of one publication, whatever is published meanwhile.

    Raises:
        SetupFailed: nothing is published yet, or by other code than this.
    """
    if not published.is_file():
        raise SetupFailed(f"There is no published warehouse at {published} yet; `make run` builds it.")
    with _scratch() as connection:
        try:
            connection.execute(f"attach {_quoted((str(published),))} as published (read_only)")
        except duckdb.Error as error:
            raise SetupFailed(f"The published warehouse at {published} can't be opened: {error}") from error
        refuse_other_schema(connection, published, "published")
        connection.execute("use published")
        yield connection


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
        _run(connection, strategy)
        refuse_bad_signals(connection, SIGNALS, strategy.file)
        return read_signals(connection, SIGNALS, timeframe=timeframe, instruments=instruments, first=first, last=last)


def look_ahead_offenders(strategy: Strategy, candles: pl.DataFrame, cuts: Iterable[datetime]) -> pl.DataFrame:
    """Signals that change when later candles arrive: none, for an honest strategy (I32).

    For each cut the strategy runs on the candles that have closed by then, and on all. What was known by the cut
    must be the same. `candles` has the columns of `marts.candles`.

    Returns:
        The rows that differ, with `cut_at`, and `seen`: "only by then" or "only later".
    """
    with _scratch() as connection:
        _land_candles(connection, candles)
        whole = _signals_of(connection, strategy, "true")
        trials = [
            _difference(
                _signals_of(connection, strategy, f"closed_at <= '{cut}'"), whole, cut, pl.col("known_at") <= cut
            )
            for cut in cuts
        ]
    return pl.concat(trials)


def lookback_offenders(strategy: Strategy, candles: pl.DataFrame, cuts: Iterable[datetime]) -> pl.DataFrame:
    """Signals that come out differently at a live close, from the candles of the declared lookback alone (I33).

    Indicators keep their anchor. Compared are the signals that close exactly at a cut; result as above.
    """
    assert strategy.header.lookback is not None  # the check of the text refuses `full`
    with _scratch() as connection:
        _land_candles(connection, candles)
        whole = _signals_of(connection, strategy, "true")
        connection.execute(f"create table main.indicators as from {INDICATORS}")
        connection.execute(f"drop table {INDICATORS}")
        trials = []
        for cut in cuts:
            _keep_lookback(connection, cut, strategy.header.lookback)
            _run(connection, strategy)
            recent = connection.execute(f"select * from {SIGNALS}").pl()
            trials.append(_difference(recent, whole, cut, pl.col("closed_at") == cut))
    return pl.concat(trials)


@contextmanager
def _scratch() -> Iterator[duckdb.DuckDBPyConnection]:
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


def _run(connection: duckdb.DuckDBPyConnection, strategy: Strategy) -> None:
    try:
        with parameters_set(connection, strategy.values):
            connection.execute(f"create or replace temp table signals as {strategy.sql}")
    except (duckdb.ProgrammingError, duckdb.DataError) as error:
        raise InputUnusable(f"{strategy.file}: {error}") from error
    refuse_other_columns(columns_of(connection, SIGNALS), strategy.file)


def _land_candles(connection: duckdb.DuckDBPyConnection, candles: pl.DataFrame) -> None:
    connection.register("given", candles)
    connection.execute("create table main.candles as select * from given")
    connection.unregister("given")


def _signals_of(connection: duckdb.DuckDBPyConnection, strategy: Strategy, condition: str) -> pl.DataFrame:
    connection.execute(f"create or replace view marts.candles as select * from main.candles where {condition}")
    write_indicators(connection, INDICATORS, strategy.needs)
    _run(connection, strategy)
    return connection.execute(f"select * from {SIGNALS}").pl()


def _keep_lookback(connection: duckdb.DuckDBPyConnection, cut: datetime, lookback: int) -> None:
    # One candle more than the lookback: the last one known before the cut, for an as-of join.
    for offered, source in (("marts.candles", "main.candles"), (INDICATORS, "main.indicators")):
        connection.execute(
            f"create or replace view {offered} as select * from {source} where closed_at <= '{cut}'"
            f" qualify row_number() over (partition by instrument, timeframe order by closed_at desc) <= {lookback + 2}"
        )


def _difference(one: pl.DataFrame, other: pl.DataFrame, cut: datetime, compared: pl.Expr) -> pl.DataFrame:
    one, other = one.filter(compared), other.filter(compared)
    sides = [
        one.join(other, on=one.columns, how="anti", nulls_equal=True).with_columns(seen=pl.lit("only by then")),
        other.join(one, on=one.columns, how="anti", nulls_equal=True).with_columns(seen=pl.lit("only later")),
    ]
    return pl.concat(sides).with_columns(cut_at=pl.lit(cut))
