"""A strategy at its closes, one after the other: candles in, the signals of that close out. No session uses it yet:
they read published signals. `slipway check` tries strategies with it.

What it holds is in memory: of each series the whole arrays that indicators are computed from, the state of its Smart
Money Concepts, and the rows of the declared lookback. The text of the strategy runs over those rows alone, in a
database in memory, and must say what it says over all of history (I32, I33).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import duckdb
import numpy as np
import polars as pl
from numpy.typing import NDArray

from trading.errors import InputUnusable
from trading.indicators.families import Candles
from trading.indicators.series import calculate_all
from trading.smc.fold import fold
from trading.smc.kernel import advance
from trading.smc.layout import ROW, Kernel, Records, Row, Series, State, copied, joined
from trading.smc.state import begin
from warehouse.features.indicators import TABLE as INDICATORS
from warehouse.features.rows import MOMENT
from warehouse.features.series import Bars, is_sound, read_bars, series_in
from warehouse.features.smc import TABLE as SMC
from warehouse.features.smc import frame_of
from warehouse.features.states import PARAMETERS
from warehouse.grammar.parameters import parameters_set
from warehouse.schema import TIMEFRAME_US
from warehouse.strategies.loading import Strategy
from warehouse.strategies.running import SIGNALS, run_with_parameters_set, scratch

Key = tuple[str, str]  # instrument, timeframe
NOTHING = pl.DataFrame({"nothing": []})
# What the strategy calls them, and the frames that lie behind the names.
OFFERED = {"marts.candles": "offered_candles", INDICATORS: "offered_indicators", SMC: "offered_smc"}


class Held(NamedTuple):
    """What is held of one series."""

    candles: Candles  # all of them: indicators are computed from the first candle on
    state: State


class Told(NamedTuple):
    """What is told of new candles of one series, the newest ones."""

    key: Key
    closed_us: NDArray[np.int64]
    indicators: dict[str, NDArray[np.float64]]
    rows: Records  # of `features.smc`


class LiveSignals:
    """Signals of one strategy, close by close. Made by `live_signals`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, strategy: Strategy, kernel: Kernel) -> None:
        assert strategy.header.lookback is not None  # the check of the text refuses `full`
        self._connection = connection
        self._strategy = strategy
        self._needs = strategy.needs
        self._kernel = kernel
        # One candle more than the lookback: the last one known before a close, for an as-of join.
        self._kept = strategy.header.lookback + 2
        connection.execute("set threads = 1")  # the rows of a lookback are few: two would wait for one another
        self._held: dict[Key, Held] = {}
        self._rows: dict[str, pl.DataFrame] = {}  # the newest of each series, by table
        for table, frame in OFFERED.items():
            connection.register(frame, NOTHING)
            connection.execute(f"create view {table} as select * from {frame}")

    def take(self, candles: pl.DataFrame) -> None:
        """Candles that have closed, with the columns of `marts.candles`; of each series later than those before.

        What is refused leaves everything as it was, so that the mended candles can be taken.

        Raises:
            InputUnusable: candles that contradict themselves, are there twice, or come too late; names the series.
        """
        held: dict[Key, Held] = {}
        told: list[Told] = []
        # Prices become numbers where they do for all of history: another library may round the last bit otherwise.
        self._connection.register(OFFERED["marts.candles"], candles)
        for span, bars in read_bars(self._connection, series_in(self._connection)):
            key = (span.instrument, span.timeframe)
            self._refuse_unusable(key, bars)
            held[key], news = self._grown(key, bars)
            told.append(news)
        if not told:
            return
        self._rows = {table: self._newest(table, rows) for table, rows in self._new_rows(candles, told).items()}
        self._held |= held

    def signals(self) -> pl.DataFrame:
        """The signals of the newest close that was taken, as the file gives them.

        Raises:
            InputUnusable: no candle was taken yet.
        """
        if not self._held:
            raise InputUnusable("There are no candles yet: a strategy lives on those that have closed.")
        for table, rows in self._rows.items():
            self._connection.register(OFFERED[table], rows)
        run_with_parameters_set(self._connection, self._strategy)
        newest = self._rows["marts.candles"]["closed_at"].max()
        return self._connection.execute(f"select * from {SIGNALS} where closed_at = ?", [newest]).pl()

    def _refuse_unusable(self, key: Key, bars: Bars) -> None:
        if not is_sound(bars).all():
            raise InputUnusable(f"{' '.join(key)}: a candle contradicts itself: mend or leave it out.")
        before = self._held[key].candles.opened_us[-1:] if key in self._held else bars.opened_us[:0]
        if (np.diff(np.append(before, bars.opened_us)) <= 0).any():
            raise InputUnusable(f"{' '.join(key)}: a candle comes too late, or a second time.")

    def _grown(self, key: Key, bars: Bars) -> tuple[Held, Told]:
        candle_us = TIMEFRAME_US[key[1]]
        candles = Candles(bars.opened_us, bars.high, bars.low, bars.close, bars.volume, candle_us)
        before = self._held.get(key)
        candles = before.candles.followed_by(candles) if before else candles
        state = before.state if before else begin(PARAMETERS, candle_us)
        rows = np.empty(0, ROW)
        if self._strategy.reads_smc:
            series = Series(bars.opened_us, bars.open, bars.high, bars.low, bars.close, bars.volume)
            state, rows, _ = fold(state, series, self._kernel)
        newest = min(len(bars.close), self._kept)
        indicators = calculate_all(self._needs, candles, newest)
        return Held(candles, state), Told(key, bars.closed_us[-newest:], indicators, copied(rows[-newest:]))

    def _new_rows(self, candles: pl.DataFrame, told: list[Told]) -> dict[str, pl.DataFrame]:
        """By table, the rows of the newest of new candles."""
        sizes = [len(news.closed_us) for news in told]
        keys = pl.DataFrame(
            {
                "instrument": np.repeat([news.key[0] for news in told], sizes),
                "timeframe": np.repeat([news.key[1] for news in told], sizes),
                "closed_at": np.concatenate([news.closed_us for news in told]),
            }
        ).with_columns(pl.col("closed_at").cast(MOMENT))
        columns = {
            column: np.concatenate([news.indicators[column] for news in told])
            for need in self._needs
            for column in need.columns
        }
        known = keys.with_columns(pl.col("closed_at").alias("known_at"))
        rows = {
            "marts.candles": candles.sort("closed_at"),
            INDICATORS: known.with_columns(pl.DataFrame(columns, nan_to_null=True)),
        }
        if self._strategy.reads_smc:
            rows[SMC] = keys.with_columns(frame_of(joined([news.rows for news in told]), Row))
        return rows

    def _newest(self, table: str, rows: pl.DataFrame) -> pl.DataFrame:
        """Of each series those kept, after those before them."""
        together = pl.concat([self._rows[table], rows]) if table in self._rows else rows
        age = pl.col("closed_at").cum_count(reverse=True).over("instrument", "timeframe")
        return together.filter(age <= self._kept).rechunk()


@contextmanager
def live_signals(strategy: Strategy, candles: pl.DataFrame, kernel: Kernel = advance) -> Iterator[LiveSignals]:
    """A strategy that has taken `candles`, all of history until now. `kernel` folds Smart Money Concepts.

    Raises:
        InputUnusable: as `LiveSignals.take`.
    """
    with scratch() as connection, parameters_set(connection, strategy.values):
        live = LiveSignals(connection, strategy, kernel)
        live.take(candles)
        yield live
