"""One strategy file over the published candles: simulated, measured, reported, stored."""

import functools
import json
import shlex
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from config.settings import ROOT, Settings
from exchange.compiling import compiled, machine_code_in
from exchange.rows import Candle, Ending, Fill, Payment, Verdict
from exchange.simulator import fold
from reports.backtest import write_report
from reports.model import CANDLE_SCHEMA, BacktestView, intervals_of, metrics_of
from tasks.futures.perpetuals import refuse_assumed
from tasks.market import History, IntTable, candles_of, load_history
from tasks.provenance import code_version, engine_hash, settings_hash, table_hash, text_hash
from tasks.publication import publish_what_passed
from tasks.research.assumptions import assumptions, doubts, prices_and_funding
from tasks.results import decision_rows, equity_rows, fill_rows, payment_rows, settled, trade_rows, zone_rows
from trading.errors import SetupFailed
from trading.ledger import LastPrice, trades_of
from trading.metrics.excursions import Ranges, excursions_of
from trading.metrics.figures import Metrics
from trading.model import DAY_US, E8
from warehouse.backtests import RunRows, store_run
from warehouse.connection import unit_of_work
from warehouse.schema import TIMEFRAME_US
from warehouse.strategies.loading import Strategy, load_strategy

RUN_ID_LENGTH = 16  # hex digits of SHA-256: no two runs of anybody's share them


class BacktestSummary(NamedTuple):
    """What a run came to. The view holds its rows, and all that the report says."""

    view: BacktestView
    candles: int
    first_candle_at: datetime  # opened
    last_candle_at: datetime  # opened
    engine_seconds: float
    report: Path | None  # None: none was wanted
    is_new: bool | None  # whether the warehouse had no such run before; None: not stored
    is_published: bool  # False: not stored, or new and waiting for a build that passes its checks

    @property
    def run_id(self) -> str:
        return self.view.run_id

    @property
    def strategy(self) -> str:
        return self.view.strategy

    @property
    def instruments(self) -> tuple[str, ...]:
        return tuple(self.view.candles)

    @property
    def timeframe(self) -> str:
        return self.view.timeframe

    @property
    def metrics(self) -> Metrics:
        return self.view.metrics

    @property
    def page(self) -> str:
        """The run as Markdown, with its equity as a picture."""
        from reports.pictures import equity_png, summary_markdown  # only who asks pays for matplotlib

        return summary_markdown(self.view, equity_png(self.view))


class Request(NamedTuple):
    """What was asked for; None is what the settings say, or all of history."""

    strategy_sql: Path
    instruments: tuple[str, ...] | None
    first: datetime | None
    last: datetime | None
    timeframe: str | None
    parameters: Mapping[str, object]


class Run(NamedTuple):
    """A simulated run as rows."""

    trades: pl.DataFrame  # reports.model.TRADE_SCHEMA
    fills: IntTable  # columns of `Fill`: rows of them are made for who stores them
    payments: IntTable  # columns of `Payment`, likewise
    equity: pl.DataFrame  # reports.model.EQUITY_SCHEMA
    decisions: pl.DataFrame  # tasks.results.DECISION_SCHEMA
    engine_seconds: float


def run_backtest(
    settings: Settings,
    strategy_sql: Path,
    *,
    instruments: tuple[str, ...] | None = None,
    first: datetime | None = None,
    last: datetime | None = None,
    timeframe: str | None = None,
    parameters: Mapping[str, object] | None = None,
    store: bool = True,
    report: bool = True,
) -> BacktestSummary:
    """Trade the strategy in `strategy_sql` over the published candles that lie between `first` and `last`.

    What is left out comes from the settings, and all of history for the bounds. The same inputs and the same code give
    the same run id; storing it again replaces the same rows.

    Raises:
        SetupFailed: nothing is published, or there is no room for the report.
        InputUnusable: the strategy can't be used, or there are no candles to trade it on.
        CheckFailed: the strategy gives signals that can't be traded.
        WarehouseBusy: another process held the build file for the whole wait; the report is written.
    """
    request = Request(strategy_sql, instruments, first, last, timeframe, parameters or {})
    if store:
        _refuse_missing_build(settings.paths.build)
    strategy = load_strategy(strategy_sql, request.parameters)
    history = load_history(
        settings, strategy, instruments=instruments, timeframe=timeframe, first=first, last=last, with_zones=report
    )
    run = simulated(history, settings)
    view = _view(settings, request, strategy, history, run)
    written = _written(view, settings.paths.reports) if report else None
    is_new, is_published = _stored(settings, history, run, view) if store else (None, False)
    return BacktestSummary(
        view=view,
        candles=len(history.candles),
        first_candle_at=history.first_candle_at,
        last_candle_at=history.last_candle_at,
        engine_seconds=run.engine_seconds,
        report=written,
        is_new=is_new,
        is_published=is_published,
    )


