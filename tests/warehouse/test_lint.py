"""Strategy SQL that would mean something else tomorrow is refused by name; what is honest passes."""

import datetime as dt
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pytest

from trading.errors import InputUnusable
from trading.indicators import Need
from warehouse.features import write_indicators
from warehouse.grammar.headers import Header, parse_header
from warehouse.grammar.lint import refuse, series_columns_bound, strategy_lint
from warehouse.grammar.parameters import values_of
from warehouse.grammar.vocabulary import (
    ADVICE,
    FLOAT_AGGREGATES,
    FRAMED,
    FUNCTIONS,
    KNOWN_AT_CLOSE,
    OPERATORS,
    RANKINGS,
)
from warehouse.strategies import Strategy, look_ahead_offenders, lookback_offenders

ROOT = Path(__file__).resolve().parents[2]

HEADER = """-- grain: one row per signal
-- key: instrument, timeframe, closed_at
-- lookback: 20 candles
-- needs: ema(3), atr(2)
-- param: bars integer = 5
-- param: ratio double = -1.0
"""
SERIES = "partition by instrument, timeframe order by closed_at"
PROPOSAL = """
    instrument, timeframe, closed_at, closed_at as known_at, case when up then 'long' else 'short' end as side,
    close::double as close, 1.0::double as stop_distance, 2.0::double as target_1_distance,
    null::double as target_2_distance, null::double as target_3_distance, null::double as target_4_distance,
    0.5::double as score
"""


def strategy(steps: str) -> str:
    """A strategy whose last CTE, `decided`, holds candles and a boolean `up`."""
    return f"{HEADER}with {steps} select {PROPOSAL} from decided where up is not null"


def decided(up: str, source: str = "marts.candles") -> str:
    return strategy(f"decided as (select *, {up} as up from {source})")


def joined(join: str, up: str = "later.close > candles.close") -> str:
    return strategy(f"decided as (select candles.*, {up} as up from marts.candles as candles {join})")


def refusals(sql: str, header: Header | None = None):
    header = header or parse_header(sql, "cheat.sql")
    return strategy_lint(sql, header, values_of(header.params, {}, "cheat.sql"), "cheat.sql")


