"""Published warehouses of seeded candles, made once: what a user's checkout holds, in a home of its own.

Each lies under `.slipway/bench/` and is made by the project's own steps: landed, validated, built, published. It holds
15m candles, the timeframes derived from them, and the indicators; no strategy's table, since a backtest runs its file.
Beside it lies what `benchmarks/runs.py` has to know of its instruments: the last digit of their prices.
"""

import json
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from benchmarks.ingest import DECIMALS, STAGES, candles
from config.settings import load_settings
from warehouse.builds import build
from warehouse.connection import publish, unit_of_work
from warehouse.features.indicators import TABLE as INDICATORS
from warehouse.gate import validation
from warehouse.gate.clearance import clear
from warehouse.intake import landing
from warehouse.stages import load_stages

CANDLE_S = 900
LAST_CLOSE = datetime(2024, 1, 1, tzinfo=UTC)


def home(instruments: Sequence[str], count: int, seed: int) -> Path:
    """The folder to give as SLIPWAY_HOME, with so many 15m candles of each instrument. Complete or not there at all."""
    folder = load_settings().paths.state / "bench" / f"market-{len(instruments)}x{count}"
    if not folder.is_dir():
        unfinished = folder.with_name(folder.name + ".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        _make(unfinished, instruments, count, seed)
        unfinished.rename(folder)
    return folder


def _make(folder: Path, instruments: Sequence[str], count: int, seed: int) -> None:
    archive, published = folder / "archive", folder / "warehouse" / "slipway.duckdb"
    archive.mkdir(parents=True)
    earlier = candles(seed, 1)["opened_at"][0] + count * CANDLE_S - int(LAST_CLOSE.timestamp())
    for number, name in enumerate(instruments):
        walk = candles(seed + number, count).with_columns(pl.col("opened_at") - earlier)
        walk.write_csv(archive / f"{name[:3]}USD_15.csv", include_header=False)
    _publish(archive, folder / "build.duckdb", published)
    ticks = {name: f"1e-{DECIMALS[(seed + number) % len(DECIMALS)]}" for number, name in enumerate(instruments)}
    (folder / "ticks.json").write_text(json.dumps(ticks), encoding="utf-8")
    shutil.rmtree(archive)
    (folder / "build.duckdb").unlink()


def _publish(archive: Path, file: Path, published: Path) -> None:
    settings = load_settings()
    limits, now = settings.warehouse.model_dump(), datetime.now(UTC)
    with unit_of_work(file, **limits) as warehouse:
        batch = landing.land(
            warehouse, archive, source="kraken", series_of=_series, columns=None, fetched_at=now, scratch=file.parent
        )
    with unit_of_work(file, **limits) as warehouse:
        validation.validate(
            warehouse,
            batch.batch_id,
            checks=settings.paths.sql / "checks" / "batches",
            thresholds=settings.validation.model_dump(),
            checked_at=now,
            gate=None,
        ).refuse_failed()
    stages = tuple(stage for stage in load_stages(settings.paths.sql) if stage.name in (*STAGES, INDICATORS))
    with unit_of_work(file, **limits) as warehouse:
        build(warehouse, stages, "full")
        clear(warehouse)
    publish(file, published, published_at=now, code_version="bench", **limits)


def _series(name: str) -> tuple[str, str]:
    return f"{name[:3]}/USD", "15m"
