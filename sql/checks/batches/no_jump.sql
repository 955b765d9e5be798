-- No candle opens or closes at a multiple of the close before it, or of its own open when it is the first: that is a
-- wrong price, or another instrument's file (I35). And none reaches to a multiple of the nearest of these prices: in a
-- thin market a low at a twentieth of the close before it was real (ETH/USD, 2015-08-08), but it closed low as well.
-- grain: one row per jump
-- param: max_jump_ratio double = 10.0
with

prices as (

    select
        *,
        coalesce(previous_close, open)::double as reference,
        greatest(open, close, previous_close)::double as top,
        least(open, close, previous_close)::double as bottom
    from temp.batch_candles
    where
        is_judged
        -- One look at the widest apart of these prices lets nearly all candles go.
        and greatest(high, previous_close)::double
        > least(low, previous_close)::double * getvariable('max_jump_ratio')

)

select instrument, timeframe, opened_at, previous_close, open, high, low, close, file
from prices
where
    top > reference * getvariable('max_jump_ratio')
    or high::double > top * getvariable('max_jump_ratio')
    -- A price of 0 is another check's matter.
    or (low > 0 and bottom * getvariable('max_jump_ratio') < reference)
    or (low > 0 and low::double * getvariable('max_jump_ratio') < bottom)