# Cheats that see the future: each is refused by a rule, and, run all the same, is found by trying (None: it can't run).
LOOKS_AHEAD = {
    "lead": (decided(f"lead(close) over ({SERIES}) > close"), "look-ahead"),
    "LEAD in capitals and quotes": (decided(f'"LEAD"(close) over ({SERIES}) > close'), "look-ahead"),
    "lag by a negative count": (decided(f"lag(close, -1) over ({SERIES}) > close"), "lag"),
    "lag by a negative parameter": (decided(f"lag(close, getvariable('ratio')::int) over ({SERIES}) > close"), "lag"),
    "lag by arithmetic": (decided(f"lag(close, 1 - 2) over ({SERIES}) > close"), "lag"),
    "lag in the opposite order": (
        decided("lag(close) over (partition by instrument, timeframe order by closed_at desc) > close"),
        "order",
    ),
    "lag in the order of a negated time": (
        decided("lag(close) over (partition by instrument, timeframe order by -epoch(closed_at)) > close"),
        "order",
    ),
    "lag in an order of its arguments": (
        decided(
            f"last_value(close order by closed_at desc) over ({SERIES} rows between 3 preceding and current row) > 0"
            f" and lead(close) over ({SERIES}) > close"
        ),
        "order",
    ),
    "a frame of following rows": (
        decided(f"max(close) over ({SERIES} rows between current row and 3 following) > close"),
        "look-ahead",
    ),
    "a frame that ends -3 rows before": (
        decided(f"max(close) over ({SERIES} rows between 1 preceding and -3 preceding) > close"),
        "look-ahead",
    ),
    "a frame over everything": (decided("max(close) over (partition by instrument, timeframe) > close"), "order"),
    "fill from both neighbours": (
        strategy(
            "gappy as (select *, case when epoch(closed_at) % 1800 = 0 then close::double end as known"
            " from marts.candles),"
            f" decided as (select *, round(fill(known) over ({SERIES})) % 2 = 0 as up from gappy)"
        ),
        "look-ahead",
    ),
    "ranking inside a series": (
        decided("ntile(4) over (partition by instrument, timeframe order by closed_at) > 2"),
        "ranking",
    ),
    "group by": (
        strategy(
            "tops as (select instrument, timeframe, max(close) as top from marts.candles group by all),"
            " decided as (select candles.*, candles.close < top as up from marts.candles as candles"
            " join tops using (instrument, timeframe))"
        ),
        "aggregate",
    ),
    "group by day": (
        strategy(
            "tops as (select instrument, timeframe, date_trunc('day', closed_at) as day, max(close) as top"
            " from marts.candles group by all), dated as (select *, date_trunc('day', closed_at) as day"
            " from marts.candles), decided as (select dated.*, dated.close < top as up"
            " from dated join tops using (instrument, timeframe, day))"
        ),
        "aggregate",
    ),
    "scalar subquery": (decided("close < (select max(close) from marts.candles)"), "subquery"),
    "correlated exists": (
        decided(
            "exists (select 1 from marts.candles as later where later.opened_at = candles.closed_at"
            " and later.close > candles.close)",
            "marts.candles as candles",
        ),
        "subquery",
    ),
    "self join on shifted times": (
        joined(
            "join marts.candles as later on later.opened_at = candles.closed_at"
            " and later.instrument = candles.instrument"
        ),
        "join",
    ),
    "self join on arithmetic": (
        joined(
            "join marts.candles as later on later.closed_at = candles.closed_at + interval 15 minutes"
            " and later.instrument = candles.instrument"
        ),
        "join",
    ),
    "self join on an inequality": (
        joined(
            "left join marts.candles as later on later.closed_at > candles.closed_at"
            " and later.instrument = candles.instrument and later.close > candles.close * 1.01"
        ),
        "join",
    ),
    "cross join and where": (
        strategy(
            "decided as (select candles.*, later.close > candles.close as up from marts.candles as candles,"
            " marts.candles as later"
            " where later.opened_at = candles.closed_at and later.instrument = candles.instrument)"
        ),
        "join",
    ),
    "join that forgets the time": (
        strategy(
            "decided as (select candles.*, later.close > candles.close as up from marts.candles as candles"
            " join marts.candles as later using (instrument, timeframe) where later.opened_at = candles.closed_at)"
        ),
        "join",
    ),
    "as-of the next one": (
        joined(
            "asof join (select *, closed_at as known_at from marts.candles) as later"
            " on candles.instrument = later.instrument and candles.closed_at < later.known_at"
        ),
        "join",
    ),
    "as-of with the sides swapped": (
        joined(
            "asof join (select *, closed_at as known_at from marts.candles) as later"
            " on candles.instrument = later.instrument and later.known_at > candles.closed_at"
        ),
        "join",
    ),
    "lateral": (
        joined(
            "join lateral (select close from marts.candles as next where next.opened_at = candles.closed_at"
            " and next.instrument = candles.instrument) as later on true"
        ),
        "join",
    ),
    "positional join": (
        strategy(
            "shifted as (select close as next_close from marts.candles order by instrument, closed_at offset 1),"
            " sorted as (select * from marts.candles order by instrument, closed_at),"
            " decided as (select sorted.*, next_close > close as up from sorted positional join shifted)"
        ),
        "join",
    ),
    "the last candle of all, by limit": (
        strategy(
            "final as (select close as final_close from marts.candles order by closed_at desc, instrument limit 1),"
            " decided as (select candles.*, final_close > close as up from marts.candles as candles cross join final)"
        ),
        "limit",
    ),
    "the last candle of all, by distinct on": (
        strategy(
            "final as (select distinct on (instrument) instrument, close as final_close from marts.candles"
            " order by instrument, closed_at desc), decided as (select candles.*, final_close > close as up"
            " from marts.candles as candles join final using (instrument))"
        ),
        "limit",
    ),
    "the earlier close as one's own": (
        strategy(
            "dated as (select * exclude (closed_at), opened_at as closed_at from marts.candles),"
            " decided as (select *, close > open as up from dated)"
        ),
        "time-column",
    ),
    "the earlier close by replace": (
        strategy(
            "dated as (select * replace (opened_at as closed_at) from marts.candles),"
            " decided as (select *, close > open as up from dated)"
        ),
        "form",
    ),
    "the earlier close by rename": (
        strategy(
            "dated as (select * exclude (closed_at) rename (opened_at as closed_at) from marts.candles),"
            " decided as (select *, close > open as up from dated)"
        ),
        "form",
    ),
    "the earlier close by a list of columns": (
        strategy(
            "dated(instrument, timeframe, closed_at, open, close) as ("
            "select instrument, timeframe, opened_at, open, close from marts.candles),"
            " decided as (select *, close > open as up from dated)"
        ),
        "time-column",
    ),
    "the earlier close by the position in a union": (
        strategy(
            "dated as (select instrument, timeframe, closed_at, open, close from marts.candles where false union all"
            " select instrument, timeframe, opened_at, open, close from marts.candles),"
            " decided as (select *, close > open as up from dated)"
        ),
        "set-operation",
    ),
    "the earlier row kept whole": (
        strategy(
            f"pairs as (select lag(candles) over ({SERIES}) as before, close as next_close"
            " from marts.candles as candles),"
            " dated as (select before.instrument, before.timeframe, before.closed_at, before.close, next_close"
            " from pairs),"
            " decided as (select *, next_close > close as up from dated where closed_at is not null)"
        ),
        "whole-row",
    ),
    "the earlier close in a struct": (
        strategy(
            "packed as (select instrument, timeframe, close, open, {'closed_at': opened_at} as times"
            " from marts.candles),"
            " dated as (select instrument, timeframe, times.closed_at, close, open from packed),"
            " decided as (select *, close > open as up from dated)"
        ),
        "time-column",
    ),
    "except a later row": (
        strategy(
            "calm as (select instrument, timeframe, closed_at, close from marts.candles except"
            " select instrument, timeframe, opened_at as closed_at, open as close from marts.candles),"
            " decided as (select *, true as up from calm)"
        ),
        "set-operation",
    ),
    "the close of an as-of row": (
        strategy(
            "hours as (select *, closed_at as known_at from marts.candles where hour(closed_at) % 2 = 0"
            " and minute(closed_at) = 0), decided as (select hours.instrument, hours.timeframe, hours.closed_at,"
            " candles.close, candles.close > hours.close as up from marts.candles as candles asof join hours"
            " on candles.instrument = hours.instrument and candles.closed_at >= hours.known_at"
            " where candles.closed_at = hours.closed_at + interval 30 minutes)"
        ),
        "asof-time",
    ),
    "a window over the close of an as-of row": (
        strategy(
            "hours as (select *, closed_at as known_at from marts.candles where minute(closed_at) = 0),"
            " decided as (select candles.*, max(candles.close) over (partition by hours.instrument, hours.closed_at)"
            " > candles.close as up from marts.candles as candles asof join hours"
            " on candles.instrument = hours.instrument and candles.closed_at >= hours.known_at)"
        ),
        "asof-time",
    ),
    "an as-of row that claims to be known since": (
        strategy(
            "hours as (select *, closed_at as known_at from marts.candles where minute(closed_at) = 0),"
            " stale as (select candles.instrument, candles.close, greatest(hours.closed_at, hours.known_at) as known_at"
            " from marts.candles as candles asof join hours on candles.instrument = hours.instrument"
            " and candles.closed_at >= hours.known_at where candles.closed_at = hours.known_at + interval 45 minutes),"
            " decided as (select candles.*, stale.close > candles.close as up from marts.candles as candles"
            " asof join stale on candles.instrument = stale.instrument and candles.closed_at >= stale.known_at)"
        ),
        "asof-time",
    ),
}

