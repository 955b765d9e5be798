-- From when to when a venue's list of markets was in force: as long as what was believed says the same. The newest one
-- of each kind has no end.
-- grain: one row per source, kind of list and time from which it was in force
-- key: source, kind, valid_from
-- lookback: full
-- materialized: view
with

believed as (

    select * from raw.discoveries where state = 'accepted'

),

lists as (

    select source, 'asset_pairs' as kind, asset_pairs_list as list_id, discovery_id, fetched_at from believed
    union all
    select source, 'contracts' as kind, contracts_list as list_id, discovery_id, fetched_at from believed

),

changed as (

    select * from lists
    qualify list_id is distinct from lag(list_id) over (partition by source, kind order by discovery_id)

)

select
    source,
    kind,
    fetched_at as valid_from,
    lead(fetched_at) over (partition by source, kind order by discovery_id) as valid_to,
    row_number() over (partition by source, kind order by discovery_id) as span,
    list_id
from changed
