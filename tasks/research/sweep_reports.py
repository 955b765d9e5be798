"""The page of a sweep, from its rows."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from reports import wording
from reports.model import EQUITY_SCHEMA
from reports.sweep_page import MOST_RANKED, STARTING_USD, Fold, SweepView, write_sweep
from reports.sweeps import set_text
from tasks.backtests import Request, command
from trading.errors import SetupFailed
from trading.metrics.returns import drawdown_percent
from warehouse.sweeps import told

if TYPE_CHECKING:
    from tasks.research.sweeps import Ask, SweepSummary

DRAWN = 5  # sets whose growth is shown


def write(summary: SweepSummary, ask: Ask, facts: Mapping[str, Any], whole: pl.DataFrame, daily: pl.DataFrame) -> None:
    """Write the page to `summary.report`.

    `facts` are the row of `sweep`, `whole` the rows of `results` over all of the time, the best first, and `daily` the
    daily returns of each set.

    Raises:
        SetupFailed: there is no room for it.
    """
    try:
        write_sweep(_view(summary, ask, facts, whole, daily), summary.report)
    except OSError as error:
        raise SetupFailed(f"The page of the sweep can't be written to {summary.report}: {error}.") from error


def _view(
    summary: SweepSummary, ask: Ask, facts: Mapping[str, Any], whole: pl.DataFrame, daily: pl.DataFrame
) -> SweepView:
    first, last = facts["first_candle_at"], facts["last_candle_at"]
    span = f"{facts['candles']:,} candles, {wording.moment(first)} to {wording.moment(last)} UTC"
    return SweepView(
        sweep_id=summary.sweep_id,
        strategy=summary.strategy,
        strategy_sql=facts["strategy_sql"],
        market=" · ".join((", ".join(facts["instruments"]), facts["timeframe"], span)),
        objective=summary.objective,
        tried=summary.tried,
        best=[told(row) for row in whole.head(MOST_RANKED).iter_rows(named=True)],
        growth=_growth(whole.head(DRAWN), daily, first),
        walked=[Fold(*one) for one in summary.walked],
        walked_return_percent=summary.walked_return_percent,
        deflated_sharpe=summary.deflated_sharpe,
        overfitting=summary.overfitting,
        sentences=summary.exceptions,
        commands=_commands(summary, ask),
        configuration=_configuration(
            facts["configuration"], varied=summary.tried[0].parameters if summary.tried else {}
        ),
        provenance=(
            *((f"{name} hash", value) for name, value in facts["hashes"].items()),
            ("code", facts["code_version"]),
            ("rows", summary.path.name),
        ),
    )


def _growth(best: pl.DataFrame, daily: pl.DataFrame, first: datetime) -> dict[str, pl.DataFrame]:
    """Of those that did not lose everything: what a day's end left, in the columns of `EQUITY_SCHEMA`."""
    drawn = best.join(daily.drop_nulls(), on="set_no", maintain_order="left")
    midnight = first.replace(hour=0, minute=0, second=0, microsecond=0)
    curves = {}
    for row in drawn.iter_rows(named=True):
        parameters, _ = told(row)
        equity_usd = STARTING_USD * np.cumprod(1 + np.array(row["daily_returns"]))
        at = [midnight + timedelta(days=day) for day in range(1, len(equity_usd) + 1)]
        columns = [at, equity_usd, drawdown_percent(equity_usd, STARTING_USD)]
        curves[set_text(parameters)] = pl.DataFrame(columns, schema=EQUITY_SCHEMA)
    return curves


def _commands(summary: SweepSummary, ask: Ask) -> tuple[str, ...]:
    words: list[object] = [word for text in ask.vary for word in ("--vary", text)]
    words += [] if ask.draws is None else ["--draws", ask.draws, "--seed", ask.seed]
    words += ["--folds", ask.folds] if ask.folds else []
    words += [] if ask.anchored else ["--rolling"]
    words += ["--by", ask.objective]
    request = Request(ask.strategy_sql, ask.instruments, ask.first, ask.last, ask.timeframe, ask.parameters)
    again = f"{command(request, 'sweep')} {shlex.join(map(str, words))}"
    if not summary.best:
        return (again,)
    parameters, _ = summary.best[0]
    return again, command(request._replace(parameters={**ask.parameters, **parameters}))


def _configuration(configuration: Mapping[str, Any], varied: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    """Settings and what was asked for, one row each: what lies in groups is named by its group."""
    shown = [
        (f"{name}.{key}", value)
        for name, group in configuration.items()
        for key, value in (group.items() if isinstance(group, dict) else [("", group)])
        if not (name == "parameters" and key in varied)
    ]
    return tuple((name.rstrip("."), _word(value)) for name, value in shown if value is not None)


def _word(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
