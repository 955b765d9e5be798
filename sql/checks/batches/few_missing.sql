-- Most intervals between the first and the last candle of a series have a candle.
-- grain: one row per series that has too few
-- param: max_missing_share double = 0.6
with

series as (

    select
        series_id,
        any_value(instrument) as instrument,
        any_value(timeframe) as timeframe,
        count(*) as candles,
        (epoch_us(max(opened_at)) - epoch_us(min(opened_at))) // any_value(candle_us) + 1 as intervals
    from temp.batch_candles
    where is_within
    group by series_id

)

select instrument, timeframe, candles, intervals, 1 - candles / intervals as missing_share
from series
where 1 - candles / intervals > getvariable('max_missing_share')
