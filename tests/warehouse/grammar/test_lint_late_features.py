"""A feature that is known later than its close is joined as it was known, or refused."""

import duckdb
import pytest
from strategy_sql import decided, joined, refusals, strategy

from trading.indicators.needs import Need
from warehouse.features.indicators import write_indicators
from warehouse.features.smc import write_smc
from warehouse.grammar.vocabulary import KNOWN_AT_CLOSE

ON_SERIES = "on candles.instrument = late.instrument and candles.timeframe = late.timeframe"
# A row of `features.late` may be known after its close: to join it on the close alone is to look ahead.
READS_LATE = {
    "on the close": joined("join features.late using (instrument, timeframe, closed_at)", "late.bos > 0"),
    "on the close, kept if it is there": joined(
        "left join features.late using (instrument, timeframe, closed_at)", "late.bos > 0"
    ),
    "that it is there": joined("semi join features.late using (instrument, timeframe, closed_at)", "true"),
    "on the time it was known": joined(
        f"join features.late {ON_SERIES} and candles.closed_at = late.known_at", "late.bos > 0"
    ),
    "as-of its close": joined(
        f"asof join features.late {ON_SERIES} and candles.closed_at >= late.closed_at", "late.bos > 0"
    ),
    "by itself": decided("bos > 0", "features.late"),
    "through a step": strategy(
        "late as (select * from features.late), decided as (select candles.*, late.bos > 0 as up from marts.candles"
        " join late using (instrument, timeframe, closed_at))"
    ),
    "through a step that is joined as-of": strategy(
        "late as (select * from features.late), decided as (select candles.*, late.bos > 0 as up from marts.candles"
        f" asof join late {ON_SERIES} and candles.closed_at >= late.known_at)"
    ),
    "beside what is joined as-of": joined(
        "asof join (features.late join features.indicators as i using (instrument, timeframe, closed_at))"
        " on candles.instrument = late.instrument and candles.closed_at >= i.known_at",
        "late.bos > 0",
    ),
    "from the left": strategy(
        "decided as (select late.*, late.bos > candles.close as up from features.late asof join"
        " (select *, closed_at as known_at from marts.candles) as candles"
        " on late.instrument = candles.instrument and late.known_at >= candles.known_at)"
    ),
}


@pytest.mark.parametrize("name", READS_LATE)
def test_refuses_a_feature_that_is_joined_before_it_is_known(name):
    assert "late-feature" in {refusal.rule for refusal in refusals(READS_LATE[name])}


@pytest.mark.parametrize("time", ["candles.closed_at >= late.known_at", "late.known_at < candles.closed_at"])
@pytest.mark.parametrize("kind", ["asof join", "asof left join"])
def test_a_feature_may_be_joined_as_it_was_known(kind, time):
    assert refusals(joined(f"{kind} features.late {ON_SERIES} and {time}", "late.bos > 0")) == ()


def test_features_known_at_their_close_are_those_of_the_table_that_says_so(candles, kernel):
    with duckdb.connect() as connection:
        connection.execute("create schema marts; create schema features")
        connection.register("given", candles)
        connection.execute("create table marts.candles as from given")
        write_indicators(connection, "features.indicators", (Need("ema", (3,)),))
        write_smc(connection, "features.smc", kernel)
        for table in KNOWN_AT_CLOSE:
            assert connection.execute(f"select count(*) from {table} where known_at <> closed_at").fetchone() == (0,)
