"""What is expected of funding rates and of the lists of markets."""

from warehouse.gate.measures import Measure, Suite

JUDGED_RATES = "temp.judged_rates"  # of a day, or of a reply before it lands

FUNDING_RATES = Suite(
    "marts funding rates of a day",
    JUDGED_RATES,
    f"""
    with rates as (
        select *, lag(began_at) over (partition by instrument order by began_at) as previous_at
        from {JUDGED_RATES}
    )
    select instrument, instrument || ' funding' as series, {{measures}}
    from rates
    group by instrument
    order by instrument
    """,
    (
        Measure("rates_missing", "count(*) * 2 - count(rate) - count(relative_rate)", highest=0),
        Measure("most_seconds_off_the_hour", "max(epoch_us(began_at) % 3_600_000_000) / 1e6", highest=0),
        # Zero is the same hour twice.
        Measure(
            "fewest_hours_to_previous",
            "coalesce(min(epoch_us(began_at) - epoch_us(previous_at)) / 3.6e9, 1)",
            lowest=0,
            is_strict=True,
        ),
        Measure(
            "missing_share",
            "1 - count(distinct began_at) / ((epoch_us(max(began_at)) - epoch_us(min(began_at))) / 3.6e9 + 1)",
            highest="max_missing_funding_share",
        ),
        Measure(
            "highest_relative_rate", "coalesce(max(abs(relative_rate)), 0)::double", highest="max_relative_funding_rate"
        ),
        Measure("rates_against_their_sign", "count(*) filter (sign(rate) * sign(relative_rate) < 0)", highest=0),
    ),
)

TOLD_RATES = FUNDING_RATES._replace(name="raw funding rates")

# What each venue listed when it was believed last.
_IN_FORCE = """
    with in_force as (
        select * from raw.discoveries
        where state = 'accepted'
        qualify row_number() over (partition by source order by discovery_id desc) = 1
    )
"""

ASSET_PAIRS = Suite(
    "raw asset pairs",
    "raw.asset_pairs",
    f"""
    {_IN_FORCE}
    select
        coalesce(nullif(pairs.instrument, ''), pairs.altname) as instrument,
        in_force.source || ' ' || pairs.altname as series,
        {{measures}}
    from in_force join raw.asset_pairs as pairs on pairs.list_id = in_force.asset_pairs_list
    where pairs.status = 'online' and pairs.instrument is not null
    order by series
    """,
    (
        Measure(
            "names_missing",
            "(instrument = '')::int + (altname = '')::int + (base = '')::int + (quote = '')::int",
            highest=0,
        ),
        Measure("tick_size", "coalesce(tick_size, pow(10, -pair_decimals))::double", lowest=0, is_strict=True),
        Measure("lot_decimals", "lot_decimals", lowest=0),
        Measure("least_order", "coalesce(ordermin, pow(10, -lot_decimals))::double", lowest=0, is_strict=True),
    ),
)

_MARGINS = 'from_json(margin_levels, \'[{"initial": "DOUBLE", "maintenance": "DOUBLE"}]\')'

CONTRACTS = Suite(
    "raw contracts",
    "raw.contracts",
    f"""
    {_IN_FORCE}
    select contracts.symbol as instrument, in_force.source || ' ' || contracts.symbol as series, {{measures}}
    from in_force join raw.contracts as contracts on contracts.list_id = in_force.contracts_list
    where contracts.tradeable and not contracts.is_expired and contracts.instrument is not null
    order by series
    """,
    (
        Measure("names_missing", "(symbol = '')::int + (contracts.instrument = '')::int", highest=0),
        Measure("tick_size", "coalesce(tick_size, 0)::double", lowest=0, is_strict=True),
        Measure("lot_size", "coalesce(pow(10, -contract_value_trade_precision), 0)", lowest=0, is_strict=True),
        Measure("contract_size", "coalesce(contract_size, 0)::double", lowest=0, is_strict=True),
        Measure(
            "least_maintenance_margin",
            f"coalesce(list_min([each.maintenance for each in {_MARGINS}]), 0)",
            lowest=0,
            is_strict=True,
        ),
        Measure(
            "least_initial_above_maintenance",
            f"coalesce(list_min([each.initial - each.maintenance for each in {_MARGINS}]), 0)",
            lowest=0,
        ),
    ),
)
