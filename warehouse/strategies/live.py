"""A strategy at its closes, one after the other: candles in, the signals of that close out. No session uses it yet:
they read published signals. `slipway check` tries strategies with it.

What it holds is in memory: of each series the whole arrays that indicators are computed from, the state of its Smart
Money Concepts, and the rows of the declared lookback. The text of the strategy runs over those rows alone, in a
database in memory, and must say what it says over all of history (I32, I33).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import duckdb
import numpy as np
import polars as pl
from numpy.typing import NDArray

from trading.errors import InputUnusable
from trading.indicators.families import Candles
from trading.indicators.needs import Need
from trading.indicators.series import calculate_all
from trading.smc.fold import fold
from trading.smc.kernel import advance
from trading.smc.layout import ROW, Kernel, Records, Row, Series, State
from trading.smc.state import begin
from warehouse.features.indicators import TABLE as INDICATORS
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

    candles: pl.DataFrame  # the newest, as they were taken
    bars: Bars  # all of them: indicators are computed from the first candle on
    state: State
    rows: Records  # of `features.smc`, the newest ones
    indicators: dict[str, NDArray[np.float64]]  # the newest values


class LiveSignals:
    """Signals of one strategy, close by close. Made by `live_signals`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, strategy: Strategy, kernel: Kernel) -> None:
        assert strategy.header.lookback is not None  # the check of the text refuses `full`
        self._connection = connection
        self._strategy = strategy
        self._kernel = kernel
        # One candle more than the lookback: the last one known before a close, for an as-of join.
        self._kept = strategy.header.lookback + 2
        connection.execute("set threads = 1")  # the rows of a lookback are few: two would wait for one another
        self._held: dict[Key, Held] = {}
        for table, frame in OFFERED.items():
            connection.register(frame, NOTHING)
            connection.execute(f"create view {table} as select * from {frame}")

    def take(self, candles: pl.DataFrame) -> None:
        """Candles that have closed, with the columns of `marts.candles`; of each series later than those before.

        What is refused leaves everything as it was, so that the mended candles can be taken.

        Raises:
            InputUnusable: candles that contradict themselves, are there twice, or come too late; names the series.
        """
        newer = candles.sort("closed_at").partition_by("instrument", "timeframe", as_dict=True)
        held: dict[Key, Held] = {}
        # Prices become numbers where they do for all of history: another library may round the last bit otherwise.
        self._connection.register(OFFERED["marts.candles"], candles)
        for span, bars in read_bars(self._connection, series_in(self._connection)):
            key = (span.instrument, span.timeframe)
            self._refuse_unusable(key, bars)
            held[key] = self._grown(key, newer[key], bars)
        self._held |= held

    def signals(self) -> pl.DataFrame:
        """The signals of the newest close that was taken, as the file gives them."""
        candles = pl.concat(held.candles for held in self._held.values())
        newest = candles["closed_at"].max()
        keys = candles.select("instrument", "timeframe", "closed_at")
        self._connection.register(OFFERED["marts.candles"], candles)
        self._connection.register(OFFERED[INDICATORS], self._indicators(keys))
        if self._strategy.reads_smc:
            self._connection.register(OFFERED[SMC], self._smc(keys))
        run_with_parameters_set(self._connection, self._strategy)
        return self._connection.execute(f"select * from {SIGNALS} where closed_at = ?", [newest]).pl()

    def _refuse_unusable(self, key: Key, bars: Bars) -> None:
        if not is_sound(bars).all():
            raise InputUnusable(f"{' '.join(key)}: a candle contradicts itself: mend or leave it out.")
        before = self._held[key].bars.opened_us[-1:] if key in self._held else bars.opened_us[:0]
        if (np.diff(np.append(before, bars.opened_us)) <= 0).any():
            raise InputUnusable(f"{' '.join(key)}: a candle comes too late, or a second time.")

    def _grown(self, key: Key, candles: pl.DataFrame, new: Bars) -> Held:
        before = self._held.get(key)
        candles = pl.concat([before.candles, candles]) if before else candles
        bars = Bars._make(np.append(*columns) for columns in zip(before.bars, new, strict=True)) if before else new
        state = before.state if before else begin(PARAMETERS, TIMEFRAME_US[key[1]])
        rows = before.rows if before else np.empty(0, ROW)
        if self._strategy.reads_smc:
            series = Series(new.opened_us, new.open, new.high, new.low, new.close, new.volume)
            folded = fold(state, series, self._kernel)
            state, rows = folded.state, np.concatenate([rows, folded.rows])[-self._kept :]
        return Held(
            candles.tail(self._kept), bars, state, rows, _values(self._strategy.needs, bars, key[1], self._kept)
        )

    def _indicators(self, keys: pl.DataFrame) -> pl.DataFrame:
        columns = {
            column: np.concatenate([held.indicators[column] for held in self._held.values()])
            for need in self._strategy.needs
            for column in need.columns
        }
        known = keys.with_columns(pl.col("closed_at").alias("known_at"))
        return known.with_columns(pl.DataFrame(columns, nan_to_null=True))

    def _smc(self, keys: pl.DataFrame) -> pl.DataFrame:
        rows = np.concatenate([held.rows for held in self._held.values()])
        return keys.with_columns(frame_of(rows, Row))


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


def _values(needs: Sequence[Need], bars: Bars, timeframe: str, kept: int) -> dict[str, NDArray[np.float64]]:
    candles = Candles(bars.opened_us, bars.high, bars.low, bars.close, bars.volume, TIMEFRAME_US[timeframe])
    return {column: values[-kept:] for column, values in calculate_all(needs, candles).items()}
