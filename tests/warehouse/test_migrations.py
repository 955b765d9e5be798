"""A warehouse that older code has made becomes one of today, with all its rows, and is then like any other."""

from pathlib import Path

import duckdb
import pytest

from trading.errors import SetupFailed
from warehouse.connection import configure, unit_of_work
from warehouse.schema import SCHEMA_VERSION, create_schema
from warehouse.upkeep import migrations

V1 = Path(__file__).with_name("schema_v1.sql").read_text(encoding="utf-8")
ROWS = """
    insert into raw.batches values
        ('good', 'kraken', 'x', 'h1', '2023-02-01 00:00:00+00', 'validated', 3, 2, 0, 0, 1, ''),
        ('bad', 'own', 'y', 'h2', '2023-02-01 00:00:00+00', 'refused', 1, 0, 0, 0, 1, 'no candle'),
        ('new', 'kraken', 'z', 'h3', '2023-02-01 00:00:00+00', 'landed', 1, 1, 0, 0, 0, '');
    insert into raw.files values
        (1, 'good', 'kraken', 'XBTUSD_15.csv', 'BTC/USD', '15m', 900000000, '2023-02-01 00:00:00+00'),
        (2, 'bad', 'own', 'mine.csv', 'BTC/USD', '1h', 3600000000, '2023-02-01 00:00:00+00'),
        (3, 'new', 'kraken', 'ETHUSD_15.csv', 'ETH/USD', '15m', 900000000, '2023-02-01 00:00:00+00');
    insert into raw.candle_rows values
        (1, '2023-01-01 00:00:00+00', 1, 2, 0.5, 1.5, 10, 1, false),
        (1, '2023-01-01 00:30:00+00', 1, 2, 0.5, 1.5, 10, 1, false),
        (3, '2023-01-01 00:00:00+00', 1, 2, 0.5, 1.5, 10, 1, false);
    insert into raw.quarantine values
        ('good', 'kraken', 'XBTUSD_15.csv', 2, 'BTC/USD', '15m', null, 'bad', '?', '2023-02-01 00:00:00+00'),
        ('bad', 'own', 'mine.csv', 1, 'BTC/USD', '1h', null, 'bad', '?', '2023-02-01 00:00:00+00');
    create table meta.built as select 'of version 1' as batches;
"""
# A run, as version 1 and 2 stored it.
RUN = """
    create table marts.backtests (
        run_id varchar, strategy varchar, strategy_hash varchar, code_version varchar, data_hash varchar,
        configuration json, instruments varchar[], timeframe varchar, first_candle_at timestamptz,
        last_candle_at timestamptz, candles bigint, trades bigint, final_equity_usd double, net_profit_usd double,
        return_percent double, max_drawdown_percent double, sharpe double, win_rate_percent double,
        profit_factor double, fees_usd double, slippage_usd double, engine_seconds double, created_at timestamptz
    );
    create table marts.trades (
        run_id varchar, trade_no bigint, instrument varchar, side varchar, quantity_base double,
        signal_at timestamptz, entered_at timestamptz, entry_price double, stop_price double, target_price double,
        exited_at timestamptz, exit_price double, exit_reason varchar, gross_pnl_usd double, fees_usd double,
        slippage_usd double, net_pnl_usd double, r_multiple double, ambiguous boolean
    );
    insert into marts.backtests (run_id, net_profit_usd, sharpe) values ('r1', 20, 0.5), ('r2', 0, null);
    insert into marts.trades (run_id, trade_no, net_pnl_usd, r_multiple, entered_at, exited_at) values
        ('r1', 1, 30, 1.5, '2023-01-01 00:00:00+00', '2023-01-01 02:00:00+00'),
        ('r1', 2, -10, -0.5, '2023-01-02 00:00:00+00', '2023-01-02 01:00:00+00');
"""
LAYOUT = (
    "select schema_name, table_name, column_name, data_type, is_nullable from duckdb_columns() where not internal"
    " order by schema_name, table_name, column_index"
)
LIMITS = {"lock_wait_s": 5.0, "memory_limit": "500MB", "threads": 2}


def made_by_version_1(connection):
    connection.execute(V1)
    connection.execute(ROWS)


@pytest.fixture
def old():
    with duckdb.connect() as connection:
        configure(connection)
        made_by_version_1(connection)
        yield connection


