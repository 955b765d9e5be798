"""What the perpetuals told of themselves, as numbers: their candles where there are any, and a rate for every hour."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from config.settings import Costs, Instrument
from exchange.funding import HOUR_US
from exchange.rows import NO_FUNDING, Candle, Funding, Payment
from trading.errors import InputUnusable
from trading.model import PPM

PRICE_SCALE = 10**10  # of the warehouse's DECIMAL(28, 10)
PRICES = ("open", "high", "low", "close")
MARKS = ("mark_high", "mark_low", "mark_close")
RATE_E12 = 10**12


NO_CHARTS = pl.DataFrame(
    schema={
        "contract": pl.String(),
        "opened_at": pl.Datetime("us", "UTC"),
        **dict.fromkeys((*PRICES, *MARKS, "volume"), pl.Decimal(28, 10)),
    }
)


class Rates(NamedTuple):
    """Funding, and of which hours nobody told a rate."""

    funding: Funding
    assumed: NDArray[np.bool_]  # as `funding.rates`: True where the rate is assumed


NO_RATES = Rates(NO_FUNDING, np.zeros((0, 0), np.bool_))


def candle_columns(
    candles: pl.DataFrame, charts: pl.DataFrame, names: Sequence[str], specs: Sequence[Instrument], basis_ppm: int
) -> tuple[pl.DataFrame, int]:
    """Candles of the perpetuals in the columns of `Candle`, by close, then instrument; and of how many the prices are
    the perpetual's own.

    Prices are those at which the perpetual traded (`charts`, columns of `warehouse.reference.perpetuals`), where it is
    known; else those of spot with the basis added. To the nearest tick, exact until then. Volumes are in whole lots, of
    the perpetual or else of spot; where only its mark is known, nothing traded.

    Raises InputUnusable: a price is below one tick of its perpetual.
    """
    numbers = range(len(names))
    tick = _each(numbers, [int(spec.tick_usd * PRICE_SCALE) for spec in specs], pl.Int128)
    lot = _each(numbers, [int(spec.lot_base * PRICE_SCALE) for spec in specs], pl.Int128)
    volume = (pl.col("volume").cast(pl.Decimal(38, 10)).to_physical().cast(pl.Int128) // lot).cast(pl.Int64)
    volume = volume.alias("volume_lots")
    spot = candles.with_columns(_number(names)).select(
        "instrument", _us("opened_at"), _us("closed_at"), *(_ticks(price, tick, PPM + basis_ppm) for price in PRICES),
        volume,
    )  # fmt: skip
    own = charts.with_columns(_number([spec.futures for spec in specs], "contract").alias("instrument")).select(
        "instrument", _us("opened_at"), *(_ticks(price, tick, PPM) for price in (*PRICES, *MARKS)), volume
    )
    both = spot.join(own, on=["instrument", "opened_at"], how="left", suffix="_own")
    table = both.with_columns(
        *(pl.coalesce(f"{name}_own", name).alias(name) for name in (*PRICES, "volume_lots")),
        *(pl.col(mark).fill_null(0) for mark in MARKS),
    )
    too_low = table.filter(pl.col("low") < 1)
    if len(too_low):
        raise InputUnusable(
            f"{len(too_low)} candles of {names[too_low['instrument'][0]]} trade below one tick of the perpetual "
            "that settings.instruments names for it."
        )
    return table.select(Candle._fields).sort("closed_at", "instrument"), both["open_own"].count()


def hourly_rates(told: pl.DataFrame, candles: NDArray[np.int64], specs: Sequence[Instrument], costs: Costs) -> Rates:
    """A rate for every hour of the candles (columns of `Candle`), told or assumed.

    `told` has the columns of `warehouse.reference.perpetuals.read_funding`. An assumed rate is a share of the price
    that was known when its hour began.

    Whether rates may be assumed is asked of those that were needed, see `refuse_assumed`.
    """
    if costs.funding == "none":
        return NO_RATES
    first_hour, hours = _hours(candles)
    rates = np.zeros((len(specs), hours), np.int64)
    assumed = np.ones((len(specs), hours), np.bool_)
    for number, spec in enumerate(specs):
        own = told.filter(pl.col("contract") == spec.futures)
        column = own["began_at"].dt.epoch("us").to_numpy() // HOUR_US - first_hour
        per_lot = np.rint(own["rate"].to_numpy() * float(spec.lot_base) * RATE_E12).astype(np.int64)
        inside = (column >= 0) & (column < hours)
        rates[number, column[inside]] = per_lot[inside]
        assumed[number, column[inside]] = False
        missing = assumed[number]
        share = float(costs.assumed_funding_percent) / 100
        prices = _known_prices(candles, number, first_hour, hours) * float(spec.tick_usd)
        rates[number, missing] = np.rint(prices[missing] * share * float(spec.lot_base) * RATE_E12).astype(np.int64)
    return Rates(Funding(rates, first_hour), assumed)


def hours_held(rates: Rates, payments: NDArray[np.int64]) -> tuple[int, int]:
    """In how many hours of an instrument a position was held, by its payments (columns of `Payment`), and in how many
    of them at an assumed rate."""
    held = _held(rates, payments)
    return int(held.sum()), int((held & rates.assumed).sum())


def refuse_assumed(rates: Rates, payments: NDArray[np.int64], specs: Sequence[Instrument], costs: Costs) -> None:
    """Raise InputUnusable when an hour that was paid for has no rate, and none is to be assumed (I51); names it."""
    unknown = _held(rates, payments) & rates.assumed
    if costs.funding != "historical" or not unknown.any():
        return
    number = int(unknown.any(axis=1).argmax())
    began = datetime.fromtimestamp((rates.funding.first_hour + int(unknown[number].argmax())) * 3600, UTC)
    raise InputUnusable(
        f"{int(unknown[number].sum()):,} hours in a position of {specs[number].futures} have no funding rate, the "
        f"first begins at {began:%Y-%m-%d %H:%M} UTC: backfill the rates, trade a span that has them, or set "
        "costs.funding = 'assumed'."
    )


def _held(rates: Rates, payments: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Hours, as in `rates`, that payments are of."""
    steps = np.zeros((rates.assumed.shape[0], rates.assumed.shape[1] + 1), np.int64)
    if len(payments):
        until, since, instrument = (payments[:, Payment._fields.index(name)] for name in ("at", "since", "instrument"))
        np.add.at(steps, (instrument, since // HOUR_US - rates.funding.first_hour), 1)
        np.add.at(steps, (instrument, (until - 1) // HOUR_US - rates.funding.first_hour + 1), -1)
    held: NDArray[np.bool_] = steps.cumsum(axis=1)[:, :-1] > 0
    return held


def _hours(candles: NDArray[np.int64]) -> tuple[int, int]:
    opened, closed = (candles[:, Candle._fields.index(name)] for name in ("opened_at", "closed_at"))
    first = int(opened.min()) // HOUR_US
    return first, (int(closed.max()) - 1) // HOUR_US - first + 1


def _known_prices(candles: NDArray[np.int64], number: int, first_hour: int, hours: int) -> NDArray[np.int64]:
    """Close of the last candle that was known when each hour began; before the first one its open."""
    own = candles[candles[:, Candle._fields.index("instrument")] == number]
    if not len(own):
        return np.zeros(hours, np.int64)
    closed, close, opened = (own[:, Candle._fields.index(name)] for name in ("closed_at", "close", "open"))
    began = (first_hour + np.arange(hours)) * HOUR_US
    last = np.searchsorted(closed, began, side="right") - 1
    known: NDArray[np.int64] = np.where(last >= 0, close[np.maximum(last, 0)], opened[0])
    return known


def _ticks(price: str, tick: pl.Expr, factor_ppm: int) -> pl.Expr:
    scaled = pl.col(price).cast(pl.Decimal(28, 10)).to_physical().cast(pl.Int128) * (2 * factor_ppm)
    return ((scaled + tick * PPM) // (tick * (2 * PPM))).cast(pl.Int64).alias(price)


def _number(names: Sequence[str], column: str = "instrument") -> pl.Expr:
    return pl.col(column).replace_strict(list(names), list(range(len(names))), return_dtype=pl.Int64)


def _each(numbers: Sequence[int], values: Sequence[int | float], kind: type[pl.DataType]) -> pl.Expr:
    return pl.col("instrument").replace_strict(list(numbers), list(values), return_dtype=kind)


def _us(column: str) -> pl.Expr:
    return pl.col(column).dt.epoch("us")
