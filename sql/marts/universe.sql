-- The universe in force: each spot pair in a quote of ours with the perpetual that it is traded on, in or out and why.
-- A discovery that was not believed changes nothing here.
-- grain: one row per source and spot pair
-- key: source, instrument
-- lookback: full
with

in_force as (

    select source, fetched_at, universe_list from raw.discoveries
    where state = 'accepted'
    qualify row_number() over (partition by source order by discovery_id desc) = 1

)

select
    in_force.source,
    universe.instrument,
    universe.contract,
    universe.is_member,
    universe.reasons,
    universe.volume_24h_usd,
    universe.spread_bps,
    in_force.fetched_at
from in_force join raw.universe as universe on in_force.universe_list = universe.list_id
