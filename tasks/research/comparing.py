"""Stored runs side by side in one page."""

import json
from collections.abc import Sequence
from pathlib import Path

from config.settings import Settings
from reports.comparison import ComparedRun, write_comparison
from trading.errors import InputUnusable, SetupFailed
from warehouse.backtests import RunRows, read_run
from warehouse.connection import reading


def compare_runs(settings: Settings, run_ids: Sequence[str], path: Path | None = None) -> Path:
    """Write the comparison of published runs and give its path: `path`, or one among the reports.

    Raises:
        SetupFailed: nothing is published, or the page can't be written.
        InputUnusable: fewer than two different runs are named, or one that is not published.
    """
    if len(set(run_ids)) < 2:
        raise InputUnusable("It takes two different runs to compare; their ids are in marts.backtests.")
    with reading(settings.paths.published) as connection:
        runs = [_compared(read_run(connection, run_id)) for run_id in dict.fromkeys(run_ids)]
    target = path or settings.paths.reports / f"comparison-{'-'.join(run.run_id for run in runs)[:120]}.html"
    try:
        return write_comparison(runs, target)
    except OSError as error:
        raise SetupFailed(f"The comparison can't be written to {target}: {error}.") from error


def _compared(run: RunRows) -> ComparedRun:
    return ComparedRun(run.run_id, run.summary, json.loads(str(run.summary["configuration"])), run.equity)
