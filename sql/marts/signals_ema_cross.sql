-- Follow the trend: the fast average crosses the slow one, a stop and a target as wide as the market moves.
--
-- grain: one row per cross
-- key: instrument, timeframe, closed_at
-- lookback: 1 candle
-- needs: ema(20), ema(50), atr(14)
-- param: stop_atr double = 2.0 in 0.1 .. 20.0 -- from the entry
-- param: target_atr double = 4.0 in 0.1 .. 100.0 -- from the entry
with

candles as (

    select * from marts.candles

),

indicators as (

    select * from features.indicators

),

trends as (

    select
        ---------- keys
        candles.instrument,
        candles.timeframe,
        candles.closed_at,
        indicators.known_at,

        ---------- prices
        candles.close::double as close,
        indicators.atr_14,

        ---------- the trend at this close, +1 up or -1 down; null while the averages warm up
        sign(indicators.ema_20 - indicators.ema_50) as trend

    from candles
    join indicators using (instrument, timeframe, closed_at)

),

with_previous as (

    select
        *,
        lag(trend) over (partition by instrument, timeframe order by closed_at) as previous_trend
    from trends

),

crosses as (

    select * from with_previous
    where trend != 0
        and trend != previous_trend     -- null before the averages are warm: no cross

),

signals as (

    select
        ---------- keys
        instrument,
        timeframe,
        closed_at,
        known_at,

        ---------- proposal
        case when trend > 0 then 'long' else 'short' end as side,
        close,
        getvariable('stop_atr') * atr_14 as stop_distance,
        getvariable('target_atr') * atr_14 as target_1_distance,
        null::double as target_2_distance,
        null::double as target_3_distance,
        null::double as target_4_distance,
        1.0::double as score

    from crosses

)

select * from signals
