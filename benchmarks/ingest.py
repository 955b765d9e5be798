"""Archive to published, validated warehouse, beside a bare `CREATE TABLE AS SELECT * FROM read_csv(...)`.

Both read the same files, each in a process of its own, one after the other, twice; the faster run of each counts. Ours
lands, validates (SQL checks and Great Expectations), builds `marts.candles` with its derived timeframes, and publishes.
Importing Great Expectations is measured beside it. The ratio of processor time stands beside that of the clock: it says
the same on an idle machine, and something still on a busy one.
"""

import json
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np
import polars as pl

from benchmarks.table import Row, against, alone
from config.settings import ROOT, load_settings
from warehouse.builds import build
from warehouse.connection import publish, unit_of_work
from warehouse.gate import validation
from warehouse.gate.clearance import clear
from warehouse.gate.suites import open_gate
from warehouse.intake import landing
from warehouse.stages import load_stages

INSTRUMENTS = 20
CANDLES = 250_000  # of each: seven years of 15m
DECIMALS = (1, 2, 2, 3, 5)
ROUNDS = 2
MODULE = "benchmarks.ingest"
STAGES = (
    "staging.stg_kraken__believed",
    "staging.stg_kraken__candles",
    "staging.stg_derived__candles",
    "marts.candles",
)
HIGHEST_RATIO = 5.0
HIGHEST_MIB = 2048.0


def measure() -> list[Row]:
    """Time against the floor, peak memory, and the import that is not in the time."""
    folder = load_settings().paths.state / "bench" / f"candles-{INSTRUMENTS}x{CANDLES}"
    if not folder.is_dir():
        write_archive(folder)
    floors, ours = zip(
        *((in_process(MODULE, "floor", folder), in_process(MODULE, "ours", folder)) for _ in range(ROUNDS)), strict=True
    )
    fastest, floor = (min(runs, key=lambda run: run["seconds"]) for runs in (ours, floors))
    name = f"archive to published, validated warehouse, {INSTRUMENTS * CANDLES / 1e6:g}M candles"
    least_processor, least_floor = (min(run["processor_seconds"] for run in runs) for runs in (ours, floors))
    return [
        against(name, fastest["seconds"], floor["seconds"], "s", HIGHEST_RATIO),
        against("the same, processor time", least_processor, least_floor, "s", HIGHEST_RATIO),
        alone("its peak memory", max(run["peak_mib"] for run in ours), "MiB", HIGHEST_MIB),
        alone("importing Great Expectations, not in it", fastest["import_seconds"], "s"),
    ]


def write_archive(folder: Path) -> None:
    """Seeded random walks as Kraken writes them, one file per instrument. Complete or not there at all."""
    unfinished = folder.with_name(folder.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    for number in range(INSTRUMENTS):
        candles(number, CANDLES).write_csv(unfinished / f"C{number:02d}USD_15.csv", include_header=False)
    unfinished.rename(folder)


def candles(number: int, count: int) -> pl.DataFrame:
    """So many 15m candles of one seeded walk, in the columns of Kraken's files."""
    random = np.random.default_rng(number)
    decimals = DECIMALS[number % len(DECIMALS)]
    tick = 10.0**-decimals
    walk = np.exp(np.cumsum(random.normal(0, 0.002, count + 1))) * 10 ** random.uniform(0.5, 4)
    prices = np.round(walk, decimals) + tick
    opens, closes = prices[:-1], prices[1:]
    highs = np.maximum(opens, closes) * (1 + random.exponential(0.001, count))
    lows = np.maximum(np.minimum(opens, closes) * (1 - random.exponential(0.0005, count)), tick)
    price = pl.Decimal(18, decimals)
    return pl.DataFrame(
        {
            "opened_at": 1_420_070_400 + 900 * np.arange(count),
            "open": pl.Series(np.round(opens, decimals)).cast(price),
            "high": pl.Series(np.maximum(np.round(highs, decimals), np.maximum(opens, closes)).round(decimals)).cast(
                price
            ),
            "low": pl.Series(np.minimum(np.round(lows, decimals), np.minimum(opens, closes)).round(decimals)).cast(
                price
            ),
            "close": pl.Series(np.round(closes, decimals)).cast(price),
            "volume": pl.Series(np.round(random.exponential(30, count) + 1e-8, 8)).cast(pl.Decimal(18, 8)),
            "trades": random.integers(1, 500, count),
        }
    )


def in_process(module: str, side: str, folder: Path) -> dict[str, float]:
    """Run one side of a benchmark in a fresh process, so that its memory is its own."""
    answer = subprocess.run(
        [sys.executable, "-m", module, side, str(folder)], capture_output=True, text=True, check=True, cwd=ROOT
    )
    measured: dict[str, float] = json.loads(answer.stdout.splitlines()[-1])
    return measured


def _floor(folder: Path, place: Path) -> dict[str, float]:
    settings = load_settings().warehouse
    started, processor = time.perf_counter(), time.process_time()
    connection = duckdb.connect(
        str(place / "floor.duckdb"), config={"memory_limit": settings.memory_limit, "threads": settings.threads}
    )
    connection.execute(f"create table candles as select * from read_csv('{folder}/*.csv')")
    connection.close()
    return {"seconds": time.perf_counter() - started, "processor_seconds": time.process_time() - processor}


def _ours(folder: Path, place: Path) -> dict[str, float]:
    settings = load_settings()
    limits = settings.warehouse.model_dump()
    file, now = place / "build.duckdb", datetime.now(UTC)
    importing = time.perf_counter()
    gate = open_gate(place / "docs")
    started, processor = time.perf_counter(), time.process_time()
    with unit_of_work(file, **limits) as warehouse:
        batch = landing.land(
            warehouse, folder, source="kraken", series_of=_series, columns=None, fetched_at=now, scratch=place
        )
    with unit_of_work(file, **limits) as warehouse:
        verdict = validation.validate(
            warehouse,
            batch.batch_id,
            checks=settings.paths.sql / "checks" / "batches",
            thresholds=settings.validation.model_dump(),
            checked_at=now,
            gate=gate,
        )
    stages = tuple(stage for stage in load_stages(settings.paths.sql) if stage.name in STAGES)
    with unit_of_work(file, **limits) as warehouse:
        build(warehouse, stages, "full")
        clear(warehouse)
    publish(file, place / "published.duckdb", published_at=now, code_version="bench", **limits)
    ended, processor_ended = time.perf_counter(), time.process_time()
    assert verdict.passed
    assert batch.rows_landed == INSTRUMENTS * CANDLES
    return {
        "seconds": ended - started,
        "processor_seconds": processor_ended - processor,
        "import_seconds": started - importing,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _series(name: str) -> tuple[str, str]:
    return f"{name[:3]}/USD", "15m"


def main() -> None:
    """One side, as a process of its own: `floor FOLDER` or `ours FOLDER`; prints what it measured as JSON."""
    side, folder = sys.argv[1], Path(sys.argv[2])
    place = folder.parent / f"run-{side}"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    measured: Mapping[str, float] = {"floor": _floor, "ours": _ours}[side](folder, place)
    shutil.rmtree(place)
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
