-- What people query first has a candle once. A day on which fewer quarters of an hour have an opening than there are
-- candles is looked at; all candles in one grouping would take longer than most stages.
-- grain: one row per candle that is there more than once
-- lookback: 0 days
with

doubtful as (

    select instrument, timeframe, epoch_us(closed_at) as day_closed_us
    from marts.candle_days
    where openings < candles

),

placed as (

    select
        instrument, timeframe, opened_at,
        (epoch_us(opened_at) // 86_400_000_000 + 1) * 86_400_000_000 as day_closed_us
    from marts.candles

)

select instrument, timeframe, opened_at, count(*) as times
from placed semi join doubtful using (instrument, timeframe, day_closed_us)
group by instrument, timeframe, opened_at
having count(*) > 1
