-- What there is of each series on each UTC day: a candle belongs to the day on which it opens. From these few rows
-- `marts.data_quality` and `marts.candle_gaps` are computed at every close, and not from all candles.
-- grain: one row per instrument, timeframe and UTC day that has a candle
-- key: instrument, timeframe, closed_at
-- lookback: 1 day
-- reach: 1 day
with

placed as (

    select
        *,
        (epoch_us(opened_at) // 86_400_000_000 + 1) * 86_400_000_000 as day_closed_us,
        (abs(epoch_us(opened_at)) // 900_000_000 % 96)::integer as quarter      -- of an hour, in which it opens
    from marts.candles

)

select
    ---------- keys
    instrument,
    timeframe,
    make_timestamptz(day_closed_us) as closed_at,       -- the midnight at its end

    ---------- candles of the day
    count(*) as candles,
    count(*) filter (source = 'derived') as derived,
    bit_count(bit_or(1::hugeint << quarter)) as openings,   -- fewer than candles: one is there twice
    max(epoch_us(placed.closed_at) - epoch_us(opened_at)) as candle_us,     -- the same for all of a timeframe
    min(opened_at) as first_opened_at,
    max(placed.closed_at) as last_closed_at,
    arg_max(close, opened_at) as last_close
from placed
group by instrument, timeframe, day_closed_us
