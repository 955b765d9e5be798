"""One strategy with many sets of parameters over the same candles, in processes beside one another.

Every set is tried in every window of time: in all of it, and, for a walk forward, in stretches to choose in and in the
stretches after them. Between the two lie as many candles as the header of the strategy looks back; what its features
remember from before that is no knowledge of what comes after. The best of many looks good by luck alone: how good is
said beside it.
"""

import json
import math
import os
import shlex
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple, get_args

import numpy as np
import polars as pl
import psutil

from config.settings import ROOT, Objective, Settings
from reports.sweeps import Page, Tried, figures_text, set_text, sweep_markdown
from tasks.backtests import RUN_ID_LENGTH
from tasks.market import History, Traded, history_of, read_traded
from tasks.provenance import code_version, engine_hash, settings_hash, table_hash, text_hash
from tasks.research import sweep_reports
from tasks.research.benches import Place, tried
from tasks.research.spaces import Set, drawn, grid, parse_space
from trading.errors import InputUnusable, SetupFailed
from trading.metrics.returns import FloatArray
from trading.metrics.selection import best_deflated, overfitting_probability
from warehouse.schema import TIMEFRAME_US
from warehouse.strategies.loading import Strategy, load_strategy
from warehouse.strategies.running import candles_hash, publication
from warehouse.sweeps import SetResult, SweepFile, Window, sweep_file, told

OBJECTIVES = get_args(Objective)
ROWS_ARE_MADE_BY = (
    "tasks/market.py",
    "tasks/futures/perpetuals.py",
    "tasks/research/benches.py",
    "reports/model.py",
)  # beside the engine
STORED_EVERY_S = 1.0
SHOWN = 10


class Ask(NamedTuple):
    """What was asked for; None is what the settings say, all of history, or every processor."""

    strategy_sql: Path
    vary: tuple[str, ...]
    draws: int | None = None  # None: every combination
    seed: int = 0
    folds: int = 0  # of a walk forward; 0: none
    anchored: bool = True  # each stretch to choose in begins where history does; else it is as long as a fold
    objective: str = "sharpe"
    instruments: tuple[str, ...] | None = None
    timeframe: str | None = None
    first: datetime | None = None
    last: datetime | None = None
    parameters: Mapping[str, object] = {}
    processes: int | None = None


class Progress(NamedTuple):
    """How far it is."""

    tried: int
    sets: int
    seconds: float  # since it began
    earlier: int  # of the tried ones, by an earlier run of the same sweep

    @property
    def share(self) -> float:
        return self.tried / self.sets

    @property
    def text(self) -> str:
        left = (self.sets - self.tried) * self.seconds / max(self.tried - self.earlier, 1)
        return f"{self.tried:,} of {self.sets:,}, about {left:,.0f} s left"


class Chosen(NamedTuple):
    """A fold of a walk forward: what was best before, and what it came to afterwards."""

    fold: int
    first: datetime  # of the fold itself
    last: datetime
    parameters: Set
    before: Mapping[str, float | None]
    after: Mapping[str, float | None]


