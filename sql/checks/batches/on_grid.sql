-- A candle opens on the grid of its timeframe, and was closed when it was fetched.
-- grain: one row per candle that did not
select instrument, timeframe, opened_at, file
from temp.batch_candles
where
    is_new
    and (
        epoch_us(opened_at) % candle_us <> 0
        or epoch_us(opened_at) + candle_us > (select max(epoch_us(fetched_at)) from temp.batch_files)
    )
