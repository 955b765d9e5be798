"""The published candles and a strategy's signals, as the whole numbers that simulator and session trade on."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from config.settings import Costs as CostSettings
from config.settings import Instrument, Settings
from exchange.contracts import MINUTE_US, Contract, Limits, account_for, rules_for
from exchange.rows import NO_FUNDING, Candle, Costs, Funding, Signal
from tasks.futures.perpetuals import NO_CHARTS, Rates, candle_columns, hourly_rates
from trading.errors import InputUnusable
from trading.model import PPM, Account, Rules
from warehouse.reference.perpetuals import read_charts, read_funding
from warehouse.replay import TIMEFRAMES, Span, read_candles
from warehouse.schema import TIMEFRAME_US
from warehouse.strategies.loading import Strategy
from warehouse.strategies.running import Publication, publication, run_strategy
from warehouse.strategies.zones import NO_ZONES, zones_behind

IntTable = NDArray[np.int64]

MOST_INSTRUMENTS = 1_024  # times microseconds since 1970 it fits 63 bits
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
DISTANCES = tuple(name for name in Signal._fields if name.endswith("_distance"))


class Market(NamedTuple):
    """Everything a run depends on, as numbers."""

    candles: IntTable  # columns of `Candle`; by closed_at, then instrument
    signals: IntTable  # columns of `Signal`; by known_at, then instrument
    rules: tuple[Rules, ...]  # by instrument
    costs: Costs
    account: Account
    funding: Funding = NO_FUNDING  # covers the candles, or has no rates

    @property
    def tables(self) -> tuple[IntTable, ...]:
        """All that differs between two markets under the same settings."""
        return self.candles, self.signals, self.funding.rates


class History(NamedTuple):
    """What was read: the market, and the candles as they were published (columns of `marts.candles`)."""

    market: Market
    instruments: tuple[str, ...]
    timeframe: str
    candles: pl.DataFrame
    first_candle_at: datetime  # opened
    last_candle_at: datetime  # opened
    zones: pl.DataFrame  # that signals came back to (columns of `warehouse.strategies.zones`); none if not asked for
    beside: pl.DataFrame  # candles of other timeframes that the strategy may read; none if not asked for
    rates: Rates  # of all that was read, though it be more than the market's candles
    charted: int  # candles whose prices are the perpetual's own


class Traded(NamedTuple):
    """What is read once, however many strategies then trade on it."""

    instruments: tuple[str, ...]
    timeframe: str
    last: datetime | None  # latest close that was asked for
    candles: pl.DataFrame  # columns of `marts.candles`
    table: IntTable  # of the perpetuals, in the columns of `Candle`
    rates: Rates
    charted: int  # candles whose prices are the perpetual's own


def load_history(
    settings: Settings,
    strategy: Strategy,
    *,
    instruments: tuple[str, ...] | None = None,
    timeframe: str | None = None,
    first: datetime | None = None,
    last: datetime | None = None,
    with_zones: bool = False,
    with_beside: bool = False,
    own_prices: bool = True,
) -> History:
    """Published candles that lie between `first` and `last`, and the signals that could be acted on among them.

    All are of one publication, whatever is published meanwhile: also, `with_zones`, the zones of a strategy that reads
    them, and, `with_beside`, the candles of other timeframes, unless its text keeps timeframes apart. Without
    `own_prices` the perpetuals trade at spot and the basis throughout. What is left out comes from the settings;
    without bounds it is all of history.

    Raises:
        SetupFailed: nothing is published.
        InputUnusable: an instrument that the settings don't describe, no candles, a strategy that can't be used, or one
            that proposes limits while the settings let none wait, or none as long as a candle.
        CheckFailed: the strategy gives signals that can't be traded.
    """
    with publication(settings.paths.published) as connection:
        traded = read_traded(settings, connection, instruments, timeframe, first, last, own_prices=own_prices)
        history = history_of(settings, connection, strategy, traded, with_zones=with_zones)
        if not with_beside or strategy.reads_one_timeframe:
            return history
        others = tuple(name for name in TIMEFRAMES if name != history.timeframe)
        return history._replace(beside=read_candles(connection, Span(history.instruments, others, first, last)))


def read_traded(
    settings: Settings,
    connection: Publication,
    instruments: tuple[str, ...] | None,
    timeframe: str | None,
    first: datetime | None,
    last: datetime | None,
    *,
    own_prices: bool = True,
) -> Traded:
    """The candles of a `publication` that `load_history` would read.

    Raises:
        InputUnusable: an instrument that the settings don't describe, or no candles.
    """
    names = instruments or settings.strategy.instruments
    frame = timeframe or settings.strategy.timeframe
    specs = _specs(settings, names)
    candles = read_candles(connection, Span(names, (frame,), first, last))
    if not len(candles):
        raise InputUnusable(
            f"There are no published {frame} candles of {', '.join(names)}{_span(first, last)}: nothing to trade on."
        )
    contracts = [spec.futures for spec in specs]
    opened_first, opened_last = _bounds(candles)
    charts = read_charts(connection, contracts, frame, opened_first, opened_last) if own_prices else NO_CHARTS
    columns, charted = candle_columns(candles, charts, names, specs, _ppm(settings.costs.basis_bps))
    table = _table(columns, Candle._fields)
    told = read_funding(connection, contracts, opened_first - HOUR, opened_last + DAY)
    rates = hourly_rates(told, table, specs, settings.costs)
    return Traded(names, frame, last, candles, table, rates, charted)


def history_of(
    settings: Settings,
    connection: Publication,
    strategy: Strategy,
    traded: Traded,
    *,
    with_zones: bool = False,
) -> History:
    """What a strategy proposes over candles of the same `publication`.

    Raises:
        InputUnusable: the strategy can't be used, or proposes limits while the settings let none wait, or none as long
            as a candle.
        CheckFailed: the strategy gives signals that can't be traded.
    """
    names, frame = traded.instruments, traded.timeframe
    specs = _specs(settings, names)
    proposals = run_strategy(strategy, connection, timeframe=frame, instruments=names, last=traded.last)
    if (proposals["entry_distance"] > 0).any():
        _refuse_limits_that_never_fill(settings, strategy, frame)
    zones = zones_behind(connection, proposals, frame) if with_zones and strategy.reads_smc else NO_ZONES
    first_candle_at, last_candle_at = _bounds(traded.candles)
    market = Market(
        candles=traded.table,
        signals=at_own_closes(
            signal_table(proposals, names, specs, settings.costs.basis_bps, first_candle_at), traded.table
        ),
        rules=tuple(rules_of(settings, name, spec) for name, spec in zip(names, specs, strict=True)),
        costs=costs_of(settings.costs),
        account=account_for(settings.risk.starting_cash_usd),
        funding=traded.rates.funding,
    )
    beside, charted = traded.candles.clear(), traded.charted
    return History(
        market, names, frame, traded.candles, first_candle_at, last_candle_at, zones, beside, traded.rates, charted
    )


def within(history: History, first: datetime, last: datetime) -> History | None:
    """The part of a history whose candles open at or after `first` and close by `last`; None when there are none.

    A signal that was known before the first of them opened had its moment before.
    """
    candles = history.candles.filter(pl.col("opened_at") >= first, pl.col("closed_at") <= last)
    if candles.is_empty():
        return None
    first_candle_at, last_candle_at = _bounds(candles)
    first_us, last_us = (round(moment.timestamp() * 1e6) for moment in (first_candle_at, last))
    table, signals = history.market.candles, history.market.signals
    opened, closed = (table[:, Candle._fields.index(name)] for name in ("opened_at", "closed_at"))
    known = signals[:, Signal._fields.index("known_at")]
    market = history.market._replace(
        candles=table[(opened >= first_us) & (closed <= last_us)],
        signals=signals[(known > first_us) & (known <= last_us)],
    )
    return history._replace(
        market=market, candles=candles, first_candle_at=first_candle_at, last_candle_at=last_candle_at
    )


def candles_of(history: History, number: int) -> IntTable:
    """The candles of one instrument, columns of `Candle`."""
    candles = history.market.candles
    own: IntTable = candles[candles[:, Candle._fields.index("instrument")] == number]
    return own


def signal_table(
    signals: pl.DataFrame,
    names: Sequence[str],
    specs: Sequence[Instrument],
    basis_bps: Decimal,
    known_after: datetime,
) -> IntTable:
    """Proposals in ticks. One known before the first candle opened had its moment before, and is left out.

    Distances go to the nearest tick, and never to none; a distance that is null is none.
    """
    tick = _by_instrument(names, [float(spec.tick_usd) for spec in specs], pl.Float64)
    factor = float(1 + basis_bps / 10_000)
    distances = [
        pl.when(pl.col(name) > 0).then((pl.col(name) / tick).round().clip(1)).otherwise(0).cast(pl.Int64).alias(name)
        for name in DISTANCES
    ]
    table = signals.filter(pl.col("known_at") > known_after).select(
        _number_of(names),
        _us("closed_at").alias("signal_at"),
        _us("known_at"),
        pl.when(pl.col("side") == "long").then(1).otherwise(-1).cast(pl.Int64).alias("side"),
        (pl.col("close") * factor / tick).round().cast(pl.Int64).alias("price"),
        *distances,
        (pl.col("score").fill_null(0) * PPM).round().cast(pl.Int64).alias("score"),
    )
    return _table(table.sort("known_at", "instrument"), Signal._fields)


def at_own_closes(signals: IntTable, candles: IntTable) -> IntTable:
    """Signals at the price that the perpetual stood at when their candle closed: what is asked for is asked there."""
    closed_at, close = (candles[:, Candle._fields.index(name)] for name in ("closed_at", "close"))
    stood_at = closed_at * MOST_INSTRUMENTS + candles[:, 0]  # ascending, as the candles are in this order
    asked_at = signals[:, Signal._fields.index("signal_at")] * MOST_INSTRUMENTS + signals[:, 0]
    place = np.minimum(np.searchsorted(stood_at, asked_at), len(candles) - 1)
    price = Signal._fields.index("price")
    moved = signals.copy()
    moved[:, price] = np.where(stood_at[place] == asked_at, close[place], signals[:, price])
    return moved


def rules_of(settings: Settings, name: str, spec: Instrument) -> Rules:
    """Contract and limits in the core's units.

    Raises InputUnusable: a value is finer than the core's unit, or beyond its extremes.
    """
    costs = settings.costs
    contract = Contract(
        name=name,
        tick_usd=spec.tick_usd,
        lot_base=spec.lot_base,
        maximum_lots=spec.maximum_lots,
        taker_fee_percent=costs.taker_fee_percent,
        maker_fee_percent=costs.maker_fee_percent,
        bucket=_bucket_number(settings, spec.bucket),
        initial_margin_percent=spec.initial_margin_percent,
        maintenance_margin_percent=spec.maintenance_margin_percent,
    )
    return rules_for(contract, Limits(**settings.risk.model_dump(exclude={"starting_cash_usd"})))


def costs_of(costs: CostSettings) -> Costs:
    """What the simulated market adds to the fees, in the core's units."""
    return Costs(
        slippage_ppm=_ppm(costs.slippage_bps),
        latency_us=costs.latency_ms * 1_000,
        spread_ppm=_ppm(costs.spread_bps),
        range_ppm=_ppm(costs.range_slippage_percent * 100),
        impact_ppm=_ppm(costs.impact_bps),
        participation_ppm=_ppm(costs.max_participation_percent * 100),
        liquidation_fee_ppm=_ppm(costs.liquidation_fee_percent * 100),
    )


