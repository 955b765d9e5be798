"""A sweep as one HTML file that works offline: what was best, what that is worth, how much hangs on each parameter."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl

from reports import wording
from reports.comparison import COLOURS, growth_curve
from reports.html import embedded, page, write_page
from reports.sections import items, pairs, tile
from reports.sweeps import NEUTRAL, Tried, cells_of, set_text, short, varied

SCRIPTS = ("columns.js", "comparison.js", "sweep.js")
MOST_MAPPED = 6  # parameters, those with the most values first: fifteen maps
MOST_RANKED = 100
STARTING_USD = 100.0  # of the growth: so it reads as percent too
ENOUGH = 0.95  # of the deflated Sharpe ratio, by custom

Figures = Mapping[str, float | None]
# Heading, measure, wording.
COLUMNS: tuple[tuple[str, str, Callable[[float | None], str]], ...] = (
    ("Trades", "trades", lambda value: wording.usd(value, 0)),
    ("Return", "return_percent", wording.signed_percent),
    ("Drawdown", "max_drawdown_percent", wording.percent),
    ("Sharpe", "sharpe", wording.usd),
    ("Sortino", "sortino", wording.usd),
    ("Profit factor", "profit_factor", wording.usd),
    ("Expectancy", "expectancy_r", wording.risk_multiple),
    ("Won", "win_rate_percent", lambda value: wording.percent(value, 1)),
)
OBJECTIVES = {
    "sharpe": "Sharpe", "sortino": "Sortino", "return_percent": "return", "profit_factor": "profit factor",
    "expectancy_r": "expectancy",
}  # fmt: skip
WORDS = {measure: word for _, measure, word in COLUMNS}
TONED = {"return_percent", "sharpe", "sortino", "expectancy_r"}  # a gain above 0, a loss below


@dataclass(frozen=True)
class Fold:
    """One choice of a walk forward: when it was judged, what was chosen, and what came before and after."""

    number: int
    first: datetime
    last: datetime
    parameters: Mapping[str, object]
    before: Figures
    after: Figures


@dataclass(frozen=True, kw_only=True, eq=False)
class SweepView:
    """Everything that the page shows, put together by the caller."""

    sweep_id: str
    strategy: str
    strategy_sql: str
    market: str  # instruments, timeframe and span, in words
    objective: str
    tried: Sequence[Tried]  # all that could be
    best: Sequence[tuple[Mapping[str, object], Figures]]  # over all of the time, the best first; `COLUMNS` of each
    growth: Mapping[str, pl.DataFrame]  # of the first few, by name, from `STARTING_USD`: columns of `EQUITY_SCHEMA`
    walked: Sequence[Fold]
    walked_return_percent: float | None
    deflated_sharpe: float | None
    overfitting: float | None
    sentences: Sequence[str]  # what else is to be said of it
    commands: Sequence[str]  # the sweep again, and the best set alone
    configuration: Sequence[tuple[str, str]]
    provenance: Sequence[tuple[str, str]]


def write_sweep(view: SweepView, path: Path) -> Path:
    """Write the page of a sweep to `path` and give `path` back.

    Raises:
        OSError: the folder can't be made, or the disk is full; `path` is then as it was.
    """
    return write_page(render(view), path)


def render(view: SweepView) -> str:
    """The page. The same view gives the same bytes."""
    curves = [growth_curve(name, equity, STARTING_USD) for name, equity in view.growth.items()]
    return page(
        "sweep.html",
        SCRIPTS,
        title=escape(f"{view.strategy}, {len(view.tried):,} sets · Slipway sweep"),
        header=_header(view),
        tiles=_tiles(view),
        worth=items(_worth(view)),
        maps=_maps(view),
        keys="".join(
            f'<span class="key run run-{number % COLOURS}">{escape(name)}</span>'
            for number, name in enumerate(view.growth)
        ),
        ranked=_ranked(view),
        walked=_walked(view),
        commands="".join(f'<pre class="command"><code>{escape(command)}</code></pre>' for command in view.commands),
        provenance=pairs((("sweep", view.sweep_id), *view.provenance)),
        configuration=pairs(view.configuration),
        sql=escape(view.strategy_sql),
        data=embedded(json.dumps({"runs": curves}, allow_nan=False, separators=(",", ":"))),
    )


def _header(view: SweepView) -> str:
    name = view.strategy.removeprefix("signals_").replace("_", " ")
    facts = f"{view.strategy} · {view.market}"
    title = f"{name}: {wording.count(len(view.tried), 'set')} of parameters"
    return (
        f'<p class="kicker">Slipway sweep</p><h1>{escape(title)}</h1><p class="facts">{escape(facts)}</p>'
        f'<div class="verdict {_tone(view)}"><strong>{escape(_headline(view))}</strong> '
        f"{escape(' '.join(view.sentences))}</div>"
    )


def _headline(view: SweepView) -> str:
    if not view.best:
        return "No set could be tried."
    parameters, figures = view.best[0]
    change = figures["return_percent"]
    result = "" if change is None else f" {'made' if change > 0 else 'lost'} {wording.percent(abs(change))}"
    return f"The best by {_name(view.objective)}, {set_text(parameters)},{result or ' never traded'}."


def _tone(view: SweepView) -> str:
    """A gain that may be luck is no gain."""
    tone = wording.tone(view.best[0][1]["return_percent"]) if view.best else "even"
    return "even" if tone == "gain" and (view.deflated_sharpe or 0.0) < ENOUGH else tone


def _tiles(view: SweepView) -> str:
    best: Figures = view.best[0][1] if view.best else dict.fromkeys(WORDS)
    figure = best[view.objective]
    name = _name(view.objective)
    shown = (
        (f"Best {name}", WORDS[view.objective](figure), _above(view.objective, figure), "over all of the time"),
        ("Its return", wording.signed_percent(best["return_percent"]), best["return_percent"],
         f"deepest drawdown {wording.percent(best['max_drawdown_percent'], 1)}"),
        ("Walked forward", wording.signed_percent(view.walked_return_percent), view.walked_return_percent,
         wording.count(len(view.walked), "choice") if view.walked else "not asked for: --folds"),
        ("Any skill", _share(view.deflated_sharpe), None, "deflated Sharpe ratio of the best by Sharpe"),
        ("Overfitting", _share(view.overfitting), None, "probability; half is what blind choice gives"),
    )  # fmt: skip
    return "".join(tile(*one) for one in shown)


def _above(objective: str, figure: float | None) -> float | None:
    return None if figure is None else figure - NEUTRAL.get(objective, 0.0)


def _share(probability: float | None) -> str:
    return wording.MISSING if probability is None else f"{probability:.0%}".replace("%", " %")


def _worth(view: SweepView) -> Sequence[str]:
    """How to read the figures: of many sets, the best looks good by luck alone."""
    said = [f"The best of {len(view.tried):,} looks good by luck alone: its own figures promise less than they say."]
    if view.deflated_sharpe is not None:
        judged = (
            "as sure as is usually asked for" if view.deflated_sharpe >= ENOUGH else "less than is usually asked for"
        )
        said.append(
            f"Deflated Sharpe ratio, {_share(view.deflated_sharpe)}: the probability that the best by Sharpe has any "
            f"skill at all, given how many were tried and how much they differ. It is {judged}, {_share(ENOUGH)}."
        )
    if view.overfitting is not None:
        said.append(
            f"Probability of backtest overfitting, {_share(view.overfitting)}: how often what was best in one half of "
            "the time was in the worse half of all in the other. Near 50 % the choice is worth nothing; a low one says "
            "that sets keep their order, and not that any of them earns."
        )
    if view.walked:
        said.append(
            "Walked forward, each fold was traded with what was best before it: the nearest to what choosing would "
            "have come to."
        )
    return said


def _maps(view: SweepView) -> str:
    """A table per pair of parameters; the script shows the one that is chosen."""
    names = varied(view.tried)[:MOST_MAPPED]
    chosen: Sequence[tuple[str, str | None]] = list(combinations(names, 2)) or [(name, None) for name in names]
    return "".join(_map(view, across, down, number) for number, (across, down) in enumerate(chosen))


def _map(view: SweepView, across: str, down: str | None, number: int) -> str:
    columns, rows, cells = cells_of(view.tried, across, down)
    neutral = NEUTRAL.get(view.objective, 0.0)
    extent = float(np.nanmax(np.abs(cells - neutral), initial=0.0)) or 1.0
    title = across if down is None else f"{across} and {down}"
    caption = f"{_name(view.objective)} by {across}, across{'' if down is None else f', and {down}, down'}"
    head = "".join(f"<th scope=col>{escape(name)}</th>" for name in columns)
    body = "".join(
        f"<tr><th scope=row>{escape(name)}</th>"
        + "".join(_cell(view, value, (value - neutral) / extent) for value in row)
        + "</tr>"
        for name, row in zip(rows, cells.tolist(), strict=True)
    )
    return (
        f'<table class="map" data-title="{escape(title)}"{" hidden" if number else ""}>'
        f"<caption>{escape(caption)}</caption>"
        f"<thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _cell(view: SweepView, value: float, share: float) -> str:
    """Empty where no set has the figure; `share` of the strongest colour, below 0 that of a loss."""
    if np.isnan(value):
        return "<td></td>"
    text = wording.usd(value)
    return f'<td class="{wording.tone(share)}" style="--heat:{abs(share):.2f}">{text}</td>'


def _ranked(view: SweepView) -> str:
    """The best first, a column per parameter."""
    names = list(view.best[0][0]) if view.best else []
    head = "".join(f"<th scope=col>{escape(name)}</th>" for name in names)
    body = "".join(
        f"<tr><th scope=row>{number}</th>"
        + "".join(f"<td>{escape(short(parameters[name]))}</td>" for name in names)
        + _figures(figures, view.objective)
        + "</tr>"
        for number, (parameters, figures) in enumerate(view.best[:MOST_RANKED], start=1)
    )
    return f"<thead><tr><th scope=col>#</th>{head}{_headings(view)}</tr></thead><tbody>{body}</tbody>"


def _headings(view: SweepView) -> str:
    return "".join(
        f"<th scope=col{' class=by' if measure == view.objective else ''}>{heading}</th>"
        for heading, measure, _ in COLUMNS
    )


def _figures(figures: Figures, objective: str) -> str:
    return "".join(
        f'<td class="{wording.tone(figures[measure]) if measure in TONED else ""}'
        f'{" by" if measure == objective else ""}">{word(figures[measure])}</td>'
        for _, measure, word in COLUMNS
    )


def _walked(view: SweepView) -> str:
    """A card of its own; empty without folds."""
    if not view.walked:
        return ""
    word = WORDS[view.objective]
    body = "".join(
        f"<tr><th scope=row>{fold.number}</th><td>{fold.first:%Y-%m-%d} to {fold.last:%Y-%m-%d}</td>"
        f"<td>{escape(set_text(fold.parameters))}</td><td>{word(fold.before[view.objective])}</td>"
        f"{_figures(fold.after, view.objective)}</tr>"
        for fold in view.walked
    )
    return (
        '<section class="card" aria-labelledby="walked-title"><h2 id="walked-title">Walked forward</h2>'
        '<div class="scroll"><table class="compared walked"><thead><tr><th scope=col>Fold</th>'
        "<th scope=col>Judged, UTC</th>"
        f"<th scope=col>Chosen before</th><th scope=col>{escape(_name(view.objective))} before</th>"
        f"{_headings(view)}</tr></thead><tbody>{body}</tbody></table></div></section>"
    )


def _name(objective: str) -> str:
    return OBJECTIVES.get(objective, objective)
