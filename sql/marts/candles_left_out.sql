-- Buckets of 1h, 4h and 1d that have 15m candles, and yet no candle is derived from them: a long hole, or an end of the
-- series, lies inside. The venue's own candle may stand for one all the same (`has_own`).
-- grain: one row per instrument, derived timeframe and candle left out
-- key: instrument, timeframe, opened_at
-- lookback: 1 day
-- reach: 1 day
with

-- What leaves a bucket out lies inside the day around it too, so only days of which no candle is derived have any.
days_left_out as (

    select instrument, epoch_us(closed_at) // 86_400_000_000 - 1 as day
    from marts.candle_days
    anti join (select instrument, closed_at from staging.stg_derived__candles where timeframe = '1d') as whole
        using (instrument, closed_at)
    where timeframe = '15m'

),

candles_15m as (

    select instrument, opened_at, closed_at, epoch_us(opened_at) // 86_400_000_000 as day
    from staging.stg_kraken__candles
    where timeframe = '15m'

),

hours as materialized (

    select
        instrument,
        epoch_us(opened_at) // 3_600_000_000 * 3_600_000_000 as opened_us,
        count(*) as candles_15m,
        min(opened_at) as first_opened_at,
        max(closed_at) as last_closed_at
    from candles_15m semi join days_left_out using (instrument, day)
    group by instrument, opened_us

),

timeframes as (

    select unnest(['1h', '4h', '1d']) as timeframe, unnest([3_600_000_000, 14_400_000_000, 86_400_000_000]) as candle_us

),

buckets as (

    select
        hours.instrument,
        timeframes.timeframe,
        make_timestamptz(hours.opened_us // candle_us * candle_us) as opened_at,
        make_timestamptz(hours.opened_us // candle_us * candle_us + candle_us) as closed_at,
        sum(hours.candles_15m)::bigint as candles_15m,
        min(hours.first_opened_at) as first_opened_at,
        max(hours.last_closed_at) as last_closed_at
    from hours cross join timeframes
    group by hours.instrument, timeframes.timeframe, opened_at, closed_at

),

own_keys as (

    select instrument, timeframe, opened_at, true as is_own from staging.stg_kraken__candles where timeframe <> '15m'

),

left_out as (

    select * from buckets anti join staging.stg_derived__candles using (instrument, timeframe, opened_at)

)

select
    ---------- keys
    instrument,
    timeframe,
    opened_at,
    closed_at,

    ---------- what there is of it
    candles_15m,
    first_opened_at,
    last_closed_at,
    coalesce(is_own, false) as has_own

from left_out left join own_keys using (instrument, timeframe, opened_at)
