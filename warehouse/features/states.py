"""`meta.smc_states`: where the folds of Smart Money Concepts stand, so that a build goes on instead of beginning again.

A cache, and nothing else: without a state a series is folded from its first candle, and comes to the same bit for bit.
Of each series it has the newest state, which the next candle follows, and those at the last two multiples of `EVERY`
candles, which a candle follows that came a day late. `forget` is called with what changed before anything goes on.
"""

from datetime import datetime
from typing import NamedTuple

import duckdb
import polars as pl

from trading.indicators.series import LONGEST_GAP
from trading.smc.layout import State
from trading.smc.parameters import Parameters
from trading.smc.state import begin, restore, save
from warehouse.features.series import FROM_THE_FIRST, Span
from warehouse.schema import TIMEFRAME_US

EVERY = 96  # candles: a day of 15m
PARAMETERS = Parameters(restart_after=LONGEST_GAP)

_TABLE = """
    create table if not exists meta.smc_states (
        instrument varchar not null, timeframe varchar not null, closed_at timestamptz not null,
        opened_at timestamptz not null, candles bigint not null, state blob not null
    )
"""
_SCHEMA = {
    "instrument": pl.String,
    "timeframe": pl.String,
    "candles": pl.Int64,
    "opened_us": pl.Int64,
    "closed_us": pl.Int64,
    "state": pl.Binary,
}


class Standing(NamedTuple):
    """How far a series is folded."""

    instrument: str
    timeframe: str
    candles: int  # folded so far
    opened_us: int  # of the last of them; -1 before the first
    closed_us: int
    state: State


def first(series: Span) -> Standing:
    """A series before its first candle."""
    state = begin(PARAMETERS, TIMEFRAME_US[series.timeframe])
    return Standing(series.instrument, series.timeframe, 0, FROM_THE_FIRST, FROM_THE_FIRST, state)


def forget(connection: duckdb.DuckDBPyConnection, since: datetime | None) -> None:
    """Drop what has seen candles that close at or after `since`; None: everything."""
    connection.execute("create schema if not exists meta")
    connection.execute(_TABLE)
    connection.execute("delete from meta.smc_states where $since is null or closed_at >= $since", {"since": since})


def newest(connection: duckdb.DuckDBPyConnection, series: list[Span], before: datetime | None = None) -> list[Standing]:
    """The newest of each series that closes before a time, in their order; the first where there is none."""
    rows = connection.execute(
        """
        select instrument, timeframe, candles, epoch_us(opened_at), epoch_us(closed_at), state from meta.smc_states
        where $before is null or closed_at < $before
        qualify row_number() over (partition by instrument, timeframe order by closed_at desc) = 1
        """,
        {"before": before},
    ).fetchall()
    found = {row[:2]: row for row in rows}
    return [_standing(found[each[:2]]) if each[:2] in found else first(each) for each in series]


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


def _standing(row: tuple[str, str, int, int, int, bytes]) -> Standing:
    instrument, timeframe, candles, opened_us, closed_us, state = row
    restored = restore(state, PARAMETERS, TIMEFRAME_US[timeframe])
    return Standing(instrument, timeframe, candles, opened_us, closed_us, restored)
