-- What there is of every series, and what is not. Candles of a timeframe that is derived count like the venue's own.
-- `behind` is how many intervals its last candle is older than the newest one of its timeframe, of any instrument.
-- grain: one row per instrument and timeframe
-- key: instrument, timeframe
-- lookback: full
with

series as (

    select
        instrument,
        timeframe,
        min(first_opened_at) as first_opened_at,
        max(last_closed_at) as last_closed_at,
        sum(candles)::bigint as present,
        sum(derived)::bigint as derived,
        max(candle_us) as candle_us
    from marts.candle_days
    group by instrument, timeframe

),

gaps as (

    select
        instrument,
        timeframe,
        sum(missing) filter (last_close is not null) as filled,
        sum(missing) filter (kind = 'outage') as outage,
        sum(missing) filter (last_close is null) as missing
    from marts.candle_gaps
    group by instrument, timeframe

),

revised as (

    select instrument, timeframe, count(distinct opened_at) as revised
    from marts.candle_revisions
    group by instrument, timeframe

),

quarantined as (

    -- A candle that is told wrong again and again is one.
    select instrument, timeframe, count(distinct coalesce(opened_at::varchar, batch_id || file || line)) as quarantined
    from raw.quarantine
    group by instrument, timeframe

),

fetched as (

    select instrument, timeframe, max(fetched_at) as fetched_at
    from raw.files where state = 'validated'
    group by instrument, timeframe

)

select
    ---------- keys
    instrument,
    timeframe,

    ---------- span
    first_opened_at,
    last_closed_at,
    fetched_at,
    (epoch_us(max(last_closed_at) over (partition by timeframe)) - epoch_us(last_closed_at)) // candle_us as behind,

    ---------- intervals: expected = present + filled + missing
    (epoch_us(last_closed_at) - epoch_us(first_opened_at)) // candle_us as expected,
    present,
    derived,
    coalesce(filled, 0)::bigint as filled,
    coalesce(outage, 0)::bigint as outage,
    coalesce(missing, 0)::bigint as missing,

    ---------- doubts
    coalesce(revised, 0) as revised,
    coalesce(quarantined, 0) as quarantined

from series
left join gaps using (instrument, timeframe)
left join revised using (instrument, timeframe)
left join quarantined using (instrument, timeframe)
left join fetched using (instrument, timeframe)