# Cheats that see no later candle, but would not come out the same from a live close, from another machine, or tomorrow.
UNSTABLE = {
    "sum in a counted frame": (decided(f"sum(close) over ({SERIES} rows 5 preceding) > 1"), "float-aggregate"),
    "avg in a counted frame": (decided(f"avg(close) over ({SERIES} rows 5 preceding) > close"), "float-aggregate"),
    "stddev over a named window": (
        strategy(
            "decided as (select *, stddev(close) over w > 1 as up from marts.candles"
            f" window w as ({SERIES} rows 5 preceding))"
        ),
        "float-aggregate",
    ),
    "sum over one close": (decided("sum(close) over (partition by timeframe, closed_at) > 1"), "float-aggregate"),
    "regression": (decided(f"regr_slope(close, open) over ({SERIES} rows 9 preceding) > 0"), "float-aggregate"),
    "median": (decided(f"median(close) over ({SERIES} rows 9 preceding) > close"), "float-aggregate"),
    "sum of a list": (decided("list_sum([close, open]) > 1"), "float-aggregate"),
    "sum by the name of an aggregate": (decided("list_aggregate([close, open], 'sum') > 1"), "float-aggregate"),
    "a list in a frame": (decided(f"array_agg(close) over ({SERIES} rows 5 preceding) is not null"), "function"),
    "the implicit frame": (decided(f"max(close) over ({SERIES}) = close"), "unbounded"),
    "unbounded preceding": (
        decided(f"min(close) over ({SERIES} rows between unbounded preceding and current row) = close"),
        "unbounded",
    ),
    "first value of all": (decided(f"first_value(close) over ({SERIES}) < close"), "unbounded"),
    "a frame in time": (
        decided(f"max(close) over ({SERIES} range between interval 1 hour preceding and current row) = close"),
        "unbounded",
    ),
    "a frame in groups": (decided(f"max(close) over ({SERIES} groups 5 preceding) = close"), "unbounded"),
    "a frame of a computed length": (decided(f"max(close) over ({SERIES} rows 2 + 3 preceding) = close"), "unbounded"),
    "lag ignoring nulls": (decided(f"lag(close ignore nulls) over ({SERIES}) > close"), "unbounded"),
    "row_number": (decided(f"row_number() over ({SERIES}) % 7 = 0"), "ranking"),
    "no partition": (decided("lag(close) over (order by closed_at) > close"), "partition"),
    "half a partition": (decided("lag(close) over (partition by instrument order by closed_at) > close"), "partition"),
    "beyond the lookback": (decided(f"lag(close, 21) over ({SERIES}) > close"), "lookback"),
    "now()": (decided("closed_at < now()"), "clock"),
    "current_timestamp": (decided("closed_at < current_timestamp"), "clock"),
    "current_localtimestamp": (decided("closed_at < current_localtimestamp()"), "clock"),
    "today": (decided("closed_at < today()"), "clock"),
    "ago": (decided("closed_at < ago(interval 1 day)"), "clock"),
    "age of one argument": (decided("age(closed_at::timestamp) > interval 1 day"), "clock"),
    "random": (decided("random() > 0.5"), "clock"),
    "uuid": (decided("uuid()::varchar > '7'"), "clock"),
    "a setting": (decided("current_setting('threads')::int > 1"), "function"),
    "a user": (decided("user = 'me'"), "function"),
    "a hash": (decided("hash(close) % 2 = 0"), "function"),
    "sample of a table": (decided("true", "marts.candles tablesample 10%"), "sample"),
    "sample of a query": (strategy("decided as (select *, true as up from marts.candles using sample 10%)"), "sample"),
    "file by function": (decided("true", "read_csv('/tmp/future.csv')"), "input"),
    "file by name": (decided("true", "'/tmp/future.csv'"), "input"),
    "numbers from nowhere": (decided("true", "range(10)"), "input"),
    "results of backtests": (decided("true", "marts.backtests"), "input"),
    "another strategy": (decided("true", "marts.signals_other"), "input"),
    "raw rows": (decided("true", "raw.kraken_ohlcvt"), "input"),
    "another database": (decided("true", "elsewhere.marts.candles"), "input"),
    "values": (decided("true", "(values (1)) as t"), "form"),
    "recursive": (
        HEADER + "with recursive r as (select 1 as x union all select x + 1 from r where x < 5) select * from r",
        "recursive",
    ),
    "natural join": (joined("natural join features.indicators as later"), "join"),
    "join over the opening": (joined("join marts.candles as later using (instrument, opened_at)"), "join"),
    "join without table names": (
        joined("join features.indicators as later on closed_at = known_at", "true"), "join"
    ),
    "as-of using another column": (joined("asof join marts.candles as later using (instrument, close)"), "join"),
    "full join": (joined("full join marts.candles as later using (instrument, timeframe, closed_at)"), "join"),
    "everything of an as-of join": (
        strategy(
            "hours as (select *, closed_at as known_at from marts.candles), decided as (select *, true as up"
            " from marts.candles as candles asof join hours"
            " on candles.instrument = hours.instrument and candles.closed_at >= hours.known_at)"
        ),
        "asof-time",
    ),
    "a known_at made up": (
        strategy("dated as (select *, closed_at - interval 1 day as known_at, true as up from marts.candles),"
                 " decided as (select * from dated)"),
        "time-column",
    ),
    "where a row came from": (decided("candles.source = 'derived'", "marts.candles as candles"), "provenance"),
    "where a row lies": (decided("rowid % 2 = 0"), "provenance"),
    "an undeclared feature": (decided("ema_50 > close", "features.indicators"), "needs"),
    "an undeclared parameter": (decided("close > getvariable('secret')"), "param"),
    "a parameter by a computed name": (decided("close > getvariable('ra' || 'tio')"), "param"),
    "a lambda": (decided("list_filter([close], lambda x: x > 1) is not null"), "form"),
    "columns by pattern": (strategy("decided as (select columns('.*'), true as up from marts.candles)"), "form"),
    "a placeholder": (decided("close > $1"), "form"),
    "a column by position": (decided("#1 = 'BTC/USD'"), "form"),
    "a table by description": (decided("true", "(describe marts.candles)"), "form"),
    "intersect": (strategy("decided as (select *, true as up from marts.candles intersect select *, true as up"
                           " from marts.candles)"), "set-operation"),
}  # fmt: skip