def _bounds(candles: pl.DataFrame) -> tuple[datetime, datetime]:
    """The first and the last open."""
    first, last = candles["opened_at"].min(), candles["opened_at"].max()
    assert isinstance(first, datetime)
    assert isinstance(last, datetime)
    return first, last


def _specs(settings: Settings, names: Sequence[str]) -> list[Instrument]:
    specs = [_spec(settings, name) for name in names]
    for spec in specs:
        same = [other for other, each in zip(names, specs, strict=True) if each.futures == spec.futures]
        if len(same) > 1:
            raise InputUnusable(
                f"{' and '.join(same)} are traded on one perpetual, {spec.futures}: the venue would make one position "
                "of both. Name one of them."
            )
    return specs


def _bucket_number(settings: Settings, bucket: str) -> int:
    """Buckets are numbered by their names, from 1 on: whatever is traded, one has one number. 0: no bucket."""
    names = sorted({each.bucket for each in settings.instruments.values() if each.bucket})
    return names.index(bucket) + 1 if bucket else 0


def _refuse_limits_that_never_fill(settings: Settings, strategy: Strategy, timeframe: str) -> None:
    """None may wait, or none until its first candle has closed: no candle could fill one inside (I23)."""
    minutes = settings.risk.entry_limit_minutes
    if minutes == 0:
        raise InputUnusable(
            f"{strategy.file} proposes entries with a limit (entry_distance), and risk.entry_limit_minutes = 0 lets "
            "none wait: say there for how long they may, or leave the column out to enter at the market."
        )
    if minutes * MINUTE_US < TIMEFRAME_US[timeframe]:
        raise InputUnusable(
            f"risk.entry_limit_minutes = {minutes} is shorter than a candle of strategy.timeframe = {timeframe}, so no "
            f"candle can show whether an entry of {strategy.file} with a limit was filled in time: let it wait for "
            f"{TIMEFRAME_US[timeframe] // MINUTE_US} minutes at least, or trade a shorter timeframe."
        )


def _spec(settings: Settings, name: str) -> Instrument:
    try:
        return settings.instruments[name]
    except KeyError:
        known = ", ".join(settings.instruments)
        raise InputUnusable(f"The settings describe no instrument {name!r}; they describe {known}.") from None


def _span(first: datetime | None, last: datetime | None) -> str:
    return "".join(f" {word} {bound:%Y-%m-%d %H:%M}" for word, bound in (("from", first), ("to", last)) if bound)


def _ppm(bps: Decimal) -> int:
    """Basis points as whole parts per million."""
    return int((bps * 100).to_integral_value())


def _number_of(names: Sequence[str]) -> pl.Expr:
    return _by_instrument(names, range(len(names)), pl.Int64).alias("instrument")


def _by_instrument(names: Sequence[str], values: Sequence[int | float], kind: type[pl.DataType]) -> pl.Expr:
    return pl.col("instrument").replace_strict(list(names), list(values), return_dtype=kind)


def _us(column: str) -> pl.Expr:
    return pl.col(column).dt.epoch("us")


def _table(frame: pl.DataFrame, columns: Sequence[str]) -> IntTable:
    return np.ascontiguousarray(frame.select(columns).to_numpy().astype(np.int64, copy=False))
