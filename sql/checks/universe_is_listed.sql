-- A member of the universe is listed on both markets, and is out for no reason.
-- grain: one row per member that is not
with

listed as (

    select source, market, instrument from marts.listings where delisted_at is null

)

select universe.source, universe.instrument, universe.contract, universe.reasons
from marts.universe as universe
left join listed as spot
    on universe.source = spot.source and spot.market = 'spot' and universe.instrument = spot.instrument
left join listed as futures
    on universe.source = futures.source and futures.market = 'futures' and universe.contract = futures.instrument
where universe.is_member and (spot.instrument is null or futures.instrument is null or universe.reasons <> '')
