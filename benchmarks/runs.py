"""What a process of `benchmarks/backtests.py` does: one run from its start to its figures, which it prints as JSON.

`python -m benchmarks.runs metrics HOME` and the like. Nothing is imported here but the standard library: what a run
imports is part of what it takes. It goes the way of `slipway backtest`; only limits that would end the trading early
are wide, so that all of the candles are traded on.
"""

import json
import resource
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from config.settings import Settings

LOT_BASE = "0.001"
MOST_POSITIONS = 20
SPACES = ("stop_atr=0.5:4.4:0.1", "target_atr=1:7:0.25")  # 40 times 25 sets


def backtest(home: Path, *, report: bool) -> dict[str, float]:
    """A run over all instruments and candles of the market at `home`; with its HTML report, or its figures alone."""
    from ops.cli import NOT_NEEDED, light_start

    with light_start(NOT_NEEDED):
        from config.settings import ROOT
        from tasks.backtests import run_backtest

        settings = _settings(home)
        file = ROOT / "sql" / "marts" / "signals_ema_cross.sql"
        run = run_backtest(settings, file, instruments=tuple(settings.instruments), store=False, report=report)
    return {"trades": run.metrics.trades, "candles": run.candles, "engine_seconds": run.engine_seconds}


def sweep(home: Path) -> dict[str, float]:
    """All sets of `SPACES`, in as many processes as there are processors; nothing is there of an earlier sweep."""
    from config.settings import ROOT
    from tasks.research.sweeps import Ask, run_sweep

    settings = _settings(home)
    shutil.rmtree(settings.paths.state / "sweeps", ignore_errors=True)
    file = ROOT / "sql" / "marts" / "signals_ema_cross.sql"
    done = run_sweep(settings, Ask(file, SPACES, instruments=tuple(settings.instruments)))
    return {"sets": len(done.tried), "candles": done.candles}


def _settings(home: Path) -> "Settings":
    """Those of the paper profile, with the market's instruments, at the lot that all ticks go with."""
    from decimal import Decimal

    from config.settings import load_settings

    settings = load_settings()
    like = next(iter(settings.instruments.values()))
    ticks = json.loads((home / "ticks.json").read_text(encoding="utf-8"))
    instruments = {
        name: like.model_copy(update={"tick_usd": Decimal(tick), "lot_base": Decimal(LOT_BASE)})
        for name, tick in ticks.items()
    }
    everything = Decimal(100)
    risk = settings.risk.model_copy(
        update={
            "starting_cash_usd": Decimal(100_000_000),
            "risk_per_trade_percent": Decimal("0.1"),
            "max_positions": MOST_POSITIONS,
            "max_daily_loss_percent": everything,
            "max_drawdown_percent": everything,
        }
    )
    return settings.model_copy(update={"instruments": instruments, "risk": risk})


def main() -> None:
    """One run, as a process of its own, whose home is `SLIPWAY_HOME` too."""
    side, home = sys.argv[1], Path(sys.argv[2])
    run = sweep(home) if side == "sweep" else backtest(home, report=side == "report")
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    measured = {
        **run,
        "ended": time.time(),
        "processor_seconds": sum(each.ru_utime + each.ru_stime for each in used),
        "peak_mib": _peak_mib(),
    }
    print(json.dumps(measured))


def _peak_mib() -> float:
    """Of this process alone: what `getrusage` says begins with the peak of the process that started it."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    main()
