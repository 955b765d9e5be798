-- What was said of candles that were told in more than one way, by sources that differ or by one that corrected itself:
-- every value with its origin, the one that is believed among them.
-- grain: one row per candle and file that told it
-- key: instrument, timeframe, opened_at, file_id
-- lookback: 0 days
with

told as not materialized (

    select * from raw.kraken_ohlcvt where state = 'validated'

),

told_again as (

    select distinct instrument, timeframe, opened_at from told where revises

),

ranked as (

    select
        told.*,
        row_number() over (
            partition by told.instrument, told.timeframe, told.opened_at
            order by coalesce(sources.precedence, 0) desc, told.file_id desc
        ) = 1 as is_believed
    from told semi join told_again using (instrument, timeframe, opened_at) left join raw.sources using (source)

),

-- A better source may have said the same once more.
disputed as (

    select instrument, timeframe, opened_at
    from ranked
    group by instrument, timeframe, opened_at
    having count(distinct (open, high, low, close, volume, trades)) > 1

)

select
    ---------- keys
    instrument,
    timeframe,
    opened_at,
    closed_at,
    file_id,

    ---------- values
    open,
    high,
    low,
    close,
    volume,
    trades,
    is_believed,

    ---------- lineage
    source,
    batch_id,
    fetched_at

from ranked semi join disputed using (instrument, timeframe, opened_at)
