"""What each step did, in words and numbers for a person: one small table per flow run, in the order of reading."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from tasks.backtests import BacktestSummary
    from tasks.session import SessionSummary
    from tasks.stages import StagesReport
    from warehouse.batches import BatchReport
    from warehouse.checks import CheckResult
    from warehouse.connection import PublishReport

Facts = dict[str, str]
SHOWN_BAD_ROWS = 3  # the rest is in raw.quarantine


def of_batch(batch: BatchReport) -> Facts:
    """Rows of one ingestion, and what became of them."""
    refused = {"refused files": "\n".join(str(refusal) for refusal in batch.refusals)} if batch.refusals else {}
    if batch.already_landed:
        return {"rows landed": "0", "known already": f"all of it, as batch {batch.batch_id}", **refused}
    return {
        "rows read": f"{batch.rows_read:,}",
        "rows landed": f"{batch.rows_landed:,}",
        "unchanged": f"{batch.rows_unchanged:,}",
        "revised": f"{batch.rows_revised:,}",
        "quarantined": "\n".join((f"{batch.rows_quarantined:,}", *batch.quarantined[:SHOWN_BAD_ROWS])),
        **{
            f"{span.instrument} {span.timeframe}": f"{span.rows:,}, {_day(span.first_opened_at)} to "
            f"{_day(span.last_opened_at)}"
            for span in batch.series
        },
        **refused,
    }


def of_build(built: StagesReport, checks: tuple[CheckResult, ...], published: PublishReport) -> Facts:
    """The tables people ask for first, with their rows; signals per strategy."""
    rows = built.rows
    changed = sum(stage.outcome != "unchanged" for stage in built.stages)
    known = {
        "candles": rows.get("marts.candles") or None,  # of a view the build counts no rows
        "gaps": rows.get("marts.candle_gaps"),
        "derived vs venue differences": rows.get("marts.candle_differences"),
    }
    signals = {name.removeprefix("marts."): count for name, count in rows.items() if name.startswith("marts.signals_")}
    return {
        **{fact: f"{count:,}" for fact, count in known.items() if count is not None},
        **{name: f"{count:,} signals" for name, count in signals.items()},
        "stages": f"{len(built.stages)}, {changed} of them changed"
        if changed
        else f"{len(built.stages)}, none changed",
        "checks": f"{len(checks)} passed",
        "published": f"{published.size_bytes / 1e6:.1f} MB at {published.published_at:%Y-%m-%d %H:%M:%S} UTC",
    }


def of_backtest(run: BacktestSummary) -> Facts:
    """The measures of one backtest; a figure that the data can't support is left out."""
    measured = run.metrics
    figures = {
        "return": _percent(measured.return_percent),
        "net profit": f"{measured.net_profit_usd:,.2f} USD",
        "max drawdown": _percent(measured.max_drawdown_percent),
        "Sharpe": _number(measured.sharpe),
        "win rate": _percent(measured.win_rate_percent),
        "profit factor": _number(measured.profit_factor),
    }
    return {
        "strategy": f"{run.strategy}, {', '.join(run.instruments)}, {run.timeframe}",
        "span": f"{_day(run.first_candle_at)} to {_day(run.last_candle_at)}, {run.candles:,} candles",
        "trades": f"{measured.trades:,}",
        **{name: figure for name, figure in figures.items() if figure},
        "run": run.run_id if run.is_new is not False else f"{run.run_id}, known already: same inputs, same result",
        **({"report": str(run.report)} if run.report else {}),
    }


def of_session(session: SessionSummary, starting_cash_usd: Decimal) -> Facts:
    """What a trading session lived through, and where its journal stands."""
    added, total = session.added, session.total
    return {
        "closes": f"{added.closes:,} new, {total.closes:,} in the journal",
        "decisions": f"{total.signals:,} signals, {total.entries:,} entries",
        "fills": f"{total.fills:,}",
        "equity": f"{session.equity_usd:,.2f} USD, {session.open_positions} positions open",
        "profit and loss": f"{session.equity_usd - float(starting_cash_usd):+,.2f} USD",
        "journal": str(session.journal),
    }


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d}"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:,.2f} %"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.2f}"
