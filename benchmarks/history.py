"""A year of candles of many instruments, in all timeframes, and then the next 15 minutes of each.

Each size runs in a process of its own: an archive is landed, validated (SQL checks and Great Expectations), built,
checked and published beside a bare `CREATE TABLE AS SELECT * FROM read_csv(...)`. Then one more 15m candle of each
instrument takes the same way as an increment: the last one of a day, which makes candles of all timeframes. As a flow
does it, that is another process, a while later; three do it, each on the warehouse as it was. The first update after a
load takes longest: candles of its last days lie all over the table. Once a week has come in after them, an update is
what it is from then on. Built is what candles come to; features run from each series' first candle and are no part.
"""

import importlib
import json
import os
import resource
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from functools import partial
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
WEEK = 8 * 96 - 1  # and what comes in after it: eight days but for the last candle
QUARTERS = {"15": 1, "60": 4, "240": 16, "1440": 96}  # by the minutes in a file's name: 15m candles that one stands for
TIMEFRAMES = {"15": "15m", "60": "1h", "240": "4h", "1440": "1d"}
ROWS = sum(CANDLES // quarters for quarters in QUARTERS.values())  # of each instrument

SMALL, MIDDLE, LARGE = 22, 108, 500  # instruments: 1M, 5M and 23M rows
PUBLISHED = 216  # 10M rows
UPDATES = 3

HIGHEST_RATIO = 5.0
HIGHEST_MIB = 2048.0
HIGHEST_GROWTH = 1.2
LONGEST_UPDATE_S = 5.0
LONGEST_PUBLISH_S = 1.0


def measure() -> list[Row]:
    """Time against the floor, growth with the number of rows, the update at a close, and a publish."""
    small, middle, large, published = (_in_process("ours", count) for count in (SMALL, MIDDLE, LARGE, PUBLISHED))
    floor = _in_process("floor", LARGE)
    _in_process("first", LARGE)
    soonest, later = _updates("next"), _updates("later")
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
        alone(f"15-minute update of {LARGE} instruments", later["seconds"], "s", LONGEST_UPDATE_S),
        alone("its processor time", later["processor_seconds"], "s"),
        alone("the first update after the load", soonest["seconds"], "s"),
        alone("its processor time after the load", soonest["processor_seconds"], "s"),
        alone(f"publish of {sizes[PUBLISHED]} rows", published["publish_seconds"], "s", LONGEST_PUBLISH_S),
    ]  # fmt: skip


def _in_process(side: str, instruments: int) -> dict[str, float]:
    folder = load_settings().paths.state / "bench" / f"history-{instruments}x{CANDLES}+{WEEK}"
    if not folder.is_dir():
        write_archive(folder, instruments)
    return in_process("benchmarks.history", side, folder)


def _updates(part: str) -> dict[str, float]:
    """The median of each figure, of some updates of one warehouse."""
    runs = [_in_process(part, LARGE) for _ in range(UPDATES)]
    return {figure: statistics.median(run[figure] for run in runs) for figure in runs[0]}


def write_archive(folder: Path, instruments: int) -> None:
    """`first/`: files as Kraken has them, without the last 15m candle. `next/`: that. Complete or not there at all.

    `week/`: the 15m candles of eight more days but for the last, and `later/`: that.
    """
    unfinished = folder.with_name(folder.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    for part in ("first", "next", "week", "later"):
        (unfinished / part).mkdir(parents=True)
    for number in range(instruments):
        name = "".join(chr(ord("A") + digit) for digit in (number // 676, number // 26 % 26, number % 26))
        all_candles = candles(number, CANDLES + WEEK + 1)
        known = all_candles[: CANDLES - 1]
        for minutes, quarters in QUARTERS.items():
            longer = _longer(known, quarters).head(len(known) // quarters)
            longer.write_csv(unfinished / "first" / f"{name}USD_{minutes}.csv", include_header=False)
        for part, rows in (
            ("next", slice(CANDLES - 1, CANDLES)),
            ("week", slice(CANDLES, -1)),
            ("later", slice(-1, None)),
        ):
            all_candles[rows].write_csv(unfinished / part / f"{name}USD_15.csv", include_header=False)
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
    return {**measured, "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def _first(folder: Path, place: Path) -> dict[str, float]:
    """The warehouses that updates begin with, beside the archive."""
    _take(folder / "first", place, "full", open_gate(place / "docs"), nullcontext())
    shutil.copy(place / "build.duckdb", folder / "next.duckdb")
    _take(folder / "next", place, "incremental", None, nullcontext())
    _take(folder / "week", place, "incremental", None, nullcontext())
    shutil.copy(place / "build.duckdb", folder / "later.duckdb")
    return {}


def _update(folder: Path, place: Path, part: str) -> dict[str, float]:
    shutil.copy(folder / f"{part}.duckdb", place / "build.duckdb")
    os.sync()  # else what the disk still has to write of that copy is measured
    importlib.import_module("pandas")  # DuckDB does, at the first statement that it binds a value to
    measured: dict[str, float] = {}
    with _timed(measured, ""):
        _take(folder / part, place, "incremental", None, nullcontext())
    return measured


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


SIDES: dict[str, Callable[[Path, Path], dict[str, float]]] = {
    "floor": _floor,
    "ours": _ours,
    "first": _first,
    "next": partial(_update, part="next"),
    "later": partial(_update, part="later"),
}


def main() -> None:
    """One of `SIDES`, as a process of its own: `ours FOLDER`; prints what it measured as JSON."""
    side, folder = sys.argv[1], Path(sys.argv[2])
    place = folder.with_name(f"run-{side}")
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    measured = SIDES[side](folder, place)
    shutil.rmtree(place)
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
