"""What is expected of one day of the marts, and of the lists in force: what no batch shows by itself.

A series is judged by what others say of the same day: whether it ends before them, whether the venue's candle differs
from the one derived, whether spot, index, mark and trade prices stay together.
"""

from collections.abc import Mapping
from datetime import date, datetime, timedelta

import duckdb

from warehouse.gate.measures import Measure, Suite
from warehouse.gate.reference_suites import ASSET_PAIRS, CONTRACTS, FUNDING_RATES

_HOUR_US = "3.6e9"

# A series counts as asked for when its venue told something of it on that day or later. Of an archive nobody expects
# that it goes on.
_ASKED = """
    asked as (
        select distinct split_part(instrument, '.', 1) as instrument
        from raw.files, temp.judged_day
        where state = 'validated' and contains(source, '-') and fetched_at >= begins_at
    )
"""
_HOURS_BEHIND = f"""
    if(
        asked.instrument is null, 0,
        (max(epoch_us(newest_at)) filter (asked.instrument is not null) over (partition by timeframe)
            - epoch_us(newest_at)) / {_HOUR_US}
    )
"""

CANDLES = Suite(
    "marts candles of a day",
    "marts.candles",
    f"""
    with {_ASKED},
    series as (
        select
            instrument, timeframe, min(opened_at) as first_at, max(closed_at) as last_at,
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
    from spans
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

DAILY_SUITES = (CANDLES, FUTURES_CANDLES, FUNDING_RATES, ASSET_PAIRS, CONTRACTS)


def take_day(connection: duckdb.DuckDBPyConnection, day: date, perpetuals: Mapping[str, str]) -> None:
    """Say which day the suites judge, in temporary tables. `perpetuals` is by spot pair.

    The file itself may be open for reading only.
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
        "create or replace temp table judged_rates as"
        " select instrument, began_at, rate, relative_rate from marts.funding_rates, temp.judged_day"
        " where began_at >= begins_at and began_at < ends_at"
    )
