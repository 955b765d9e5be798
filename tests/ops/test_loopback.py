"""The sandbox that `make run` has beside it: there when it is needed, gone with it, and inside the sample's span."""

import json
import os
import urllib.request
from pathlib import Path

import psutil
import pytest

from ops import loopback
from trading.errors import SetupFailed

FIRST_S = 1_672_531_200
QUARTERS = 10 * 96
CLOSES_S = FIRST_S + QUARTERS * 900


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """Ten days of candles that all look the same."""
    lines = (f"{FIRST_S + number * 900},100.0,101.0,99.0,100.0,1.5,4\n" for number in range(QUARTERS))
    folder = tmp_path / "sample"
    folder.mkdir()
    (folder / "XBTUSD_15.csv").write_text("".join(lines))
    return folder


@pytest.fixture
def state(tmp_path: Path) -> Path:
    (tmp_path / "state" / "logs").mkdir(parents=True)
    return tmp_path / "state"


def children() -> set[int]:
    return {process.pid for process in psutil.Process().children(recursive=True)}


def test_its_clock_is_in_the_last_candle_of_the_sample_and_it_ends_with_the_block(state: Path, sample: Path) -> None:
    before = children()
    with loopback.sandbox(state, sample, os.environ) as addresses:
        told = json.loads(addresses().read_text())
        with urllib.request.urlopen(f"{told['spot_rest']}/0/public/Time", timeout=10) as reply:
            now_s = json.loads(reply.read())["result"]["unixtime"]
        assert CLOSES_S - 900 < now_s < CLOSES_S
        assert children() > before
    assert children() <= before
    assert [path.name for path in state.iterdir()] == ["logs"]


def test_it_ends_when_the_block_fails(state: Path, sample: Path) -> None:
    before = children()
    with pytest.raises(ZeroDivisionError), loopback.sandbox(state, sample, os.environ):
        raise ZeroDivisionError
    assert children() <= before


def test_a_sample_that_it_can_not_read_is_told_with_what_it_said(state: Path, sample: Path) -> None:
    (sample / "MOONUSD_15.csv").write_text(f"{CLOSES_S},1,1,1,1,1,1\n")
    with (
        pytest.raises(SetupFailed, match=r"The sandbox ended while it started\.\n.*\n.*MOONUSD_15\.csv is not named"),
        loopback.sandbox(state, sample, os.environ) as addresses,
    ):
        addresses()


def test_without_candles_of_15_minutes_it_says_so(state: Path, tmp_path: Path) -> None:
    with (
        pytest.raises(SetupFailed, match=r"no file like XBTUSD_15\.csv"),
        loopback.sandbox(state, tmp_path, os.environ),
    ):
        pytest.fail("it must not start")
