-- Candles that a session has decided upon, and of which another value is believed since (I31). Indicators remember, so
-- every decision for that instrument between the candle's close and the revision counts. A session that has not recorded
-- candles of that timeframe has not used them.
-- grain: one row per session and candle that was revised after it was used
-- key: session, instrument, timeframe, opened_at
-- lookback: full
with

used as (

    select
        session,
        instrument,
        make_timestamptz((payload ->> 'opened_at')::bigint) as opened_at,
        make_timestamptz((payload ->> 'closed_at')::bigint) as closed_at,
        recorded_at
    from marts.journal
    where kind = 'event' and (payload ->> 'event') = 'candle'

),

believed as (

    select * from marts.candle_revisions where is_believed

),

-- The value that was believed when the session took the candle in.
believed_then as (

    select
        used.session, used.instrument, used.recorded_at, revisions.timeframe, revisions.opened_at, revisions.closed_at,
        revisions.open, revisions.high, revisions.low, revisions.close, revisions.volume
    from used
    join marts.candle_revisions as revisions
        on used.instrument = revisions.instrument and used.opened_at = revisions.opened_at
        and used.closed_at = revisions.closed_at and revisions.fetched_at <= used.recorded_at
    left join raw.sources as sources on revisions.source = sources.source
    qualify
        row_number() over (
            partition by used.session, used.instrument, revisions.timeframe, revisions.opened_at
            order by coalesce(sources.precedence, 0) desc, revisions.file_id desc
        ) = 1

),

decided as (

    select session, instrument, happened_at, recorded_at from marts.journal where kind = 'decision'

)

select
    ---------- keys
    old.session,
    old.instrument,
    old.timeframe,
    old.opened_at,
    old.closed_at,

    ---------- what was decided upon, and what is believed now
    old.close as close_used,
    believed.close,
    believed.high - old.high as high_difference,
    believed.low - old.low as low_difference,
    believed.volume - old.volume as volume_difference,
    believed.source,
    believed.batch_id,
    believed.fetched_at as revised_at,
    count(decided.happened_at) as decisions

from believed_then as old
join believed using (instrument, timeframe, opened_at)
left join decided
    on old.session = decided.session and old.instrument = decided.instrument
    and decided.happened_at >= old.closed_at and decided.recorded_at <= believed.fetched_at
where
    (old.open, old.high, old.low, old.close, old.volume)
    is distinct from (believed.open, believed.high, believed.low, believed.close, believed.volume)
group by all
