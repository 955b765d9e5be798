-- Where a candle of the venue's own and the one derived from 15m both exist and differ. Differences are own minus
-- derived. Volumes have 8 decimals at the venue; what is smaller is left over from someone's floating-point sum.
-- grain: one row per instrument, timeframe and candle that differs
-- key: instrument, timeframe, opened_at
-- lookback: 0 days
with

own as (

    select * from staging.stg_kraken__candles where timeframe <> '15m'

),

derived as (

    select * from staging.stg_derived__candles

),

differing as (

    select
        own.instrument,
        own.timeframe,
        own.opened_at,
        own.closed_at,
        own.open - derived.open as open_difference,
        own.high - derived.high as high_difference,
        own.low - derived.low as low_difference,
        own.close - derived.close as close_difference,
        own.volume - derived.volume as volume_difference,
        own.trades - derived.trades as trades_difference,
        own.batch_id
    from own join derived using (instrument, timeframe, opened_at)
    where
        (own.open, own.high, own.low, own.close, own.trades)
        is distinct from (derived.open, derived.high, derived.low, derived.close, derived.trades)
        or abs(own.volume - derived.volume) >= 0.00000001

)

select * from differing
