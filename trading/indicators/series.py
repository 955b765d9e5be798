"""Values of indicators over a whole series, from its first candle on.

Each depends on its own past, so it is computed from the anchor every time, never from a window: what is added later
can't change what stood before, and live equals backtest bit for bit (I32, I33). Before its warm-up is over an indicator
says nothing, NaN here and NULL in tables. After a long gap the series starts anew, warm-up and all: an average over
candles from before and after a week of silence is the average of nothing.
"""

from collections.abc import Iterable

import numpy as np

from trading.indicators.families import FAMILIES, Candles, Prices
from trading.indicators.needs import Need

LONGEST_GAP = 96  # missing candles in a row; with more of them a series starts anew


def calculate(need: Need, candles: Candles) -> dict[str, Prices]:
    """Values of one indicator at every candle, by column; NaN while it warms up."""
    return calculate_all((need,), candles)


def calculate_all(needs: Iterable[Need], candles: Candles) -> dict[str, Prices]:
    """Values of several indicators, as `calculate` gives those of one."""
    stretches = _stretches(candles)
    values: dict[str, Prices] = {}
    for need in needs:
        values |= _between_gaps(need, candles, stretches)
    return values


def _between_gaps(need: Need, candles: Candles, stretches: list[tuple[int, int]]) -> dict[str, Prices]:
    values = {column: np.full(len(candles.close), np.nan) for column in need.columns}
    for begin, end in stretches:
        if end - begin <= need.warm_up:
            continue
        outputs = FAMILIES[need.name].calculate(candles.between(begin, end), *need.numbers)
        for column, output in zip(values.values(), outputs, strict=True):
            column[begin + need.warm_up : end] = output[need.warm_up :]
    return values


def _stretches(candles: Candles) -> list[tuple[int, int]]:
    """Where each stretch without a long gap begins and ends."""
    missing = np.diff(candles.opened_us) // candles.candle_us - 1
    begins = [0, *(np.flatnonzero(missing > LONGEST_GAP) + 1).tolist()]
    return list(zip(begins, [*begins[1:], len(candles.close)], strict=True))
