-- Follow a break of the range: a close beyond the highs or lows of the candles before it, where the market trends.
--
-- grain: one row per break
-- key: instrument, timeframe, closed_at
-- lookback: 201 candles
-- needs: atr(14), adx(14)
-- param: range_candles integer = 48 in 2 .. 200 -- whose highs and lows are the range
-- param: min_adx double = 20.0 in 0.0 .. 100.0 -- strength of the trend that is wanted, 0 to 100
-- param: stop_atr double = 2.0 in 0.1 .. 20.0 -- from the entry
-- param: target_atr double = 6.0 in 0.1 .. 100.0 -- from the entry
with

candles as (

    select * from marts.candles

),

indicators as (

    select * from features.indicators

),

ranges as (

    select
        ---------- keys
        candles.instrument,
        candles.timeframe,
        candles.closed_at,
        indicators.known_at,

        ---------- prices
        candles.close::double as close,
        indicators.atr_14,
        indicators.adx_14,

        ---------- the range before this candle
        max(candles.high::double) over before as top,
        min(candles.low::double) over before as bottom

    from candles
    join indicators using (instrument, timeframe, closed_at)
    window before as (
        partition by candles.instrument, candles.timeframe order by candles.closed_at
        rows between getvariable('range_candles') preceding and 1 preceding
    )

),

sided as (

    select *, case when close > top then 1 when close < bottom then -1 else 0 end as break
    from ranges

),

with_previous as (

    select *, lag(break) over (partition by instrument, timeframe order by closed_at) as previous_break
    from sided

),

-- Only the first of several in a row, and only where there are as many candles as the range asks for.
breaks as (

    select * from with_previous
    where break != 0
        and previous_break != break
        and adx_14 >= getvariable('min_adx')

),

signals as (

    select
        ---------- keys
        instrument,
        timeframe,
        closed_at,
        known_at,

        ---------- proposal
        case when break > 0 then 'long' else 'short' end as side,
        close,
        getvariable('stop_atr') * atr_14 as stop_distance,
        getvariable('target_atr') * atr_14 as target_1_distance,
        null::double as target_2_distance,
        null::double as target_3_distance,
        null::double as target_4_distance,
        1.0::double as score

    from breaks

)

select * from signals