@pytest.mark.parametrize("name", LOOKS_AHEAD)
def test_refuses_each_cheat_that_looks_ahead_by_name(name):
    sql, rule = LOOKS_AHEAD[name]
    assert rule in {refusal.rule for refusal in refusals(sql)}


@pytest.mark.parametrize("name", LOOKS_AHEAD)
def test_finds_each_cheat_that_looks_ahead_by_trying(name, candles, cuts):
    sql, _ = LOOKS_AHEAD[name]
    assert len(look_ahead_offenders(unchecked(sql), candles, cuts)) > 0


@pytest.mark.parametrize("name", UNSTABLE)
def test_refuses_each_cheat_that_is_unstable_by_name(name):
    sql, rule = UNSTABLE[name]
    assert rule in {refusal.rule for refusal in refusals(sql)}


HONEST = {
    "lag and lead's absence": decided(f"lag(close, 3) over ({SERIES}) > close"),
    "an integer parameter in a frame": decided(
        f"max(close) over ({SERIES} rows between getvariable('bars') preceding and 1 preceding) < close"
    ),
    "counting": decided(f"count_if(close > open) over ({SERIES} rows between 9 preceding and current row) > 5"),
    "a frame over a named window": strategy(
        "decided as (select *, max(close) over (w rows between 2 preceding and current row) = close as up"
        f" from marts.candles window w as ({SERIES}))"
    ),
    "rank over one close": decided("rank() over (partition by timeframe, closed_at order by close desc) = 1"),
    "indicators of the same close": joined(
        "join features.indicators as i using (instrument, timeframe, closed_at)", "i.ema_3 > candles.close"
    ),
    "indicators as-of": joined(
        "asof join features.indicators as i on candles.instrument = i.instrument and i.timeframe = '15m'"
        " and candles.closed_at >= i.known_at",
        "i.ema_3 > candles.close",
    ),
    "as-of written backwards": joined(
        "asof left join features.indicators as i"
        " on i.instrument = candles.instrument and i.known_at < candles.closed_at",
        "i.atr_2 > 1",
    ),
    "a candle of another instrument at the same close": joined(
        "join (select * from marts.candles where instrument = 'BTC/USD') as btc using (timeframe, closed_at)",
        "btc.close > btc.open",
    ),
    "two sides in a union by name": strategy(
        "rises as (select *, true as up from marts.candles where close > open),"
        " falls as (select *, false as up from marts.candles where close < open),"
        " decided as (select * from rises union all by name select * from falls)"
    ),
    "arithmetic, dates and text": decided(
        "close > getvariable('ratio') and hour(closed_at) between 7 and 17 and instrument in ('BTC/USD', 'ETH/USD')"
        " and abs(close - open) / nullif(high - low, 0) > 0.5 and not starts_with(instrument, 'X')"
        " and coalesce(volume, 0) >= 0 and least(open, close) > low"
    ),
}


