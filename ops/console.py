"""What the command line prints: short tables that a person enjoys reading."""

from collections.abc import Mapping, Sequence

from trading.metrics.figures import Metrics

Rows = Sequence[tuple[str, str]]
NOTHING = "–"  # the data can't say


def show(title: str, rows: Rows, notes: Sequence[str] = ()) -> None:
    """Print a titled table of names and values, then the notes, one line each."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE, show_header=False)
    table.add_column(style="dim")
    table.add_column(justify="right")
    for name, value in rows:
        table.add_row(name, value)
    console = Console(highlight=False)
    console.print(title, style="bold", soft_wrap=True, markup=False)
    console.print(table)
    for note in notes:
        console.print(note, soft_wrap=True, markup=False)


def metric_rows(metrics: Metrics) -> Rows:
    """The figures of a run that are read first."""
    return (
        ("final equity", f"{metrics.final_equity_usd:,.2f} USD"),
        ("return", _percent(metrics.return_percent)),
        ("per year", _percent(metrics.cagr_percent)),
        ("largest drawdown", _percent(metrics.max_drawdown_percent)),
        ("Sharpe / Sortino", f"{_number(metrics.sharpe)} / {_number(metrics.sortino)}"),
        ("trades", f"{metrics.trades:,}"),
        ("won", _percent(metrics.win_rate_percent)),
        ("profit factor", _number(metrics.profit_factor)),
        ("mean result", f"{_number(metrics.expectancy_r)} R"),
        ("time in the market", _percent(metrics.exposure_percent)),
        ("fees", f"{metrics.fees_usd:,.2f} USD"),
        ("spread", f"{metrics.spread_usd:,.2f} USD"),
        ("slippage", f"{metrics.slippage_usd:,.2f} USD"),
        ("funding", f"{metrics.funding_usd:,.2f} USD"),
    )


def decision_text(decisions: Mapping[str, int]) -> str:
    """What became of the signals, the most frequent answer first."""
    answers = sorted(decisions.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count:,} {name.lower().replace('_', ' ')}" for name, count in answers) or "none"


def _percent(value: float | None) -> str:
    return NOTHING if value is None else f"{value:,.2f} %"


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:,.2f}"
