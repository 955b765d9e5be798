"""What each step did, in words and numbers for a person: one small table per flow run, in the order of reading."""

from __future__ import annotations

from operator import add
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from decimal import Decimal

    from ops.leftovers import Removed
    from tasks.backfill.landing import Landed
    from tasks.backtests import BacktestSummary
    from tasks.research.sweeps import SweepSummary
    from tasks.session import SessionSummary
    from tasks.stages import StagesReport
    from tasks.universe.discovery import DiscoveryReport
    from tasks.upkeep.backups import BackupReport
    from tasks.upkeep.restores import DrillReport
    from tasks.upkeep.validation import DayReport
    from warehouse.batches import BatchReport
    from warehouse.checks import CheckResult
    from warehouse.connection import PublishReport
    from warehouse.upkeep.compaction import Compaction
    from warehouse.upkeep.retention import Forgotten

Facts = dict[str, str]
SHOWN_LEFT_OUT = 5
SHOWN_BAD_ROWS = 3  # the rest is in raw.quarantine


def of_batch(batch: BatchReport) -> Facts:
    """Rows of one ingestion, and what became of them."""
    refused = {"refused files": "\n".join(str(refusal) for refusal in batch.refusals)} if batch.refusals else {}
    left_out = _left_out(batch.skipped)
    if batch.already_landed:
        return {"rows landed": "0", "known already": f"all of it, as batch {batch.batch_id}", **left_out, **refused}
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
        **left_out,
        **refused,
    }


def of_no_batch(unnamed: Sequence[str]) -> Facts:
    """An inbox in which nothing could be read, and what lies there all the same."""
    return {"rows landed": "0", **_left_out(unnamed)}


def of_backfill(landed: Landed, venue: str) -> Facts:
    """Rows that a venue told, dataset by dataset, and what became of them."""
    counted: dict[str, tuple[int, ...]] = {}
    for job in landed.jobs:
        before = counted.get(job.target.dataset, (0, 0, 0, 0))
        counted[job.target.dataset] = tuple(map(add, before, job.counts))
    failed = {"failed": "\n".join(f"{each.title}: {each.error}" for each in landed.failures)} if landed.failures else {}
    return {
        "venue": venue,
        **{
            dataset: f"{read:,} rows, {new:,} landed, {unchanged:,} unchanged, {revised:,} revised"
            for dataset, (read, new, unchanged, revised) in counted.items()
        },
        "rows landed": f"{sum(counts[1] for counts in counted.values()):,}",
        **failed,
    }


def of_discovery(look: DiscoveryReport) -> Facts:
    """What a venue lists and how much of it can be traded, or why it was not believed."""
    listed = {"spot pairs": f"{len(look.seen.pairs):,}", "contracts": f"{len(look.seen.contracts):,}"}
    if look.doubts:
        return {**listed, "refused": "\n".join(look.doubts)}
    return {**listed, "candidates": f"{len(look.candidates):,}", "in the universe": f"{len(look.seen.members):,}"}


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
        **{name: _signals(count, built.rejections.get(name, {})) for name, count in signals.items()},
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


def of_sweep(sweep: SweepSummary) -> Facts:
    """What a sweep tried, and what the best of it is worth."""
    at = sweep.progress
    return {
        "strategy": f"{sweep.strategy}, {sweep.candles:,} candles",
        "sets": f"{at.tried:,}" + (f", {at.earlier:,} of them before" if at.earlier else ""),
        **({f"best by {sweep.objective}": sweep.first} if sweep.best else {}),
        "worth": "\n".join(sweep.sentences),
        "rows": str(sweep.path),
        "report": str(sweep.report),
    }


def of_session(session: SessionSummary, starting_cash_usd: Decimal) -> Facts:
    """What a trading session lived through, and where its journal stands."""
    added, total = session.added, session.total
    return {
        "closes": f"{added.closes:,} new, {total.closes:,} in the journal",
        "decisions": f"{total.signals:,} signals, {total.entries:,} entries",
        "fills": f"{total.fills:,}",
        "equity": f"{session.equity_usd:,.2f} USD, open positions: {session.open_positions}",
        "profit and loss": f"{session.equity_usd - float(starting_cash_usd):+,.2f} USD",
        "journal": str(session.journal),
    }


def of_day(report: DayReport) -> Facts:
    """What was expected of a day, and what of it was not met."""
    return {
        "day": f"{report.day}",
        **{
            each.suite: f"{sum(result.passed for result in each.results)} of {len(each.results)} met"
            for each in report.suites
        },
        **({"out of range": "\n".join(report.failed)} if report.failed else {}),
        "Data Docs": str(report.docs),
    }


def of_backup(made: BackupReport) -> Facts:
    """What is safe by now, and where."""
    return {
        "backup": str(made.folder),
        "size": f"{made.size_bytes / 1e6:,.1f} MB",
        "tables and views": f"{made.tables:,}",
        **{journal.name: f"to row {journal.seq:,}, {journal.hash[:16]}…" for journal in made.journals},
        "older ones deleted": f"{len(made.pruned)}",
        **({"left out": "\n".join(made.left_out)} if made.left_out else {}),
    }


def of_drill(drill: DrillReport) -> Facts:
    """What a restore has proven."""
    return {
        "restored": str(drill.folder),
        "tables and views": f"{drill.tables:,}, equal",
        "rows of journals": f"{drill.rows:,}, chains whole",
        **({"no longer on this machine": ", ".join(drill.missing)} if drill.missing else {}),
    }


def of_tidying(rows: Forgotten, compacted: Compaction, files: Removed, runs: int) -> Facts:
    """What was thrown away, counted."""
    before, after = compacted
    was = f", was {before / 1e6:,.1f} MB" if after != before else ", left alone"
    return {
        "refused batches": f"{rows.refused_batches:,}, with {rows.refused_rows:,} candles",
        "texts of quarantined lines": f"{rows.quarantine_texts:,}",
        "results of checks": f"{rows.check_results:,}",
        "files": f"{files.files:,}, {files.size_bytes / 1e6:,.1f} MB",
        "Prefect runs": f"{runs:,}",
        "build file": f"{after / 1e6:,.1f} MB{was}",
    }


def _left_out(sentences: Sequence[str]) -> Facts:
    more = len(sentences) - SHOWN_LEFT_OUT
    told = [*sentences[:SHOWN_LEFT_OUT], *([f"… and {more} more"] if more > 0 else [])]
    return {"left out": "\n".join(told)} if told else {}


def _signals(count: int, rejections: Mapping[str, int]) -> str:
    reasons = [f"{candidates:,} not taken: {reason}" for reason, candidates in rejections.items()]
    return "\n".join([f"{count:,} signals", *reasons])


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d}"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:,.2f} %"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.2f}"
