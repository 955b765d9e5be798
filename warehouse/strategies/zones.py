"""The zones that a strategy's signals came back to, with their lives, for people to look at.

`features.smc` tells the nearest zone of each kind and side, so a strategy can have traded on no other. The signal's
candle comes to it as in `signals_smc`: from outside, into it, and closes on the right side of its far edge.
"""

import duckdb
import polars as pl

from warehouse.features.smc import TABLE as SMC
from warehouse.features.smc import ZONES

MOMENT = pl.Datetime("us", "UTC")
SCHEMA = pl.Schema({
    "instrument": pl.String(),
    "signal_at": MOMENT,  # close of the candle that came back
    "zone_id": pl.Int64(),
    "kind": pl.String(),  # order block | fair value gap
    "side": pl.String(),  # bullish | bearish
    "born_at": MOMENT,  # open of the candle that made it
    "known_at": MOMENT,
    "ended_at": MOMENT,  # broken, filled or forgotten, whichever came first; null while it is open
    "bottom": pl.Float64(),
    "top": pl.Float64(),
})  # fmt: skip
NO_ZONES = pl.DataFrame(schema=SCHEMA)

# A gap that was filled partly has one of its edges in `features.smc`, and the other lies within it.
_QUERY = f"""
with

candles as (

    select
        instrument,
        closed_at,
        high::double as high,
        low::double as low,
        close::double as close,
        lag(closed_at) over in_time as previous_at,
        lag(close::double) over in_time as previous_close
    from marts.candles
    semi join proposed using (instrument)
    where timeframe = $timeframe
    window in_time as (partition by instrument order by closed_at)

),

comings as (

    select candles.*, case proposed.side when 'long' then 'bullish' else 'bearish' end as side
    from candles
    join proposed using (instrument, closed_at)

),

told as (

    select
        instrument,
        closed_at,
        unnest(
            [
                {{kind: 'order block', side: 'bullish', bottom: bull_block_bottom, top: bull_block_top}},
                {{kind: 'order block', side: 'bearish', bottom: bear_block_bottom, top: bear_block_top}},
                {{kind: 'fair value gap', side: 'bullish', bottom: bull_gap_bottom, top: bull_gap_top}},
                {{kind: 'fair value gap', side: 'bearish', bottom: bear_gap_bottom, top: bear_gap_top}}
            ],
            recursive := true
        )
    from {SMC}
    semi join comings on smc.instrument = comings.instrument and smc.closed_at = comings.previous_at
    where timeframe = $timeframe

),

reached as (

    select comings.*, told.kind, told.bottom, told.top
    from comings
    join told
        on comings.instrument = told.instrument and comings.previous_at = told.closed_at and comings.side = told.side
    where case comings.side
        when 'bullish' then previous_close > top and low <= top and close >= bottom
        else previous_close < bottom and high >= bottom and close <= top
    end

),

zones as (

    select *, least(broken_at, ended_at) as over_at
    from {ZONES}
    where timeframe = $timeframe

),

found as (

    select
        instrument,
        reached.closed_at as signal_at,
        zone_id,
        kind,
        side,
        zones.born_at,
        zones.known_at,
        zones.over_at as ended_at,
        zones.bottom,
        zones.top
    from reached
    join zones using (instrument, kind, side)
    where
        previous_at >= zones.known_at
        and (zones.over_at is null or zones.over_at > previous_at)
        and zones.bottom <= reached.bottom
        and zones.top >= reached.top
        and case side when 'bullish' then zones.bottom = reached.bottom else zones.top = reached.top end
    qualify row_number() over (partition by instrument, reached.closed_at, kind order by zone_id desc) = 1

)

select * from found
order by signal_at, instrument, zone_id
"""


def zones_behind(connection: duckdb.DuckDBPyConnection, signals: pl.DataFrame, timeframe: str) -> pl.DataFrame:
    """The zones of `timeframe` that `signals` came back to, in the columns of `SCHEMA`, oldest signal first.

    `connection` is a `publication` over which a strategy that reads `features.smc` has run: where that is published,
    `marts.zones` is too. A signal may have none, or one of each kind. What became of a zone after the signal decides
    nothing here but `ended_at`.
    """
    connection.register("proposed", signals.select("instrument", "closed_at", "side"))
    try:
        return connection.execute(_QUERY, {"timeframe": timeframe}).pl().cast(SCHEMA)
    finally:
        connection.unregister("proposed")
