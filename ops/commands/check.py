"""`slipway check FILE.sql` tries a strategy before anyone trusts it.

Exit codes: 0 every check passed, 1 one has failed, or the file can't be used.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasks.research.analysis import Findings, Tried, Varied

FAILED = 1


def register(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", parameter: Callable[[str], tuple[str, str]]
) -> None:
    """Add the command to the parser; `parameter` reads NAME=VALUE."""
    parser = commands.add_parser("check", help="try a strategy file: look-ahead, lookback, warm-up, sensitivity")
    parser.add_argument("file", type=Path, help="a strategy: one SQL file")
    parser.add_argument("--instrument", action="append", dest="instruments", metavar="NAME", help="repeatable")
    parser.add_argument("--timeframe", choices=("15m", "1h", "4h", "1d"))
    parser.add_argument("--set", action="append", type=parameter, default=[], dest="parameters", metavar="NAME=VALUE")
    parser.set_defaults(command=_check)


def _check(chosen: argparse.Namespace) -> int:
    from config.settings import load_settings
    from ops.console import show
    from tasks.research.analysis import check_strategy

    findings = check_strategy(
        load_settings(chosen.profile),
        chosen.file,
        instruments=tuple(chosen.instruments) if chosen.instruments else None,
        timeframe=chosen.timeframe,
        parameters=dict(chosen.parameters),
        say=lambda sentence: print(sentence, file=sys.stderr),
    )
    title = f"{findings.strategy}, tried on {findings.candles:,} candles"
    show(title, [(each.means, _verdict(each)) for each in findings.tried], _offences(findings.tried))
    show("What hangs on its numbers", [_figures(each) for each in findings.varied], _closing(findings))
    return 0 if findings.passed else FAILED


def _verdict(tried: "Tried") -> str:
    if not tried.trials:
        return "not tried: too few candles"
    return f"{tried.trials} trials: {'passed' if tried.offence is None else 'FAILED'}"


def _offences(tried: "Sequence[Tried]") -> list[str]:
    return [
        f"{each.name} fails first at {each.offence.instrument} {each.offence.timeframe} "
        f"{each.offence.closed_at:%Y-%m-%d %H:%M}, in {each.offence.column}: {each.offence.there}, and "
        f"{each.offence.otherwise} with the candles beyond {each.offence.cut_at:%Y-%m-%d %H:%M}."
        for each in tried
        if each.offence is not None
    ]


def _figures(varied: "Varied") -> tuple[str, str]:
    metrics = varied.metrics
    name = f"{varied.parameter} = {varied.value:g}" if varied.parameter else "as it is"
    drawdown = f"{metrics.max_drawdown_percent:>9.2f} % drawdown"
    return name, f"{metrics.trades:>6,} trades  {metrics.return_percent:>9.2f} %  {drawdown}"


def _closing(findings: "Findings") -> tuple[str, ...]:
    if findings.passed:
        return ("Every check passed. A strategy that lives on one exact number is fitted to the past.",)
    return ("A check failed: what this strategy shows in a backtest can't be had in the market. docs/strategies.md",)
