"""A run is stored whole, once, however often it is stored."""

import datetime as dt
from dataclasses import replace

import duckdb
import polars as pl
import pytest

from trading.errors import InputUnusable
from warehouse.backtests import RunRows, create_tables, latest_run, read_run, read_runs, store_run

AT = dt.datetime(2023, 1, 1, tzinfo=dt.UTC)
SUMMARY = {
    "strategy": "signals_ema_cross",
    "strategy_hash": "abc",
    "code_version": "0.1.0",
    "data_hash": "def",
    "configuration": '{"risk": {"max_positions": 2}}',
    "instruments": ["BTC/USD", "ETH/USD"],
    "timeframe": "15m",
    "first_candle_at": AT,
    "last_candle_at": AT + dt.timedelta(days=1),
    "candles": 96,
    "trades": 1,
    "final_equity_usd": 100_100.0,
    "net_profit_usd": 100.0,
    "return_percent": 0.1,
    "max_drawdown_percent": 0.2,
    "sharpe": None,
    "win_rate_percent": 100.0,
    "profit_factor": None,
    "fees_usd": 1.5,
    "slippage_usd": 0.5,
    "engine_seconds": 0.01,
    "created_at": AT,
}
TRADES = pl.DataFrame(
    {
        "trade_no": [1],
        "instrument": ["BTC/USD"],
        "side": ["long"],
        "quantity_base": [0.5],
        "signal_at": [AT],
        "entered_at": [AT],
        "entry_price": [100.0],
        "stop_price": [90.0],
        "target_price": [120.0],
        "exited_at": [AT],
        "exit_price": [120.0],
        "exit_reason": ["target"],
        "gross_pnl_usd": [102.0],
        "fees_usd": [1.5],
        "slippage_usd": [0.5],
        "net_pnl_usd": [100.0],
        "r_multiple": [2.0],
        "ambiguous": [False],
    }
)
EQUITY = pl.DataFrame({"at": [AT], "equity_usd": [100_100.0], "drawdown_percent": [0.0]})
DECISIONS = pl.DataFrame(
    {
        "instrument": ["BTC/USD"],
        "at": [AT],
        "side": ["long"],
        "decision": ["max_positions"],
        "lost_to": ["ETH/USD"],
    }
)
RUN = RunRows("r1", SUMMARY, TRADES, EQUITY, DECISIONS)


@pytest.fixture
def warehouse():
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        yield connection


def counts(connection) -> dict[str, int]:
    return {
        table: connection.execute(f"select count(*) from marts.{table}").fetchone()[0]
        for table in ("backtests", "trades", "equity", "decisions")
    }


def test_a_run_comes_back_as_it_was_stored(warehouse):
    assert store_run(warehouse, RUN) is True
    back = read_run(warehouse, "r1")
    assert back.summary == SUMMARY
    for name in ("trades", "equity", "decisions"):
        assert getattr(back, name).drop("run_id").equals(getattr(RUN, name))


def test_storing_again_replaces_and_adds_nothing(warehouse):
    store_run(warehouse, RUN)
    once = counts(warehouse)
    assert store_run(warehouse, RUN) is False
    assert counts(warehouse) == once == {"backtests": 1, "trades": 1, "equity": 1, "decisions": 1}


def test_another_run_stands_beside_it(warehouse):
    store_run(warehouse, RUN)
    later = {**SUMMARY, "created_at": AT + dt.timedelta(hours=1), "strategy": "signals_other"}
    store_run(warehouse, replace(RUN, run_id="r2", summary=later))
    assert counts(warehouse)["trades"] == 2
    assert latest_run(warehouse) == "r2"
    assert latest_run(warehouse, "signals_ema_cross") == "r1"
    assert read_runs(warehouse)["run_id"].to_list() == ["r2", "r1"]


def test_a_run_without_trades_is_a_run(warehouse):
    store_run(warehouse, replace(RUN, trades=TRADES.clear(), decisions=DECISIONS.clear()))
    assert counts(warehouse) == {"backtests": 1, "trades": 0, "equity": 1, "decisions": 0}


def test_a_missing_column_is_named_and_nothing_is_kept(warehouse):
    warehouse.begin()
    with pytest.raises(InputUnusable, match=r"marts.trades lacks entry_price"):
        store_run(warehouse, replace(RUN, trades=TRADES.drop("entry_price")))
    warehouse.rollback()
    store_run(warehouse, RUN)
    assert counts(warehouse)["backtests"] == 1


def test_no_run_is_no_latest_run(warehouse):
    create_tables(warehouse)
    assert latest_run(warehouse) is None


def test_every_column_can_be_selected_without_quotes(warehouse):
    create_tables(warehouse)
    for table in counts(warehouse):
        columns = [row[0] for row in warehouse.execute(f"describe marts.{table}").fetchall()]
        warehouse.execute(f"select {', '.join(columns)} from marts.{table} order by {', '.join(columns)}")


def test_decisions_that_were_stored_before_lost_to_nobody(warehouse):
    """A build file of an earlier version has the table without its last column."""
    create_tables(warehouse)
    warehouse.execute("alter table marts.decisions drop column lost_to")
    before = "insert into marts.decisions values ('r0', 'BTC/USD', timestamptz '2023-01-01', 'long', 'entered')"
    warehouse.execute(before)
    store_run(warehouse, RUN)
    found = warehouse.execute("select run_id, lost_to from marts.decisions order by run_id").fetchall()
    assert found == [("r0", None), ("r1", "ETH/USD")]


def test_an_unknown_run_is_named(warehouse):
    store_run(warehouse, RUN)
    with pytest.raises(InputUnusable, match="no stored backtest r9"):
        read_run(warehouse, "r9")
