"""`make bench-peers`: one table of candles a second, ours beside other engines on the same work, in one run.

All trade `signals_ema_cross` on the same candles, seeded, in whole ticks of 1 USD. Every run is a process of its own on
one core; the engines take turns, and the least processor time of some rounds counts. What cannot be built or does not
end in time is left out, with its reason.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.engine import CANDLE_US, crosses, random_walk
from benchmarks.peers.environments import NotBuilt, python_of
from config.settings import ROOT, load_settings

ENGINES = Path(__file__).resolve().parent / "engines"
ENVIRONMENTS = load_settings().paths.state / "peers"
CANDLES, MOST_CANDLES = 100_000, 1_000_000
SETS = 1_000  # ours; a tenth of them say as much of who takes a hundred times as long
ROUNDS = 3
FIRST_S = 820_454_400  # 1996, so that the last of a million candles is over
LONGEST_S = 600.0


@dataclass(frozen=True)
class Engine:
    """One side of the comparison."""

    name: str
    script: str
    environment: str | None = None  # None: ours
    python: str = sys.executable
    most_candles: int = MOST_CANDLES
    sets: int = 0  # of a sweep; 0: it has none


@dataclass(frozen=True)
class Result:
    """The fastest run of an engine on one piece of work."""

    engine: str
    version: str
    work: str
    candles: int  # of all sets together
    seconds: float  # of one processor
    candles_per_s: float
    trades: int
    final_usd: float


Run = tuple[str, float, int, float]  # version, seconds, trades, final equity

ALL = (
    Engine("Slipway", "slipway_run.py", sets=SETS),
    Engine("hand-written loop, numba", "numba_run.py"),
    Engine("vectorbt", "vectorbt_run.py", "vectorbt", sets=100),
    Engine("hand-written loop, plain Python", "plain_run.py"),
    Engine("backtesting.py", "backtesting_run.py", "backtesting"),
    Engine("nautilus_trader", "nautilus_run.py", "nautilus_trader", "python3.12", CANDLES),
    Engine("jesse", "jesse_run.py", "jesse", most_candles=CANDLES),
    Engine("freqtrade", "freqtrade_run.py", "freqtrade", most_candles=CANDLES),
)


def main() -> int:
    """Build, measure, print, write `.slipway/bench-peers.json`; the exit code is 1 if a peer was ahead of us."""
    parser = argparse.ArgumentParser(prog="bench-peers")
    parser.add_argument("names", nargs="*", help="only these, beside ours")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    chosen = parser.parse_args()
    state = load_settings().paths.state
    engines = [each for each in ALL if not chosen.names or each.environment in (None, *chosen.names)]
    pythons, missing = _built(engines)
    market = _market(state / "bench" / "peers.npz")
    results = []
    for work, count, is_sweep in (
        (f"{CANDLES // 1000}k candles", CANDLES, False),
        (f"{MOST_CANDLES // 1_000_000}M candles", MOST_CANDLES, False),
        (f"sweep on {CANDLES // 1000}k candles", CANDLES, True),
    ):
        able = [each for each in engines if each.name in pythons and count <= each.most_candles]
        commands = {
            each: [pythons[each.name], str(ENGINES / each.script), str(market), str(count), *_sets(each, is_sweep)]
            for each in able
            if each.sets or not is_sweep
        }
        found, failed = _measured(commands, 1 if is_sweep else chosen.rounds)
        results += [_result(each, work, count * (each.sets if is_sweep else 1), run) for each, run in found.items()]
        missing += [f"{each.name}, {work}: {reason}" for each, reason in failed.items()]
    _write(results, missing, state / "bench-peers.json")
    _show(results, missing)
    return 0 if _is_ahead(results) else 1


def _sets(engine: Engine, is_sweep: bool) -> list[str]:
    return [str(engine.sets)] if is_sweep else []


def _result(engine: Engine, work: str, candles: int, run: Run) -> Result:
    version, seconds, trades, final_usd = run
    return Result(engine.name, version, work, candles, seconds, candles / seconds, trades, final_usd)


def _built(engines: Sequence[Engine]) -> tuple[dict[str, str], list[str]]:
    ENVIRONMENTS.mkdir(parents=True, exist_ok=True)
    pythons, missing = {}, []
    for each in engines:
        try:
            built = (
                sys.executable if each.environment is None else python_of(each.environment, each.python, ENVIRONMENTS)
            )
            pythons[each.name] = str(built)
        except NotBuilt as error:
            missing.append(f"{each.name}: {error}")
    return pythons, missing


def _market(file: Path) -> Path:
    """Candles, and what the strategy says at each, for engines that can be told."""
    opened, high, low, close = prices = random_walk(MOST_CANDLES)
    side, atr = crosses(prices)
    opened_s = FIRST_S + np.arange(MOST_CANDLES) * (CANDLE_US // 1_000_000)
    volume = np.round(np.random.default_rng(1).lognormal(2.0, 0.8, MOST_CANDLES), 4)
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez(file, opened_s=opened_s, open=opened, high=high, low=low, close=close, volume=volume, side=side, atr=atr)
    return file


def _measured(commands: Mapping[Engine, list[str]], rounds: int) -> tuple[dict[Engine, Run], dict[Engine, str]]:
    """The fastest run of each, taking turns; and why there is none."""
    found: dict[Engine, Run] = {}
    failed: dict[Engine, str] = {}
    for number in range(rounds):
        for each, command in commands.items():
            if each in failed:
                continue
            print(f"{each.name} {' '.join(command[3:])}, {number + 1} of {rounds}", file=sys.stderr, flush=True)
            run = _run(command, is_ours=each.environment is None)
            if isinstance(run, str):
                failed[each] = run
            elif each not in found or run[1] < found[each][1]:
                found[each] = run
    return found, failed


def _run(command: list[str], *, is_ours: bool) -> Run | str:
    """What a script told, or the last that it said before it failed. Only ours finds the packages of this checkout."""
    core = max(os.sched_getaffinity(0))
    environment = {**os.environ, "PYTHONPATH": str(ROOT) if is_ours else ""}
    try:
        done = subprocess.run(
            ["taskset", "--cpu-list", str(core), *command],
            capture_output=True,
            text=True,
            check=False,
            timeout=LONGEST_S,
            cwd=ENVIRONMENTS,  # jesse writes where it is, and would open a database if it found an `.env` there
            env=environment,
        )
    except subprocess.TimeoutExpired:
        return f"not done in {LONGEST_S:g} s"
    if done.returncode != 0:
        return (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    told = json.loads(done.stdout.splitlines()[-1])
    return told["version"], told["seconds"], told["trades"], told["final_usd"]


def _is_ahead(results: Sequence[Result]) -> bool:
    """Whether no engine was faster; a loop that is no engine may be."""
    loops = {each.name for each in ALL if each.environment is None} - {ALL[0].name}
    rates = {(each.work, each.engine): each.candles_per_s for each in results if each.engine not in loops}
    return all(rate <= rates.get((work, ALL[0].name), 0.0) for (work, _), rate in rates.items())


def _write(results: Sequence[Result], missing: Sequence[str], file: Path) -> None:
    told = {
        "machine": f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}",
        "results": [asdict(each) for each in results],
        "missing": list(missing),
    }
    file.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def _show(results: Sequence[Result], missing: Sequence[str]) -> None:
    table = Table(
        "work", "engine", "version", "candles", "s", "candles/s", "trades", "final equity", title="make bench-peers"
    )
    for each in results:
        table.add_row(
            each.work,
            each.engine,
            each.version,
            f"{each.candles:,}",
            f"{each.seconds:.4g}",
            f"{each.candles_per_s:,.0f}",
            f"{each.trades:,}",
            f"{each.final_usd:,.0f}",
        )
    console = Console(width=140)
    console.print(table)
    for line in missing:
        console.print(f"Left out: {line}", highlight=False)


if __name__ == "__main__":
    sys.exit(main())
