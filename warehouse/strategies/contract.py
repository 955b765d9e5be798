"""The contract of `marts.signals_<name>`, whoever wrote the SQL: columns, types, and values that can be traded."""

from collections.abc import Mapping
from datetime import datetime

import duckdb
import polars as pl

from trading.errors import CheckFailed, InputUnusable
from warehouse.increments import SHOWN, as_text, columns_of, refuse_repeated_keys

KEY = ("instrument", "timeframe", "closed_at")
CONTRACT: Mapping[str, str] = {
    "instrument": "VARCHAR",
    "timeframe": "VARCHAR",
    "closed_at": "TIMESTAMP WITH TIME ZONE",  # of the candle that the signal comes from
    "known_at": "TIMESTAMP WITH TIME ZONE",  # earliest close at which it can be acted on
    "side": "VARCHAR",  # long | short
    "close": "DOUBLE",  # price, USD
    "stop_distance": "DOUBLE",  # from the entry, USD
    "target_1_distance": "DOUBLE",  # from the entry, USD; null when unused, as the next three
    "target_2_distance": "DOUBLE",
    "target_3_distance": "DOUBLE",
    "target_4_distance": "DOUBLE",
    "score": "DOUBLE",
}
# What a strategy may give besides; what it does not is null.
OPTIONAL: Mapping[str, str] = {
    "entry_distance": "DOUBLE",  # how much better than the close the entry's limit is, USD; null or 0: at the market
}
_DISTANCES = tuple(column for column in (*CONTRACT, *OPTIONAL) if column.endswith("_distance"))
HIGHEST_SCORE = 1e12  # either way: the core counts it in millionths
_NUMBERS = ("DOUBLE", "FLOAT", "DECIMAL", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")


def is_strategy(table: str) -> bool:
    """Whether the rows of `table` propose trades."""
    return table.startswith("signals_")


def read_signals(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    *,
    timeframe: str,
    instruments: tuple[str, ...] | None = None,
    first: datetime | None = None,
    last: datetime | None = None,
) -> pl.DataFrame:
    """Signals with the columns of the contract and the optional ones, oldest first.

    `first` and `last` are closes, both included.

    Raises:
        InputUnusable: `table` is not there, or lacks a column of the contract.
    """
    try:
        given = columns_of(connection, table)
        refuse_other_columns(given, table)
    except duckdb.CatalogException as error:
        raise InputUnusable(f"There is no table {table}: {error}") from error
    kinds = {**CONTRACT, **OPTIONAL}
    columns = ", ".join(f"{name if name in given else 'null'}::{kind} as {name}" for name, kind in kinds.items())
    return connection.execute(
        f"""
        select {columns} from {table}
        where timeframe = $timeframe
            and ($instruments is null or list_contains($instruments, instrument))
            and ($first is null or closed_at >= $first) and ($last is null or closed_at <= $last)
        order by closed_at, instrument
        """,
        {
            "timeframe": timeframe,
            "instruments": list(instruments) if instruments is not None else None,
            "first": first,
            "last": last,
        },
    ).pl()


def refuse_other_columns(columns: Mapping[str, str], file: str) -> None:
    """Raise InputUnusable, naming the column, when one of the contract is missing, or any is of another kind."""
    for name in CONTRACT:
        if name not in columns:
            raise InputUnusable(f"{file} gives no column {name}; a strategy gives {', '.join(CONTRACT)}.")
    for name, kind in {**CONTRACT, **OPTIONAL}.items():
        found = columns.get(name, kind)
        fits = found.startswith(_NUMBERS) if kind == "DOUBLE" else found == kind
        if not fits:
            raise InputUnusable(f"{file}: column {name} is {found}; it must be {kind}.")


def refuse_bad_signals(connection: duckdb.DuckDBPyConnection, table: str, file: str) -> None:
    """Raise when the rows of `table` break the contract.

    A stop that is missing or 0 is allowed here: the core answers such a signal with `NO_STOP`, and keeps the answer.

    Raises:
        InputUnusable: a column is missing or of another type.
        CheckFailed: a row that can't be traded, or two signals at one close; with the rows.
    """
    given = columns_of(connection, table)
    refuse_other_columns(given, file)
    refuse_repeated_keys(connection, table, KEY, "the signals", file)
    distances = " and ".join(
        f"({name} is null or ({name} >= 0 and isfinite({name}::double)))" for name in given if name in _DISTANCES
    )
    offenders = connection.execute(
        f"""
        select * from {table}
        where not coalesce(
            side in ('long', 'short') and known_at >= closed_at and close > 0 and isfinite(close::double)
            and {distances} and (score is null or abs(score::double) <= {HIGHEST_SCORE}), false)
        order by closed_at limit {SHOWN}
        """
    )
    rows = as_text(offenders)
    if rows:
        raise CheckFailed(
            f"{file}: side must be long or short, known_at not before closed_at, close above 0, distances not below 0, "
            f"score a number up to {HIGHEST_SCORE:g}; not so in these rows:\n{rows}"
        )
