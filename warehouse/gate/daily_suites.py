"""What is expected of one day of the marts, and of the lists in force: what no batch shows by itself.

A series is judged by what others say of the same day: whether the venue's candle differs from the one derived, whether
spot, index, mark and trade prices stay together. And by the calendar: what a venue is asked for day by day has to reach
the end of the day, or else a feed that is dead as a whole would pass. A simulated venue has a time of its own, and only
while it runs: its series are compared with one another.
"""

from collections.abc import Collection, Mapping
from datetime import date, datetime, timedelta

import duckdb

from warehouse.gate.measures import Measure, Suite
from warehouse.gate.reference_suites import ASSET_PAIRS, CONTRACTS, FUNDING_RATES

_HOUR_US = "3.6e9"

# A series is asked for when the routine backfill names it and its venue has told something of it before; any other one
# when something of it was told on that day or later. Of an archive nobody expects that it goes on.
_ASKED = """
    asked as (
        select split_part(instrument, '.', 1) as instrument, bool_or(venue is null) as follows_the_calendar
        from raw.files cross join temp.judged_day
        left join temp.simulated_venues on split_part(source, '-', 1) = venue
        where
            state = 'validated' and contains(source, '-')
            and (
                fetched_at >= begins_at
                or (venue is null and split_part(instrument, '.', 1) in (select instrument from temp.judged_routine))
            )
        group by all
    )
"""
# The last candle of a day ends with it, or, of a timeframe that does not divide the day, at the last full one before.
_HOURS_BEHIND = f"""
    case
        when asked.instrument is null then 0
        when follows_the_calendar then epoch_us(ends_at) // candle_us * candle_us - epoch_us(newest_at)
        else
            max(epoch_us(newest_at)) filter (asked.instrument is not null) over (partition by timeframe)
            - epoch_us(newest_at)
    end / {_HOUR_US}
"""

CANDLES = Suite(
    "marts candles of a day",
    "marts.candles",
    f"""
    with {_ASKED},
    series as (
        select
            instrument, timeframe, any_value(epoch_us(closed_at) - epoch_us(opened_at)) as candle_us,
            min(opened_at) as first_at, max(closed_at) as last_at,
            max(closed_at) filter (closed_at <= ends_at) as newest_at
        from marts.candles, temp.judged_day
        group by instrument, timeframe
    ),
    of_the_day as (
        select candles.* from marts.candles, temp.judged_day where closed_at > begins_at and closed_at <= ends_at
    ),
    unknown as (
        select
            instrument, timeframe,
            sum(epoch_us(least(gap_end, ends_at)) - epoch_us(greatest(gap_start, begins_at))) as missing_us
        from marts.candle_gaps, temp.judged_day
        where kind not in ('no trades', 'outage') and gap_start < ends_at and gap_end > begins_at
        group by instrument, timeframe
    ),
    derived as (
        select
            instrument, timeframe,
            max(greatest(abs(open_difference), abs(high_difference), abs(low_difference), abs(close_difference))
                / of_the_day.close * 1e4)::double as difference_bps
        from marts.candle_differences join of_the_day using (instrument, timeframe, opened_at)
        group by instrument, timeframe
    ),
    indexed as (
        select
            of_the_day.instrument, timeframe,
            max(abs(of_the_day.close::double / index.close::double - 1)) * 1e4 as difference_bps
        from of_the_day
        join temp.judged_perpetuals as perpetuals on of_the_day.instrument = perpetuals.instrument
        join marts.futures_candles as index using (timeframe, opened_at)
        where index.instrument = perpetuals.contract and index.price = 'spot'
        group by of_the_day.instrument, timeframe
    )
    select series.instrument, series.instrument || ' ' || timeframe as series, {{measures}}
    from series cross join temp.judged_day
    left join asked using (instrument)
    left join unknown using (instrument, timeframe)
    left join derived using (instrument, timeframe)
    left join indexed using (instrument, timeframe)
    where newest_at is not null
    order by series
    """,
    (
        Measure(
            "missing_share",
            "coalesce("
            "missing_us / (epoch_us(least(last_at, ends_at)) - epoch_us(greatest(first_at, begins_at))), 0)::double",
            highest="max_daily_missing_share",
        ),
        Measure("hours_behind", _HOURS_BEHIND, highest="max_hours_behind"),
        Measure(
            "bps_between_own_and_derived",
            "coalesce(derived.difference_bps, 0)",
            highest="max_derived_difference_bps",
        ),
        Measure(
            "bps_between_spot_and_index", "coalesce(indexed.difference_bps, 0)", highest="max_index_difference_bps"
        ),
    ),
)

