"""Draw the pictures of `docs/smc.md`: each concept on real candles, as the kernel told it."""

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from config.settings import ROOT
from trading.smc.fold import fold
from trading.smc.layout import End, Kind, Records, Series
from trading.smc.parameters import Parameters
from trading.smc.state import begin, open_zones

CANDLES = ROOT / "data" / "sample" / "XBTUSD_60.csv"
PICTURES = ROOT / "docs" / "pictures"
CANDLE_US = 3_600_000_000
DAY_US = 24 * CANDLE_US
FOLDED = 1_000  # candles, the last of the file
UP, DOWN, GREY, INK, GOLD = "#2a9d8f", "#d1495b", "#8d99ae", "#1f2933", "#c98a1b"
WHY = {End.FILLED: "filled", End.RECLAIMED: "reclaimed", End.SWEPT: "swept", End.BROKEN: "broken"}


class Chart:
    """Some candles of the series on one picture, counted from 0."""

    def __init__(self, axes: Axes, series: Series, rows: Records, zones: Records, first: int, last: int) -> None:
        self.axes, self.first, self.last = axes, first, last
        self.series = Series._make(column[first:last] for column in series)
        self.rows = rows[first:last]
        self.zones = zones
        for x, (opened, high, low, close) in enumerate(zip(*self.series[1:5], strict=True)):
            color = UP if close >= opened else DOWN
            axes.plot([x, x], [low, high], color=color, linewidth=0.9, zorder=3)
            axes.plot([x - 0.32, x + 0.32], [close, close], color=color, linewidth=0.9, zorder=3)
            body = Rectangle(
                (x - 0.32, min(opened, close)), 0.64, abs(close - opened), color=color, linewidth=0, zorder=3
            )
            axes.add_patch(body)
        self.bottom, self.top = self.series.low.min(), self.series.high.max()

    def of_open(self, opened_at: int) -> float:
        """Where the candle stands that opened then."""
        return (int(opened_at) - int(self.series.opened_at[0])) / CANDLE_US

    def of_close(self, closed_at: int) -> float:
        """Where the candle stands that closed then; the right edge for 0, which is not yet."""
        return self.of_open(closed_at) - 1 if closed_at else len(self.rows) - 0.5

    def lived(self, kind: Kind, reasons: tuple[End, ...] = ()) -> Records:
        """Zones of a kind that lived inside the picture, and how they ended."""
        start, end = self.series.opened_at[0], self.series.opened_at[-1] + CANDLE_US
        zones = self.zones
        inside = (zones.kind == kind) & (zones.known_at > start) & (zones.known_at <= end)
        inside &= (zones.born_at >= start) & (zones.ended_at <= end)
        if reasons:
            inside &= np.isin(zones.why, reasons)
        return zones[inside]

    def box(self, start: float, end: float, bottom: float, top: float, color: str, alpha: float = 0.22) -> None:
        """A zone from one candle to another."""
        self.axes.add_patch(
            Rectangle((start, bottom), end - start, top - bottom, color=color, alpha=alpha, linewidth=0)
        )

    def line(self, start: float, end: float, price: float, color: str, style: str = "-") -> None:
        """A level from one candle to another."""
        self.axes.plot([start, end], [price, price], color=color, linewidth=1.1, linestyle=style, zorder=2)

    def word(self, x: float, price: float, text: str, color: str, above: bool = True) -> None:
        """A label above or below a price."""
        self.axes.annotate(
            text, (x, price), xytext=(0, 3 if above else -3), textcoords="offset points", fontsize=7, color=color,
            ha="center", va="bottom" if above else "top", zorder=4,
        )  # fmt: skip


def structure(chart: Chart) -> None:
    """Swings with the close at which they are known, and the closes that break them."""
    for x, row in enumerate(chart.rows):
        for price, side in ((row.swing_high, 1), (row.swing_low, -1)):
            if not np.isnan(price):
                at = x - Parameters().swing_after
                chart.axes.plot([at, x], [price, price], color=GREY, linewidth=0.8, linestyle=":", zorder=1)
                chart.axes.plot(at, price, marker="v" if side > 0 else "^", color=INK, markersize=4, zorder=4)
                chart.axes.plot(x, price, marker="|", color=GREY, markersize=6, zorder=4)
        if row.bos or row.choch:
            side = row.bos or row.choch
            start = max(chart.of_open(row.broken_swing_at), 0)
            chart.line(start, x, row.broken_level, UP if side > 0 else DOWN)
            chart.word(
                (start + x) / 2, row.broken_level, "BOS" if row.bos else "CHoCH", UP if side > 0 else DOWN, side > 0
            )


def blocks(chart: Chart) -> None:
    """From the candle that made them over mitigation and breaker to their end."""
    for zone in chart.lived(Kind.BLOCK):
        color = UP if zone.side > 0 else DOWN
        broken = chart.of_close(zone.broken_at)
        chart.box(chart.of_open(zone.born_at), broken, zone.bottom, zone.top, color)
        chart.axes.plot(chart.of_close(zone.known_at), zone.level, marker="o", color=color, markersize=3, zorder=4)
        if zone.touched_at and zone.touched_at != zone.broken_at:
            chart.word(chart.of_close(zone.touched_at), zone.bottom, "mitigated", color, above=False)
        if zone.broken_at:
            chart.box(broken, chart.of_close(zone.ended_at), zone.bottom, zone.top, GREY, 0.35)
            chart.word(broken, zone.top, "breaker", INK)


