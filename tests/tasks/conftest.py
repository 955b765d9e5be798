"""A published warehouse with two weeks of the sample candles, made the way flows make it, once per test run."""

import shutil
from pathlib import Path

import pytest

from config.settings import Settings, load_settings
from tasks.candles import land_archive, publish
from tasks.stages import build_all, check_all
from warehouse.connection import unit_of_work

FILES = ("XBTUSD_15.csv", "ETHUSD_15.csv")
FIRST_S, LAST_S = 1_672_531_200, 1_672_531_200 + 14 * 86_400  # two weeks from 2023-01-01


@pytest.fixture(scope="session")
def made_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home, inbox = tmp_path_factory.mktemp("made"), tmp_path_factory.mktemp("inbox")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLIPWAY_HOME", str(home))
        settings = load_settings()
    for name in FILES:
        lines = (settings.paths.sample / name).read_text(encoding="utf-8").splitlines(keepends=True)
        chosen = [line for line in lines if FIRST_S <= int(line.partition(",")[0]) < LAST_S]
        (inbox / name).write_text("".join(chosen), encoding="utf-8")
    land_archive(settings, inbox)
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
        warehouse.execute("update raw.files set state = 'validated'")  # Great Expectations has tests of its own
    build_all(settings)
    check_all(settings, run="test")
    publish(settings)
    return home


@pytest.fixture
def home(made_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own, with build file and publication."""
    own = tmp_path / "home"
    shutil.copytree(made_home, own)
    monkeypatch.setenv("SLIPWAY_HOME", str(own))
    return own


@pytest.fixture
def settings(home: Path) -> Settings:
    return load_settings()
