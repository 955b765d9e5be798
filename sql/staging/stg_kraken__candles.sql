-- The venue's own candles, of validated batches only; where batches differ on a candle, the newest is believed.
-- grain: one row per instrument, timeframe and candle
-- key: instrument, timeframe, opened_at
-- lookback: full
-- materialized: view
with

-- Hardly any candle is ever revised. Only those that were are ranked; all others are read as they lie.
revised_keys as (

    select distinct instrument, timeframe, opened_at from raw.kraken_ohlcvt where revises

),

superseded as (

    select file_id, opened_at
    from raw.kraken_ohlcvt semi join revised_keys using (instrument, timeframe, opened_at)
    where state = 'validated'
    qualify row_number() over (partition by instrument, timeframe, opened_at order by file_id desc) > 1

),

newest as (

    select * from raw.kraken_ohlcvt anti join superseded using (file_id, opened_at)
    where state = 'validated'

)

select
    ---------- keys
    instrument,
    timeframe,
    opened_at,
    closed_at,

    ---------- values
    open,
    high,
    low,
    close,
    volume,
    trades,

    ---------- lineage
    source,
    batch_id

from newest