FUTURES_CANDLES = Suite(
    "marts futures candles of a day",
    "marts.futures_candles",
    f"""
    with {_ASKED},
    series as (
        select
            instrument, timeframe, any_value(epoch_us(closed_at) - epoch_us(opened_at)) as candle_us,
            min(opened_at) as first_at, max(closed_at) filter (closed_at <= ends_at) as newest_at
        from marts.futures_candles, temp.judged_day
        group by instrument, timeframe
    ),
    intervals as (
        select
            instrument, timeframe,
            max(close) filter (price = 'trade')::double as trade,
            max(close) filter (price = 'mark')::double as mark,
            max(close) filter (price = 'spot')::double as index
        from marts.futures_candles, temp.judged_day
        where closed_at > begins_at and closed_at <= ends_at
        group by instrument, timeframe, opened_at
    ),
    compared as (
        select
            instrument, timeframe, count(mark) as marks, count(index) as indices,
            max(abs(mark / index - 1)) * 1e4 as mark_from_index_bps,
            max(abs(trade / mark - 1)) * 1e4 as trade_from_mark_bps
        from intervals
        group by instrument, timeframe
    ),
    spans as (
        select
            series.*,
            (epoch_us(newest_at) - epoch_us(greatest(first_at, begins_at))) / candle_us as expected
        from series cross join temp.judged_day
    )
    select spans.instrument, spans.instrument || ' ' || timeframe as series, {{measures}}
    from spans cross join temp.judged_day
    left join asked using (instrument)
    left join compared using (instrument, timeframe)
    where newest_at is not null
    order by series
    """,
    (
        Measure(
            "missing_share_of_mark",
            "if(expected > 0, 1 - coalesce(marks, 0) / expected, 0)",
            highest="max_daily_missing_share",
        ),
        Measure(
            "missing_share_of_index",
            "if(expected > 0, 1 - coalesce(indices, 0) / expected, 0)",
            highest="max_daily_missing_share",
        ),
        Measure("hours_behind", _HOURS_BEHIND, highest="max_hours_behind"),
        Measure("bps_between_mark_and_index", "coalesce(mark_from_index_bps, 0)", highest="max_basis_bps"),
        Measure("bps_between_trade_and_mark", "coalesce(trade_from_mark_bps, 0)", highest="max_basis_bps"),
    ),
)

TOLD = Suite(
    "what is told of a day",
    "marts, temp.judged_rates, raw.discoveries",
    """
    with of_venues as (
        select
            if(regexp_matches(instrument, '^(PF|PI|FI|FF)_'), 'futures', 'spot') as kind,
            split_part(instrument, '.', 1) as instrument, source, coalesce(covers_from, fetched_at) as began_at
        from raw.files
        where state = 'validated' and contains(source, '-')
        union all
        select 'funding', instrument, source, began_at from raw.funding_rates
    ),
    told_before as (
        select distinct kind, instrument
        from of_venues join temp.judged_routine using (kind, instrument) cross join temp.judged_day
        where began_at < ends_at and split_part(source, '-', 1) not in (select venue from temp.simulated_venues)
    ),
    of_the_day as (
        select 'spot' as kind, instrument from marts.candles, temp.judged_day
        where closed_at > begins_at and closed_at <= ends_at
        union all
        select 'futures', instrument from marts.futures_candles, temp.judged_day
        where closed_at > begins_at and closed_at <= ends_at
        union all
        select 'funding', instrument from temp.judged_rates
    ),
    counted as (
        select kind, instrument, count(*) as rows from of_the_day group by kind, instrument
    ),
    lists as (
        select source, asset_pairs_list, contracts_list from raw.discoveries
        where state = 'accepted'
        qualify row_number() over (partition by source order by discovery_id desc) = 1
    ),
    told as (
        select instrument, instrument || ' ' || kind as series, coalesce(rows, 0) as rows
        from told_before left join counted using (kind, instrument)
        union all
        select source, source || ' asset pairs', (select count(*) from raw.asset_pairs where list_id = asset_pairs_list)
        from lists
        union all
        select source, source || ' contracts', (select count(*) from raw.contracts where list_id = contracts_list)
        from lists
    )
    select instrument, series, {measures} from told order by series
    """,
    (Measure("rows", "rows", lowest=1),),
)

DAILY_SUITES = (TOLD, CANDLES, FUTURES_CANDLES, FUNDING_RATES, ASSET_PAIRS, CONTRACTS)


def take_day(
    connection: duckdb.DuckDBPyConnection,
    day: date,
    perpetuals: Mapping[str, str],
    *,
    datasets: Collection[str] = ("ohlc", "charts", "funding"),
    simulated: Collection[str] = (),
) -> None:
    """Say which day the suites judge, in temporary tables. The file itself may be open for reading only.

    Args:
        day: Of UTC.
        perpetuals: Those that the routine backfill asks for, by spot pair.
        datasets: What it asks for of them.
        simulated: Venues whose time is not the calendar's.
    """
    begins_at = datetime.fromisoformat(f"{day.isoformat()}T00:00:00+00:00")
    connection.execute(
        "create or replace temp table judged_day as select ?::timestamptz as begins_at, ?::timestamptz as ends_at",
        [begins_at, begins_at + timedelta(days=1)],
    )
    connection.execute(
        "create or replace temp table judged_perpetuals as"
        " select unnest(?::varchar[]) as instrument, unnest(?::varchar[]) as contract",
        [[*perpetuals.keys()], [*perpetuals.values()]],
    )
    connection.execute(
        "create or replace temp table judged_routine as"
        " select 'spot' as kind, instrument from temp.judged_perpetuals"
        " where list_has_any($datasets, ['ohlc', 'trades'])"
        " union all select 'futures', contract from temp.judged_perpetuals where list_contains($datasets, 'charts')"
        " union all select 'funding', contract from temp.judged_perpetuals where list_contains($datasets, 'funding')",
        {"datasets": [*datasets]},
    )
    connection.execute(
        "create or replace temp table simulated_venues as select unnest(?::varchar[]) as venue", [[*simulated]]
    )
    connection.execute(
        "create or replace temp table judged_rates as"
        " select instrument, began_at, rate, relative_rate from marts.funding_rates, temp.judged_day"
        " where began_at >= begins_at and began_at < ends_at"
    )
