-- High is the highest price and low the lowest; prices are positive, volumes not negative.
-- grain: one row per candle that contradicts itself
select instrument, timeframe, opened_at, file, open, high, low, close, volume
from temp.batch_candles
where
    low <= 0
    or high < greatest(open, close, low)
    or low > least(open, close)
    or volume < 0
    or trades < 0
