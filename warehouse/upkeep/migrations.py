"""From the tables that older code has made to those of today, step by step, in the caller's transaction.

`meta.schema` says which version a build file has; the first one did not say. A step runs once and never changes again:
it is SQL of its time. It fills new columns as well as the old ones tell. `create_schema` adds what is merely missing,
so a step changes tables that were there, and no others. A published file is never migrated: it is published anew.
"""

import duckdb

from trading.errors import SetupFailed

# A table with a key can't be altered: it is written anew.
_FILES_OF_THEIR_OWN_STATE = (
    """
    create temp table old_files as
    with landed as (
        select file_id, count(*) as candles, min(opened_at) as first_at, max(opened_at) as last_at
        from raw.candle_rows group by file_id
    ),
    bad as (
        select batch_id, file, instrument, timeframe, count(*) as bad_rows from raw.quarantine group by all
    )
    select
        files.*, batches.state, landed.first_at,
        make_timestamptz(epoch_us(landed.last_at) + files.candle_us) as last_until,
        coalesce(landed.candles, 0) + coalesce(bad.bad_rows, 0) as rows_read,
        coalesce(bad.bad_rows, 0) as rows_quarantined
    from raw.files as files
    join raw.batches as batches using (batch_id)
    left join landed using (file_id)
    left join bad using (batch_id, file, instrument, timeframe)
    """,
    "create temp table old_batches as from raw.batches",
    "drop view raw.kraken_ohlcvt",
    "drop table raw.files",
    "drop table raw.batches",
    """
    create table raw.batches (
        batch_id varchar primary key, source varchar not null, path varchar not null, content_hash varchar not null,
        fetched_at timestamptz not null,
        state varchar not null check (state in ('landed', 'validated', 'partly', 'refused')),
        rows_read bigint not null, rows_landed bigint not null, rows_unchanged bigint not null,
        rows_revised bigint not null, rows_quarantined bigint not null, detail varchar not null
    )
    """,
    """
    create table raw.files (
        file_id integer primary key, batch_id varchar not null, source varchar not null, file varchar not null,
        instrument varchar not null, timeframe varchar not null, candle_us bigint not null,
        fetched_at timestamptz not null, state varchar not null check (state in ('landed', 'validated', 'refused')),
        covers_from timestamptz, covers_until timestamptz, rows_read bigint not null, rows_quarantined bigint not null
    )
    """,
    "insert into raw.batches from old_batches",
    "insert into raw.files from old_files",
    "drop table if exists meta.built",  # it told which batches count, not which files
    "drop table if exists meta.cleared",
    "drop table temp.old_files",
    "drop table temp.old_batches",
)

