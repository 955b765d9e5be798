"""`slipway universe`, as a person meets it."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from config.settings import Settings, load_settings
from ops.cli import main
from tasks.candles import publish
from tasks.stages import build_all
from warehouse.connection import unit_of_work
from warehouse.gate.clearance import clear

LOOKED_AT = datetime(2026, 11, 20, 4, 6, tzinfo=UTC)
JUDGED = (
    ("BTC/USD", "PF_XBTUSD", True, "", 369_000_000, "0.1"),
    ("ETH/USD", "PF_ETHUSD", False, "PF_ETHUSD is post only; spread above 10 bps", 1_000, "11.5"),
    ("XYZ/USD", None, False, "no perpetual", None, None),
)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("SLIPWAY_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "160")
    return load_settings()


@pytest.fixture
def judged(settings: Settings) -> Settings:
    """A home in which one look at a venue is published."""
    opened = settings.warehouse.model_dump()
    with unit_of_work(settings.paths.build, **opened) as warehouse:
        warehouse.execute(
            "insert into raw.discoveries values (1, 'kraken-rest', ?, 'accepted', '', 1, 2, 3)", [LOOKED_AT]
        )
        warehouse.executemany("insert into raw.universe values (3, ?, ?, ?, ?, ?, ?)", JUDGED)
    build_all(settings)
    with unit_of_work(settings.paths.build, **opened) as warehouse:
        clear(warehouse)
    publish(settings)
    return settings


def test_shows_who_is_in_who_is_out_since_when_and_why(judged: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["universe"]) == 0
    title, _, *lines = capsys.readouterr().out.splitlines()
    assert title == "kraken-rest, as of 2026-11-20 04:06 UTC: 1 of 3 pairs are in."
    assert [line.split() for line in lines] == [
        ["BTC/USD", "PF_XBTUSD", "in", "2026-11-20", "04:06", "369,000,000", "0.1"],
        ["ETH/USD", "PF_ETHUSD", "out", "2026-11-20", "04:06", "1,000", "11.5", *JUDGED[1][3].split()],
        ["XYZ/USD", "out", "2026-11-20", "04:06", "no", "perpetual"],
    ]


def test_shows_only_the_pairs_that_are_named(judged: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["universe", "XYZ/USD"]) == 0
    said = capsys.readouterr().out
    assert "XYZ/USD" in said
    assert "BTC/USD" not in said


def test_says_that_it_knows_no_such_pair(judged: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["universe", "MOON/USD"]) == 1
    assert "The universe knows no MOON/USD" in capsys.readouterr().err


def test_says_how_to_look_when_no_universe_is_published(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()):
        pass
    build_all(settings)
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
        clear(warehouse)
    publish(settings)
    assert main(["universe"]) == 1
    assert "No universe is published yet. `make run` looks at a venue" in capsys.readouterr().err
