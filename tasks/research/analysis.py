"""One strategy file, tried for look-ahead, for what history it needs, and for how much hangs on its numbers."""

import random
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import polars as pl

from config.settings import Settings
from exchange.rows import Signal
from reports.model import metrics_of
from tasks.backtests import simulated
from tasks.market import History, load_history
from tasks.stages import smc_kernel
from trading.errors import InputUnusable
from trading.metrics.figures import Metrics
from warehouse.grammar.parameters import Param, Value
from warehouse.replay import TIMEFRAMES, Span, read_candles
from warehouse.strategies.loading import Strategy, load_strategy, with_parameters
from warehouse.strategies.running import publication
from warehouse.strategies.trials import (
    Offence,
    first_offence,
    look_ahead_offenders,
    lookback_offenders,
    settling,
    shortest,
    warm_up_offenders,
)

CUTS = 24
STARTS = 3
SEED = 20_231
STEPS = (0.8, 0.9, 1.1, 1.2)  # of each number of the header


class Tried(NamedTuple):
    """One check: what it asks, on what it was tried, and where it failed. `offence` None: nowhere."""

    name: str
    means: str
    trials: int
    offence: Offence | None


class Varied(NamedTuple):
    """A backtest with one number of the header other than it is. `parameter` empty: with all as they are."""

    parameter: str
    value: Value
    metrics: Metrics


class Findings(NamedTuple):
    """What was found about a strategy."""

    strategy: str
    candles: int
    tried: tuple[Tried, ...]
    varied: tuple[Varied, ...]

    @property
    def passed(self) -> bool:
        """Whether no check has failed. How much hangs on a number is for a person to judge."""
        return all(each.offence is None for each in self.tried)


def check_strategy(
    settings: Settings,
    strategy_sql: Path,
    *,
    instruments: tuple[str, ...] | None = None,
    timeframe: str | None = None,
    parameters: Mapping[str, object] | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Findings:
    """Try the strategy in `strategy_sql` on the published candles; `say` is told what is being done.

    Raises:
        SetupFailed: nothing is published.
        InputUnusable: the text alone shows that the strategy looks ahead or can't be used, or there are no candles.
        CheckFailed: it gives signals that can't be traded.
    """
    strategy, kernel = load_strategy(strategy_sql, parameters), smc_kernel(settings)
    names, frame = instruments or settings.strategy.instruments, timeframe or settings.strategy.timeframe
    candles = _candles(settings, strategy, names, frame)
    history = load_history(settings, strategy, instruments=names, timeframe=frame)
    if not len(history.market.signals):
        raise InputUnusable(
            f"{strategy.file} gives no signal on {frame} candles of {', '.join(names)}, so there is nothing to try. "
            "--timeframe and --instrument name other ones."
        )
    cuts = _cuts(history)
    starts = _starts(candles, strategy)
    say(f"Look-ahead: {len(cuts)} times the candles end earlier.")
    ahead = first_offence(look_ahead_offenders(strategy, candles, cuts, kernel))
    say(f"Lookback: {len(cuts)} closes, with the declared lookback alone.")
    back = first_offence(lookback_offenders(strategy, candles, cuts, kernel))
    say(f"Warm-up: {len(starts)} times history begins later.")
    warm = first_offence(warm_up_offenders(strategy, candles, starts, kernel)) if starts else None
    tried = (
        Tried("Look-ahead", "no signal changes when later candles come", len(cuts), ahead),
        Tried("Lookback", "its lookback gives the signals of all history", len(cuts), back),
        Tried("Warm-up", f"after {settling(strategy):,} candles the beginning is forgotten", len(starts), warm),
    )
    return Findings(strategy.name, len(candles), tried, tuple(_variations(settings, strategy, history, say)))


def _candles(settings: Settings, strategy: Strategy, names: tuple[str, ...], timeframe: str) -> pl.DataFrame:
    """All that the strategy may read: other timeframes too, unless its text keeps them apart."""
    read = (timeframe,) if strategy.reads_one_timeframe else TIMEFRAMES
    with publication(settings.paths.published) as connection:
        candles = read_candles(connection, Span(names, read))
    if candles.is_empty():
        raise InputUnusable(f"There are no published {timeframe} candles of {', '.join(names)} to try it on.")
    return candles


def _cuts(history: History) -> list[datetime]:
    """Half of them at closes with a signal, half at any other; the same each time."""
    chance = random.Random(SEED)  # noqa: S311  # nobody gains by guessing it
    closes = history.candles["closed_at"].unique().sort().to_list()
    signalled = set(history.market.signals[:, Signal._fields.index("signal_at")].tolist())
    chosen = set(_some(chance, [close for close in closes if round(close.timestamp() * 1e6) in signalled]))
    return sorted(chosen.union(_some(chance, [close for close in closes if close not in chosen])))


def _some(chance: random.Random, closes: list[datetime]) -> Iterable[datetime]:
    return chance.sample(closes, min(CUTS // 2, len(closes)))


def _starts(candles: pl.DataFrame, strategy: Strategy) -> list[datetime]:
    """Later beginnings that leave at least as many of the shortest candles to compare as it takes to settle."""
    series = (
        candles.filter(timeframe=shortest(candles["timeframe"].unique())).sort("opened_at").partition_by("instrument")
    )
    longest = max(series, key=len)["opened_at"]
    spare = len(longest) - 2 * settling(strategy)
    return [longest[spare * part // STARTS] for part in range(1, STARTS + 1)] if spare >= STARTS else []


def _variations(
    settings: Settings, strategy: Strategy, history: History, say: Callable[[str], None]
) -> Iterable[Varied]:
    say("Sensitivity: backtests with every number a tenth and a fifth lower and higher.")
    yield Varied("", "", _metrics(settings, history))
    params = {param.name: param for param in strategy.header.params}
    for name, value in strategy.values.items():
        if isinstance(value, bool | str):
            continue
        for other in _near(params[name], value):
            varied = with_parameters(strategy, {name: other})
            others = load_history(settings, varied, instruments=history.instruments, timeframe=history.timeframe)
            yield Varied(name, other, _metrics(settings, others))


def _near(param: Param, value: float) -> list[Value]:
    """Other values that the header allows: all that it lists, else some a little lower and higher."""
    if param.choices:
        return [choice for choice in param.choices if choice != value]
    near = {round(value * step) if isinstance(value, int) else value * step for step in STEPS}
    return [other for other in sorted(near - {value}) if param.allows(other)]


def _metrics(settings: Settings, history: History) -> Metrics:
    run = simulated(history, settings)
    return metrics_of(run.trades, run.equity, float(settings.risk.starting_cash_usd))
