"""The zones that a report draws are the published ones that the run's entries came back to."""

import duckdb
import polars as pl
import pytest

from tasks.backtests import run_backtest
from trading.errors import InputUnusable

pytestmark = pytest.mark.xdist_group("heavy")  # one process compiles

# Enters wherever the price comes back to an order block, from outside.
TOUCH = """-- grain: one row per entry
-- key: instrument, timeframe, closed_at
-- lookback: 2 candles
with

bars as (

    select
        candles.instrument,
        candles.timeframe,
        candles.closed_at,
        candles.high::double as high,
        candles.low::double as low,
        candles.close::double as close,
        lag(candles.close::double) over in_time as previous_close,
        lag(smc.bull_block_top) over in_time as bull_top,
        lag(smc.bull_block_bottom) over in_time as bull_bottom,
        lag(smc.bear_block_top) over in_time as bear_top,
        lag(smc.bear_block_bottom) over in_time as bear_bottom
    from marts.candles
    join features.smc using (instrument, timeframe, closed_at)
    window in_time as (partition by instrument, timeframe order by closed_at)

),

touches as (

    select
        *,
        case
            when previous_close > bull_top and low <= bull_top and close >= bull_bottom then 'long'
            when previous_close < bear_bottom and high >= bear_bottom and close <= bear_top then 'short'
        end as side
    from bars

)

select
    instrument,
    timeframe,
    closed_at,
    closed_at as known_at,
    side,
    close,
    0.01 * close as stop_distance,
    0.01 * close as target_1_distance,
    null::double as target_2_distance,
    null::double as target_3_distance,
    null::double as target_4_distance,
    1.0 as score
from touches
where side is not null
"""


@pytest.fixture
def touch(tmp_path):
    path = tmp_path / "signals_touch.sql"
    path.write_text(TOUCH, encoding="utf-8")
    return path


def test_each_entry_at_a_block_has_its_block_which_was_known_before(settings, touch):
    view = run_backtest(settings, touch, store=False).view
    blocks = view.zones.filter(pl.col("kind") == "order block").explode("trades")
    assert blocks.height > 10
    assert sorted(blocks["trades"]) == view.trades["trade_no"].to_list()  # it enters nowhere else
    entries = blocks.join(view.trades, left_on="trades", right_on="trade_no")
    assert (entries["known_at"] < entries["signal_at"]).all()
    assert ((entries["side"] == "bullish") == (entries["side_right"] == "long")).all()
    assert entries.filter(pl.col("ended_at") < pl.col("signal_at")).is_empty()


def test_what_is_drawn_is_published(settings, touch):
    zones = run_backtest(settings, touch, store=False).view.zones
    with duckdb.connect(str(settings.paths.published), read_only=True) as published:
        published.register("drawn", zones)
        found = published.execute(
            "select count(*) from drawn join marts.zones using (instrument, kind, side, born_at, known_at, bottom, top)"
            " where timeframe = '15m' and drawn.ended_at is not distinct from least(broken_at, zones.ended_at)"
        ).fetchone()
    assert found == (zones.height,)


def test_neither_a_strategy_that_reads_no_zones_nor_a_run_without_a_report_has_any(settings, touch):
    cross = settings.paths.sql / "marts" / "signals_ema_cross.sql"
    assert run_backtest(settings, cross, store=False).view.zones.is_empty()
    assert run_backtest(settings, touch, store=False, report=False).view.zones.is_empty()


def test_a_publication_of_before_there_were_zones_is_told_in_words(settings, touch):
    settings.paths.published.chmod(0o644)
    with duckdb.connect(str(settings.paths.published)) as published:
        published.execute("drop table marts.zones; drop table features.smc")
    with pytest.raises(InputUnusable, match=r"reads features\.smc, which is not published"):
        run_backtest(settings, touch, store=False)
