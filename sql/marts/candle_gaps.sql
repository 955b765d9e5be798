-- Intervals without a candle inside a series, and why there is none:
--   'no trades'    a source that vouches for its holes was asked, and had none: nothing traded
--   'outage'       the same, and all other instruments of that time were silent too, one of which hardly ever is
--   'quarantined'  a candle came, and could not be trusted
--   'left out'     there are 15m candles, but none is derived from them: part of it may be lost
--   'not fetched'  no such source was asked
-- They are left as gaps in `marts.candles`; `marts.bars` fills the first two with `last_close`, the close before them.
-- It is null where something unknown lies in between.
-- grain: one row per run of missing candles of one kind
-- key: instrument, timeframe, gap_start
-- lookback: full
-- param: liquid_share double = 0.95
with

lives as (

    select
        instrument,
        timeframe,
        epoch_us(min(first_opened_at)) as first_us,
        epoch_us(max(last_closed_at)) as last_us,
        sum(epoch_us(last_closed_at) - epoch_us(first_opened_at)) as spanned_us
    from marts.candle_days
    group by instrument, timeframe

),

-- Where the days add up to the whole life of a series, one follows on the other.
interrupted as (

    select instrument, timeframe from lives where spanned_us < last_us - first_us

),

days as (

    select
        instrument,
        timeframe,
        candle_us,
        epoch_us(first_opened_at) as first_us,
        epoch_us(last_closed_at) as last_us,
        lag(epoch_us(last_closed_at)) over (partition by instrument, timeframe order by closed_at) as previous_us,
        lag(last_close) over (partition by instrument, timeframe order by closed_at) as close_before
    from marts.candle_days semi join interrupted using (instrument, timeframe)

),

between_candles as (

    select instrument, timeframe, candle_us, previous_us, first_us as opened_us, close_before as last_close
    from days where first_us > previous_us
    union all
    select
        instrument, timeframe, epoch_us(closed_at) - epoch_us(hole_end), epoch_us(hole_start), epoch_us(hole_end),
        last_close
    from marts.candle_holes

),

-- An instrument is hardly ever silent when it has nearly all its candles in the week before and the week after.
holes as (

    select
        instrument, timeframe, candle_us, previous_us as start_us, opened_us as end_us, last_close,
        coalesce(
            sum(opened_us - previous_us) over (
                partition by instrument, timeframe order by previous_us
                range between 604_800_000_000 preceding and 1 preceding
            ),
            0
        ) as silent_before_us,
        coalesce(
            sum(opened_us - previous_us) over (
                partition by instrument, timeframe order by previous_us
                range between 1 following and 604_800_000_000 following
            ),
            0
        ) as silent_after_us
    from between_candles

),

coverage as (

    select
        instrument, timeframe, epoch_us(covered_from) as from_us, epoch_us(covered_until) as until_us
    from staging.stg_kraken__coverage

),

timeframes as (

    select
        unnest(['15m', '1h', '4h', '1d']) as timeframe,
        unnest([900_000_000, 3_600_000_000, 14_400_000_000, 86_400_000_000]) as candle_us

),

-- What came, and is no candle. A time off the grid counts for the interval it lies in.
unusable as (

    select instrument, timeframe, epoch_us(opened_at) // candle_us * candle_us as opened_us, 'quarantined' as why
    from raw.quarantine join timeframes using (timeframe)
    where opened_at is not null
    union all
    select instrument, timeframe, epoch_us(opened_at), 'left out'
    from marts.candles_left_out

),

quarantined as (

    select instrument, timeframe, opened_us, max(why) as why from unusable group by instrument, timeframe, opened_us

),

-- Where the reason may change: at the edges of what was asked for, and at both sides of what is no candle.
cuts as (

    select instrument, timeframe, start_us, start_us as cut_us from holes
    union
    select instrument, timeframe, holes.start_us, coverage.from_us
    from holes join coverage using (instrument, timeframe)
    where coverage.from_us > holes.start_us and coverage.from_us < holes.end_us
    union
    select instrument, timeframe, holes.start_us, coverage.until_us
    from holes join coverage using (instrument, timeframe)
    where coverage.until_us > holes.start_us and coverage.until_us < holes.end_us
    union
    select instrument, timeframe, holes.start_us, quarantined.opened_us
    from holes join quarantined using (instrument, timeframe)
    where quarantined.opened_us > holes.start_us and quarantined.opened_us < holes.end_us
    union
    select instrument, timeframe, holes.start_us, quarantined.opened_us + holes.candle_us
    from holes join quarantined using (instrument, timeframe)
    where quarantined.opened_us >= holes.start_us and quarantined.opened_us + holes.candle_us < holes.end_us

),

