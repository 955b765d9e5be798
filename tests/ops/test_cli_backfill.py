"""`slipway backfill`, and the venue of `slipway run`, as a person meets them."""

import os
from pathlib import Path

import pytest

from config.settings import load_settings
from ops import loopback
from ops.cli import main
from tasks.backfill.fetching import attempt
from tasks.backfill.request import request_of

FIRST_S = 1_672_531_200
QUARTERS = 2 * 96

NEXT = "It is in the build file. `make run`, or the next `transform/build`, brings it to the tables.\n"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SLIPWAY_HOME", str(tmp_path))
    monkeypatch.delenv("VENUE", raising=False)
    return tmp_path


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """Two days of candles that all look the same."""
    lines = (f"{FIRST_S + number * 900},100.0,101.0,99.0,100.0,1.5,4\n" for number in range(QUARTERS))
    folder = tmp_path / "sample"
    folder.mkdir()
    (folder / "XBTUSD_15.csv").write_text("".join(lines))
    return folder


@pytest.mark.xdist_group("heavy")  # one process imports Great Expectations
def test_fetches_lands_and_says_so_and_the_next_time_finds_nothing_new(
    sample: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = load_settings().paths.state
    (state / "logs").mkdir(parents=True)
    command = [
        "backfill",
        "--venue",
        "sandbox",
        "--instrument",
        "BTC/USD",
        "--dataset",
        "trades",
        "--trades-hours",
        "5",
    ]
    with loopback.sandbox(state, sample, os.environ) as addresses:
        (state / "sandbox.json").write_bytes(addresses().read_bytes())
        assert main(command) == 0
        first = capsys.readouterr().out
        assert main(command) == 0
        second = capsys.readouterr().out
    assert "trades BTC/USD: done" in first
    assert "24 rows, 100%" in first
    assert first.endswith(f"trades BTC/USD: 24 rows read, 24 landed, 0 unchanged, 0 revised.\n{NEXT}")
    assert second.endswith("Nothing new: the warehouse holds all that had closed.\n")


@pytest.mark.xdist_group("heavy")
def test_what_an_earlier_command_had_begun_is_no_answer_to_another_one(
    sample: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = load_settings()
    state = settings.paths.state
    (state / "logs").mkdir(parents=True)
    with loopback.sandbox(state, sample, os.environ) as addresses:
        (state / "sandbox.json").write_bytes(addresses().read_bytes())
        earlier = request_of(settings, venue="sandbox", instruments=["BTC/USD"], datasets=["trades"], trades_hours=1)
        assert attempt(settings, earlier) == ()  # and killed before it landed
        command = ["--instrument", "BTC/USD", "--dataset", "trades", "--trades-hours", "5"]
        assert main(["backfill", "--venue", "sandbox", *command]) == 0
        said = capsys.readouterr().out
    assert "trades BTC/USD: 4 rows read, 4 landed, 0 unchanged, 0 revised.\n" in said
    assert said.endswith(f"trades BTC/USD: 24 rows read, 20 landed, 4 unchanged, 0 revised.\n{NEXT}")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "No venue was chosen. Name one (kraken, sandbox)"),
        (("--venue", "moon"), "There is no venue 'moon'"),
        (("--venue", "sandbox"), "No sandbox is running: "),
    ],
)
def test_says_what_is_wrong_with_what_it_is_asked_for(
    arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["backfill", *arguments]) == 1
    assert said in capsys.readouterr().err


def test_a_run_is_refused_at_once_when_there_is_no_such_venue(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VENUE", "moon")
    assert main(["run"]) == 1
    assert "There is no venue 'moon'" in capsys.readouterr().err
    assert not (home / ".slipway" / "stack.json").exists()