@pytest.mark.parametrize("name", HONEST)
def test_lets_an_honest_strategy_pass(name, candles, cuts):
    sql = HONEST[name]
    assert refusals(sql) == ()
    assert len(look_ahead_offenders(unchecked(sql), candles, cuts)) == 0
    assert len(lookback_offenders(unchecked(sql), candles, cuts)) == 0


def test_finds_a_lookback_that_promises_too_little_by_trying(candles, cuts):
    sql = decided(f"lag(close, 3) over ({SERIES}) > close").replace("lookback: 20", "lookback: 1")
    assert {refusal.rule for refusal in refusals(sql)} == {"lookback"}
    assert len(lookback_offenders(unchecked(sql), candles, cuts)) > 0


def test_finds_a_lookback_that_two_steps_exceed_together_by_trying(candles, cuts):
    sql = strategy(
        f"first_step as (select *, lag(close, 15) over ({SERIES}) as older from marts.candles),"
        f" decided as (select *, lag(older, 15) over ({SERIES}) > close as up from first_step)"
    )
    assert refusals(sql) == ()
    assert len(lookback_offenders(unchecked(sql), candles, cuts)) > 0


ON_SERIES = "on candles.instrument = smc.instrument and candles.timeframe = smc.timeframe"
# A row of `features.smc` may be known after its close: to join it on the close alone is to look ahead.
READS_LATE = {
    "on the close": joined("join features.smc using (instrument, timeframe, closed_at)", "smc.bos > 0"),
    "on the close, kept if it is there": joined(
        "left join features.smc using (instrument, timeframe, closed_at)", "smc.bos > 0"
    ),
    "that it is there": joined("semi join features.smc using (instrument, timeframe, closed_at)", "true"),
    "on the time it was known": joined(
        f"join features.smc {ON_SERIES} and candles.closed_at = smc.known_at", "smc.bos > 0"
    ),
    "as-of its close": joined(
        f"asof join features.smc {ON_SERIES} and candles.closed_at >= smc.closed_at", "smc.bos > 0"
    ),
    "by itself": decided("bos > 0", "features.smc"),
    "through a step": strategy(
        "smc as (select * from features.smc), decided as (select candles.*, smc.bos > 0 as up from marts.candles"
        " join smc using (instrument, timeframe, closed_at))"
    ),
    "through a step that is joined as-of": strategy(
        "smc as (select * from features.smc), decided as (select candles.*, smc.bos > 0 as up from marts.candles"
        f" asof join smc {ON_SERIES} and candles.closed_at >= smc.known_at)"
    ),
    "beside what is joined as-of": joined(
        "asof join (features.smc join features.indicators as i using (instrument, timeframe, closed_at))"
        " on candles.instrument = smc.instrument and candles.closed_at >= i.known_at",
        "smc.bos > 0",
    ),
    "from the left": strategy(
        "decided as (select smc.*, smc.bos > candles.close as up from features.smc asof join"
        " (select *, closed_at as known_at from marts.candles) as candles"
        " on smc.instrument = candles.instrument and smc.known_at >= candles.known_at)"
    ),
}


