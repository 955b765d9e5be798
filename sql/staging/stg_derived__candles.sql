-- Candles of 1h, 4h and 1d made of 15m candles, with exact decimals. Intervals in which nothing traded have no 15m
-- candle and need none. A bucket that the 15m series does not cover from its first to its last minute is left out.
-- grain: one row per instrument, derived timeframe and candle
-- key: instrument, timeframe, opened_at
-- lookback: full
with

candles_15m as (

    select instrument, opened_at, closed_at, open, high, low, close, volume, trades
    from staging.stg_kraken__candles
    where timeframe = '15m'

),

spans as (

    select instrument, min(opened_at) as first_opened_at, max(closed_at) as last_closed_at
    from candles_15m
    group by instrument

),

-- Each step is made of the one before: the same result as from 15m, for a quarter of the work.
-- Whole microseconds since 1970, because calendar arithmetic on time zones is slow and UTC needs none.
candles_1h as materialized (

    select
        instrument,
        epoch_us(opened_at) // 3_600_000_000 * 3_600_000_000 as opened_us,
        arg_min(open, opened_at) as open,
        max(high) as high,
        min(low) as low,
        arg_max(close, opened_at) as close,
        sum(volume)::decimal(28, 10) as volume,
        sum(trades)::bigint as trades
    from candles_15m
    group by instrument, opened_us

),

candles_4h as materialized (

    select
        instrument,
        opened_us // 14_400_000_000 * 14_400_000_000 as bucket_us,
        arg_min(open, opened_us) as open,
        max(high) as high,
        min(low) as low,
        arg_max(close, opened_us) as close,
        sum(volume)::decimal(28, 10) as volume,
        sum(trades)::bigint as trades
    from candles_1h
    group by instrument, bucket_us

),

candles_1d as (

    select
        instrument,
        bucket_us // 86_400_000_000 * 86_400_000_000 as day_us,
        arg_min(open, bucket_us) as open,
        max(high) as high,
        min(low) as low,
        arg_max(close, bucket_us) as close,
        sum(volume)::decimal(28, 10) as volume,
        sum(trades)::bigint as trades
    from candles_4h
    group by instrument, day_us

),

derived as (

    select instrument, '1h' as timeframe, opened_us, 3_600_000_000 as candle_us, * exclude (instrument, opened_us)
    from candles_1h
    union all
    select instrument, '4h', bucket_us, 14_400_000_000, * exclude (instrument, bucket_us)
    from candles_4h
    union all
    select instrument, '1d', day_us, 86_400_000_000, * exclude (instrument, day_us)
    from candles_1d

),

timed as (

    select
        instrument,
        timeframe,
        make_timestamptz(opened_us) as opened_at,
        make_timestamptz(opened_us + candle_us) as closed_at,
        open,
        high,
        low,
        close,
        volume,
        trades
    from derived

),

covered as (

    select timed.*
    from timed join spans using (instrument)
    where timed.opened_at >= spans.first_opened_at and timed.closed_at <= spans.last_closed_at

)

select * from covered
