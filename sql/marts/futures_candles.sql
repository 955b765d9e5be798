-- Candles of futures contracts: of their trades, of their mark price, and of the spot index behind it. Mark and index have
-- no volume. `marts.candles` has the spot market's.
-- grain: one row per contract, kind of price, timeframe and candle
-- key: instrument, price, timeframe, opened_at
-- lookback: 0 days
-- materialized: view
with

charts as (

    select * from staging.stg_kraken__believed where left(instrument, 3) in ('PF_', 'PI_', 'FI_', 'FF_')

)

select
    ---------- keys
    split_part(instrument, '.', 1) as instrument,
    coalesce(nullif(split_part(instrument, '.', 2), ''), 'trade') as price,
    timeframe,
    opened_at,
    closed_at,

    ---------- values
    open,
    high,
    low,
    close,
    volume,

    ---------- lineage
    source,
    batch_id

from charts
