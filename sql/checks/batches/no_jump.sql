-- No candle opens at a multiple of the close before it: that is a wrong price, or another instrument's file (I35).
-- grain: one row per jump
-- param: max_jump_ratio double = 10.0
select instrument, timeframe, opened_at, previous_close, open, file
from temp.batch_candles
where
    greatest(open, previous_close)::double
    > least(open, previous_close)::double * getvariable('max_jump_ratio')
