"""Backtest runs as rows: `marts.backtests`, `marts.trades`, `marts.fills`, `marts.funding_payments`, `marts.equity`,
`marts.decisions`.

A run's id is a hash of all that went into it, so storing it again replaces the same rows: an unacknowledged commit
that survived a crash does no harm.

Whoever adds a column adds it at the end, raises `warehouse.schema.SCHEMA_VERSION` and adds the way to it in
`warehouse/upkeep/migrations.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb
import polars as pl

from trading.errors import InputUnusable

_TABLES = {
    "backtests": """
        run_id varchar, strategy varchar, strategy_hash varchar, code_version varchar, data_hash varchar,
        configuration json, instruments varchar[], timeframe varchar, first_candle_at timestamptz,
        last_candle_at timestamptz, candles bigint, trades bigint, final_equity_usd double, net_profit_usd double,
        return_percent double, max_drawdown_percent double, sharpe double, win_rate_percent double,
        profit_factor double, fees_usd double, slippage_usd double, engine_seconds double, created_at timestamptz,
        cagr_percent double, volatility_percent double, sortino double, calmar double, longest_drawdown_days double,
        expectancy_usd double, expectancy_r double, average_win_usd double, average_loss_usd double,
        average_holding_hours double, exposure_percent double, turnover double, net_profit_usd_low double,
        net_profit_usd_high double, max_drawdown_percent_low double, max_drawdown_percent_high double,
        sharpe_low double, sharpe_high double, expectancy_r_low double, expectancy_r_high double,
        spread_usd double, funding_usd double
    """,
    "trades": """
        run_id varchar, trade_no bigint, instrument varchar, side varchar, quantity_base double,
        signal_at timestamptz, entered_at timestamptz, entry_price double, stop_price double, target_price double,
        exited_at timestamptz, exit_price double, exit_reason varchar, gross_pnl_usd double, fees_usd double,
        slippage_usd double, net_pnl_usd double, r_multiple double, ambiguous boolean, mae_usd double, mfe_usd double,
        mae_r double, mfe_r double, spread_usd double, funding_usd double
    """,
    "fills": """
        run_id varchar, fill_no bigint, trade_no bigint, instrument varchar, filled_at timestamptz, role varchar,
        side varchar, quantity_base decimal(28, 10), price decimal(18, 10), notional_usd decimal(28, 8),
        fee_usd decimal(18, 8), slippage_usd decimal(18, 8), ambiguous boolean, spread_usd decimal(18, 8)
    """,
    "funding_payments": """
        run_id varchar, trade_no bigint, instrument varchar, since timestamptz, paid_at timestamptz,
        amount_usd decimal(18, 8)
    """,
    "equity": "run_id varchar, measured_at timestamptz, equity_usd double, drawdown_percent double",
    "decisions": """
        run_id varchar, instrument varchar, decided_at timestamptz, side varchar, decision varchar, lost_to varchar
    """,
}
CREATE = tuple(f"create table if not exists marts.{table} ({columns})" for table, columns in _TABLES.items())
# What a frame calls `at`: DuckDB keeps that word for time travel, nobody could select it without quotes.
_AT = {"equity": "measured_at", "decisions": "decided_at"}


@dataclass(frozen=True)
class RunRows:
    """One run, as rows. The frames have every column of their table but `run_id`, which they may leave out; the times
    of `marts.equity` and `marts.decisions` are called `at` in them."""

    run_id: str
    summary: Mapping[str, object]  # the row of marts.backtests, without run_id
    trades: pl.DataFrame
    fills: pl.DataFrame
    payments: pl.DataFrame
    equity: pl.DataFrame
    decisions: pl.DataFrame


def store_run(connection: duckdb.DuckDBPyConnection, run: RunRows) -> bool:
    """Store a run, in place of an earlier one with the same id. Whether there was none.

    Raises:
        InputUnusable: a column is missing; names table and column.
    """
    is_new = _count(connection, run.run_id) == 0
    frames = {
        "backtests": pl.DataFrame([dict(run.summary)], infer_schema_length=None),
        "trades": run.trades,
        "fills": run.fills,
        "funding_payments": run.payments,
        "equity": run.equity,
        "decisions": run.decisions,
    }
    for table, frame in frames.items():
        _replace(connection, table, frame, run.run_id)
    return is_new


def read_runs(connection: duckdb.DuckDBPyConnection, strategy: str | None = None) -> pl.DataFrame:
    """Rows of `marts.backtests`, newest first; of one strategy if it is named."""
    return connection.execute(
        "select * from marts.backtests where $strategy is null or strategy = $strategy"
        " order by created_at desc, run_id",
        {"strategy": strategy},
    ).pl()


def latest_run(connection: duckdb.DuckDBPyConnection, strategy: str | None = None) -> str | None:
    """Id of the run stored last, or None when there is none."""
    runs = read_runs(connection, strategy)
    return str(runs["run_id"][0]) if len(runs) else None


def read_run(connection: duckdb.DuckDBPyConnection, run_id: str) -> RunRows:
    """A stored run, with its trades, fills, equity and decisions in the order of their times.

    Raises:
        InputUnusable: no run has this id.
    """
    if _count(connection, run_id) == 0:
        raise InputUnusable(f"There is no stored backtest {run_id}.")
    summary = _rows(connection, "backtests", run_id, "run_id").row(0, named=True)
    return RunRows(
        run_id,
        {name: value for name, value in summary.items() if name != "run_id"},
        trades=_rows(connection, "trades", run_id, "trade_no"),
        fills=_rows(connection, "fills", run_id, "fill_no"),
        payments=_rows(connection, "funding_payments", run_id, "paid_at, instrument, trade_no"),
        equity=_rows(connection, "equity", run_id, "measured_at"),
        decisions=_rows(connection, "decisions", run_id, "decided_at, instrument"),
    )


def _replace(connection: duckdb.DuckDBPyConnection, table: str, frame: pl.DataFrame, run_id: str) -> None:
    rows = frame.with_columns(run_id=pl.lit(run_id)).rename({"at": _AT.get(table, "at")}, strict=False)
    described = connection.execute(f"describe marts.{table}").fetchall()
    missing = [row[0] for row in described if row[0] not in rows.columns]
    if missing:
        raise InputUnusable(f"The run can't be stored: marts.{table} lacks {', '.join(missing)}.")
    connection.execute(f"delete from marts.{table} where run_id = ?", [run_id])
    connection.register("given", rows.select([row[0] for row in described]))
    connection.execute(f"insert into marts.{table} select * from given")
    connection.unregister("given")


def _count(connection: duckdb.DuckDBPyConnection, run_id: str) -> int:
    row = connection.execute("select count(*) from marts.backtests where run_id = ?", [run_id]).fetchone()
    assert row is not None
    count: int = row[0]
    return count


def _rows(connection: duckdb.DuckDBPyConnection, table: str, run_id: str, order: str) -> pl.DataFrame:
    rows = connection.execute(f"select * from marts.{table} where run_id = ? order by {order}", [run_id]).pl()
    return rows.rename({_AT.get(table, "at"): "at"}, strict=False)
