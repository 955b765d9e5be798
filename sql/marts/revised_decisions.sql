-- Candles that a session has decided upon, and of which another value is believed since, or none (I31). What it decided
-- upon is what its journal says it read, whenever that was published. Indicators remember, so every decision for that
-- instrument from the candle's close on counts, until the session read the candle again.
-- grain: one row per session and value of a candle that was read, and is not what is believed now
-- key: session, reading
-- lookback: full
with

readings as (

    select
        session,
        seq as reading,
        instrument,
        payload ->> 'timeframe' as timeframe,
        make_timestamptz((payload ->> 'opened_at')::bigint) as opened_at,
        make_timestamptz((payload ->> 'closed_at')::bigint) as closed_at,
        (payload ->> 'open')::decimal(18, 10) as open,
        (payload ->> 'high')::decimal(18, 10) as high,
        (payload ->> 'low')::decimal(18, 10) as low,
        (payload ->> 'close')::decimal(18, 10) as close,
        (payload ->> 'volume')::decimal(28, 10) as volume,
        lead(seq) over (partition by session, instrument, timeframe, opened_at order by seq) as next_reading
    from marts.journal
    where kind = 'reading'

),

-- As `marts.candles` has it, which would be read as a whole for these few.
told as (

    select told.*
    from raw.kraken_ohlcvt as told
    semi join readings using (instrument, timeframe, opened_at)
    left join raw.sources as sources using (source)
    where told.state = 'validated'
    qualify
        row_number() over (
            partition by told.instrument, told.timeframe, told.opened_at
            order by coalesce(sources.precedence, 0) desc, told.file_id desc
        ) = 1

),

derived as (

    select candles.*
    from staging.stg_derived__candles as candles
    semi join readings using (instrument, timeframe, opened_at)
    anti join told using (instrument, timeframe, opened_at)

),

believed as (

    select instrument, timeframe, opened_at, open, high, low, close, volume, source, batch_id from told
    union all
    select instrument, timeframe, opened_at, open, high, low, close, volume, 'derived', null from derived

),

revised as (

    select
        old.*,
        believed.close as close_now,
        believed.high - old.high as high_difference,
        believed.low - old.low as low_difference,
        believed.volume - old.volume as volume_difference,
        believed.source,
        believed.batch_id
    from readings as old left join believed using (instrument, timeframe, opened_at)
    where
        (old.open, old.high, old.low, old.close, old.volume)
        is distinct from (believed.open, believed.high, believed.low, believed.close, believed.volume)

),

parts as (

    select revised.session, revised.reading, told.batch_id, told.file_id
    from revised
    join raw.kraken_ohlcvt as told
        on revised.instrument = told.instrument and told.timeframe = '15m'
        and told.opened_at >= revised.opened_at and told.opened_at < revised.closed_at
    left join raw.sources as sources on told.source = sources.source
    where revised.source = 'derived' and told.state = 'validated'
    qualify
        row_number() over (
            partition by revised.session, revised.reading, told.opened_at
            order by coalesce(sources.precedence, 0) desc, told.file_id desc
        ) = 1

),

-- A derived candle has come with the newest of what it is made of.
newest_parts as (

    select session, reading, max_by(batch_id, file_id) as batch_id from parts group by session, reading

),

decided as (

    select session, seq, instrument, happened_at from marts.journal where kind = 'decision'

)

select
    ---------- keys
    revised.session,
    revised.reading,
    revised.instrument,
    revised.timeframe,
    revised.opened_at,
    revised.closed_at,

    ---------- what was decided upon, and what is believed now: null when no candle is
    revised.close as close_used,
    revised.close_now as close,
    revised.high_difference,
    revised.low_difference,
    revised.volume_difference,
    revised.source,
    batches.batch_id,
    batches.fetched_at as revised_at,
    count(decided.seq) as decisions

from revised
left join newest_parts on revised.session = newest_parts.session and revised.reading = newest_parts.reading
left join raw.batches as batches on batches.batch_id = coalesce(revised.batch_id, newest_parts.batch_id)
left join decided
    on revised.session = decided.session and revised.instrument = decided.instrument
    and decided.happened_at >= revised.closed_at and decided.seq > revised.reading
    and decided.seq < coalesce(revised.next_reading, decided.seq + 1)
group by all
