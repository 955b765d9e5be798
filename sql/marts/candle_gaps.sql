-- Intervals without a candle inside a series. Kraken has no candle where nothing traded, so most gaps are silence, not
-- loss. They are left as gaps: nothing in this warehouse fills them.
-- grain: one row per run of missing candles
-- key: instrument, timeframe, gap_start
-- lookback: full
with

ordered as (

    select
        instrument,
        timeframe,
        opened_at,
        closed_at,
        lag(closed_at) over (partition by instrument, timeframe order by opened_at) as previous_closed_at
    from marts.candles

),

gaps as (

    select
        instrument,
        timeframe,
        previous_closed_at as gap_start,
        opened_at as gap_end,
        (epoch_us(opened_at) - epoch_us(previous_closed_at)) // (epoch_us(closed_at) - epoch_us(opened_at)) as missing
    from ordered
    where opened_at > previous_closed_at

)

select * from gaps
