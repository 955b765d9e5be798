"""The lines that are drawn: equity and drawdown, and what doing nothing would have made, thinned to what shows."""

import math

import numpy as np
import polars as pl
from numpy.typing import NDArray

from reports.model import BacktestView

MOST_ROWS = 8_000  # several for each pixel of a wide screen


def curves(view: BacktestView) -> pl.DataFrame:
    """The equity frame with `held_usd` beside it, in at most `MOST_ROWS` rows."""
    held = holding_usd(view)
    column = pl.Series(held) if held.size else pl.lit(None, pl.Float64)
    return thinned(view.equity.with_columns(held_usd=column))


def holding_usd(view: BacktestView) -> NDArray[np.float64]:
    """Value of the starting cash at each row of the equity, had it been spent on all instruments in equal parts.

    Bought at the first open, no costs: the line every strategy is measured against. Empty when there are no candles.
    """
    at = view.equity["at"].dt.epoch("us").to_numpy()
    growths = []
    for candles in view.candles.values():
        if candles.is_empty():
            continue
        closed_at = candles["opened_at"].dt.epoch("us").to_numpy() + view.timeframe_us
        prices = np.concatenate((candles["open"].to_numpy()[:1], candles["close"].to_numpy()))
        growths.append(prices[np.searchsorted(closed_at, at, side="right")] / prices[0])
    if not growths:
        return np.empty(0)
    return np.asarray(np.mean(growths, axis=0) * view.metrics.starting_usd, dtype=np.float64)


def thinned(equity: pl.DataFrame) -> pl.DataFrame:
    """At most `MOST_ROWS` of the rows: of each stretch its first, lowest, highest and last. None is invented."""
    if equity.height <= MOST_ROWS:
        return equity
    length = math.ceil(equity.height / (MOST_ROWS // 4))
    value = pl.col("equity_usd")
    kept = (
        equity.with_row_index("row")
        .group_by(pl.col("row") // length)
        .agg(
            first=pl.col("row").first(),
            lowest=pl.col("row").get(value.arg_min()),
            highest=pl.col("row").get(value.arg_max()),
            last=pl.col("row").last(),
        )
    )
    return equity[np.unique(kept.drop("row").to_numpy())]
