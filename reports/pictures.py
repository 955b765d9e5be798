"""The run as one picture and as Markdown, for places without scripts or files: a Prefect artifact, a chat."""

from __future__ import annotations

import base64
from io import BytesIO
from typing import TYPE_CHECKING, Any

import polars as pl

from reports import wording
from reports.curves import curves
from reports.model import BacktestView

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, SOFT, LINE = "#131722", "#5b6472", "#e2e5ec"
GAIN, LOSS, HELD = "#067a67", "#c62333", "#9aa3b2"
WIDTH_INCHES, HEIGHT_INCHES, DOTS_PER_INCH = 11.0, 5.2, 130


def equity_png(view: BacktestView) -> bytes:
    """Equity above drawdown, against holding, as a PNG. The same view gives the same bytes on one machine."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # half a second: only who draws pays for it
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH_INCHES, HEIGHT_INCHES), dpi=DOTS_PER_INCH, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    drawn = curves(view)
    at = drawn["at"].dt.replace_time_zone(None).to_numpy()
    _draw_equity(upper, at, drawn, view)
    _draw_drawdown(lower, at, drawn)
    buffer = BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def summary_markdown(view: BacktestView, png: bytes) -> str:
    """Verdict, numbers, the picture as a data URI and the assumptions."""
    metrics, sure = view.metrics, view.intervals
    rows = (
        ("Return", wording.signed_percent(metrics.return_percent)),
        ("Net profit, USD", _sure(wording.signed_usd(metrics.net_profit_usd), wording.between(sure.net_profit_usd))),
        (
            "Max drawdown",
            _sure(wording.percent(metrics.max_drawdown_percent), wording.between(sure.max_drawdown_percent, 2, " %")),
        ),
        ("Volatility a year", wording.percent(metrics.volatility_percent)),
        ("Sharpe (daily, 365)", _sure(wording.usd(metrics.sharpe), wording.between(sure.sharpe))),
        ("Calmar", wording.usd(metrics.calmar)),
        ("Trades", f"{metrics.trades:,}"),
        ("Win rate", wording.percent(metrics.win_rate_percent, 1)),
        ("Profit factor", wording.usd(metrics.profit_factor)),
        ("Expectancy", _sure(wording.risk_multiple(metrics.expectancy_r), wording.between(sure.expectancy_r, 2, " R"))),
        ("Costs, USD", wording.usd(metrics.costs_usd)),
    )
    return "\n".join((
        f"# {plain(view.title)}",
        "",
        f"**{plain(wording.headline(view))}** {plain(' '.join(wording.findings(view)))}",
        "",
        f"![Equity and drawdown](data:image/png;base64,{base64.b64encode(png).decode()})",
        "",
        "| | |",
        "| --- | ---: |",
        *(f"| {name} | {value} |" for name, value in rows),
        "",
        "## What this result assumes",
        "",
        *(f"- {plain(sentence)}" for sentence in view.assumptions),
        "",
        f"Run `{view.run_id}`, strategy {plain(view.strategy)}, code {plain(view.code_version)}.",
        "",
    ))  # fmt: skip


def _sure(figure: str, bounds: str) -> str:
    return f"{figure} ({bounds})" if bounds else figure


def _draw_equity(axes: Axes, at: Any, drawn: pl.DataFrame, view: BacktestView) -> None:
    equity = drawn["equity_usd"].to_numpy()
    starting = view.metrics.starting_usd
    if view.candles:
        axes.plot(at, drawn["held_usd"].to_numpy(), color=HELD, linewidth=1, label="buy and hold")
    colour = LOSS if view.metrics.net_profit_usd < 0 else GAIN
    axes.plot(at, equity, color=colour, linewidth=1.6, label=view.title)
    axes.fill_between(at, equity, starting, color=colour, alpha=0.12, linewidth=0)
    axes.axhline(starting, color=SOFT, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.set_title(wording.headline(view), loc="left", color=INK, fontsize=14, fontweight="bold", parse_math=False)
    axes.set_ylabel("equity, USD", color=SOFT)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    legend = axes.legend(loc="best", frameon=False, labelcolor=SOFT)
    for text in legend.get_texts():
        text.set_parse_math(False)
    _tidy(axes)


def _draw_drawdown(axes: Axes, at: Any, drawn: pl.DataFrame) -> None:
    depth = -drawn["drawdown_percent"].to_numpy()
    axes.fill_between(at, depth, 0, color=LOSS, alpha=0.3, linewidth=0)
    axes.plot(at, depth, color=LOSS, linewidth=0.8)
    axes.set_ylabel("drawdown, %", color=SOFT)
    axes.margins(y=0.1)
    _tidy(axes)


def _tidy(axes: Axes) -> None:
    axes.grid(visible=True, color=LINE, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(colors=SOFT, length=0)
    axes.margins(x=0.005)
    axes.spines[:].set_visible(False)


def plain(text: str) -> str:
    """Text that Markdown shows as it is."""
    return "".join(f"\\{character}" if character in r"\`*_[]<>|#!&" else character for character in text)
