-- Closed candles of all sources: the table to query first. The venue's own candle wins over one derived from 15m.
-- grain: one row per instrument, timeframe and candle
-- key: instrument, timeframe, opened_at
-- lookback: 0 days
-- materialized: view
with

own_keys as (

    select instrument, timeframe, opened_at from staging.stg_kraken__candles where timeframe <> '15m'

),

derived_where_absent as (

    select * from staging.stg_derived__candles
    anti join own_keys using (instrument, timeframe, opened_at)

),

candles as (

    select * from staging.stg_kraken__candles
    union all
    select *, 'derived' as source, null as batch_id from derived_where_absent

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
