# mypy: ignore-errors
"""No engine at all: the loop of `benchmarks/engine.py`, interpreted, on lists of floats."""

import platform

from shared import market, say, timed

from benchmarks.engine import hand_written


class Floats(list):
    """A list that says its size as an array does."""

    size = property(len)


given = market()
columns = [Floats(getattr(given, name).tolist()) for name in ("open", "high", "low", "close")]
seconds, (trades, final_usd) = timed(lambda: hand_written(*columns))
say(platform.python_version(), seconds, trades, final_usd)