def gaps(chart: Chart) -> None:
    """The whole gap pale, what its first touch leaves, and the candle that fills it."""
    for zone in chart.lived(Kind.GAP):
        color = UP if zone.side > 0 else DOWN
        end = chart.of_close(zone.ended_at)
        chart.box(chart.of_open(zone.born_at), end, zone.bottom, zone.top, color)
        chart.line(chart.of_open(zone.born_at), end, zone.level, color, ":")
        if zone.ended_at and end - chart.of_open(zone.born_at) > 4:
            chart.word(end, zone.bottom if zone.side > 0 else zone.top, "filled", color, zone.side < 0)


def liquidity(chart: Chart) -> None:
    """Pools of one swing dotted, equal highs and lows solid, and how they ended."""
    for zone in chart.lived(Kind.POOL):
        color = GOLD if zone.swings > 1 else GREY
        end = chart.of_close(zone.ended_at)
        chart.line(chart.of_open(zone.born_at), end, zone.level, color, "-" if zone.swings > 1 else ":")
        text = ("equal, " if zone.swings > 1 else "") + WHY.get(End(int(zone.why)), "")
        if zone.ended_at:
            chart.word(end, zone.level, text, color if zone.swings > 1 else INK, zone.side > 0)


def dealing_range(chart: Chart) -> None:
    """Premium above the middle, discount below, and the optimal entry with the trend."""
    rows, x = chart.rows, np.arange(len(chart.rows))
    middle = (rows.range_high + rows.range_low) / 2
    for low, high, color, alpha in (
        (middle, rows.range_high, DOWN, 0.10),
        (rows.range_low, middle, UP, 0.10),
        (rows.ote_bottom, rows.ote_top, GOLD, 0.45),
    ):
        chart.axes.fill_between(x, low, high, color=color, alpha=alpha, step="mid", linewidth=0, zorder=0)
    chart.axes.plot(x, middle, color=GREY, linewidth=0.8, drawstyle="steps-mid")
    for text, price in (("premium", rows.range_high[-1]), ("discount", rows.range_low[-1])):
        chart.word(len(rows) - 4, price, text, INK, text == "discount")


def displacements(chart: Chart) -> None:
    """Bodies of 1.5 ATR and more."""
    for x, row in enumerate(chart.rows):
        if row.displacement != 0 and not np.isnan(row.displacement):
            low, high, up = chart.series.low[x], chart.series.high[x], row.displacement > 0
            chart.box(x - 0.5, x + 0.5, low, high, GOLD, 0.35)
            chart.word(x, high if up else low, f"{row.displacement:+.1f} ATR", INK, up)


def levels(chart: Chart) -> None:
    """The day before, and the sessions."""
    rows, x = chart.rows, np.arange(len(chart.rows))
    for values, name in ((rows.previous_day_high, "previous day high"), (rows.previous_day_low, "previous day low")):
        chart.axes.plot(x, values, color=INK, linewidth=1.1, drawstyle="steps-mid", zorder=2)
        chart.word(5, values[5], name, INK)
    for bit, name, color in ((1, "Asia", GOLD), (2, "London", UP), (4, "New York", DOWN)):
        inside = np.flatnonzero(rows.session & bit)
        for run in np.split(inside, np.flatnonzero(np.diff(inside) > 1) + 1):
            low, high = chart.series.low[run].min(), chart.series.high[run].max()
            chart.box(run[0] - 0.5, run[-1] + 0.5, low, high, color, 0.13)
            chart.word((run[0] + run[-1]) / 2, low if name == "London" else high, name, color, name != "London")


PICTURE: dict[str, tuple[Callable[[Chart], None], int, int]] = {
    "structure": (structure, 210, 320),
    "blocks": (blocks, 380, 470),
    "gaps": (gaps, 400, 470),
    "liquidity": (liquidity, 350, 460),
    "range": (dealing_range, 210, 320),
    "displacement": (displacements, 210, 320),
    "levels": (levels, 215, 312),
}


def main() -> None:
    """Fold the last candles of the sample, and draw each concept where it has something to show."""
    table = np.loadtxt(CANDLES, delimiter=",")[-FOLDED:]
    series = Series(table[:, 0].astype(np.int64) * 1_000_000, *table[:, 1:6].T)
    # Interpreted: `docs/coverage.py` lies beside this script, and would be taken for the package that numba imports.
    folded = fold(begin(Parameters(), CANDLE_US), series)
    zones = np.concatenate([folded.ended, open_zones(folded.state)]).view(np.recarray)
    for name, (draw, first, last) in PICTURE.items():
        figure = Figure(figsize=(10, 4), dpi=100, layout="constrained", facecolor="white")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        chart = Chart(axes, series, folded.rows, zones, first, last)
        draw(chart)
        axes.set_xlim(-1, last - first)
        axes.margins(y=0.08)
        days = np.flatnonzero(chart.series.opened_at % DAY_US == 0)
        axes.set_xticks(days, [str(chart.series.opened_at[day].astype("datetime64[us]"))[:10] for day in days])
        axes.tick_params(labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(PICTURES / f"smc-{name}.png", metadata={"Software": None})


if __name__ == "__main__":
    main()
