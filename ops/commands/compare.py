"""`slipway compare`: stored runs side by side, as a page."""

import argparse
from pathlib import Path


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    compare = commands.add_parser("compare", help="write a page that shows stored runs side by side")
    compare.add_argument("runs", nargs="+", metavar="RUN", help="ids, as marts.backtests has them; two or more")
    compare.add_argument("--out", type=Path, metavar="FILE", help="default: among the reports")
    compare.set_defaults(command=_compare)


def _compare(chosen: argparse.Namespace) -> int:
    from config.settings import load_settings
    from tasks.research.comparing import compare_runs

    print(f"Comparison: {compare_runs(load_settings(chosen.profile), chosen.runs, chosen.out)}")
    return 0
