-- Candles of 1h, 4h and 1d made of 15m candles, with exact decimals. Intervals in which nothing traded have no 15m
-- candle and need none: a short hole is taken for silence. A hole of `long_hole_candles` or more (a day) is taken for
-- loss, as is all before the first candle and after the last. A bucket with an edge of such a hole inside it would be
-- made of part of its interval, so it is left out; `marts.candles_left_out` lists it. Whoever makes `long_hole_candles`
-- more than a day has to make both times below longer by as much: a hole is told by what lies on its other side.
-- `has_own`: the venue told this candle itself. It is found once, here, and not by everyone who reads `marts.candles`.
-- grain: one row per instrument, derived timeframe and candle
-- key: instrument, timeframe, opened_at
-- lookback: 3 days
-- reach: 2 days
-- apart: instrument
-- param: long_hole_candles integer = 96
with

candles_15m as (

    select instrument, opened_at, closed_at, open, high, low, close, volume, trades
    from staging.stg_kraken__candles
    where timeframe = '15m'

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
        sum(trades)::bigint as trades,
        epoch_us(min(opened_at)) as first_us,
        epoch_us(max(closed_at)) as last_us
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

    select
        instrument,
        '1h' as timeframe,
        opened_us,
        3_600_000_000 as candle_us,
        * exclude (instrument, opened_us, first_us, last_us)
    from candles_1h
    union all
    select instrument, '4h', bucket_us, 14_400_000_000, * exclude (instrument, bucket_us)
    from candles_4h
    union all
    select instrument, '1d', day_us, 86_400_000_000, * exclude (instrument, day_us)
    from candles_1d

),

-- Holes between hours, which is where all holes of three candles and more are.
holes as (

    select
        instrument,
        lag(last_us) over (partition by instrument order by opened_us) as start_us,     -- null before the first candle
        first_us as end_us
    from candles_1h
    qualify coalesce((end_us - start_us) // 900_000_000 >= getvariable('long_hole_candles'), true)

),

edges as (

    select instrument, start_us as edge_us from holes where start_us is not null
    union all
    select instrument, end_us from holes
    union all
    select instrument, max(last_us) from candles_1h group by instrument

),

partial as (

    select instrument, candle_us, edge_us // candle_us * candle_us as opened_us
    from edges cross join (select unnest([3_600_000_000, 14_400_000_000, 86_400_000_000]) as candle_us)
    where edge_us % candle_us <> 0

),

covered as (

    select * from derived anti join partial using (instrument, candle_us, opened_us)

),

own_keys as (

    select instrument, timeframe, epoch_us(opened_at) as opened_us, true as is_own
    from staging.stg_kraken__candles
    where timeframe <> '15m'

)

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
    trades,
    coalesce(is_own, false) as has_own
from covered left join own_keys using (instrument, timeframe, opened_us)
order by opened_us + candle_us      -- an increment looks at late ones, which lie together then
