-- When each market was listed, as discoveries saw it: `listed_at` is the first one that had it, `delisted_at` the first
-- one afterwards that had it no more. A market that returns has another row.
-- grain: one row per source, market, instrument and time at which it came
-- key: source, market, instrument, listed_at
-- lookback: full
with

spans as (

    select * from staging.stg_kraken__list_spans

),

named as (

    select distinct list_id, 'spot' as market, instrument from raw.asset_pairs where instrument is not null
    union all
    select list_id, 'futures' as market, symbol as instrument from raw.contracts

),

present as (

    select spans.source, named.market, named.instrument, spans.span, spans.valid_from, spans.valid_to
    from spans join named using (list_id)

),

-- Of spans in a row, this difference is the same.
numbered as (

    select
        *,
        span - row_number() over (partition by source, market, instrument order by span) as stay
    from present

)

select
    source,
    market,
    instrument,
    min(valid_from) as listed_at,
    arg_max_null(valid_to, span) as delisted_at
from numbered
group by source, market, instrument, stay
