"""What the published warehouse knows of the perpetuals that are traded: their own candles, and the rates of funding."""

from collections.abc import Sequence
from datetime import datetime

import duckdb
import polars as pl


def read_charts(
    connection: duckdb.DuckDBPyConnection,
    contracts: Sequence[str],
    timeframe: str,
    first: datetime,
    last: datetime,
) -> pl.DataFrame:
    """Trade and mark candles that open between `first` and `last`: one row per contract and open.

    Columns contract, opened_at, open, high, low, close, volume, which are null (the volume 0) where nothing traded, and
    mark_high, mark_low, mark_close, which are null where no mark is known; exact decimals, the volume in the base.
    """
    return connection.execute(
        """
        with wanted as (
            select * from marts.futures_candles
            where list_contains($contracts, instrument) and timeframe = $timeframe
                and opened_at between $first and $last
        )
        select
            instrument as contract, opened_at, trades.open, trades.high, trades.low, trades.close,
            coalesce(trades.volume, 0) as volume,
            marks.high as mark_high, marks.low as mark_low, marks.close as mark_close
        from (from wanted where price = 'trade') as trades
        full join (from wanted where price = 'mark') as marks using (instrument, opened_at)
        order by instrument, opened_at
        """,
        {"contracts": list(contracts), "timeframe": timeframe, "first": first, "last": last},
    ).pl()


def read_funding(
    connection: duckdb.DuckDBPyConnection, contracts: Sequence[str], first: datetime, last: datetime
) -> pl.DataFrame:
    """Rates of the hours that begin between `first` and `last`.

    Columns contract, began_at, and `rate` as a number, in quote currency for one unit of the base and hour.
    """
    return connection.execute(
        """
        select instrument as contract, began_at, rate::double as rate from marts.funding_rates
        where list_contains($contracts, instrument) and began_at between $first and $last
        order by instrument, began_at
        """,
        {"contracts": list(contracts), "first": first, "last": last},
    ).pl()