@pytest.mark.parametrize("name", READS_LATE)
def test_refuses_a_feature_that_is_joined_before_it_is_known(name):
    assert "late-feature" in {refusal.rule for refusal in refusals(READS_LATE[name])}


@pytest.mark.parametrize("time", ["candles.closed_at >= smc.known_at", "smc.known_at < candles.closed_at"])
@pytest.mark.parametrize("kind", ["asof join", "asof left join"])
def test_a_feature_may_be_joined_as_it_was_known(kind, time):
    assert refusals(joined(f"{kind} features.smc {ON_SERIES} and {time}", "smc.bos > 0")) == ()


def test_features_known_at_their_close_are_those_of_the_table_that_says_so(candles):
    with duckdb.connect() as connection:
        connection.execute("create schema marts; create schema features")
        connection.register("given", candles)
        connection.execute("create table marts.candles as from given")
        write_indicators(connection, "features.indicators", (Need("ema", 3),))
        for table in KNOWN_AT_CLOSE:
            assert connection.execute(f"select count(*) from {table} where known_at <> closed_at").fetchone() == (0,)


def test_judges_a_frame_by_the_value_its_parameter_will_have():
    sql = decided(f"max(close) over ({SERIES} rows getvariable('bars') preceding) = close")
    header = parse_header(sql, "x.sql")
    assert strategy_lint(sql, header, {"bars": 20, "ratio": 1.0}, "x.sql") == ()
    (refusal,) = strategy_lint(sql, header, {"bars": 21, "ratio": 1.0}, "x.sql")
    assert refusal.rule == "lookback"


