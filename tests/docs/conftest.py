"""A home whose candles are published, for the documents that are about what a warehouse holds."""

import shutil
from pathlib import Path

import pytest

from config.settings import load_settings
from tasks.candles import land_archive, publish, validate_batch
from tasks.stages import build_all, check_all

CANDLES = 5_400  # of 15m: enough for every check to be tried; the days go years back, so that they have a trend


@pytest.fixture(scope="session")
def published_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Candles of one instrument, landed, judged, built, checked and published the way flows do it."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLIPWAY_HOME", str(home))
        settings = load_settings("paper")
    lines = (settings.paths.sample / "XBTUSD_15.csv").read_text("utf-8").splitlines(keepends=True)
    (home / "XBTUSD_15.csv").write_text("".join(lines[:CANDLES]), "utf-8")
    for file in (home / "XBTUSD_15.csv", settings.paths.sample / "XBTUSD_1440.csv"):
        validate_batch(settings, land_archive(settings, file))
    build_all(settings)
    check_all(settings, run="docs")
    publish(settings)
    return home


@pytest.fixture
def home(published_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, of the test's own."""
    own = tmp_path / "home"
    shutil.copytree(published_home, own)
    monkeypatch.setenv("SLIPWAY_HOME", str(own))
    return own
