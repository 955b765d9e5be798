"""Every strategy at every close of the sample: its lookback alone gives the signals of all history (I32, I33).

A close is a world of its own: the rows that a live process holds then, under an instrument's name that has the close in
it. So one run of a file lives through many closes. That features do not hang on what comes later is shown elsewhere.
"""

from pathlib import Path

import polars as pl
import pytest
from doses import dose
from hypothesis import settings

from warehouse.features.indicators import write_indicators
from warehouse.features.smc import write_smc
from warehouse.strategies.loading import load_strategy
from warehouse.strategies.running import run_text, scratch

STRATEGIES = sorted((Path(__file__).resolve().parents[2] / "sql" / "marts").glob("signals_*.sql"))
AT_ONCE = 200  # closes in one run
FEW = 12  # runs, spread over the sample; `make test-deep` lives through all of it
HELD = ("marts.candles", "features.indicators", "features.smc")


@pytest.fixture(scope="module", params=STRATEGIES, ids=lambda path: path.stem)
def strategy(request):
    return load_strategy(request.param)


@pytest.fixture(scope="module")
def history(strategy, candles, kernel):
    """All rows, each with its number in its series, and the signals of all history."""
    with scratch() as connection:
        connection.register("given", candles)
        connection.execute("create table marts.candles as from given")
        write_indicators(connection, "features.indicators", strategy.needs)
        write_smc(connection, "features.smc", kernel)
        run_text(connection, strategy)
        connection.execute("create table main.expected as from temp.signals")
        for table in HELD:
            connection.execute(
                f"create table main.{table.partition('.')[2]} as select *, row_number() over (partition by instrument,"
                f" timeframe order by closed_at) as number from {table}"
            )
            connection.execute(f"drop table {table}")
        yield connection


def live_through(connection, strategy, closes):
    """What the strategy says at each of these closes, by the rows that are held then."""
    connection.register("lived", pl.DataFrame({"close_at": closes}))
    kept = strategy.header.lookback + 2
    connection.execute(
        f"""
        create or replace table main.worlds as
        with newest as (
            select close_at, instrument, timeframe, max_by(number, closed_at) as newest
            from lived join main.candles on closed_at <= close_at group by all
        )
        select close_at, instrument, timeframe, unnest(range(greatest(newest - {kept}, 0) + 1, newest + 1)) as number
        from newest
        """
    )
    for table in HELD:
        connection.execute(
            f"create or replace table {table} as select rows.* exclude (number) replace"
            f" (instrument || '@' || epoch_us(close_at) as instrument)"
            f" from main.worlds join main.{table.partition('.')[2]} as rows using (instrument, timeframe, number)"
        )
    run_text(connection, strategy)
    told = "replace (split_part(instrument, '@', 1) as instrument)"
    return connection.execute(
        f"select * {told} from temp.signals where epoch_us(closed_at) = split_part(instrument, '@', 2)::bigint"
        " order by closed_at, instrument, timeframe"
    ).pl()


def test_every_close_gives_the_rows_of_all_history(strategy, history, candles):
    closes = candles.filter(timeframe="15m")["closed_at"].unique().sort()
    pieces = [closes[start : start + AT_ONCE] for start in range(0, len(closes), AT_ONCE)]
    step = max(len(pieces) // dose(FEW, settings.get_current_profile_name()), 1)
    signals = 0
    for piece in pieces[::-step]:
        expected = history.execute(
            "select * from main.expected where closed_at between ? and ? order by closed_at, instrument, timeframe",
            [piece[0], piece[-1]],
        ).pl()
        told = live_through(history, strategy, piece)
        assert told.filter(pl.col("closed_at").is_in(piece.implode())).equals(expected)
        signals += len(expected)
    assert signals > 0