def simulated(history: History, settings: Settings) -> Run:
    """Fold the decision function over the market, compiled, and turn its numbers into rows."""
    market = history.market
    engine = _engine(machine_code_in(settings.paths.state))
    began = time.perf_counter()
    _, fill_table, decisions, equity, payment_table, endings = engine(
        market.account, np.array(market.rules), market.costs, market.candles, market.signals, market.funding
    )
    engine_seconds = time.perf_counter() - began
    last = [_last_price(history, number) for number in range(len(history.instruments))]
    fills = [Fill(*row) for row in fill_table.tolist()]
    units = [rules.unit_e8 for rules in market.rules]
    specs = [settings.instruments[name] for name in history.instruments]
    refuse_assumed(history.rates, payment_table, specs, settings.costs)
    payments = [Payment(*row) for row in payment_table.tolist()]
    trades = trades_of(fills, last, units, payments)
    excursions = excursions_of(trades, [_ranges(history, number) for number in range(len(units))], units)
    verdicts = settled((Verdict(*row) for row in decisions.tolist()), fills, (Ending(*row) for row in endings.tolist()))
    return Run(
        trades=trade_rows(trades, excursions, history.instruments, specs),
        fills=fill_table,
        payments=payment_table,
        equity=equity_rows(equity, market.account.cash_e8 / E8),
        decisions=decision_rows(verdicts, history.instruments),
        engine_seconds=engine_seconds,
    )


@functools.cache  # whoever simulates many runs loads the machine code once
def _engine(folder: Path) -> Callable[..., Any]:
    return compiled(fold, folder)


def _refuse_missing_build(build: Path) -> None:
    # Publishing a build file that holds nothing but this run would take everybody's candles away.
    if not build.is_file():
        raise SetupFailed(
            "The build file is gone, so the run can't be stored: `make run` makes it, --no-store does without."
        )


def _last_price(history: History, number: int) -> LastPrice:
    """An instrument without candles never traded, so its last price is never asked for."""
    own = candles_of(history, number)
    if not len(own):
        return LastPrice(0, 0)
    last = Candle(*own[-1].tolist())
    return LastPrice(last.closed_at, last.mark_close or last.close)


def _ranges(history: History, number: int) -> Ranges:
    own = candles_of(history, number)
    return Ranges(*(own[:, Candle._fields.index(name)] for name in Ranges._fields))


def _view(settings: Settings, request: Request, strategy: Strategy, history: History, run: Run) -> BacktestView:
    hashes = {
        "strategy": strategy.hash,
        "data": table_hash(history.market.tables),
        "configuration": text_hash(settings_hash(settings), ",".join(history.instruments), history.timeframe),
        "engine": engine_hash(),
    }
    run_id = text_hash(*hashes.values())[:RUN_ID_LENGTH]
    starting_usd = history.market.account.cash_e8 / E8
    return BacktestView(
        title=strategy.name.removeprefix("signals_").replace("_", " "),
        strategy=strategy.name,
        strategy_sql=strategy.sql,
        timeframe=history.timeframe,
        timeframe_us=TIMEFRAME_US[history.timeframe],
        run_id=run_id,
        created_at=datetime.now(UTC),
        hashes=hashes,
        code_version=code_version(),
        command=command(request),
        data_sources=_data_sources(history),
        assumptions=(
            *doubts(history, run.decisions),
            *prices_and_funding(settings, history, run.payments),
            *assumptions(settings, history.market.rules[0].max_entry_delay_us),
        ),
        configuration=_configuration(settings, strategy, history),
        metrics=metrics_of(run.trades, run.equity, starting_usd),
        intervals=intervals_of(run.trades, run.equity, starting_usd, run_id),
        candles={name: _chart(history.candles, name) for name in history.instruments},
        trades=run.trades,
        equity=run.equity,
        decisions=dict(Counter(run.decisions["decision"].to_list())),
        lost_to=dict(Counter(run.decisions["lost_to"].drop_nulls().to_list())),
        zones=zone_rows(history.zones, run.trades),
    )


