"""A sweep as a page: what was best, what that is worth, and a map of how much hangs on two of the parameters."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from io import BytesIO
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from reports.pictures import DOTS_PER_INCH, INK, SOFT, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

CELL_INCHES, MARGIN_INCHES = 0.75, 2.2
# The figures beside a set, and how wide they are.
FIGURES = (("trades", ">6,.0f"), ("return_percent", ">9.2f"), ("max_drawdown_percent", ">9.2f"), ("sharpe", ">7.2f"))
COLUMNS = "trades  return %  drawdown  Sharpe"
NEUTRAL = {"profit_factor": 1.0}  # where gain becomes loss, if not at 0
MOST_CELLS, BINS = 20, 10  # a side: with more values than the one, the other
MOST_CELLS_NAMED = 16  # a side: beyond that the figures in the cells would not be read


class Tried(NamedTuple):
    """A set of parameters, and the figure that sets are compared by. None: it has no such figure."""

    parameters: Mapping[str, object]
    figure: float | None


class Page(NamedTuple):
    """What the page of a sweep says."""

    title: str
    objective: str
    tried: Sequence[Tried]  # all of them
    best: Sequence[tuple[str, str]]  # a set and its figures, the best first
    walked: Sequence[tuple[str, str]]  # a fold's set and what came after it
    sentences: Sequence[str]


def sweep_markdown(page: Page) -> str:
    """The page of a sweep; the map, where two parameters or more were varied, as a data URI."""
    across = varied(page.tried)
    lines = [f"# {plain(page.title)}", "", *(f"{plain(sentence)}\n" for sentence in page.sentences)]
    if len(across) >= 2:
        png = base64.b64encode(heatmap_png(page, across[0], across[1])).decode()
        lines += [f"![{plain(page.objective)} by parameters](data:image/png;base64,{png})", ""]
    lines += _table(f"The best by {page.objective}", page.best)
    if page.walked:
        lines += _table("Walked forward: chosen before, and what came after", page.walked)
    return "\n".join(lines)


def set_text(parameters: Mapping[str, object]) -> str:
    """`stop_atr=2 target_atr=4`: as it is typed again."""
    return " ".join(f"{name}={short(value)}" for name, value in parameters.items())


def figures_text(figures: Mapping[str, float | None]) -> str:
    """Figures below `COLUMNS`."""
    return " ".join(_cell(figures[name], shape) for name, shape in FIGURES)


def varied(tried: Sequence[Tried]) -> tuple[str, ...]:
    """Parameters that have more than one value, those with the most values first."""
    values: dict[str, set[object]] = {}
    for each in tried:
        for name, value in each.parameters.items():
            values.setdefault(name, set()).add(value)
    return tuple(sorted((name for name in values if len(values[name]) > 1), key=lambda name: -len(values[name])))


def heatmap_png(page: Page, across: str, down: str) -> bytes:
    """The objective by two parameters, the median over all others. The same sweep gives the same bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # half a second: only who draws pays for it
    from matplotlib.figure import Figure

    columns, rows, cells = cells_of(page.tried, across, down)
    size = (MARGIN_INCHES + CELL_INCHES * len(columns), MARGIN_INCHES + CELL_INCHES * len(rows) / 1.6)
    figure = Figure(figsize=size, dpi=DOTS_PER_INCH, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    neutral = NEUTRAL.get(page.objective, 0.0)
    extent = float(np.nanmax(np.abs(cells - neutral), initial=0.0)) or 1.0
    image = axes.imshow(
        cells, cmap="RdYlGn", vmin=neutral - extent, vmax=neutral + extent, aspect="auto", origin="lower"
    )
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_xlabel(across, color=SOFT, parse_math=False)
    axes.set_ylabel(down, color=SOFT, parse_math=False)
    axes.set_title(page.objective.replace("_", " "), loc="left", color=INK, fontweight="bold", parse_math=False)
    axes.tick_params(colors=SOFT, length=0)
    axes.spines[:].set_visible(False)
    figure.colorbar(image, ax=axes).outline.set_visible(False)
    if max(len(columns), len(rows)) <= MOST_CELLS_NAMED:
        _name_cells(axes, cells)
    buffer = BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def cells_of(
    tried: Sequence[Tried], across: str, down: str | None
) -> tuple[tuple[str, ...], tuple[str, ...], NDArray[np.float64]]:
    """What both parameters were, in order, and a table of medians: a row per value of `down`; NaN where nothing is.

    Without `down` there is one row, and it has no name.
    Of a parameter with more than `MOST_CELLS` values, neighbours share a cell, as many as in any other.
    """
    columns, column_of = _places(tried, across)
    rows, row_of = (("",), {}) if down is None else _places(tried, down)
    found: dict[tuple[int, int], list[float]] = {}
    for each in tried:
        if each.figure is not None:
            place = 0 if down is None else row_of[each.parameters[down]], column_of[each.parameters[across]]
            found.setdefault(place, []).append(each.figure)
    cells = np.full((len(rows), len(columns)), np.nan)
    for place, figures in found.items():
        cells[place] = np.median(figures)
    return columns, rows, cells


def _places(tried: Sequence[Tried], name: str) -> tuple[tuple[str, ...], dict[object, int]]:
    """What stands beside each row or column, and in which of them a value lies."""
    values: list[object] = sorted({each.parameters[name] for each in tried})  # type: ignore[type-var]  # of one kind
    count = len(values) if len(values) <= MOST_CELLS else BINS
    bounds = [len(values) * number // count for number in range(count + 1)]
    groups = [values[begin:end] for begin, end in pairwise(bounds)]
    labels = tuple(
        short(group[0]) if len(group) == 1 else f"{_rough(group[0])}…{_rough(group[-1])}" for group in groups
    )
    return labels, {value: number for number, group in enumerate(groups) for value in group}


def _rough(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _cell(figure: float | None, shape: str) -> str:
    return f"{'-':>{shape[1:].partition('.')[0].rstrip(',')}}" if figure is None else f"{figure:{shape}}"


def short(value: object) -> str:
    """A value of a parameter, as it is typed."""
    if not isinstance(value, float):
        return str(value)
    short = f"{value:.10g}"
    return short if float(short) == value else repr(value)


def _name_cells(axes: Axes, cells: NDArray[np.float64]) -> None:
    for (row, column), value in np.ndenumerate(cells):
        if np.isfinite(value):
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=INK, fontsize=8)


def _table(title: str, rows: Sequence[tuple[str, str]]) -> list[str]:
    heads = COLUMNS.split("  ")
    return [
        f"## {plain(title)}",
        "",
        f"| set | {' | '.join(heads)} |",
        f"| --- |{' ---: |' * len(heads)}",
        *(f"| {plain(name)} | {' | '.join(figures.split())} |" for name, figures in rows),
        "",
    ]
