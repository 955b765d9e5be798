-- A candle is there once.
-- grain: one row per candle that a batch has more than once
select instrument, timeframe, opened_at, file
from temp.batch_candles
where opened_at = previous_opened_at
