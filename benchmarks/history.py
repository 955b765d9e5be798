"""A year of candles of many instruments, in all timeframes, and then the next 15 minutes of each.

Each size runs in a process of its own: an archive is landed, validated (SQL checks and Great Expectations), built,
checked and published beside a bare `CREATE TABLE AS SELECT * FROM read_csv(...)`; then one more 15m candle of each
instrument takes the same way as an increment. Built is what candles come to; features run from each series' first
candle and are no part of it.
"""

import json
import resource
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import polars as pl

from benchmarks.ingest import candles, in_process
from benchmarks.table import Row, against, alone
from config.settings import load_settings
from warehouse.builds import Mode, build
from warehouse.checks import refuse_failed, run_checks
from warehouse.connection import publish, unit_of_work
from warehouse.features import indicators, smc
from warehouse.gate import validation
from warehouse.gate.clearance import clear
from warehouse.gate.suites import Gate, open_gate
from warehouse.intake import landing
from warehouse.stages import Stage, load_stages

CANDLES = 35_040  # of 15m, of each instrument: a year
QUARTERS = {"15": 1, "60": 4, "240": 16, "1440": 96}  # by the minutes in a file's name: 15m candles that one stands for
TIMEFRAMES = {"15": "15m", "60": "1h", "240": "4h", "1440": "1d"}
ROWS = sum(CANDLES // quarters for quarters in QUARTERS.values())  # of each instrument

SMALL, MIDDLE, LARGE = 22, 108, 500  # instruments: 1M, 5M and 23M rows
PUBLISHED = 216  # 10M rows

HIGHEST_RATIO = 5.0
HIGHEST_MIB = 2048.0
HIGHEST_GROWTH = 1.2
LONGEST_UPDATE_S = 5.0
LONGEST_PUBLISH_S = 1.0


def measure() -> list[Row]:
    """Time against the floor, growth with the number of rows, the update at a close, and a publish."""
    small, middle, large, published = (_in_process("ours", count) for count in (SMALL, MIDDLE, LARGE, PUBLISHED))
    floor = _in_process("floor", LARGE)
    sizes = {count: f"{count * ROWS / 1e6:.3g}M" for count in (SMALL, MIDDLE, LARGE, PUBLISHED)}
    runs = {SMALL: small, MIDDLE: middle, LARGE: large}
    per_row = {count: run["seconds"] / (count * ROWS) * 1e6 for count, run in runs.items()}
    work = {count: run["processor_seconds"] / (count * ROWS) * 1e6 for count, run in runs.items()}
    return [
        against(
            f"archive to published warehouse, {LARGE} instruments, 4 timeframes, {sizes[LARGE]} rows",
            large["seconds"], floor["seconds"], "s", HIGHEST_RATIO,
        ),
        against(
            f"processor time of these {sizes[LARGE]} rows",
            large["processor_seconds"], floor["processor_seconds"], "s", HIGHEST_RATIO,
        ),
        alone("its peak memory, 23M rows", large["peak_mib"], "MiB", HIGHEST_MIB),
        against(f"time per row, {sizes[MIDDLE]} beside {sizes[SMALL]}", per_row[MIDDLE], per_row[SMALL], "us",
                HIGHEST_GROWTH),
        against(f"time per row, {sizes[LARGE]} beside {sizes[SMALL]}", per_row[LARGE], per_row[SMALL], "us",
                HIGHEST_GROWTH),
        against(f"processor time per row, {sizes[LARGE]} beside {sizes[SMALL]}", work[LARGE], work[SMALL], "us",
                HIGHEST_GROWTH),
        alone(f"15-minute update of {LARGE} instruments", large["update_seconds"], "s", LONGEST_UPDATE_S),
        alone("its processor time", large["update_processor_seconds"], "s"),
        alone(f"publish of {sizes[PUBLISHED]} rows", published["publish_seconds"], "s", LONGEST_PUBLISH_S),
    ]  # fmt: skip


def _in_process(side: str, instruments: int) -> dict[str, float]:
    folder = load_settings().paths.state / "bench" / f"history-{instruments}x{CANDLES}"
    if not folder.is_dir():
        write_archive(folder, instruments)
    return in_process("benchmarks.history", side, folder)


def write_archive(folder: Path, instruments: int) -> None:
    """`first/`: files as Kraken has them, without the last 15m candle. `next/`: that. Complete or not there at all."""
    unfinished = folder.with_name(folder.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    for part in ("first", "next"):
        (unfinished / part).mkdir(parents=True)
    for number in range(instruments):
        name = "".join(chr(ord("A") + digit) for digit in (number // 676, number // 26 % 26, number % 26))
        all_candles = candles(number, CANDLES)
        known, last = all_candles[:-1], all_candles[-1:]
        for minutes, quarters in QUARTERS.items():
            longer = _longer(known, quarters).head(len(known) // quarters)
            longer.write_csv(unfinished / "first" / f"{name}USD_{minutes}.csv", include_header=False)
        last.write_csv(unfinished / "next" / f"{name}USD_15.csv", include_header=False)
    unfinished.rename(folder)


def _longer(known: pl.DataFrame, quarters: int) -> pl.DataFrame:
    if quarters == 1:
        return known
    seconds = 900 * quarters
    return (
        known.with_columns(pl.col("opened_at") // seconds * seconds)
        .group_by("opened_at", maintain_order=True)
        .agg(
            pl.col("open").first(),
            pl.col("high").max(),
            pl.col("low").min(),
            pl.col("close").last(),
            pl.col("volume").sum().cast(pl.Decimal(28, 8)),
            pl.col("trades").sum(),
        )
    )


def _floor(folder: Path, place: Path) -> dict[str, float]:
    settings = load_settings().warehouse
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": settings.memory_limit,
        "threads": settings.threads,
    }
    measured: dict[str, float] = {}
    with _timed(measured, ""), duckdb.connect(str(place / "floor.duckdb"), config=config) as connection:
        connection.execute(f"create table candles as select * from read_csv('{folder}/first/*.csv')")
    return measured


def _ours(folder: Path, place: Path) -> dict[str, float]:
    gate = open_gate(place / "docs")
    measured: dict[str, float] = {}
    with _timed(measured, ""):
        _take(folder / "first", place, "full", gate, _timed(measured, "publish_"))
    with _timed(measured, "update_"):
        _take(folder / "next", place, "incremental", None, nullcontext())
    return {**measured, "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


@contextmanager
def _timed(measured: dict[str, float], prefix: str) -> Iterator[None]:
    started, processor = time.perf_counter(), time.process_time()
    yield
    measured[f"{prefix}seconds"] = time.perf_counter() - started
    measured[f"{prefix}processor_seconds"] = time.process_time() - processor


def _take(archive: Path, place: Path, mode: Mode, gate: Gate | None, publishing: AbstractContextManager[None]) -> None:
    """Land, validate, build, check and publish what lies in a folder."""
    settings = load_settings()
    limits, checks = settings.warehouse.model_dump(), settings.paths.sql / "checks"
    thresholds = settings.validation.model_dump()
    file, now = place / "build.duckdb", datetime.now(UTC)
    with unit_of_work(file, **limits) as warehouse:
        batch = landing.land(
            warehouse, archive, source="kraken", series_of=_series, columns=None, fetched_at=now, scratch=place
        )
    with unit_of_work(file, **limits) as warehouse:
        verdict = validation.validate(
            warehouse, batch.batch_id, checks=checks / "batches", thresholds=thresholds, checked_at=now, gate=gate
        )
    verdict.refuse_failed()
    stages = _candle_stages(settings.paths.sql)
    with unit_of_work(file, **limits) as warehouse:
        build(warehouse, stages, mode)
    with unit_of_work(file, **limits) as warehouse:
        results = run_checks(warehouse, checks, run="bench", checked_at=now, params=thresholds, stages=stages)
        clear(warehouse)
    refuse_failed(results)
    with publishing:
        publish(file, place / "published.duckdb", published_at=now, code_version="bench", **limits)


def _candle_stages(sql: Path) -> tuple[Stage, ...]:
    """All stages but the features and what is made of them."""
    left_out = {indicators.TABLE, smc.TABLE}
    kept = []
    for stage in load_stages(sql):
        if stage.name in left_out or left_out & set(stage.inputs):
            left_out.add(stage.name)
        else:
            kept.append(stage)
    return tuple(kept)


def _series(name: str) -> tuple[str, str]:
    pair, minutes = name.removesuffix(".csv").split("_")
    return f"{pair[:3]}/USD", TIMEFRAMES[minutes]


def main() -> None:
    """One side, as a process of its own: `floor FOLDER` or `ours FOLDER`; prints what it measured as JSON."""
    side, folder = sys.argv[1], Path(sys.argv[2])
    place = folder.with_name(f"run-{side}")
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    measured = {"floor": _floor, "ours": _ours}[side](folder, place)
    shutil.rmtree(place)
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
