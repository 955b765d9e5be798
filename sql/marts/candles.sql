-- Closed candles of all sources: the table to query first. The venue's own candle wins over one derived from 15m.
-- grain: one row per instrument, timeframe and candle
-- key: instrument, timeframe, opened_at
-- lookback: 0 days
-- materialized: view
with

candles as (

    select * from staging.stg_kraken__candles
    union all
    select * exclude (has_own), 'derived' as source, null as batch_id
    from staging.stg_derived__candles
    where not has_own

)

select
    instrument,
    timeframe,
    opened_at,
    closed_at,
    open,
    high,
    low,
    close,
    volume,
    trades,
    source,
    batch_id
from candles
