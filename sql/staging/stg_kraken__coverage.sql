-- What was asked of sources that vouch for their holes (`raw.sources`): inside such a span, an interval without a candle
-- had no trades. Complete 15m candles vouch for the longer ones that are derived from them. A file with a line whose time
-- can't be read vouches for nothing: the candle may belong into any of its holes.
-- grain: one row per instrument, timeframe and unbroken span
-- key: instrument, timeframe, covered_from
-- lookback: full
with

timeframes as (

    select
        unnest(['15m', '1h', '4h', '1d']) as timeframe,
        unnest([900_000_000, 3_600_000_000, 14_400_000_000, 86_400_000_000]) as candle_us

),

unreadable as (

    select distinct batch_id, file, instrument, timeframe from raw.quarantine where opened_at is null

),

asked as (

    select
        files.instrument, files.timeframe, files.candle_us, epoch_us(files.covers_from) as from_us,
        epoch_us(files.covers_until) as until_us
    from raw.files as files
    join raw.sources as sources using (source)
    anti join unreadable using (batch_id, file, instrument, timeframe)
    where files.state = 'validated' and sources.vouches and files.covers_until > files.covers_from

),

spans as (

    select instrument, timeframe, candle_us, from_us, until_us from asked
    union all
    select asked.instrument, timeframes.timeframe, timeframes.candle_us, asked.from_us, asked.until_us
    from asked cross join timeframes
    where asked.timeframe = '15m' and timeframes.timeframe <> '15m'

),

-- Whole candles only.
whole as (

    select
        instrument, timeframe, candle_us,
        (from_us + candle_us - 1) // candle_us * candle_us as from_us,
        until_us // candle_us * candle_us as until_us
    from spans

),

islands as (

    select
        *,
        coalesce(
            from_us > max(until_us) over (
                partition by instrument, timeframe order by from_us, until_us
                rows between unbounded preceding and 1 preceding
            ),
            true
        ) as begins
    from whole
    where until_us > from_us

),

numbered as (

    select
        *, sum(begins::integer) over (partition by instrument, timeframe order by from_us, until_us) as island
    from islands

)

select
    instrument,
    timeframe,
    make_timestamptz(min(from_us)) as covered_from,
    make_timestamptz(max(until_us)) as covered_until
from numbered
group by instrument, timeframe, island