class SweepSummary(NamedTuple):
    """What a sweep came to."""

    sweep_id: str
    strategy: str
    path: Path  # the rows
    candles: int
    progress: Progress
    unusable: tuple[str, ...]  # a sentence for each set that could not be tried, without repeats
    objective: str
    best: tuple[tuple[Set, Mapping[str, float | None]], ...]  # over all of the time, the best first
    deflated_sharpe: float | None  # of the best by Sharpe: probability that it has any skill, of so many tried
    overfitting: float | None  # probability that the best of one half of the time is among the worse in the other
    walked: tuple[Chosen, ...]
    stayed_out: int  # folds before which no set has a figure to choose by
    ruined: int  # sets that lost everything, so that they have no daily returns to compare
    tried: tuple[Tried, ...]  # every set that could be, with the figure that they are compared by
    report: Path  # the page

    @property
    def first(self) -> str:
        """The best set, in words to read; empty when none could be tried."""
        return set_text(self.best[0][0]) if self.best else ""

    @property
    def first_options(self) -> str:
        """The best set, as options of `slipway backtest`."""
        return " ".join(f"--set {shlex.quote(set_text({name: value}))}" for name, value in self.best[0][0].items())

    @property
    def sentences(self) -> tuple[str, ...]:
        """What the best of them is worth, and what could not be tried."""
        said = []
        if self.deflated_sharpe is not None:
            said.append(
                f"Of so many, the best by Sharpe has any skill with a probability of {self.deflated_sharpe:.0%} "
                "(deflated Sharpe ratio)."
            )
        if self.overfitting is not None:
            said.append(
                "What is best in one half of the time is in the worse half in the other with a probability of "
                f"{self.overfitting:.0%} (probability of backtest overfitting)."
            )
        if self.walked:
            total = self.walked_return_percent
            came_to = "has no figure: a fold has no candles" if total is None else f"made {total:.2f} %"
            said.append(f"Walked forward, chosen by {self.objective} before each fold, it {came_to}.")
        return (*said, *self.exceptions)

    @property
    def exceptions(self) -> tuple[str, ...]:
        """What could not be tried, chosen or compared."""
        said = list(self.unusable)
        if self.stayed_out:
            said.append(f"Before {self.stayed_out} fold(s) no set has a {self.objective}: nothing was chosen for them.")
        if self.ruined:
            said.append(f"{self.ruined:,} sets lost everything, and are left out of both probabilities.")
        return tuple(said)

    @property
    def walked_return_percent(self) -> float | None:
        """Of all folds, one after the other, each with what was best before it; None when a fold can't say."""
        return walked_return_percent(self.walked)

    @property
    def page(self) -> str:
        """The sweep as Markdown, with a map of two parameters."""
        return sweep_markdown(
            Page(
                title=f"{self.strategy}: {len(self.tried):,} sets of parameters on {self.candles:,} candles",
                objective=self.objective,
                tried=self.tried,
                best=[(set_text(varied), figures_text(figures)) for varied, figures in self.best],
                walked=[(f"{one.fold}. {set_text(one.parameters)}", figures_text(one.after)) for one in self.walked],
                sentences=self.sentences,
            )
        )


def run_sweep(settings: Settings, ask: Ask, watch: Callable[[Progress], None] = lambda _: None) -> SweepSummary:
    """Try every set that `ask` names. What an earlier run of the same sweep has tried is not tried again.

    Raises:
        SetupFailed: nothing is published, no room for the results, or a process of it was killed.
        InputUnusable: the strategy or a space can't be used, or there are no candles.
        CheckFailed: the strategy, as it is, gives signals that can't be traded.
        WarehouseBusy: the same sweep is running, or somebody has its results open.
    """
    _refuse_unusable(ask)
    strategy = load_strategy(ask.strategy_sql, ask.parameters)
    sets = _sets(strategy, ask)
    with ExitStack() as stack:
        source = stack.enter_context(_kept(settings))
        connection = stack.enter_context(publication(source, memory_limit=settings.warehouse.memory_limit))
        traded = read_traded(settings, connection, ask.instruments, ask.timeframe, ask.first, ask.last)
        as_it_is = history_of(settings, connection, strategy, traded)
        windows = _windows(as_it_is, strategy, ask)
        facts = _facts(settings, strategy, ask, as_it_is, sets, windows, candles_hash(connection, ask.last))
        path = settings.paths.state / "sweeps" / f"{strategy.name}-{facts['sweep_id']}.duckdb"
        file = stack.enter_context(sweep_file(path))
        before = file.begin(facts, windows)
        place = Place(
            settings, source, strategy, windows, traded.instruments, ask.timeframe, ask.first, ask.last, ask.processes
        )
        progress = _try_all(place, sets, before, file, watch)
        rows, returns = file.results(), file.daily_returns()
    page = settings.paths.reports / f"{strategy.name}-sweep-{facts['sweep_id']}.html"
    summary = _summary(str(facts["sweep_id"]), strategy, path, page, ask, traded, progress, rows, returns)
    sweep_reports.write(summary, ask, facts, ranked(_whole(rows), ask.objective), returns)
    return summary


def _refuse_unusable(ask: Ask) -> None:
    if ask.objective not in OBJECTIVES:
        raise InputUnusable(f"There is no choosing by {ask.objective!r}; there are {', '.join(OBJECTIVES)}.")
    for name, given, least in (("draws", ask.draws, 1), ("folds", ask.folds, 0), ("processes", ask.processes, 1)):
        if given is not None and given < least:
            raise InputUnusable(f"{name} = {given}: it is {least} at least.")


