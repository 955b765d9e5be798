-- Intervals without a candle between two candles of one UTC day. A hole that takes in a midnight is told by the days on
-- its two sides, in `marts.candle_days`; `marts.candle_gaps` has both, and says why there is none.
-- grain: one row per run of missing candles inside a UTC day
-- key: instrument, timeframe, closed_at
-- lookback: 2 days
-- reach: 1 day
with

-- Days with fewer candles than have room between their first and their last. Hardly any, of what is traded much.
interrupted as (

    select instrument, timeframe, epoch_us(closed_at) as day_closed_us
    from marts.candle_days
    where candles * candle_us < epoch_us(last_closed_at) - epoch_us(first_opened_at)

),

placed as (

    select
        instrument, timeframe, opened_at, closed_at, close,
        (epoch_us(opened_at) // 86_400_000_000 + 1) * 86_400_000_000 as day_closed_us
    from marts.candles

),

neighbours as (

    select
        instrument,
        timeframe,
        closed_at,
        opened_at as hole_end,
        lag(opened_at) over w as opened_before,
        lag(closed_at) over w as hole_start,
        lag(close) over w as last_close
    from placed semi join interrupted using (instrument, timeframe, day_closed_us)
    window w as (partition by instrument, timeframe order by opened_at)

)

select
    ---------- keys
    instrument,
    timeframe,
    closed_at,          -- of the candle that ends the hole

    ---------- hole
    hole_start,
    hole_end,
    last_close          -- of the candle before
from neighbours
where
    hole_end > hole_start
    and epoch_us(hole_end) // 86_400_000_000 = epoch_us(opened_before) // 86_400_000_000
