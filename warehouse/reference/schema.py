"""The tables of reference data. Append-only: what the venue said is never changed, what it says next is added.

A list of markets is stored once per content. A discovery is one look at the venue: which lists it saw, when and where,
and whether they were believed.
"""

NUMBER = "decimal(38, 18)"  # facts and measures of a market; minimums of a coin may have 10 decimals, sizes pass 1e12
RATE = "decimal(38, 30)"  # funding of an inverse contract is around 1e-11 coins, with 17 digits
NUMBER_DECIMALS, RATE_DECIMALS, DIGITS = 18, 30, 38

REFERENCE = (
    # One look at the venue. Refused: what it said was not believed; what was accepted last stays in force.
    """
    create table if not exists raw.discoveries (
        discovery_id integer primary key, source varchar not null, fetched_at timestamptz not null,
        state varchar not null check (state in ('accepted', 'refused')), doubts varchar not null,
        asset_pairs_list integer not null, contracts_list integer not null, universe_list integer
    )
    """,
    # `source` and `fetched_at` are those of the first time that this content was seen.
    """
    create table if not exists raw.market_lists (
        list_id integer primary key, kind varchar not null, content_hash varchar not null, members bigint not null,
        source varchar not null, fetched_at timestamptz not null, unique (kind, content_hash)
    )
    """,
    # Columns are called as the venue calls them; `instrument` is our name, null for what is no pair in our sense.
    f"""
    create table if not exists raw.asset_pairs (
        list_id integer not null, altname varchar not null, instrument varchar, wsname varchar, base varchar not null,
        quote varchar not null, pair_decimals integer not null, lot_decimals integer not null,
        cost_decimals integer not null, status varchar not null, ordermin {NUMBER}, costmin {NUMBER},
        tick_size {NUMBER}, leverage_buy integer[] not null, leverage_sell integer[] not null,
        long_position_limit bigint, short_position_limit bigint
    )
    """,
    # `instrument` is the spot pair that the contract follows. A margin level is
    # `{"schedule", "unit", "from", "initial", "maintenance"}`, its numbers as text.
    f"""
    create table if not exists raw.contracts (
        list_id integer not null, symbol varchar not null, instrument varchar, type varchar not null,
        base varchar, quote varchar, pair varchar, tradeable boolean not null, post_only boolean not null,
        is_expired boolean not null, tick_size {NUMBER}, contract_size {NUMBER},
        contract_value_trade_precision integer, impact_mid_size {NUMBER}, max_position_size {NUMBER},
        opening_date timestamptz, last_trading_time timestamptz, funding_rate_coefficient {NUMBER},
        max_relative_funding_rate {NUMBER}, margin_levels json not null
    )
    """,
    # A verdict on each spot pair and its perpetual, with the measures it rests on.
    f"""
    create table if not exists raw.universe (
        list_id integer not null, instrument varchar not null, contract varchar, is_member boolean not null,
        reasons varchar not null, volume_24h_usd {NUMBER}, spread_bps {NUMBER}
    )
    """,
    # `began_at` is the hour's begin; `rate` is in quote units for one base unit and hour, `relative_rate` a fraction of
    # the index. Of one source the newest fetch of an hour holds; `revises`: an earlier one said otherwise.
    f"""
    create table if not exists raw.funding_rates (
        instrument varchar not null, began_at timestamptz not null, rate {RATE} not null,
        relative_rate {RATE} not null, revises boolean not null,
        source varchar not null, fetched_at timestamptz not null
    )
    """,
)
