"""`meta.smc_states`: where the folds of Smart Money Concepts stand, so that a build goes on instead of beginning again.

A cache, and nothing else: without a state a series is folded from its first candle, and comes to the same bit for bit.
Of each series it has the newest state, which the next candle follows, and those at the last two multiples of `EVERY`
candles, which a candle follows that came a day late. A series whose candles are what they were, by their `fingerprint`,
goes on from its newest state, however late a candle of another one came.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import NamedTuple

import duckdb
import polars as pl

from trading.indicators.series import LONGEST_GAP
from trading.smc.layout import State
from trading.smc.parameters import Parameters
from trading.smc.state import begin, restore, save
from warehouse.features.series import FROM_THE_FIRST, Span
from warehouse.features.written import AsBefore, frame_of
from warehouse.schema import TIMEFRAME_US

EVERY = 96  # candles: a day of 15m
PARAMETERS = Parameters(restart_after=LONGEST_GAP)

_TABLE = """
    create table if not exists meta.smc_states (
        instrument varchar not null, timeframe varchar not null, closed_at timestamptz not null,
        opened_at timestamptz not null, candles bigint not null, fingerprint ubigint not null, state blob not null
    )
"""
_COLUMNS = "instrument, timeframe, candles, epoch_us(opened_at), epoch_us(closed_at), fingerprint, state"
_SCHEMA = {
    "instrument": pl.String,
    "timeframe": pl.String,
    "candles": pl.Int64,
    "opened_us": pl.Int64,
    "closed_us": pl.Int64,
    "fingerprint": pl.UInt64,
    "state": pl.Binary,
}


class Standing(NamedTuple):
    """How far a series is folded."""

    instrument: str
    timeframe: str
    candles: int  # folded so far
    opened_us: int  # of the last of them; -1 before the first
    closed_us: int
    fingerprint: int  # of all that are folded
    state: State


def first(series: Span) -> Standing:
    """A series before its first candle."""
    state = begin(PARAMETERS, TIMEFRAME_US[series.timeframe])
    return Standing(series.instrument, series.timeframe, 0, FROM_THE_FIRST, FROM_THE_FIRST, 0, state)


def prepare(connection: duckdb.DuckDBPyConnection, since: datetime | None) -> None:
    """Make room for states; where nothing is known of what changed since when (None), there are none."""
    connection.execute("create schema if not exists meta")
    if since is None:
        connection.execute("drop table if exists meta.smc_states")
    connection.execute(_TABLE)


def newest(
    connection: duckdb.DuckDBPyConnection,
    series: list[Span],
    before: datetime | None,
    as_before: Sequence[AsBefore] = (),
) -> list[Standing]:
    """The newest of each series that closes before a time, in their order; the first where there is none.

    Of series that are as before until a later time, the newest until then.
    """
    with _bounds(connection, as_before):
        rows = connection.execute(
            f"""
            with latest as (
                select instrument, timeframe, max(closed_at) as closed_at
                from meta.smc_states left join bounds using (instrument, timeframe)
                where case when until is not null then closed_at <= until else closed_at < $before end
                group by instrument, timeframe
            )
            -- No `qualify row_number()`: over a join that ends DuckDB 1.5.5 in an internal error.
            select {_COLUMNS} from meta.smc_states semi join latest using (instrument, timeframe, closed_at)
            """,
            {"before": before},
        ).fetchall()
    found = {row[:2]: _standing(row) for row in rows}
    return [found.get(each[:2]) or first(each) for each in series]


def reached(connection: duckdb.DuckDBPyConnection, since: datetime | None) -> dict[tuple[str, str], Standing]:
    """The newest of each series, where that closes at or after `since`."""
    rows = connection.execute(
        f"""
        select {_COLUMNS} from meta.smc_states where closed_at >= $since
        qualify row_number() over (partition by instrument, timeframe order by closed_at desc) = 1
        """,
        {"since": since},
    ).fetchall()
    return {row[:2]: _standing(row) for row in rows}


def forget(connection: duckdb.DuckDBPyConnection, since: datetime | None, as_before: Sequence[AsBefore]) -> None:
    """Drop what has seen candles that close at or after `since`, but of series that are as before: note these."""
    with _bounds(connection, as_before):
        connection.execute("create or replace temp table smc_as_before as from bounds")
        connection.execute(
            "delete from meta.smc_states where closed_at >= $since"
            " and (instrument, timeframe) not in (select (instrument, timeframe) from bounds)",
            {"since": since},
        )


def noted(connection: duckdb.DuckDBPyConnection) -> list[AsBefore]:
    """The series that `forget` has spared in this build."""
    return [AsBefore(*row) for row in connection.execute("from temp.smc_as_before").fetchall()]


def keep(connection: duckdb.DuckDBPyConnection, standings: list[Standing]) -> None:
    """Add what a build came to, and drop what is too old for the next one."""
    saved = [(*each[:-1], save(each.state)) for each in standings]
    connection.register("standings", pl.DataFrame(saved, _SCHEMA, orient="row"))
    connection.execute(
        "insert into meta.smc_states by name select * exclude (opened_us, closed_us),"
        " make_timestamptz(opened_us) as opened_at, make_timestamptz(closed_us) as closed_at from standings"
    )
    connection.unregister("standings")
    connection.execute(
        f"""
        delete from meta.smc_states where rowid not in (
            select rowid from meta.smc_states
            qualify row_number() over (partition by instrument, timeframe order by candles desc) = 1
                or candles % {EVERY} = 0
                and candles > max(candles) over (partition by instrument, timeframe) // {EVERY} * {EVERY} - 2 * {EVERY}
        )
        """
    )


@contextmanager
def _bounds(connection: duckdb.DuckDBPyConnection, as_before: Sequence[AsBefore]) -> Iterator[None]:
    connection.register("bounds", frame_of(as_before))
    try:
        yield
    finally:
        connection.unregister("bounds")


def _standing(row: tuple[str, str, int, int, int, int, bytes]) -> Standing:
    instrument, timeframe, candles, opened_us, closed_us, told, state = row
    restored = restore(state, PARAMETERS, TIMEFRAME_US[timeframe])
    return Standing(instrument, timeframe, candles, opened_us, closed_us, told, restored)
