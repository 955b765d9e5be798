"""Strategies that cheat, each with the rule that names it."""

from strategy_sql import HEADER, SERIES, decided, joined, strategy

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
    "instruments told apart": (
        decided("true").replace("-- lookback: 20 candles", "-- lookback: 20 candles\n-- apart: instrument"),
        "apart",
    ),
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
