"""The data inside the page. Candles, trades and zones come back exactly; lines that are only drawn (indicators, volume,
equity) are rounded to what a screen can show, and long series are thinned to what it can draw.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

import polars as pl

from reports.columns import MOST_PLACES, moments, numbers, places_of
from reports.curves import curves
from reports.html import embedded
from reports.model import INDICATORS, BacktestView

MOST_CANDLES = 40_000  # per instrument: over a year of 15m; more are merged into larger candles
VOLUME_PLACES = 4
USD_PLACES = 2
PERCENT_PLACES = 4


def page_data(view: BacktestView) -> str:
    """JSON that is safe inside a script element, whatever the names in it."""
    text = json.dumps(
        {
            "starting_usd": view.metrics.starting_usd,
            "instruments": [_instrument(name, candles, view) for name, candles in view.candles.items()],
            "trades": _trades(view.trades),
            "zones": _zones(view.zones),
            "equity": _equity(view),
        },
        allow_nan=False,
        separators=(",", ":"),
    )
    return embedded(text)


def price_places(candles: pl.DataFrame) -> int:
    """Decimals that show every price of these candles in full."""
    prices = [candles[name].to_numpy() for name in ("open", "high", "low", "close")]
    places = [places_of(values) for values in prices if values.size]
    return max((MOST_PLACES if found is None else found for found in places), default=0)


def _instrument(name: str, candles: pl.DataFrame, view: BacktestView) -> dict[str, Any]:
    factor = math.ceil(candles.height / MOST_CANDLES)
    drawn = _merged(candles, factor * view.timeframe_us) if factor > 1 else candles
    places = price_places(drawn)
    return {
        "name": name,
        "places": places,
        "candle_s": max(factor, 1) * view.timeframe_us // 1_000_000,
        "merged": max(factor, 1),
        "columns": {
            "time": moments(drawn["opened_at"]),
            **{price: numbers(drawn[price]) for price in ("open", "high", "low", "close")},
            "volume": numbers(drawn["volume"].round(VOLUME_PLACES)),
            **{line: numbers(drawn[line].round(places + 1)) for line in INDICATORS if line in drawn.columns},
        },
    }


def _merged(candles: pl.DataFrame, width_us: int) -> pl.DataFrame:
    """Larger candles of `width_us`, on a grid that begins in 1970; lines keep their last value."""
    return candles.group_by_dynamic("opened_at", every=f"{width_us}us").agg(
        pl.col("open").first(),
        pl.col("high").max(),
        pl.col("low").min(),
        pl.col("close").last(),
        pl.col("volume").sum(),
        *(pl.col(line).last() for line in INDICATORS if line in candles.columns),
    )


def _trades(trades: pl.DataFrame) -> Mapping[str, Any]:
    times = ("signal_at", "entered_at", "exited_at")
    figures = (
        "trade_no", "quantity_base", "entry_price", "stop_price", "target_price", "exit_price",
        "gross_pnl_usd", "fees_usd", "spread_usd", "slippage_usd", "funding_usd", "net_pnl_usd", "r_multiple",
        "mae_usd", "mfe_usd", "mae_r", "mfe_r",
    )  # fmt: skip
    texts = ("instrument", "side", "exit_reason", "ambiguous")
    return {
        **{name: moments(trades[name]) for name in times},
        **{name: numbers(trades[name]) for name in figures},
        **{name: {"values": trades[name].to_list()} for name in texts},
    }


def _zones(zones: pl.DataFrame) -> Mapping[str, Any]:
    return {
        **{name: moments(zones[name]) for name in ("born_at", "known_at")},
        "ended_at": numbers(zones["ended_at"].dt.epoch("us") / 1_000_000),
        **{name: numbers(zones[name]) for name in ("bottom", "top")},
        **{name: {"values": zones[name].to_list()} for name in ("instrument", "kind", "side", "trades")},
    }


def _equity(view: BacktestView) -> Mapping[str, Any]:
    drawn = curves(view)
    return {
        "time": moments(drawn["at"]),
        "equity_usd": numbers(drawn["equity_usd"].round(USD_PLACES)),
        "drawdown_percent": numbers(drawn["drawdown_percent"].round(PERCENT_PLACES)),
        "held_usd": numbers(drawn["held_usd"].round(USD_PLACES)),
    }
