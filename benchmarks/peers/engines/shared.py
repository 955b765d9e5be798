"""What each engine is given and what it says. Standard library and numpy: all that every environment has.

A script beside this one is started as `python SCRIPT MARKET.npz CANDLES [SETS]`, in the environment of its engine.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

STOP, TARGET = 2.0, 4.0  # times ATR(14), from the entry
FEE, SLIPPAGE = 0.0005, 0.0001
RISK, MOST_NOTIONAL = 0.01, 1.0  # of equity
CASH_USD = 100_000_000.0
WARM = 50


class Market(NamedTuple):
    """Columns of one length: seconds since 1970, USD, and what the strategy says at each close."""

    opened_s: np.ndarray
    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    volume: np.ndarray
    side: np.ndarray  # 1 the fast average crosses up, -1 down, 0 neither
    atr: np.ndarray


def market() -> Market:
    """The first so many candles of the file, as the command line says."""
    with np.load(sys.argv[1]) as file:
        return Market(*(file[name][: int(sys.argv[2])] for name in Market._fields))


def sets() -> list[tuple[float, float]]:
    """Stop and target of a sweep, in ATR: the first so many of 1,000, as the command line says; else none."""
    everything = [(stop / 10, target / 4) for stop in range(5, 45) for target in range(4, 29)]
    return everything[: int(sys.argv[3])] if sys.argv[3:] else []


def timed(run: Callable[[], object]) -> tuple[float, object]:
    """Processor time of a call, and what it gave."""
    began = time.process_time()
    result = run()
    return time.process_time() - began, result


def say(version: str, seconds: float, trades: int, final_usd: float) -> None:
    """One line of JSON: what the engine took, and what it came to."""
    print(json.dumps({"version": version, "seconds": seconds, "trades": int(trades), "final_usd": float(final_usd)}))
