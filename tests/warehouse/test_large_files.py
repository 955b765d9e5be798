"""Files larger than the memory that the warehouse may use."""

import datetime as dt
from pathlib import Path

import pytest

from exchange.kraken.symbols import series_of_file
from warehouse.connection import unit_of_work
from warehouse.gate.validation import validate
from warehouse.intake.landing import land

CANDLES = 2_500_000
CHECKS = Path(__file__).parents[2] / "sql" / "checks" / "batches"
THRESHOLDS = {"max_gap_candles": 10, "max_missing_share": 0.5, "max_jump_ratio": 3.0, "max_quarantined_share": 0.05}
FAR = dt.datetime(2200, 1, 1, tzinfo=dt.UTC)  # 2.5 million quarters of an hour are 71 years
LIMITS = {"lock_wait_s": 5.0, "memory_limit": "120MB", "threads": 2}


@pytest.mark.deep
@pytest.mark.parametrize("last_line", ["", "nonsense\n"], ids=["plain", "with a bad row"])
def test_a_file_larger_than_the_memory_limit_lands_and_is_validated(last_line, tmp_path):
    path = tmp_path / "XBTUSD_15.csv"
    with path.open("w", encoding="utf-8") as file:
        for number in range(CANDLES):
            at = 1_000_000_800 + number * 900
            file.write(f"{at},16528.{number % 10},16530.0,16511.0,16514.9,{number % 1000}.30276815,203\n")
        file.write(last_line)
    assert path.stat().st_size > 140_000_000
    with unit_of_work(tmp_path / "w.duckdb", **LIMITS) as connection:
        report = land(
            connection,
            path,
            source="kraken",
            series_of=series_of_file,
            columns=None,
            fetched_at=FAR,
            scratch=tmp_path,
        )
    assert (report.rows_landed, report.rows_quarantined) == (CANDLES, 1 if last_line else 0)
    with unit_of_work(tmp_path / "w.duckdb", **LIMITS) as connection:
        verdict = validate(connection, report.batch_id, checks=CHECKS, thresholds=THRESHOLDS, checked_at=FAR, gate=None)
    assert verdict.passed
