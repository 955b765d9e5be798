"""docs/warehouse.md is what the sample's own warehouse says, table by table."""

import importlib.util
from pathlib import Path

import pytest

from config.settings import load_settings
from tasks.backtests import run_backtest
from tasks.candles import land_archive, publish, validate_batch
from tasks.publication import publish_journals
from tasks.stages import build_all, check_all

ROOT = Path(__file__).resolve().parents[2]


def some_candles(sample: Path, folder: Path) -> Path:
    """A file of the same name with the first three weeks: what is in a table does not change what it is."""
    path = folder / sample.name
    path.write_text("".join(sample.read_text(encoding="utf-8").splitlines(keepends=True)[:2_000]), encoding="utf-8")
    return path


@pytest.mark.xdist_group("heavy")
@pytest.mark.timeout(900)  # often the first that compiles
def test_the_document_is_up_to_date(tmp_path, monkeypatch):
    monkeypatch.setenv("SLIPWAY_HOME", str(tmp_path))
    settings = load_settings("paper")
    validate_batch(settings, land_archive(settings, some_candles(settings.paths.sample / "XBTUSD_15.csv", tmp_path)))
    build_all(settings)
    check_all(settings, run="docs")
    publish(settings)
    run_backtest(
        settings, settings.paths.sql / "marts" / "signals_ema_cross.sql", instruments=("BTC/USD",), report=False
    )
    publish_journals(settings)
    specification = importlib.util.spec_from_file_location("tables", ROOT / "docs" / "tables.py")
    assert specification
    assert specification.loader
    tables = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(tables)
    written = (ROOT / "docs" / "warehouse.md").read_text("utf-8")
    assert tables.document(settings.paths.published, settings.paths.sql) == written, "run `make run`, then `make docs`"
