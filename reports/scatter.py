"""How far the market went against each trade and for it, as a picture in the page: one dot a trade."""

import numpy as np
import polars as pl

from reports import wording
from reports.model import BacktestView

WIDTH, HEIGHT, LEFT, BOTTOM, EDGE = 560, 320, 44, 40, 10  # of the drawing; LEFT and BOTTOM hold the axes' words
MOST_DOTS = 2_000  # evenly chosen: more would be a blot
SHOWN_SHARE = 0.99  # of the trades lie inside the axes, the others on their edge
STEPS = (0.1, 0.2, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)


def excursions(view: BacktestView) -> str:
    """Worst moment across, best moment up, in units of the risk; empty where no trade had a stop."""
    trades = view.trades.filter(pl.col("mae_r").is_not_null())
    if trades.is_empty():
        return ""
    drawn = trades.gather_every(-(-trades.height // MOST_DOTS))
    right, top = (_reach(trades[name]) for name in ("mae_r", "mfe_r"))
    placed = drawn.select(
        (LEFT + (pl.col("mae_r") / right).clip(0, 1) * (WIDTH - LEFT - EDGE)).round(1).alias("x"),
        (HEIGHT - BOTTOM - (pl.col("mfe_r") / top).clip(0, 1) * (HEIGHT - BOTTOM - EDGE)).round(1).alias("y"),
        (pl.col("net_pnl_usd") > 0).alias("won"),
    )
    dots = "".join(
        f'<path class="dots {name}" d="{_dots(placed.filter(pl.col("won") == won))}"/>'
        for won, name in ((False, "loss"), (True, "gain"))
    )
    return (
        f'<svg class="scatter" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{_words(trades)}">'
        f"{_across(right)}{_up(top)}{dots}</svg><p>{_words(trades)}</p>"
    )


def _words(trades: pl.DataFrame) -> str:
    """What to read in it: how near the losers were to winning, and what the winners went through."""
    against, gained, net = (trades[name].to_numpy() for name in ("mae_r", "mfe_r", "net_pnl_usd"))
    lost = net <= 0
    said = []
    if lost.any():
        ahead = wording.percent(100 * float((gained[lost] >= 1).mean()), 0)
        said.append(f"Of {wording.count(int(lost.sum()), 'losing trade')}, {ahead} were once a full R ahead.")
    if not lost.all():
        behind = wording.usd(float(np.median(against[~lost])))
        said.append(f"The median winning trade was {behind} R behind at its worst.")
    return " ".join(said)


def _reach(values: pl.Series) -> float:
    """The end of an axis: the next round step above nearly all values."""
    highest = float(values.quantile(SHOWN_SHARE) or 0.0)
    step = _step(highest)
    return max(-(-highest // step) * step, step)


def _step(reach: float) -> float:
    """Between two lines of the grid: at most six of them."""
    return next((step for step in STEPS if reach / step <= 6), STEPS[-1] * max(reach // (6 * STEPS[-1]), 1))


def _across(reach: float) -> str:
    at = HEIGHT - BOTTOM
    lines = "".join(
        f'<path d="M{x:.1f} {EDGE}V{at}"/><text x="{x:.1f}" y="{at + 15}">{value:g}</text>'
        for value, x in _places(reach, LEFT, WIDTH - EDGE)
    )
    return (
        f'<g class="axis across">{lines}<text x="{WIDTH - EDGE}" y="{HEIGHT - 6}">worst moment, R against it</text></g>'
    )


def _up(reach: float) -> str:
    lines = "".join(
        f'<path d="M{LEFT} {y:.1f}H{WIDTH - EDGE}"/><text x="{LEFT - 6}" y="{y + 4:.1f}">{value:g}</text>'
        for value, y in _places(reach, HEIGHT - BOTTOM, EDGE)
    )
    return (
        f'<g class="axis up">{lines}<text x="{-EDGE}" y="12" transform="rotate(-90)">best moment, R for it</text></g>'
    )


def _places(reach: float, begin: float, end: float) -> list[tuple[float, float]]:
    """Values of the grid, and where they are drawn between `begin` and `end`."""
    step = _step(reach)
    values = [step * number for number in range(round(reach / step) + 1)]
    return [(round(value, 6), begin + value / reach * (end - begin)) for value in values]


def _dots(placed: pl.DataFrame) -> str:
    """One path for all: lines of no length, whose round ends are the dots."""
    return "".join(f"M{x:g} {y:g}h0" for x, y, _ in placed.iter_rows())
