"""A run is stored whole, once, however often it is stored."""

import datetime as dt
from dataclasses import replace
from decimal import Decimal

import polars as pl
import pytest

from trading.errors import InputUnusable
from warehouse.backtests import RunRows, latest_run, read_run, read_runs, store_run

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
    "cagr_percent": 12.0,
    "volatility_percent": 30.0,
    "sortino": 1.5,
    "calmar": None,
    "longest_drawdown_days": 3.5,
    "expectancy_usd": 100.0,
    "expectancy_r": 2.0,
    "average_win_usd": 100.0,
    "average_loss_usd": None,
    "average_holding_hours": 4.25,
    "exposure_percent": 10.0,
    "turnover": 8.5,
    "net_profit_usd_low": -50.0,
    "net_profit_usd_high": 250.0,
    "max_drawdown_percent_low": 0.1,
    "max_drawdown_percent_high": 0.4,
    "sharpe_low": None,
    "sharpe_high": None,
    "expectancy_r_low": None,
    "expectancy_r_high": None,
    "spread_usd": 0.25,
    "funding_usd": -0.125,
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
        "mae_usd": [5.0],
        "mfe_usd": [110.0],
        "mae_r": [0.1],
        "mfe_r": [2.2],
        "spread_usd": [0.25],
        "funding_usd": [-0.125],
    }
)
FILLS = pl.DataFrame(
    {
        "fill_no": [1, 2],
        "trade_no": [1, 1],
        "instrument": ["BTC/USD"] * 2,
        "filled_at": [AT] * 2,
        "role": ["entry", "target_1"],
        "side": ["buy", "sell"],
        "quantity_base": pl.Series([Decimal("0.5")] * 2, dtype=pl.Decimal(28, 10)),
        "price": pl.Series([Decimal("100.0000000001"), Decimal(120)], dtype=pl.Decimal(18, 10)),
        "notional_usd": pl.Series([Decimal("50.00000001"), Decimal(60)], dtype=pl.Decimal(28, 8)),
        "fee_usd": pl.Series([Decimal("0.00000001"), Decimal("1.49999999")], dtype=pl.Decimal(18, 8)),
        "slippage_usd": pl.Series([Decimal("0.5"), Decimal(0)], dtype=pl.Decimal(18, 8)),
        "ambiguous": [False] * 2,
        "spread_usd": pl.Series([Decimal("0.25"), Decimal(0)], dtype=pl.Decimal(18, 8)),
    }
)
PAYMENTS = pl.DataFrame(
    {
        "trade_no": [1],
        "instrument": ["BTC/USD"],
        "since": [AT],
        "paid_at": [AT],
        "amount_usd": pl.Series([Decimal("-0.125")], dtype=pl.Decimal(18, 8)),
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
RUN = RunRows("r1", SUMMARY, TRADES, FILLS, PAYMENTS, EQUITY, DECISIONS)


def counts(connection) -> dict[str, int]:
    return {
        table: connection.execute(f"select count(*) from marts.{table}").fetchone()[0]
        for table in ("backtests", "trades", "fills", "funding_payments", "equity", "decisions")
    }


def test_a_run_comes_back_as_it_was_stored(warehouse):
    assert store_run(warehouse, RUN) is True
    back = read_run(warehouse, "r1")
    assert back.summary == SUMMARY
    for name in ("trades", "fills", "payments", "equity", "decisions"):
        assert getattr(back, name).drop("run_id").equals(getattr(RUN, name))


def test_storing_again_replaces_and_adds_nothing(warehouse):
    store_run(warehouse, RUN)
    once = counts(warehouse)
    assert store_run(warehouse, RUN) is False
    assert (
        counts(warehouse)
        == once
        == {"backtests": 1, "trades": 1, "fills": 2, "funding_payments": 1, "equity": 1, "decisions": 1}
    )


def test_another_run_stands_beside_it(warehouse):
    store_run(warehouse, RUN)
    later = {**SUMMARY, "created_at": AT + dt.timedelta(hours=1), "strategy": "signals_other"}
    store_run(warehouse, replace(RUN, run_id="r2", summary=later))
    assert counts(warehouse)["trades"] == 2
    assert latest_run(warehouse) == "r2"
    assert latest_run(warehouse, "signals_ema_cross") == "r1"
    assert read_runs(warehouse)["run_id"].to_list() == ["r2", "r1"]


def test_a_run_without_trades_is_a_run(warehouse):
    empty = {name: getattr(RUN, name).clear() for name in ("trades", "fills", "payments", "decisions")}
    store_run(warehouse, replace(RUN, **empty))
    assert counts(warehouse) == {
        "backtests": 1,
        "trades": 0,
        "fills": 0,
        "funding_payments": 0,
        "equity": 1,
        "decisions": 0,
    }


def test_a_missing_column_is_named_and_nothing_is_kept(warehouse):
    warehouse.begin()
    with pytest.raises(InputUnusable, match=r"marts.trades lacks entry_price"):
        store_run(warehouse, replace(RUN, trades=TRADES.drop("entry_price")))
    warehouse.rollback()
    store_run(warehouse, RUN)
    assert counts(warehouse)["backtests"] == 1


def test_no_run_is_no_latest_run(warehouse):
    assert latest_run(warehouse) is None


def test_every_column_can_be_selected_without_quotes(warehouse):
    for table in counts(warehouse):
        columns = [row[0] for row in warehouse.execute(f"describe marts.{table}").fetchall()]
        warehouse.execute(f"select {', '.join(columns)} from marts.{table} order by {', '.join(columns)}")


def test_an_unknown_run_is_named(warehouse):
    store_run(warehouse, RUN)
    with pytest.raises(InputUnusable, match="no stored backtest r9"):
        read_run(warehouse, "r9")
