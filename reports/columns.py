"""Columns as compact JSON: whole numbers, each the difference to the row before. Decoding gives back every bit.

`decode` in `page/columns.js` is the other half: value[i] = (steps[0] + … + steps[i]) * unit / scale.
"""

import math
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

Column = dict[str, Any]

MOST_PLACES = 10  # coins below a cent have up to ten decimals
LARGEST_EXACT = 2**53  # JavaScript's whole numbers end here


def moments(values: pl.Series) -> Column:
    """Seconds since 1970 UTC, exact to the microsecond."""
    return _steps(values.dt.epoch("us").to_numpy(), scale=1_000_000)


def numbers(values: pl.Series) -> Column:
    """Decimals as whole numbers where ten places hold them, else the shortest text of each float. Null stays null."""
    known = values.drop_nulls().drop_nans().cast(pl.Float64)
    places = places_of(known.to_numpy())
    if places is None:
        return {"values": [None if value is None or math.isnan(value) else value for value in values.to_list()]}
    column = _steps(np.rint(known.to_numpy() * 10.0**places).astype(np.int64), scale=10**places)
    if known.len() < values.len():
        steps = iter(column["steps"])
        missing = (values.is_null() | values.cast(pl.Float64).is_nan().fill_null(value=True)).to_list()
        column["steps"] = [None if gone else next(steps) for gone in missing]
    return column


def places_of(values: NDArray[np.float64]) -> int | None:
    """Fewest decimals that give back every value bit by bit, or None if `MOST_PLACES` don't."""
    for places in range(MOST_PLACES + 1):
        scaled = np.rint(values * 10.0**places)
        if (np.abs(scaled) >= LARGEST_EXACT).any():
            return None
        if (scaled / 10.0**places == values).all():
            return places
    return None


def _steps(values: NDArray[np.int64], scale: int) -> Column:
    unit = max(int(np.gcd.reduce(values)), 1) if values.size else 1
    return {"scale": scale, "unit": unit, "steps": np.diff(values // unit, prepend=0).tolist()}
