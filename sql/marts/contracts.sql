-- What is known of each contract, and since when: a change of any of its facts ends a row and begins the next. The rows
-- without `valid_to` are what is known now.
-- grain: one row per source, contract and time from which its facts held
-- key: source, contract, valid_from
-- lookback: full
with

spans as (

    select * from staging.stg_kraken__list_spans where kind = 'contracts'

),

stated as (

    select
        ---------- keys
        spans.source,
        contracts.symbol as contract,
        spans.span,
        spans.valid_from,
        spans.valid_to,

        ---------- facts
        {
            instrument: contracts.instrument,
            type: contracts.type,
            base: contracts.base,
            quote: contracts.quote,
            is_tradeable: contracts.tradeable,
            is_post_only: contracts.post_only,
            is_expired: contracts.is_expired,
            tick_size: contracts.tick_size,
            lot_size: ('1e' || -contracts.contract_value_trade_precision)::decimal(38, 18),
            contract_size: contracts.contract_size,
            maximum_position: contracts.max_position_size,
            impact_mid_size: contracts.impact_mid_size,
            opened_at: contracts.opening_date,
            expires_at: contracts.last_trading_time,
            funding_rate_coefficient: contracts.funding_rate_coefficient,
            maximum_relative_funding_rate: contracts.max_relative_funding_rate,
            margin_levels: contracts.margin_levels
        } as facts

    from spans join raw.contracts as contracts using (list_id)

),

marked as (

    select
        *,
        span is distinct from 1 + lag(span) over stating or facts is distinct from lag(facts) over stating as is_new
    from stated
    window stating as (partition by source, contract order by span)

),

numbered as (

    select *, count_if(is_new) over (partition by source, contract order by span) as version from marked

),

versions as (

    select
        source,
        contract,
        min(valid_from) as valid_from,
        arg_max_null(valid_to, span) as valid_to,
        any_value(facts) as facts
    from numbered
    group by source, contract, version

)

select source, contract, valid_from, valid_to, unnest(facts) from versions
