-- What people query first has a candle once.
-- grain: one row per candle that is there more than once
-- lookback: 0 days
select instrument, timeframe, opened_at, count(*) as times
from marts.candles
group by instrument, timeframe, opened_at
having count(*) > 1
