"""Two or more stored runs side by side, as one HTML file that works offline."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

import polars as pl

from reports import wording
from reports.columns import moments, numbers
from reports.curves import thinned
from reports.html import embedded, page, write_page

SCRIPTS = ("columns.js", "comparison.js")
COLOURS = 8  # of runs in style.css; more begin again
GROWTH_PLACES = 4
PROVENANCE = (
    "strategy", "strategy_hash", "instruments", "timeframe", "first_candle_at", "last_candle_at", "data_hash",
    "code_version",
)  # fmt: skip
SAME_MARKET = ("instruments", "timeframe", "first_candle_at", "last_candle_at", "candles")


@dataclass(frozen=True)
class ComparedRun:
    """One of the runs: its row of `marts.backtests` with the configuration as a mapping, and its equity."""

    run_id: str
    figures: Mapping[str, Any]
    configuration: Mapping[str, str]
    equity: pl.DataFrame  # columns of `EQUITY_SCHEMA`


# Label, column, wording, and which is better: 1 the higher, -1 the lower, 0 neither.
Figure = tuple[str, str, Callable[[Any], str], int]
FIGURES: tuple[Figure, ...] = (
    ("Return", "return_percent", wording.signed_percent, 1),
    ("Growth a year", "cagr_percent", wording.signed_percent, 1),
    ("Net profit, USD", "net_profit_usd", wording.signed_usd, 1),
    ("Max drawdown", "max_drawdown_percent", wording.percent, -1),
    ("Longest drawdown, days", "longest_drawdown_days", wording.usd, -1),
    ("Volatility a year", "volatility_percent", wording.percent, -1),
    ("Sharpe", "sharpe", wording.usd, 1),
    ("Sortino", "sortino", wording.usd, 1),
    ("Calmar", "calmar", wording.usd, 1),
    ("Trades", "trades", lambda value: f"{value:,}", 0),
    ("Win rate", "win_rate_percent", wording.percent, 0),
    ("Profit factor", "profit_factor", wording.usd, 1),
    ("Expectancy", "expectancy_r", wording.risk_multiple, 1),
    ("Average win, USD", "average_win_usd", wording.usd, 0),
    ("Average loss, USD", "average_loss_usd", wording.usd, 0),
    ("Held on average, hours", "average_holding_hours", wording.usd, 0),
    ("Exposure", "exposure_percent", wording.percent, 0),
    ("Turnover a year", "turnover", wording.usd, 0),
    ("Fees, USD", "fees_usd", wording.usd, -1),
    ("Spread, USD", "spread_usd", wording.usd, -1),
    ("Slippage, USD", "slippage_usd", wording.usd, -1),
    ("Funding, USD", "funding_usd", wording.usd, -1),
)


def write_comparison(runs: Sequence[ComparedRun], path: Path) -> Path:
    """Write the comparison to `path` and give `path` back.

    Raises:
        OSError: the folder can't be made, or the disk is full; `path` is then as it was.
    """
    return write_page(render(runs), path)


def render(runs: Sequence[ComparedRun]) -> str:
    """The page. The same runs in the same order give the same bytes."""
    assert len(runs) > 1, "one run alone has its own report"
    return page(
        "comparison.html",
        SCRIPTS,
        title=escape(" and ".join(run.run_id for run in runs) + " · Slipway comparison"),
        headline=escape(f"{len(runs)} runs side by side"),
        caution=_caution(runs),
        keys=_keys(runs),
        head=_head(runs),
        figures="".join(_figure_row(figure, runs) for figure in FIGURES),
        differences=_differences(runs),
        data=embedded(json.dumps({"runs": [_curve(run) for run in runs]}, allow_nan=False, separators=(",", ":"))),
    )


def growth_curve(name: str, equity: pl.DataFrame, starting_usd: float) -> Mapping[str, Any]:
    """A line of `comparison.js`: growth in percent of the starting cash, and the drawdown, both in columns of JSON.

    Runs with another cash can so be laid over each other. `equity` has the columns of `EQUITY_SCHEMA`.
    """
    drawn = thinned(equity)
    grown = pl.Series((drawn["equity_usd"].to_numpy() / starting_usd - 1) * 100, dtype=pl.Float64)
    return {
        "name": name,
        "time": moments(drawn["at"]),
        "grown_percent": numbers(grown.round(GROWTH_PLACES)),
        "drawdown_percent": numbers((-drawn["drawdown_percent"]).round(GROWTH_PLACES)),
    }


def _caution(runs: Sequence[ComparedRun]) -> str:
    """What keeps the runs from being compared; empty when they were asked the same."""
    others = [_label(name) for name in SAME_MARKET if len({_shown(run.figures[name]) for run in runs}) > 1]
    if not others:
        return ""
    said = f"They differ in {', '.join(others)}: a better figure may be another market, not a better run."
    return f'<div class="verdict"><strong>They did not trade the same candles.</strong> {escape(said)}</div>'


def _keys(runs: Sequence[ComparedRun]) -> str:
    return "".join(
        f'<span class="key run run-{number % COLOURS}">{escape(_name(run))}</span>' for number, run in enumerate(runs)
    )


def _name(run: ComparedRun) -> str:
    return f"{str(run.figures['strategy']).removeprefix('signals_')} {run.run_id[:8]}"


def _head(runs: Sequence[ComparedRun]) -> str:
    return "<th scope=col></th>" + "".join(f"<th scope=col>{escape(_name(run))}</th>" for run in runs)


def _figure_row(figure: Figure, runs: Sequence[ComparedRun]) -> str:
    """The best of the runs is marked; equal ones all are, unless all are equal."""
    label, column, word, better = figure
    values = [run.figures[column] for run in runs]
    known = {value * better for value in values if value is not None}
    best = max(known) if better and len(known) > 1 else None
    cells = "".join(
        f"<td{' class=best' if best is not None and value is not None and value * better == best else ''}>"
        f"{escape(wording.MISSING if value is None else word(value))}{_bounds(run, column, word)}</td>"
        for run, value in zip(runs, values, strict=True)
    )
    return f"<tr><th scope=row>{escape(label)}</th>{cells}</tr>"


def _bounds(run: ComparedRun, column: str, word: Callable[[Any], str]) -> str:
    """The interval below a figure that has one."""
    low, high = run.figures.get(f"{column}_low"), run.figures.get(f"{column}_high")
    return "" if low is None or high is None else f"<small>95 %: {escape(word(low))} to {escape(word(high))}</small>"


def _differences(runs: Sequence[ComparedRun]) -> str:
    """What is not the same in all runs: where they come from, then the settings; a sentence if there is nothing."""
    told = [{**{_label(name): _shown(run.figures[name]) for name in PROVENANCE}, **run.configuration} for run in runs]
    names = dict.fromkeys(name for one in told for name in one)
    rows = [(name, [one.get(name, wording.MISSING) for one in told]) for name in names]
    different = [(name, values) for name, values in rows if len(set(values)) > 1]
    if not different:
        return "<p>Nothing: strategy, candles, code and settings are the same.</p>"
    body = "".join(
        f"<tr><th scope=row>{escape(name)}</th>" + "".join(f"<td>{escape(value)}</td>" for value in values) + "</tr>"
        for name, values in different
    )
    return (
        f'<div class="scroll"><table class="compared settings"><thead><tr>{_head(runs)}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _label(column: str) -> str:
    return column.removesuffix("_at").replace("_", " ")


def _shown(value: object) -> str:
    if isinstance(value, datetime):
        return f"{wording.moment(value)} UTC"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _curve(run: ComparedRun) -> Mapping[str, Any]:
    return growth_curve(_name(run), run.equity, run.figures["final_equity_usd"] - run.figures["net_profit_usd"])
