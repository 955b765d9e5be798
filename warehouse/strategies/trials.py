"""Strategies tried on candles: is a signal the same whatever comes later, and wherever history begins.

The text of a strategy is read first (`warehouse.grammar.lint`). What that can't see shows here.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import duckdb
import polars as pl

from trading.smc.kernel import advance
from trading.smc.layout import Kernel
from warehouse.features.indicators import TABLE as INDICATORS
from warehouse.features.indicators import write_indicators
from warehouse.features.smc import TABLE as SMC
from warehouse.features.smc import write_smc
from warehouse.schema import TIMEFRAME_US
from warehouse.strategies.contract import KEY
from warehouse.strategies.live import live_signals
from warehouse.strategies.loading import Strategy
from warehouse.strategies.running import SIGNALS, run_text, scratch

LEAST_SETTLING = 2_000  # candles: a zone that price left long ago may matter once more
TIMES_WARM_UP = 10  # after that many times its warm-up a smoothed average has forgotten its seed to 1e-4 and better
SAME_WITHIN = 1e-4  # relative, of a number
ONLY_BY_THEN, ONLY_LATER = "only by then", "only later"


class Offence(NamedTuple):
    """Where two runs of a strategy first disagree."""

    column: str  # of the signals; "the signal itself" when only one run has it
    instrument: str
    timeframe: str
    closed_at: datetime
    cut_at: datetime  # what was varied: the last candle, or the first, of the shorter run
    there: object  # by the shorter run
    otherwise: object  # by the longer one


def look_ahead_offenders(
    strategy: Strategy, candles: pl.DataFrame, cuts: Iterable[datetime], kernel: Kernel = advance
) -> pl.DataFrame:
    """Signals that change when later candles arrive: none, for an honest strategy (I32).

    For each cut the strategy runs on the candles that have closed by then, and on all. What was known by the cut
    must be the same. `candles` has the columns of `marts.candles`; `kernel` folds Smart Money Concepts.

    Returns:
        The rows that differ, with `cut_at`, and `seen`: "only by then" or "only later".
    """
    with scratch() as connection:
        _land_candles(connection, candles)
        whole = _signals_of(connection, strategy, "true", kernel)
        trials = [
            _difference(
                _signals_of(connection, strategy, f"closed_at <= '{cut}'", kernel),
                whole,
                cut,
                pl.col("known_at") <= cut,
            )
            for cut in cuts
        ]
    return pl.concat(trials)


def lookback_offenders(
    strategy: Strategy, candles: pl.DataFrame, cuts: Iterable[datetime], kernel: Kernel = advance
) -> pl.DataFrame:
    """Signals that come out differently at a live close, from the candles of the declared lookback alone (I33).

    Compared are the signals that close exactly at a cut; result as above.
    """
    whole = signals_of(strategy, candles, kernel)
    trials = []
    for cut in cuts:
        with live_signals(strategy, candles.filter(pl.col("closed_at") < cut), kernel) as live:
            live.take(candles.filter(pl.col("closed_at") == cut))
            trials.append(_difference(live.signals(), whole, cut, pl.col("closed_at") == cut))
    return pl.concat(trials)


def warm_up_offenders(
    strategy: Strategy, candles: pl.DataFrame, starts: Iterable[datetime], kernel: Kernel = advance
) -> pl.DataFrame:
    """Signals that are not the same, to one in ten thousand, when history begins later: `starts`, as opens.

    They are the opens of the shortest timeframe. Compared is from `settling(strategy)` candles of it after a start. A
    longer timeframe begins so much earlier that it has as many by then, or begins where it does; result as above.
    """
    with scratch() as connection:
        _land_candles(connection, candles)
        whole = _signals_of(connection, strategy, "true", kernel)
        trials = []
        for start in starts:
            settled = _settled(connection, start, settling(strategy))
            late = _signals_of(connection, strategy, _begun_later(settled, start, settling(strategy)), kernel)
            trials.append(_beyond_tolerance(_since(late, settled), _since(whole, settled), start))
    return pl.concat(trials)


def signals_of(strategy: Strategy, candles: pl.DataFrame, kernel: Kernel = advance) -> pl.DataFrame:
    """What the strategy says of all of `candles`."""
    with scratch() as connection:
        _land_candles(connection, candles)
        return _signals_of(connection, strategy, "true", kernel)


def settling(strategy: Strategy) -> int:
    """Candles after which the beginning of a series no longer matters."""
    longest = max((need.warm_up for need in strategy.needs), default=0) + (strategy.header.lookback or 0) + 1
    return max(LEAST_SETTLING, TIMES_WARM_UP * longest)


def shortest(timeframes: Iterable[str]) -> str:
    """The one with the shortest candles."""
    return min(timeframes, key=TIMEFRAME_US.__getitem__)


def first_offence(offenders: pl.DataFrame) -> Offence | None:
    """The earliest of the rows that differ, and the first column in which they do; None when there are none."""
    if offenders.is_empty():
        return None
    first = offenders.sort("closed_at", "instrument", "timeframe", "cut_at").row(0, named=True)
    same = [pl.col(name) == first[name] for name in (*KEY, "cut_at")]
    by_seen = {row["seen"]: row for row in offenders.filter(*same).to_dicts()}
    there, otherwise = by_seen.get(ONLY_BY_THEN), by_seen.get(ONLY_LATER)
    place = (first["instrument"], first["timeframe"], first["closed_at"], first["cut_at"])
    if there is None or otherwise is None:
        return Offence("the signal itself", *place, _whether(there), _whether(otherwise))
    differing = [name for name in there if name != "seen" and there[name] != otherwise[name]]
    column = next((name for name in differing if not _is_near(there[name], otherwise[name])), differing[0])
    return Offence(column, *place, there[column], otherwise[column])


def _is_near(one: object, other: object) -> bool:
    return isinstance(one, float) and isinstance(other, float) and abs(one - other) <= SAME_WITHIN * abs(other)


def _whether(row: object) -> str:
    return "no signal" if row is None else "a signal"


def _land_candles(connection: duckdb.DuckDBPyConnection, candles: pl.DataFrame) -> None:
    connection.register("given", candles)
    connection.execute("create table main.candles as select * from given")
    connection.unregister("given")


def _signals_of(
    connection: duckdb.DuckDBPyConnection, strategy: Strategy, condition: str, kernel: Kernel
) -> pl.DataFrame:
    connection.execute(f"create or replace view marts.candles as select * from main.candles where {condition}")
    write_indicators(connection, INDICATORS, strategy.needs)
    if strategy.reads_smc:
        write_smc(connection, SMC, kernel)
    run_text(connection, strategy)
    return connection.execute(f"select * from {SIGNALS}").pl()


def _difference(one: pl.DataFrame, other: pl.DataFrame, cut: datetime, compared: pl.Expr) -> pl.DataFrame:
    one, other = one.filter(compared), other.filter(compared)
    sides = [
        one.join(other, on=one.columns, how="anti", nulls_equal=True).with_columns(seen=pl.lit(ONLY_BY_THEN)),
        other.join(one, on=one.columns, how="anti", nulls_equal=True).with_columns(seen=pl.lit(ONLY_LATER)),
    ]
    return pl.concat(sides).with_columns(cut_at=pl.lit(cut))


def _settled(connection: duckdb.DuckDBPyConnection, start: datetime, candles: int) -> datetime:
    """The close by which each series of the shortest timeframe has so many candles after `start`, if it ever has."""
    timeframes = connection.execute("select distinct timeframe from main.candles").fetchall()
    row = connection.execute(
        f"""
        with counted as (
            select instrument, list_max(min(closed_at, {candles})) as settled_at
            from main.candles where opened_at >= $start and timeframe = $shortest
            group by all having count(*) >= {candles}
        )
        select max(settled_at) from counted
        """,
        {"start": start, "shortest": shortest(names for (names,) in timeframes)},
    ).fetchone()
    assert row is not None
    return row[0] or datetime.max.replace(tzinfo=UTC)


def _begun_later(settled: datetime, start: datetime, candles: int) -> str:
    """Which candles there are: of each timeframe about so many before `settled`, of the shortest those from `start`."""
    begins = {name: settled - timedelta(microseconds=candles * us) for name, us in TIMEFRAME_US.items()}
    cases = " ".join(f"when '{name}' then '{min(begin, start)}'::timestamptz" for name, begin in begins.items())
    return f"opened_at >= case timeframe {cases} end"


def _since(signals: pl.DataFrame, settled: datetime) -> pl.DataFrame:
    return signals.filter(pl.col("closed_at") >= settled)


def _beyond_tolerance(late: pl.DataFrame, whole: pl.DataFrame, start: datetime) -> pl.DataFrame:
    """Rows of one run that the other has not, or has with numbers further apart than is allowed."""
    numbers = [name for name, kind in whole.schema.items() if kind.is_numeric()]
    others = [name for name in whole.columns if name not in numbers]
    pairs = late.join(whole, on=others, how="inner", nulls_equal=True, suffix="_of_whole")
    near = [
        (pl.col(name) - pl.col(f"{name}_of_whole")).abs() <= SAME_WITHIN * pl.col(f"{name}_of_whole").abs()
        for name in numbers
    ]
    absent = [pl.col(name).is_null() & pl.col(f"{name}_of_whole").is_null() for name in numbers]
    same = pairs.filter(*(one | other for one, other in zip(near, absent, strict=True))).select(others)
    sides = (
        side.join(same, on=others, how="anti", nulls_equal=True).with_columns(seen=pl.lit(seen))
        for side, seen in ((late, ONLY_BY_THEN), (whole, ONLY_LATER))
    )
    return pl.concat(sides).with_columns(cut_at=pl.lit(start))
