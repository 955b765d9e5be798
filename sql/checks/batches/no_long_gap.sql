-- No hole is longer than a venue's silence can be.
-- grain: one row per hole
-- param: max_gap_candles integer = 2000
select
    instrument,
    timeframe,
    previous_opened_at,
    opened_at,
    (epoch_us(opened_at) - epoch_us(previous_opened_at)) // candle_us - 1 as missing,
    file
from temp.batch_candles
where
    is_within
    and is_judged
    and epoch_us(opened_at) - epoch_us(previous_opened_at) > getvariable('max_gap_candles') * candle_us
