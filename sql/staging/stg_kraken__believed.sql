-- Candles of validated files, spot and futures. Where files differ on a candle, the source with the highest precedence is
-- believed (`raw.sources`), and of one source the newest; `marts.candle_revisions` has what the others said.
-- grain: one row per instrument, timeframe and candle
-- key: instrument, timeframe, opened_at
-- lookback: 0 days
-- materialized: view
with

-- Hardly any candle is ever told twice. Only those that were are ranked; all others are read as they lie. What is told
-- is named each time and in no CTE: a view would keep all of it before it looks for the few rows that a reader wants.
told_again as (

    select distinct instrument, timeframe, opened_at
    from raw.kraken_ohlcvt
    where state = 'validated' and revises

),

superseded as (

    select told.file_id, told.opened_at
    from raw.kraken_ohlcvt as told
    semi join told_again using (instrument, timeframe, opened_at)
    left join raw.sources using (source)
    where told.state = 'validated'
    qualify
        row_number() over (
            partition by told.instrument, told.timeframe, told.opened_at
            order by coalesce(sources.precedence, 0) desc, told.file_id desc
        )
        > 1

)

select
    ---------- keys
    instrument,
    timeframe,
    opened_at,
    closed_at,

    ---------- values
    open,
    high,
    low,
    close,
    volume,
    trades,

    ---------- lineage
    source,
    batch_id

from raw.kraken_ohlcvt as told anti join superseded using (file_id, opened_at)
where told.state = 'validated'