def _data_sources(history: History) -> tuple[str, ...]:
    counts = history.candles.group_by("source", maintain_order=True).agg(
        pl.len().alias("candles"), pl.col("opened_at").min().alias("first"), pl.col("closed_at").max().alias("last")
    )
    return tuple(
        f"{row['candles']:,} candles of {history.timeframe} from {row['source']}, "
        f"{row['first']:%Y-%m-%d %H:%M} to {row['last']:%Y-%m-%d %H:%M} UTC."
        for row in counts.iter_rows(named=True)
    )


def _configuration(settings: Settings, strategy: Strategy, history: History) -> tuple[tuple[str, str], ...]:
    shown: dict[str, object] = {
        **{f"parameter {name}": value for name, value in strategy.values.items()},
        **{f"costs.{name}": value for name, value in settings.costs.model_dump(mode="json").items()},
        **{f"risk.{name}": value for name, value in settings.risk.model_dump(mode="json").items()},
        **{
            f"{name}.{field}": value
            for name in history.instruments
            for field, value in settings.instruments[name].model_dump(mode="json").items()
        },
    }
    return tuple((name, str(value)) for name, value in shown.items())


def command(request: Request, verb: str = "backtest") -> str:
    """The command that asks for the same again, from the checkout."""
    path = request.strategy_sql.absolute()
    words = ["slipway", verb, str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path.name)]
    for name in request.instruments or ():
        words += ["--instrument", name]
    if request.timeframe:
        words += ["--timeframe", request.timeframe]
    for word, bound in (("--from", request.first), ("--to", request.last)):
        words += [word, bound.astimezone(UTC).strftime("%Y-%m-%dT%H:%M")] if bound else []
    for name, value in request.parameters.items():
        words += ["--set", f"{name}={value}"]
    return shlex.join(words)


def _chart(candles: pl.DataFrame, name: str) -> pl.DataFrame:
    return candles.filter(pl.col("instrument") == name).select(CANDLE_SCHEMA.names()).cast(CANDLE_SCHEMA)


def _written(view: BacktestView, folder: Path) -> Path:
    try:
        return write_report(view, folder / f"{view.strategy}-{view.run_id}.html")
    except OSError as error:
        raise SetupFailed(f"The report can't be written to {folder}: {error}.") from error


def _stored(settings: Settings, history: History, run: Run, view: BacktestView) -> tuple[bool, bool]:
    """Whether the run is new, and whether it can be queried already."""
    specs = [settings.instruments[name] for name in history.instruments]
    fills = fill_rows(run.fills, run.trades, history.instruments, specs)
    payments = payment_rows(run.payments, run.trades, history.instruments)
    summary = _summary_row(history, run, view)
    rows = RunRows(view.run_id, summary, run.trades, fills, payments, run.equity, run.decisions)
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as connection:
        is_new = store_run(connection, rows)
    # What was stored before was published then, or waits for the build as a new run would.
    return is_new, not is_new or publish_what_passed(settings) is not None


def _summary_row(history: History, run: Run, view: BacktestView) -> dict[str, object]:
    """The row of `marts.backtests`."""
    measured = view.metrics._asdict()
    names = (
        "trades", "final_equity_usd", "net_profit_usd", "return_percent", "max_drawdown_percent", "sharpe",
        "win_rate_percent", "profit_factor", "fees_usd", "slippage_usd", "cagr_percent", "volatility_percent",
        "sortino", "calmar", "expectancy_usd", "expectancy_r", "average_win_usd", "average_loss_usd",
        "exposure_percent", "turnover", "spread_usd", "funding_usd",
    )  # fmt: skip
    held_us = view.metrics.average_holding_us
    intervals = view.intervals._asdict().items()
    return {
        "strategy": view.strategy,
        "strategy_hash": view.hashes["strategy"],
        "code_version": view.code_version,
        "data_hash": view.hashes["data"],
        "configuration": json.dumps(dict(view.configuration)),
        "instruments": list(history.instruments),
        "timeframe": history.timeframe,
        "first_candle_at": history.first_candle_at,
        "last_candle_at": history.last_candle_at,
        "candles": len(history.candles),
        **{name: measured[name] for name in names},
        **{f"{name}_low": interval and interval.low for name, interval in intervals},
        **{f"{name}_high": interval and interval.high for name, interval in intervals},
        "longest_drawdown_days": view.metrics.longest_drawdown_us / DAY_US,
        "average_holding_hours": None if held_us is None else held_us * 24 / DAY_US,
        "engine_seconds": run.engine_seconds,
        "created_at": view.created_at,
    }
