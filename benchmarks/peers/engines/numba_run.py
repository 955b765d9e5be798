# mypy: ignore-errors
"""No engine at all: the loop of `benchmarks/engine.py`, compiled by numba. The fastest of five calls counts."""

import numba
from shared import market, say, timed

from benchmarks.engine import hand_written

given = market()
columns = [getattr(given, name) for name in ("open", "high", "low", "close")]
loop = numba.njit(hand_written)
loop(*columns)
seconds, (trades, final_usd) = min(timed(lambda: loop(*columns)) for _ in range(5))
say(numba.__version__, seconds, trades, final_usd)
