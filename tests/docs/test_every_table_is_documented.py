"""docs/warehouse.md is what the sample's own warehouse says, table by table."""

import importlib.util
from pathlib import Path

import pytest

from config.settings import load_settings
from tasks.backtests import run_backtest
from tasks.publication import publish_journals

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.xdist_group("heavy")
@pytest.mark.timeout(900)  # often the first that compiles
@pytest.mark.usefixtures("home")
def test_the_document_is_up_to_date():
    settings = load_settings("paper")
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
