"""Candles out of a warehouse: `marts.candles` as a frame."""

from collections.abc import Sequence
from datetime import datetime

import duckdb
import polars as pl


def read_candles(
    connection: duckdb.DuckDBPyConnection,
    instruments: Sequence[str],
    timeframe: str,
    first: datetime | None = None,
    last: datetime | None = None,
) -> pl.DataFrame:
    """Candles of `instruments` that open at or after `first` and close at or before `last`, by close, then instrument.

    Prices and volumes are exact decimals, times are UTC.
    """
    return connection.execute(
        """
        select
            instrument, timeframe, opened_at, closed_at, open, high, low, close, volume, trades, source, batch_id
        from marts.candles
        where list_contains($instruments, instrument) and timeframe = $timeframe
            and opened_at >= coalesce($first, '-infinity'::timestamptz)
            and closed_at <= coalesce($last, 'infinity'::timestamptz)
        order by closed_at, instrument
        """,
        {"instruments": list(instruments), "timeframe": timeframe, "first": first, "last": last},
    ).pl()
