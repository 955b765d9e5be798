-- A candle has all its prices and its volume.
-- grain: one row per candle that lacks one
select instrument, timeframe, opened_at, file, open, high, low, close, volume
from temp.batch_candles
where
    opened_at is null or open is null or high is null or low is null or close is null or volume is null
