-- A market is listed once at a time, and leaves after it came.
-- grain: one row per listing that is not so
select source, market, instrument, listed_at, delisted_at
from marts.listings
qualify
    listed_at >= delisted_at
    or coalesce(delisted_at, 'infinity'::timestamptz)
    > lead(listed_at) over (partition by source, market, instrument order by listed_at)