def _sets(strategy: Strategy, ask: Ask) -> tuple[Set, ...]:
    spaces = [parse_space(text, strategy.header.params, strategy.file) for text in ask.vary]
    names = [space.param.name for space in spaces]
    twice = sorted({name for name in names if names.count(name) > 1} | set(names) & set(ask.parameters))
    if twice:
        raise InputUnusable(f"{', '.join(twice)} can be said once: set, or varied.")
    if not spaces:
        known = ", ".join(param.name for param in strategy.header.params) or "none"
        raise InputUnusable(f"Say which parameters to vary; {strategy.file} declares {known}.")
    return grid(spaces) if ask.draws is None else drawn(spaces, ask.draws, ask.seed)


@contextmanager
def _kept(settings: Settings) -> Iterator[Path]:
    """What is published now, under a name of its own: all processes read the same, whatever is published meanwhile."""
    published = settings.paths.published
    if not published.is_file():
        raise SetupFailed(f"There is no published warehouse at {published} yet; `make run` builds it.")
    spool = settings.paths.state / "spool"
    spool.mkdir(parents=True, exist_ok=True)
    for left_over in spool.glob("sweep-*-*"):
        if not psutil.pid_exists(int(left_over.name.split("-")[1])):
            shutil.rmtree(left_over)  # of a sweep that was killed: it would keep an old publication on the disk
    with tempfile.TemporaryDirectory(prefix=f"sweep-{os.getpid()}-", dir=spool) as folder:
        kept = Path(folder) / published.name
        try:
            os.link(published, kept)  # it is replaced by rename, never written in place
        except OSError:
            shutil.copyfile(published, kept)  # another disk, or one that knows no links
        yield kept


def _windows(history: History, strategy: Strategy, ask: Ask) -> tuple[Window, ...]:
    """All of the time, and for each fold the time to choose in and the time after it."""
    width = timedelta(microseconds=TIMEFRAME_US[history.timeframe])
    first, last = history.first_candle_at, history.last_candle_at + width
    whole = Window("all", 0, first, last)
    if ask.folds == 0:
        return (whole,)
    gap = (strategy.header.lookback or 0) * width
    part = (last - first) // (ask.folds + 1) // width * width
    if part <= gap:
        raise InputUnusable(
            f"{ask.folds} folds of {(last - first) // width:,} candles are shorter than the {gap // width} that "
            "the strategy looks back: take fewer folds, or more history."
        )
    windows = [whole]
    for fold in range(1, ask.folds + 1):
        begin = first + fold * part
        end = last if fold == ask.folds else begin + part
        windows.append(Window("train", fold, first if ask.anchored else begin - part, begin - gap))
        windows.append(Window("test", fold, begin, end))
    return tuple(windows)


def _facts(
    settings: Settings,
    strategy: Strategy,
    ask: Ask,
    history: History,
    sets: Sequence[Set],
    windows: Sequence[Window],
    candles: str,
) -> dict[str, object]:
    """The row of `sweep`. The same sweep has the same id: what it tries, in which windows, on what, by which code."""
    hashes = {
        "strategy": strategy.hash,
        # A set that is not the default may read what the default does not.
        "data": text_hash(candles, table_hash(history.market.tables)),
        "configuration": text_hash(settings_hash(settings), ",".join(history.instruments), history.timeframe),
        "engine": text_hash(engine_hash(), *((ROOT / name).read_text(encoding="utf-8") for name in ROWS_ARE_MADE_BY)),
        "sets": text_hash(*(json.dumps(dict(each)) for each in sets)),
        "windows": text_hash(*(f"{window.first} {window.last}" for window in windows)),
    }
    return {
        "sweep_id": text_hash(*hashes.values())[:RUN_ID_LENGTH],
        "strategy": strategy.name,
        "strategy_sql": strategy.sql,
        "instruments": list(history.instruments),
        "timeframe": history.timeframe,
        "first_candle_at": history.first_candle_at,
        "last_candle_at": history.last_candle_at,
        "candles": len(history.candles),
        "sets": len(sets),
        "configuration": {
            "vary": list(ask.vary), "draws": ask.draws, "seed": ask.seed, "folds": ask.folds,
            "anchored": ask.anchored, "parameters": dict(strategy.values),
            "costs": settings.costs.model_dump(mode="json"), "risk": settings.risk.model_dump(mode="json"),
        },
        "code_version": code_version(),
        "hashes": hashes,
        "begun_at": datetime.now(UTC),
    }  # fmt: skip


