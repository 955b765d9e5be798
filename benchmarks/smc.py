"""Smart Money Concepts beside the Python package smartmoneyconcepts, on the same candles, one core.

Ours is one fold for everything; theirs is all of its functions, one after the other, each given what it needs. Both are
loaded and compiled before, and judged by processor time. Theirs grows faster than the candles do, so it is measured
where its users would have given up, at 100k; ours once more at a million, which has to cost ten times as much, and for
a single candle at a close. The package prints a line when it is imported unless it is asked not to.
"""

import importlib
import os
from typing import Any

import pandas as pd

from benchmarks.engine import CANDLE_US, processor_seconds, random_walk
from benchmarks.table import Row, against, alone, at_least
from config.settings import load_settings
from exchange.compiling import compiled
from trading.smc.fold import fold, step
from trading.smc.kernel import advance
from trading.smc.layout import Candle, Kernel, Series
from trading.smc.parameters import Parameters
from trading.smc.state import begin

CANDLES, MANY = 100_000, 1_000_000
SWING_LENGTH = 10
SESSION = "London"
PARAMETERS = Parameters(swing_before=SWING_LENGTH, swing_after=SWING_LENGTH)
ROUNDS, STEPS = 5, 1_000
LOWEST_FACTOR = 100
HIGHEST_GROWTH = 2.0  # a row of a million, in rows of a hundred thousand: caches and new pages make it more than 1
HIGHEST_ROW_US, HIGHEST_STEP_US = 1.0, 100.0


def measure() -> list[Row]:
    """Fold against the package, a row of many against a row of few, and a step."""
    kernel = compiled(advance, load_settings().paths.state / "numba")
    many = series(MANY)
    few = Series._make(column[:CANDLES] for column in many)
    step_s = min(seconds_of_steps(few, kernel) for _ in range(ROUNDS)) / STEPS
    few_s = min(seconds_of_fold(few, kernel) for _ in range(ROUNDS))
    many_s = min(seconds_of_fold(many, kernel) for _ in range(ROUNDS))
    package_s, row_us = seconds_of_package(few), few_s / CANDLES * 1e6
    return [
        at_least("smc, times as fast as smartmoneyconcepts, 100k candles", package_s / few_s, "x", LOWEST_FACTOR),
        alone("smartmoneyconcepts, 100k candles", package_s, "s"),
        alone("smc, 100k candles", few_s, "s"),
        against("smc, a row of 1M candles, and one of 100k", many_s / MANY * 1e6, row_us, "µs", HIGHEST_GROWTH),
        alone("smc, a row", row_us, "µs", HIGHEST_ROW_US),
        alone("smc, a step at a close", step_s * 1e6, "µs", HIGHEST_STEP_US),
    ]


def series(candles: int) -> Series:
    """The engine's random walk, in whole ticks, which has equal highs."""
    opened, high, low, close = random_walk(candles)
    opened_at = pd.RangeIndex(1, candles + 1).to_numpy() * CANDLE_US
    return Series(opened_at, opened, high, low, close, high - low)


def seconds_of_fold(candles: Series, kernel: Kernel) -> float:
    """Processor time from arrays to rows and zones."""
    return processor_seconds(lambda: fold(begin(PARAMETERS, CANDLE_US), candles, kernel))


def seconds_of_steps(candles: Series, kernel: Kernel) -> float:
    """Processor time of `STEPS` candles, one by one, behind a state that has seen as many."""
    state = fold(begin(PARAMETERS, CANDLE_US), Series._make(column[:STEPS] for column in candles), kernel).state
    closes = [
        Candle(int(opened_at), int(opened_at) + CANDLE_US, *map(float, prices))
        for opened_at, *prices in zip(*(column[STEPS : 2 * STEPS] for column in candles), strict=True)
    ]

    def live() -> None:
        now = state
        for candle in closes:
            now = step(now, candle, kernel).state

    return processor_seconds(live)


def seconds_of_package(candles: Series) -> float:
    """Processor time of all that the package can tell of the same candles."""
    os.environ.setdefault("SMC_CREDIT", "0")
    smc = importlib.import_module("smartmoneyconcepts").smc
    frame = pd.DataFrame(dict(zip(candles._fields[1:], candles[1:], strict=True)))
    frame.index = pd.DatetimeIndex(candles.opened_at.astype("datetime64[us]"))
    all_of_it(smc, frame[:1_000])  # what it compiles, it compiles here
    return processor_seconds(lambda: all_of_it(smc, frame))


def all_of_it(smc: Any, frame: pd.DataFrame) -> None:
    """Every function once; swings are found once and handed on."""
    swings = smc.swing_highs_lows(frame, swing_length=SWING_LENGTH)
    smc.fvg(frame)
    for function in (smc.bos_choch, smc.ob, smc.liquidity, smc.retracements):
        function(frame, swings)
    for span in ("1D", "1W"):
        smc.previous_high_low(frame, span)
    smc.sessions(frame, SESSION)