# A warehouse had these three only once a run was stored.
_MORE_FIGURES_OF_RUNS = (
    "create schema if not exists marts",
    """
    create table if not exists marts.backtests (
        run_id varchar, strategy varchar, strategy_hash varchar, code_version varchar, data_hash varchar,
        configuration json, instruments varchar[], timeframe varchar, first_candle_at timestamptz,
        last_candle_at timestamptz, candles bigint, trades bigint, final_equity_usd double, net_profit_usd double,
        return_percent double, max_drawdown_percent double, sharpe double, win_rate_percent double,
        profit_factor double, fees_usd double, slippage_usd double, engine_seconds double, created_at timestamptz
    )
    """,
    """
    create table if not exists marts.trades (
        run_id varchar, trade_no bigint, instrument varchar, side varchar, quantity_base double,
        signal_at timestamptz, entered_at timestamptz, entry_price double, stop_price double, target_price double,
        exited_at timestamptz, exit_price double, exit_reason varchar, gross_pnl_usd double, fees_usd double,
        slippage_usd double, net_pnl_usd double, r_multiple double, ambiguous boolean
    )
    """,
    *(
        f"alter table marts.backtests add column {name} double"
        for name in (
            "cagr_percent", "volatility_percent", "sortino", "calmar", "longest_drawdown_days", "expectancy_usd",
            "expectancy_r", "average_win_usd", "average_loss_usd", "average_holding_hours", "exposure_percent",
            "turnover", "net_profit_usd_low", "net_profit_usd_high", "max_drawdown_percent_low",
            "max_drawdown_percent_high", "sharpe_low", "sharpe_high", "expectancy_r_low", "expectancy_r_high",
        )
    ),
    *(f"alter table marts.trades add column {name} double" for name in ("mae_usd", "mfe_usd", "mae_r", "mfe_r")),
    """
    create table if not exists marts.decisions (
        run_id varchar, instrument varchar, decided_at timestamptz, side varchar, decision varchar
    )
    """,
    "alter table marts.decisions add column lost_to varchar",
    """
    update marts.backtests as runs
    set
        expectancy_usd = own.expectancy_usd, expectancy_r = own.expectancy_r, average_win_usd = own.average_win_usd,
        average_loss_usd = own.average_loss_usd, average_holding_hours = own.average_holding_hours
    from (
        select
            run_id, avg(net_pnl_usd) as expectancy_usd, avg(r_multiple) as expectancy_r,
            avg(net_pnl_usd) filter (net_pnl_usd > 0) as average_win_usd,
            avg(net_pnl_usd) filter (net_pnl_usd < 0) as average_loss_usd,
            avg(epoch_us(exited_at) - epoch_us(entered_at)) / 3.6e9 as average_holding_hours
        from marts.trades group by run_id
    ) as own
    where own.run_id = runs.run_id
    """,
)  # fmt: skip

# Runs of before crossed no spread and paid no funding.
_COSTS_OF_PERPETUALS = (
    *(
        f"alter table marts.{table} add column {name} double default 0"
        for table in ("backtests", "trades")
        for name in ("spread_usd", "funding_usd")
    ),
    """
    create table if not exists marts.fills (
        run_id varchar, fill_no bigint, trade_no bigint, instrument varchar, filled_at timestamptz, role varchar,
        side varchar, quantity_base decimal(28, 10), price decimal(18, 10), notional_usd decimal(28, 8),
        fee_usd decimal(18, 8), slippage_usd decimal(18, 8), ambiguous boolean
    )
    """,
    "alter table marts.fills add column spread_usd decimal(18, 8) default 0",
)

STEPS = {
    1: _FILES_OF_THEIR_OWN_STATE,
    2: _MORE_FIGURES_OF_RUNS,
    3: _COSTS_OF_PERPETUALS,
}  # by the version that they start from


def migrate(connection: duckdb.DuckDBPyConnection, version: int) -> None:
    """Bring the tables from whatever version they have to this one. An empty database has no tables, and gets none.

    Raises:
        SetupFailed: they were made by newer code.
    """
    found = version_of(connection)
    if found is not None and found > version:
        raise SetupFailed(
            f"The warehouse was made by newer code (schema {found}, not {version}): bring this checkout up to date."
        )
    for step in range(found or version, version):
        for statement in STEPS[step]:
            connection.execute(statement)
    if found != version:
        connection.execute("create schema if not exists meta")
        connection.execute("create or replace table meta.schema as select ?::integer as version", [version])


def version_of(connection: duckdb.DuckDBPyConnection) -> int | None:
    """The version of a warehouse's tables, or None when there are none."""
    if _has(connection, "meta", "schema"):
        row = connection.execute("select version from meta.schema").fetchone()
        assert row is not None
        version: int = row[0]
        return version
    return 1 if _has(connection, "raw", "batches") else None


def _has(connection: duckdb.DuckDBPyConnection, schema: str, table: str) -> bool:
    found = connection.execute(
        "select 1 from duckdb_tables() where database_name = current_database() and schema_name = ? and table_name = ?",
        [schema, table],
    ).fetchone()
    return found is not None
