"""`slipway sweep FILE.sql --vary NAME=1,2,3`: many sets of parameters, and what the best of them is worth.

Exit codes: 0 done, 1 an error that says what to do.
"""

import argparse
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasks.research.sweeps import SweepSummary


def register(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    parameter: Callable[[str], tuple[str, str]],
    moment: Callable[[str], datetime],
) -> None:
    """Add the command to the parser; `parameter` reads NAME=VALUE, and `moment` a time."""
    parser = commands.add_parser("sweep", help="try many sets of parameters; walk forward with --folds")
    parser.add_argument("file", type=Path, help="a strategy: one SQL file")
    parser.add_argument(
        "--vary",
        action="append",
        default=[],
        metavar="NAME[=1,2,3|=1:3:0.5]",
        help="repeatable; these values, from:to:step, or what the header of the file allows",
    )
    parser.add_argument("--draws", type=int, metavar="N", help="so many sets at random, instead of every combination")
    parser.add_argument("--seed", type=int, default=0, help="of the draws")
    parser.add_argument("--folds", type=int, default=0, metavar="N", help="walk forward: choose before, judge after")
    parser.add_argument("--rolling", action="store_false", dest="anchored", help="forget what lies before a fold")
    parser.add_argument("--by", default="sharpe", dest="objective", metavar="FIGURE", help="default: sharpe")
    parser.add_argument("--instrument", action="append", dest="instruments", metavar="NAME", help="repeatable")
    parser.add_argument("--timeframe", choices=("15m", "1h", "4h", "1d"))
    parser.add_argument("--from", type=moment, dest="first", metavar="DAY", help="UTC, as 2023-01-31[T12:00]")
    parser.add_argument("--to", type=moment, dest="last", metavar="DAY")
    parser.add_argument("--set", action="append", type=parameter, default=[], dest="parameters", metavar="NAME=VALUE")
    parser.add_argument("--processes", type=int, metavar="N", help="default: one per processor")
    parser.set_defaults(command=_sweep)


def _sweep(chosen: argparse.Namespace) -> int:
    from rich.console import Console

    from config.settings import load_settings
    from ops.progress import Step, screen
    from tasks.research.sweeps import Ask, run_sweep

    ask = Ask(
        strategy_sql=chosen.file,
        vary=tuple(chosen.vary),
        draws=chosen.draws,
        seed=chosen.seed,
        folds=chosen.folds,
        anchored=chosen.anchored,
        objective=chosen.objective,
        instruments=tuple(chosen.instruments) if chosen.instruments else None,
        timeframe=chosen.timeframe,
        first=chosen.first,
        last=chosen.last,
        parameters=dict(chosen.parameters),
        processes=chosen.processes,
    )
    with screen(Console(stderr=True)) as shown:
        summary = run_sweep(
            load_settings(chosen.profile),
            ask,
            lambda at: shown.show((Step("sets tried", "running", at.seconds, at.seconds, at.text),)),
        )
    _show(summary, chosen.file)
    return 0


def _show(summary: "SweepSummary", file: Path) -> None:
    from ops.console import show
    from reports.sweeps import COLUMNS, figures_text, set_text

    at = summary.progress
    rate = f", {(at.tried - at.earlier) / at.seconds:,.1f} a second" if at.seconds else ""
    earlier = f", {at.earlier:,} of them before" if at.earlier else ""
    title = f"{summary.strategy}: {at.tried:,} sets on {summary.candles:,} candles{earlier}{rate}"
    best = [(set_text(varied), figures_text(figures)) for varied, figures in summary.best]
    if summary.walked:
        walked = [(f"{each.fold}. {set_text(each.parameters)}", figures_text(each.after)) for each in summary.walked]
        show(f"{title}\nWalked forward: what came after each choice", [("", COLUMNS), *walked])
        title = "Over all of the time"
    show(title, [("", COLUMNS), *best], [*summary.sentences, *_next(summary, file)])


def _next(summary: "SweepSummary", file: Path) -> list[str]:
    lines = [f"Report: {summary.report}", f"Every set is a row of {summary.path}"]
    if summary.best:
        lines.append(f"The first of them: slipway backtest {file} {summary.first_options}")
    return lines
