"""Trades to candles of four timeframes, exactly: five million synthetic trades, as an archive's frames and as pages.

The frames are what a bulk import gives; a page of a thousand is what the venue gives, with the cost of each page.
"""

import resource
import time
from collections.abc import Iterator
from decimal import Decimal

import numpy as np
import polars as pl

from benchmarks.table import Row, alone, at_least
from exchange.kraken.rebuild import EXACT, TRADES, Rebuild

COUNT = 5_000_000
FRAME, PAGE = 1_000_000, 1_000
PAGED = 500_000
SPACING_NS = 1_500_000_000  # mean time between two trades: a busy pair
FIRST_NS = 1_600_000_000 * 10**9
LOWEST_PER_S = 1_000_000
LONGEST_NS = 86_400 * 10**9


def measure() -> list[Row]:
    """Trades a second by the clock and by processor time, in big frames; and in pages."""
    trades = synthetic(COUNT)
    clock_s, processor_s = rebuilt(trades, FRAME)
    paged_s, _ = rebuilt(trades[:PAGED], PAGE)
    return [
        at_least("trades to candles, 5M in frames", COUNT / clock_s, "trades/s", LOWEST_PER_S),
        alone("the same, processor time", COUNT / processor_s, "trades/s"),
        alone("trades to candles, in pages of 1000", PAGED / paged_s, "trades/s"),
    ]


def synthetic(count: int) -> pl.DataFrame:
    """Seeded trades of one pair, in the order of ids and of time, with the columns of TRADES."""
    random = np.random.default_rng(7)
    ticks = 300_000 + np.cumsum(random.integers(-3, 4, count))
    return pl.DataFrame(
        {
            "trade_id": np.arange(1, count + 1),
            "traded_ns": FIRST_NS + np.cumsum(random.exponential(SPACING_NS, count).astype(np.int64)),
            "price": _scaled(ticks, "0.1"),
            "volume": _scaled(random.integers(1, 10**9, count), "0.00000001"),
        },
        TRADES,
    )


def rebuilt(trades: pl.DataFrame, size: int) -> tuple[float, float]:
    """Seconds by the clock and of the processor that it takes to make candles of them, so many trades at a time."""
    began, before = time.perf_counter(), _processor_s()
    rebuild = Rebuild()
    candles = sum(len(rebuild.add(frame)) for frame in _frames(trades, size))
    candles += len(rebuild.close(trades["traded_ns"].item(-1) + LONGEST_NS))
    assert candles > len(trades) // 1_000
    return time.perf_counter() - began, _processor_s() - before


def _frames(trades: pl.DataFrame, size: int) -> Iterator[pl.DataFrame]:
    return (trades[begin : begin + size] for begin in range(0, len(trades), size))


def _scaled(whole: "np.ndarray[tuple[int], np.dtype[np.int64]]", unit: str) -> pl.Series:
    return (pl.Series(whole).cast(EXACT) * pl.Series([Decimal(unit)]).cast(EXACT)).cast(EXACT)


def _processor_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
