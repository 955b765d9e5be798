-- What a position pays per hour, long to short: `rate` in quote units for one base unit, `relative_rate` as a fraction of
-- the index. Of several sources the one to be believed most counts, and of its fetches the newest.
-- grain: one row per contract and hour
-- key: instrument, began_at
-- lookback: full
-- materialized: view
select
    rates.instrument,
    rates.began_at,
    rates.rate,
    rates.relative_rate,
    rates.revises,
    rates.source,
    rates.fetched_at
from raw.funding_rates as rates left join raw.sources as sources using (source)
qualify row_number() over (
    partition by rates.instrument, rates.began_at
    order by coalesce(sources.precedence, 0) desc, rates.fetched_at desc, rates.source
) = 1