def test_every_version_has_a_way_to_the_next():
    assert sorted(migrations.STEPS) == list(range(1, SCHEMA_VERSION))


def test_a_migrated_warehouse_has_the_tables_of_a_new_one(old, warehouse):
    create_schema(old)
    assert old.execute(LAYOUT).fetchall() == warehouse.execute(LAYOUT).fetchall()
    assert migrations.version_of(old) == SCHEMA_VERSION


def test_no_row_is_lost_and_the_new_columns_tell_what_is_known(old):
    create_schema(old)
    assert old.execute("select count(*) from raw.candle_rows").fetchall() == [(3,)]
    assert old.execute("select count(*) from raw.quarantine").fetchall() == [(2,)]
    assert old.execute("select batch_id, state, rows_read from raw.batches order by all").fetchall() == [
        ("bad", "refused", 1),
        ("good", "validated", 3),
        ("new", "landed", 1),
    ]
    told = "state, covers_from::varchar, covers_until::varchar, rows_read, rows_quarantined"
    assert old.execute(f"select file_id, {told} from raw.files order by file_id").fetchall() == [
        (1, "validated", "2023-01-01 00:00:00+00", "2023-01-01 00:45:00+00", 3, 1),
        (2, "refused", None, None, 1, 1),
        (3, "landed", "2023-01-01 00:00:00+00", "2023-01-01 00:15:00+00", 1, 0),
    ]
    assert old.execute("select count(*) from raw.kraken_ohlcvt where state = 'validated'").fetchall() == [(2,)]


def test_runs_of_before_keep_their_figures_and_get_those_that_their_trades_tell(old, warehouse):
    old.execute(RUN)
    create_schema(old)
    assert old.execute(LAYOUT).fetchall() == warehouse.execute(LAYOUT).fetchall()
    told = (
        "net_profit_usd, sharpe, expectancy_usd, expectancy_r, average_win_usd, average_loss_usd, average_holding_hours"
    )
    assert old.execute(f"select run_id, {told}, sharpe_low from marts.backtests order by run_id").fetchall() == [
        ("r1", 20, 0.5, 10, 0.5, 30, -10, 1.5, None),
        ("r2", 0, None, None, None, None, None, None, None),
    ]
    assert old.execute("select trade_no, net_pnl_usd, mae_usd from marts.trades order by trade_no").fetchall() == [
        (1, 30, None),
        (2, -10, None),
    ]


def test_migrating_again_changes_nothing(old):
    create_schema(old)
    before = old.execute("from raw.files order by all").fetchall()
    create_schema(old)
    assert old.execute("from raw.files order by all").fetchall() == before


def test_a_step_that_fails_leaves_the_warehouse_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "build.duckdb"
    with duckdb.connect(str(path)) as connection:
        made_by_version_1(connection)
    monkeypatch.setitem(migrations.STEPS, 1, (*migrations.STEPS[1], "select * from raw.what_is_not_there"))
    with pytest.raises(duckdb.CatalogException), unit_of_work(path, **LIMITS):
        pass
    with duckdb.connect(str(path)) as connection:
        assert migrations.version_of(connection) == 1
        assert connection.execute("select count(*) from raw.files").fetchall() == [(3,)]


def test_a_warehouse_of_newer_code_is_left_alone(old):
    create_schema(old)
    old.execute("update meta.schema set version = version + 1")
    with pytest.raises(SetupFailed, match="bring this checkout up to date"):
        create_schema(old)


@pytest.mark.parametrize("storage", ["v0.10.2", "v1.0.0", "v1.2.0"])
def test_a_file_in_an_older_format_of_duckdb_is_migrated_where_it_lies(storage, tmp_path):
    path = tmp_path / "build.duckdb"
    with duckdb.connect() as connection:
        connection.execute(f"attach '{path}' as old (storage_version '{storage}')")
        connection.execute("use old")
        made_by_version_1(connection)
    with unit_of_work(path, **LIMITS) as connection:
        assert migrations.version_of(connection) == SCHEMA_VERSION
        assert connection.execute("select count(*) from raw.kraken_ohlcvt").fetchall() == [(3,)]
    with unit_of_work(path, **LIMITS) as connection:
        assert connection.execute("select count(*) from raw.files").fetchall() == [(3,)]
