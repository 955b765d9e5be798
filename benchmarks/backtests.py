"""Whole backtests: from the start of a process to its figures, a portfolio, and a sweep.

The strategy is `signals_ema_cross` on 15m candles of random walks, out of a published warehouse (`benchmarks/markets`),
with the costs and guards of the paper profile. Each run is a process of its own and is timed from outside: imports,
reading the candles, running the SQL, machine code from the cache of an earlier run, simulation, figures. The fastest of
some rounds counts, and the largest memory.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.markets import home
from benchmarks.table import Row, alone
from config.settings import ROOT

CANDLES, SEED = 1_000_000, 6  # a walk that stays where one tick of 1 cent is little
INSTRUMENTS, THREE_YEARS = 50, 3 * 35_040
SWEPT = 100_000
ROUNDS = 3
LONGEST_RUN_S, LONGEST_PORTFOLIO_S = 2.0, 10.0
HIGHEST_MIB = 400.0


def measure() -> list[Row]:
    """Seconds and memory of one instrument, seconds of a portfolio, and the rate of a sweep."""
    one = home(("BTC/USD",), CANDLES, SEED)
    many = home(tuple(f"C{number:02}/USD" for number in range(INSTRUMENTS)), THREE_YEARS, 0)
    swept = home(("BTC/USD",), SWEPT, SEED)
    in_process("metrics", one)  # makes the machine code, if nobody has
    metrics, report, portfolio = (
        fastest(side, place) for side, place in (("metrics", one), ("report", one), ("metrics", many))
    )
    sweep = in_process("sweep", swept)
    name = f"{INSTRUMENTS} instruments, 3 years of 15m, {portfolio['candles'] / 1e6:.3g}M candles"
    return [
        alone("process start to metrics, 1M candles", metrics["seconds"], "s", LONGEST_RUN_S),
        alone("its processor time, 1M candles", metrics["processor_seconds"], "s"),
        alone("its peak memory, 1M candles", metrics["peak_mib"], "MiB", HIGHEST_MIB),
        alone("process start to HTML report, 1M candles", report["seconds"], "s"),
        alone("its peak memory, with the report", report["peak_mib"], "MiB"),
        alone(f"process start to metrics, {name}", portfolio["seconds"], "s", LONGEST_PORTFOLIO_S),
        alone("its processor time, portfolio", portfolio["processor_seconds"], "s"),
        alone("its peak memory, portfolio", portfolio["peak_mib"], "MiB"),
        alone(f"sweep of {sweep['sets']:,} sets on 100k candles", sweep["sets"] / sweep["seconds"], "runs/s"),
        alone("its processor time of one set", sweep["processor_seconds"] / sweep["sets"] * 1e3, "ms"),
    ]  # fmt: skip


def fastest(side: str, place: Path) -> dict[str, float]:
    """The least of each figure, of some rounds; of memory the most."""
    runs = [in_process(side, place) for _ in range(ROUNDS)]
    least = {figure: min(run[figure] for run in runs) for figure in runs[0]}
    return {**least, "peak_mib": max(run["peak_mib"] for run in runs)}


def in_process(side: str, place: Path) -> dict[str, float]:
    """What `benchmarks.runs` measured in a process of its own, and the seconds from the start of that process."""
    began = time.time()
    answer = subprocess.run(
        [sys.executable, "-m", "benchmarks.runs", side, str(place)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, "SLIPWAY_HOME": str(place)},
    )
    measured: dict[str, float] = json.loads(answer.stdout.splitlines()[-1])
    return {**measured, "seconds": measured["ended"] - began}
