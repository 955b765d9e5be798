"""One run as one HTML file that works offline, and stays what it was when it was written."""

import base64
import hashlib
import os
from html import escape
from pathlib import Path
from string import Template

from reports import sections
from reports.embedded import page_data
from reports.groups import grouped_tables, hourly_table
from reports.model import BacktestView
from reports.scatter import excursions

HERE = Path(__file__).resolve().parent
CHART_LIBRARY = HERE / "vendor" / "lightweight-charts.js"
SCRIPTS = (
    "columns.js", "equity_chart.js", "overlay.js", "zone_boxes.js", "trade_marks.js", "candle_chart.js",
    "trade_table.js", "main.js",
)  # fmt: skip


def write_report(view: BacktestView, path: Path) -> Path:
    """Write the report of `view` to `path` and give `path` back. A reader sees the old file or the new one, whole.

    Raises:
        OSError: the folder can't be made, or the disk is full; `path` is then as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_text(render(view), encoding="utf-8", newline="\n")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path


def render(view: BacktestView) -> str:
    """The page. The same view gives the same bytes."""
    library = _text(CHART_LIBRARY)
    program = "(() => {\n'use strict';\n" + "\n".join(_text(HERE / "page" / name) for name in SCRIPTS) + "})();\n"
    return Template(_text(HERE / "page" / "page.html")).substitute(
        policy=policy(library, program),
        title=escape(f"{view.title} · Slipway backtest"),
        style=_text(HERE / "page" / "style.css"),
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
        library=library,
        program=program,
    )


def policy(*scripts: str) -> str:
    """What the browser may do with the page: run these scripts and nothing else, load nothing from anywhere."""
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
