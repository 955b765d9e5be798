-- Intervals without a candle between two candles of one UTC day. A hole that takes in a midnight is told by the days on
-- its two sides, in `marts.candle_days`; `marts.candle_gaps` has both, and says why there is none.
-- grain: one row per run of missing candles inside a UTC day
-- key: instrument, timeframe, closed_at
-- lookback: 2 days
with

neighbours as (

    select
        instrument,
        timeframe,
        closed_at,
        opened_at as hole_end,
        lag(opened_at) over w as opened_before,
        lag(closed_at) over w as hole_start,
        lag(close) over w as last_close
    from marts.candles
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
