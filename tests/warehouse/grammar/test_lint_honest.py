"""What is honest passes, by the check of its text and by trying; a promised lookback must be enough."""

import pytest
from strategy_sql import SERIES, decided, joined, refusals, strategy, unchecked

from warehouse.grammar.headers import parse_header
from warehouse.grammar.lint import series_columns_bound, strategy_lint
from warehouse.strategies.trials import look_ahead_offenders, lookback_offenders

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


def test_judges_a_frame_by_the_value_its_parameter_will_have():
    sql = decided(f"max(close) over ({SERIES} rows getvariable('bars') preceding) = close")
    header = parse_header(sql, "x.sql")
    assert strategy_lint(sql, header, {"bars": 20, "ratio": 1.0}, "x.sql") == ()
    (refusal,) = strategy_lint(sql, header, {"bars": 21, "ratio": 1.0}, "x.sql")
    assert refusal.rule == "lookback"


def test_a_strategy_must_count_its_lookback():
    sql = decided("true").replace("lookback: 20 candles", "lookback: full")
    assert [refusal.found for refusal in refusals(sql)] == ["lookback: full"]
    sql = decided("true").replace("lookback: 20 candles", "lookback: 3 days")
    assert [refusal.found for refusal in refusals(sql)] == ["lookback in days"]


def test_knows_which_series_can_not_touch_each_other():
    assert series_columns_bound(HONEST["lag and lead's absence"], "x") == {"instrument", "timeframe"}
    assert series_columns_bound(HONEST["indicators as-of"], "x") == {"instrument"}
    assert series_columns_bound(HONEST["rank over one close"], "x") == {"timeframe"}
    assert series_columns_bound(HONEST["a candle of another instrument at the same close"], "x") == {"timeframe"}