def _try_all(
    place: Place, sets: Sequence[Set], before: frozenset[int], file: SweepFile, watch: Callable[[Progress], None]
) -> Progress:
    """Try what was not tried yet, and keep what it comes to: all of it when stopped, all but a second's when killed."""
    began = time.monotonic()
    left = [(number, each) for number, each in enumerate(sets) if number not in before]
    progress = Progress(len(before), len(sets), 0.0, len(before))
    waiting: list[SetResult] = []
    stored_at = began
    try:
        with tried(place, left) as results:
            for result in results:
                waiting.append(result)
                now = time.monotonic()
                if now - stored_at >= STORED_EVERY_S:
                    file.add(waiting)
                    waiting, stored_at = [], now
                progress = progress._replace(tried=progress.tried + 1, seconds=now - began)
                watch(progress)
    finally:
        file.add(waiting)
    return progress


def _summary(
    sweep_id: str,
    strategy: Strategy,
    path: Path,
    page: Path,
    ask: Ask,
    traded: Traded,
    progress: Progress,
    rows: pl.DataFrame,
    daily: pl.DataFrame,
) -> SweepSummary:
    usable = rows.filter(pl.col("error").is_null())
    whole = ranked(_whole(rows), ask.objective)
    returns = _returns(daily)
    walked = [_chosen(usable, fold, ask.objective) for fold in range(1, ask.folds + 1) if len(usable)]
    return SweepSummary(
        sweep_id=sweep_id,
        strategy=strategy.name,
        path=path,
        candles=len(traded.candles),
        progress=progress,
        unusable=tuple(rows["error"].drop_nulls().unique(maintain_order=True)),
        objective=ask.objective,
        best=tuple(told(row) for row in whole.head(SHOWN).iter_rows(named=True)),
        deflated_sharpe=best_deflated(returns),
        overfitting=overfitting_probability(returns) if returns.size else None,
        walked=tuple(chosen for chosen in walked if chosen is not None),
        stayed_out=walked.count(None),
        ruined=daily["daily_returns"].null_count(),
        tried=tuple(Tried(*_compared(row, ask.objective)) for row in whole.iter_rows(named=True)),
        report=page,
    )


def _whole(rows: pl.DataFrame) -> pl.DataFrame:
    """What could be tried, over all of the time."""
    return rows.filter(pl.col("error").is_null(), kind="all")


def ranked(rows: pl.DataFrame, objective: str) -> pl.DataFrame:
    """The best first; what has no such figure last. Among equals the set that was named first.

    A profit factor is no figure without a loss; of one who has won, it is better than any.
    """
    figure = pl.col(objective)
    if objective == "profit_factor":
        figure = pl.when(figure.is_null() & (pl.col("win_rate_percent") > 0)).then(math.inf).otherwise(figure)
    return rows.sort(figure, "set_no", descending=[True, False], nulls_last=True)


def _compared(row: Mapping[str, object], objective: str) -> tuple[Set, float | None]:
    parameters, figures = told(row)
    return parameters, figures[objective]


def _returns(daily: pl.DataFrame) -> FloatArray:
    """Daily returns, a row per day and a column per set; of sets that lost everything there are none."""
    lists = daily["daily_returns"].drop_nulls()
    return np.stack([each.to_numpy() for each in lists], axis=1) if len(lists) else np.empty((0, 0))


def _chosen(usable: pl.DataFrame, fold: int, objective: str) -> Chosen | None:
    """What was best before, in this fold, with what it came to afterwards; None when there is nothing to choose by."""
    first = ranked(usable.filter(kind="train", fold=fold), objective).row(0, named=True)
    parameters, before = told(first)
    if before[objective] is None and not before["win_rate_percent"]:
        return None
    judged = usable.row(by_predicate=_at(first["set_no"], "test", fold), named=True)
    _, after = told(judged)
    return Chosen(fold, judged["first"], judged["last"], parameters, before, after)


def _at(set_no: int, kind: str, fold: int) -> pl.Expr:
    return (pl.col("set_no") == set_no) & (pl.col("kind") == kind) & (pl.col("fold") == fold)


def walked_return_percent(walked: Sequence[Chosen]) -> float | None:
    """Of all folds, one after the other, each with what was best before it; None when a fold can't say."""
    returns = [chosen.after["return_percent"] for chosen in walked]
    if not returns or any(each is None for each in returns):
        return None
    return (math.prod(1 + each / 100 for each in returns if each is not None) - 1) * 100