def test_a_strategy_must_count_its_lookback():
    sql = decided("true").replace("lookback: 20 candles", "lookback: full")
    assert [refusal.found for refusal in refusals(sql)] == ["lookback: full"]


def test_a_refusal_names_line_word_and_what_to_do_instead():
    sql = (
        HEADER
        + "select\n    lead(close) over (partition by instrument, timeframe order by closed_at)\nfrom marts.candles"
    )
    with pytest.raises(InputUnusable) as raised:
        refuse(refusals(sql), "signals_cheat.sql")
    assert "signals_cheat.sql is refused" in str(raised.value)
    assert "line 8: lead (look-ahead): it reads later candles" in str(raised.value)


def test_lines_are_counted_in_text_beyond_ascii():
    sql = HEADER + "-- é ü 漢字 🙂\nselect 'é🙂' as a,\n    now() as b from marts.candles"
    assert [(r.line, r.found) for r in refusals(sql)] == [(9, "now")]


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("", "empty"),
        ("select 1; select 2", "2 statements"),
        ("drop table marts.candles", "not one SELECT"),
        ("insert into marts.candles values (1)", "not one SELECT"),
        ("select 1 from", "syntax error"),
        ("pivot marts.candles on side using count(*)", "not one SELECT"),
    ],
)
def test_refuses_what_is_not_one_select(sql, said):
    with pytest.raises(InputUnusable, match=said):
        refusals(sql, Header())


def test_knows_which_series_can_not_touch_each_other():
    assert series_columns_bound(HONEST["lag and lead's absence"], "x") == {"instrument", "timeframe"}
    assert series_columns_bound(HONEST["indicators as-of"], "x") == {"instrument"}
    assert series_columns_bound(HONEST["rank over one close"], "x") == {"timeframe"}
    assert series_columns_bound(HONEST["a candle of another instrument at the same close"], "x") == {"timeframe"}


def test_every_allowed_word_is_a_pure_function_of_this_database():
    rows = duckdb.sql("select function_name, function_type, stability from duckdb_functions()").fetchall()
    pure = {name for name, kind, stability in rows if kind == "scalar" and stability == "CONSISTENT"}
    aggregates = {name for name, kind, _ in rows if kind == "aggregate"}
    as_macro = {"nullif"}
    assert (FUNCTIONS | OPERATORS) - pure == as_macro
    assert (FRAMED | RANKINGS) - aggregates == set()
    assert not (FUNCTIONS | FRAMED) & FLOAT_AGGREGATES


def test_every_rule_has_a_cheat_and_an_advice():
    tested = {rule for _, rule in [*LOOKS_AHEAD.values(), *UNSTABLE.values()]}
    assert tested | {"late-feature"} == set(ADVICE)


def unchecked(sql: str) -> Strategy:
    """A strategy as it would run if the check of its text had not refused it."""
    header = parse_header(sql, "cheat.sql")
    return Strategy("cheat", "cheat.sql", sql, header, values_of(header.params, {}, "cheat.sql"))


@pytest.fixture(scope="module")
def candles() -> pl.DataFrame:
    """Two instruments, 100 candles of 15 minutes, a seeded walk."""
    return pl.concat([walk("BTC/USD", seed=1), walk("ETH/USD", seed=2)])


@pytest.fixture(scope="module")
def cuts(candles: pl.DataFrame) -> list[dt.datetime]:
    closes = candles["closed_at"].unique().sort()
    return [closes[n] for n in (3, 40, 41, 42, 98)]


def walk(instrument: str, seed: int, count: int = 100) -> pl.DataFrame:
    chance = np.random.default_rng(seed)
    close = 1000 + np.cumsum(chance.integers(-5, 6, count)).astype(float)
    open_ = np.concatenate([[1000.0], close[:-1]])
    first = dt.datetime(2023, 1, 1, tzinfo=dt.UTC)
    opened_at = [first + n * dt.timedelta(minutes=15) for n in range(count)]
    return pl.DataFrame(
        {
            "instrument": instrument,
            "timeframe": "15m",
            "opened_at": opened_at,
            "closed_at": [at + dt.timedelta(minutes=15) for at in opened_at],
            "open": open_,
            "high": np.maximum(open_, close) + 1,
            "low": np.minimum(open_, close) - 1,
            "close": close,
            "volume": chance.integers(0, 50, count).astype(float),
        }
    )
