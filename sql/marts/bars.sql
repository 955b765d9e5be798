-- The whole grid of a series, from its first candle to its last. An interval has a label:
--   'traded'    its candle
--   'no-trade'  nothing traded: filled with the close before it, no volume, and `is_filled`
--   'missing'   we have no candle and don't know that there was none: null, never filled
-- Strategies read `marts.candles`, which has the traded ones only.
-- grain: one row per instrument, timeframe and interval
-- key: instrument, timeframe, opened_at
-- lookback: full
-- materialized: view
with

traded as (

    select
        instrument, timeframe, opened_at, closed_at, open, high, low, close, volume, trades,
        'traded' as label, null as reason
    from marts.candles

),

-- Whole microseconds, because calendar arithmetic on time zones is slow and UTC needs none.
steps as (

    select
        *, epoch_us(gap_start) as start_us, (epoch_us(gap_end) - epoch_us(gap_start)) // missing as candle_us
    from marts.candle_gaps

),

silent as (

    select
        *, start_us + candle_us * unnest(range(missing::bigint)) as opened_us,
        last_close as price
    from steps

)

select *, false as is_filled from traded
union all
select
    instrument, timeframe, make_timestamptz(opened_us), make_timestamptz(opened_us + candle_us),
    price, price, price, price,
    if(price is null, null, 0), if(price is null, null, 0),
    if(price is null, 'missing', 'no-trade'), kind, price is not null
from silent