pieces as (

    select
        holes.*,
        cuts.cut_us as from_us,
        lead(cuts.cut_us, 1, holes.end_us) over (
            partition by instrument, timeframe, cuts.start_us order by cuts.cut_us
        ) as until_us
    from cuts join holes using (instrument, timeframe, start_us)

),

explained as (

    select
        pieces.*,
        coalesce(pieces.until_us <= coverage.until_us, false) as is_covered,
        quarantined.why
    from pieces
    asof left join coverage
        on pieces.instrument = coverage.instrument and pieces.timeframe = coverage.timeframe
        and pieces.from_us >= coverage.from_us
    left join quarantined
        on pieces.instrument = quarantined.instrument and pieces.timeframe = quarantined.timeframe
        and pieces.from_us = quarantined.opened_us

),

-- A price is carried on from the last candle as far as it is known that there was no other.
priced as (

    select
        * exclude (last_close),
        if(
            coalesce(
                bool_or(why is not null or not is_covered) over (
                    partition by instrument, timeframe, start_us order by from_us
                    rows between unbounded preceding and 1 preceding
                ),
                false
            ),
            null,
            last_close
        ) as last_close
    from explained

),

silent as (

    select
        priced.*,
        1 - greatest(
            silent_before_us / greatest(least(604_800_000_000, start_us - first_us), 1),
            silent_after_us / greatest(least(604_800_000_000, last_us - end_us), 1)
        ) >= getvariable('liquid_share') as is_liquid
    from priced join lives using (instrument, timeframe)
    where is_covered and why is null

),

-- How many instruments were asked for at a time, how many of them were silent, and how many of these hardly ever are.
changes as (

    select timeframe, greatest(from_us, first_us) as at_us, 1 as asked, 0 as silent, 0 as liquid
    from coverage join lives using (instrument, timeframe)
    where greatest(from_us, first_us) < least(until_us, last_us)
    union all
    select timeframe, least(until_us, last_us), -1, 0, 0
    from coverage join lives using (instrument, timeframe)
    where greatest(from_us, first_us) < least(until_us, last_us)
    union all
    select timeframe, from_us, 0, 1, is_liquid::integer from silent
    union all
    select timeframe, until_us, 0, -1, -is_liquid::integer from silent

),

moments as (

    select timeframe, at_us, sum(asked) as asked, sum(silent) as silent, sum(liquid) as liquid
    from changes group by timeframe, at_us

),

states as (

    select
        timeframe, at_us,
        lead(at_us) over (partition by timeframe order by at_us) as until_us,
        sum(asked) over (partition by timeframe order by at_us) as asked,
        sum(silent) over (partition by timeframe order by at_us) as silent,
        sum(liquid) over (partition by timeframe order by at_us) as liquid
    from moments

),

-- One alone that is silent tells nothing about the venue.
outages as (

    select timeframe, at_us, until_us from states where silent = asked and asked > 1 and liquid > 0

),

-- A silence may be longer than the outage inside it.
parts as (

    select
        silent.instrument, silent.timeframe, silent.candle_us, silent.last_close, outages.at_us as from_us,
        outages.until_us, 'outage' as kind
    from silent
    join outages
        on silent.timeframe = outages.timeframe
        and outages.at_us >= silent.from_us and outages.until_us <= silent.until_us
    union all
    select
        silent.instrument, silent.timeframe, silent.candle_us, silent.last_close, states.at_us, states.until_us,
        'no trades'
    from silent
    join states
        on silent.timeframe = states.timeframe
        and states.at_us >= silent.from_us and states.until_us <= silent.until_us
    where states.silent < states.asked or states.asked = 1 or states.liquid = 0
    union all
    select instrument, timeframe, candle_us, null, from_us, until_us, coalesce(why, 'not fetched')
    from priced
    where why is not null or not is_covered

),

-- Neighbours of one kind are one gap.
runs as (

    select
        *,
        coalesce(
            lag(until_us) over w < from_us or lag(kind) over w <> kind,
            true
        ) as begins
    from parts
    window w as (partition by instrument, timeframe order by from_us)

),

numbered as (

    select *, sum(begins::integer) over (partition by instrument, timeframe order by from_us) as run from runs

)

select
    instrument,
    timeframe,
    make_timestamptz(min(from_us)) as gap_start,
    make_timestamptz(max(until_us)) as gap_end,
    (max(until_us) - min(from_us)) // any_value(candle_us) as missing,
    any_value(kind) as kind,
    any_value(last_close) as last_close
from numbered
group by instrument, timeframe, run
