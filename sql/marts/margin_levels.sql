-- The margin that a contract asks for by the size of the position, now: from `from_size` on (USD of notional for linear
-- contracts, contracts for inverse ones) these shares of the whole position. Schedule `all` holds where no other does.
-- grain: one row per source, contract and level, whatever its schedule
-- key: source, contract, number
-- lookback: full
with

contracts as (

    select source, contract, valid_from, margin_levels from marts.contracts where valid_to is null

),

levels as (

    select
        source,
        contract,
        valid_from,
        generate_subscripts(margin_levels::json[], 1) as number,
        unnest(margin_levels::json[]) as level
    from contracts

)

select
    source,
    contract,
    number,
    level ->> 'schedule' as schedule,
    (level ->> 'from')::decimal(38, 18) as from_size,
    level ->> 'unit' as unit,
    (level ->> 'initial')::decimal(18, 10) as initial_margin,
    (level ->> 'maintenance')::decimal(18, 10) as maintenance_margin,
    valid_from
from levels
