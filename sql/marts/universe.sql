-- The universe in force: each spot pair in a quote of ours with the perpetual that it is traded on, in or out and why.
-- A discovery that was not believed changes nothing here.
-- grain: one row per source and spot pair
-- key: source, instrument
-- lookback: full
with

looks as (

    select
        source, fetched_at, universe_list,
        row_number() over (partition by source order by discovery_id) as look
    from raw.discoveries
    where state = 'accepted'

),

in_force as (

    select * from looks
    qualify row_number() over (partition by source order by look desc) = 1

),

verdicts as (

    select
        looks.source,
        looks.fetched_at,
        universe.instrument,
        looks.look is distinct from 1 + lag(looks.look) over in_turn
        or universe.is_member is distinct from lag(universe.is_member) over in_turn as turns
    from looks join raw.universe as universe on looks.universe_list = universe.list_id
    window in_turn as (partition by looks.source, universe.instrument order by looks.look)

),

turned as (

    select source, instrument, max(fetched_at) as since from verdicts where turns group by source, instrument

)

select
    in_force.source,
    universe.instrument,
    universe.contract,
    universe.is_member,
    turned.since,               -- in, or out, without a break
    universe.reasons,
    universe.volume_24h_usd,
    universe.spread_bps,
    in_force.fetched_at
from in_force
join raw.universe as universe on in_force.universe_list = universe.list_id
join turned on in_force.source = turned.source and universe.instrument = turned.instrument
