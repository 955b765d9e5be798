"""One run as one HTML file that works offline, and stays what it was when it was written."""

from html import escape
from pathlib import Path

from reports import sections
from reports.embedded import page_data
from reports.groups import grouped_tables, hourly_table
from reports.html import page, write_page
from reports.model import BacktestView
from reports.scatter import excursions

SCRIPTS = (
    "columns.js", "equity_chart.js", "overlay.js", "zone_boxes.js", "trade_marks.js", "candle_chart.js",
    "trade_table.js", "main.js",
)  # fmt: skip


def write_report(view: BacktestView, path: Path) -> Path:
    """Write the report of `view` to `path` and give `path` back. A reader sees the old file or the new one, whole.

    Raises:
        OSError: the folder can't be made, or the disk is full; `path` is then as it was.
    """
    return write_page(render(view), path)


def render(view: BacktestView) -> str:
    """The page. The same view gives the same bytes."""
    return page(
        "page.html",
        SCRIPTS,
        title=escape(f"{view.title} · Slipway backtest"),
        header=sections.header(view),
        tiles=sections.tiles(view),
        assumptions=sections.assumptions(view),
        zones=sections.zones(view),
        months=sections.monthly_table(view),
        costs=sections.costs(view),
        excursions=excursions(view),
        groups=grouped_tables(view.trades),
        hours=hourly_table(view.trades),
        decisions=sections.decisions(view),
        sources=sections.sources(view),
        configuration=sections.configuration(view),
        provenance=sections.provenance(view),
        command=escape(view.command),
        sql=escape(view.strategy_sql),
        data=page_data(view),
    )
