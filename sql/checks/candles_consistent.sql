-- What people query first never contradicts itself, whichever source a candle comes from.
-- grain: one row per candle that does
-- lookback: 0 days
select instrument, timeframe, opened_at, open, high, low, close, volume, source
from marts.candles
where
    low <= 0
    or high < greatest(open, close, low)
    or low > least(open, close)
    or volume < 0
    or closed_at <= opened_at
