"""Strategies as a test writes them: one step, a header around it, and what the check of the text says of it."""

from warehouse.grammar.headers import Header, parse_header
from warehouse.grammar.lint import strategy_lint
from warehouse.grammar.parameters import values_of
from warehouse.strategies.loading import Strategy

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


def unchecked(sql: str) -> Strategy:
    """A strategy as it would run if the check of its text had not refused it."""
    header = parse_header(sql, "cheat.sql")
    return Strategy("cheat", "cheat.sql", sql, header, values_of(header.params, {}, "cheat.sql"))
