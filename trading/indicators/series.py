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


def calculate_all(needs: Iterable[Need], candles: Candles, newest: int | None = None) -> dict[str, Prices]:
    """Values of several indicators, as `calculate` gives those of one; of the `newest` candles alone where told.

    They are computed from the first candle on all the same, and are those of the whole, bit for bit.
    """
    size = len(candles.close)
    first = 0 if newest is None else max(size - newest, 0)
    stretches = [(begin, end) for begin, end in _stretches(candles) if end > first]
    values: dict[str, Prices] = {}
    for need in needs:
        values |= _between_gaps(need, candles, stretches, first)
    return values


def _between_gaps(need: Need, candles: Candles, stretches: list[tuple[int, int]], first: int) -> dict[str, Prices]:
    """Of the candles from the place `first` on."""
    values = {column: np.full(len(candles.close) - first, np.nan) for column in need.columns}
    for begin, end in stretches:
        told_from = max(begin + need.warm_up, first)
        if told_from >= end:
            continue
        outputs = _outputs(need, candles.between(begin, end), end - told_from)
        for column, output in zip(values.values(), outputs, strict=True):
            column[told_from - first : end - first] = output[len(output) - (end - told_from) :]
    return values


def _outputs(need: Need, stretch: Candles, newest: int) -> tuple[Prices, ...]:
    """At least of the newest candles of a stretch, before which the warm-up is over."""
    family = FAMILIES[need.name]
    outputs = family.calculate(stretch, *need.numbers)
    return outputs if family.finish is None else family.finish(*outputs, newest, *need.numbers)


def _stretches(candles: Candles) -> list[tuple[int, int]]:
    """Where each stretch without a long gap begins and ends."""
    missing = np.diff(candles.opened_us) // candles.candle_us - 1
    begins = [0, *(np.flatnonzero(missing > LONGEST_GAP) + 1).tolist()]
    return list(zip(begins, [*begins[1:], len(candles.close)], strict=True))
