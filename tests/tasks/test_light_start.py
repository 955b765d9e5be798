"""`slipway backtest` answers at once because it loads what it uses, and nothing else."""

import gc
import subprocess
import sys
from pathlib import Path

import pytest

from config.settings import ROOT
from ops.cli import NOT_NEEDED, main

STRATEGY = ROOT / "sql" / "marts" / "signals_ema_cross.sql"
PROGRAM = """
import sys
from ops.cli import NOT_NEEDED, main
code = main(["backtest", sys.argv[1], "--no-store"])
print("loaded:", *(name for name in NOT_NEEDED if name in sys.modules))
sys.exit(code)
"""


def test_a_backtest_loads_no_package_that_it_does_not_use(home: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(STRATEGY)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "loaded:"


def test_a_strategy_whose_indicators_are_not_kept_runs_without_those_packages(home: Path, tmp_path: Path) -> None:
    strategy = tmp_path / "signals_ema_33.sql"
    strategy.write_text(STRATEGY.read_text(encoding="utf-8").replace("ema(20)", "ema(33)").replace("ema_20", "ema_33"))
    command = [sys.executable, "-c", PROGRAM, str(strategy)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "loaded:"


def test_a_backtest_leaves_the_process_as_it_was(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backtest", "nothing.sql"]) == 1
    assert "can't be read" in capsys.readouterr().err
    assert gc.isenabled()
    assert not [name for name in NOT_NEEDED if name in sys.modules and sys.modules[name] is None]
