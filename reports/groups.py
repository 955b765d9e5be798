"""Where the result came from: the trades by instrument, side, exit and hour of entry, as tables."""

from html import escape

import polars as pl

from reports import wording
from reports.model import trade_columns
from trading.metrics.trades import TradeFigures, figures_by_label

HEADINGS = ("trades", "won", "net, USD", "profit factor", "mean R")
COLUMNS = {"Instrument": "instrument", "Side": "side", "Left by": "exit_reason"}


def grouped_tables(trades: pl.DataFrame) -> str:
    """A table each by instrument, side and exit. `trades` has the columns of `TRADE_SCHEMA`."""
    return "".join(_table(title, trades, trades[column]) for title, column in COLUMNS.items())


def hourly_table(trades: pl.DataFrame) -> str:
    """The trades by the hour of their entry, UTC."""
    return _table("Entered, UTC", trades, trades["entered_at"].dt.strftime("%H:00"))


def _table(title: str, trades: pl.DataFrame, labels: pl.Series) -> str:
    """Empty without trades."""
    if trades.is_empty():
        return ""
    groups = figures_by_label(trade_columns(trades), labels.to_list())
    head = "".join(f"<th scope=col>{heading}</th>" for heading in HEADINGS)
    largest = max(abs(figures.net_pnl_usd) for figures in groups.values())
    rows = "".join(_row(name, figures, largest) for name, figures in groups.items())
    return (
        f"<table class=groups><thead><tr><th scope=col>{escape(title)}</th>{head}</tr></thead>"
        f"<tbody>{rows}</tbody></table>"
    )


def _row(name: str, figures: TradeFigures, largest_usd: float) -> str:
    """Coloured by its share of the largest gain or loss, as months are."""
    heat = abs(figures.net_pnl_usd) / largest_usd if largest_usd else 0.0
    return (
        f"<tr><th scope=row>{escape(name)}</th><td>{figures.trades:,}</td>"
        f"<td>{wording.percent(figures.win_rate_percent, 1)}</td>"
        f'<td class="{wording.tone(figures.net_pnl_usd)}" style="--heat:{heat:.2f}">'
        f"{wording.signed_usd(figures.net_pnl_usd, 0)}</td>"
        f"<td>{wording.usd(figures.profit_factor)}</td><td>{wording.signed_usd(figures.expectancy_r)}</td></tr>"
    )
