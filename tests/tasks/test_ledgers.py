"""A stored run as a file for the tax office."""

import csv
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from ops.cli import main
from tasks.backtests import run_backtest
from tasks.publication import publish_what_passed
from tasks.research.ledgers import FILL_COLUMNS, TRADE_COLUMNS, closed_trades, export_run
from tasks.results import FILL_SCHEMA, PAYMENT_SCHEMA
from trading.errors import InputUnusable, SetupFailed
from warehouse.backtests import RunRows
from warehouse.connection import unit_of_work

pytestmark = pytest.mark.xdist_group("heavy")  # one process compiles

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "backtests.md"
AT = datetime(2023, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
NOTHING = pl.DataFrame()


@pytest.fixture
def run(settings):
    return run_backtest(settings, settings.paths.sql / "marts" / "signals_ema_cross.sql", report=False)


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def stored(*fills: tuple[int, str, str, str, str, str], paid: tuple[tuple[int, datetime, str], ...] = ()) -> RunRows:
    """A run of BTC/USD of these fills: trade, role, side, quantity, price, fee. `paid` is trade, time, funding."""
    rows = [
        (
            number, trade, "BTC/USD", AT, role, side, Decimal(quantity), Decimal(price),
            Decimal(quantity) * Decimal(price), Decimal(fee), Decimal(0), False, Decimal(0),
        )
        for number, (trade, role, side, quantity, price, fee) in enumerate(fills, start=1)
    ]  # fmt: skip
    funding = [(trade, "BTC/USD", AT, at, Decimal(amount)) for trade, at, amount in paid]
    frames = (
        pl.DataFrame(given, schema=schema, orient="row")
        for given, schema in ((rows, FILL_SCHEMA), (funding, PAYMENT_SCHEMA))
    )
    return RunRows("r1", {}, NOTHING, *frames, NOTHING, NOTHING)


def test_a_trade_adds_up_to_the_last_decimal():
    (trade,) = closed_trades(
        stored(
            (1, "entry", "sell", "0.3", "20000.5", "0.00000001"),
            (1, "target_1", "buy", "0.1", "19000", "1"),
            (1, "stop", "buy", "0.2", "20100.25", "0.5"),
        )
    )
    assert tuple(trade) == TRADE_COLUMNS
    assert (trade["side"], trade["quantity_base"]) == ("short", Decimal("0.3"))
    assert (trade["entry_price"], trade["exit_price"]) == (Decimal("20000.5"), Decimal("19733.5"))
    assert trade["gross_usd"] == Decimal("6000.15") - Decimal("5920.05")
    assert (trade["fees_usd"], trade["net_usd"]) == (Decimal("1.50000001"), Decimal("78.59999999"))


def test_what_was_paid_for_holding_until_the_last_exit_is_realised():
    (trade,) = closed_trades(
        stored(
            (1, "entry", "buy", "1", "10", "0"),
            (1, "exit", "sell", "0.5", "11", "0"),
            paid=((1, AT, "0.25"), (1, AT + timedelta(hours=1), "0.5"), (2, AT, "7")),
        )
    )
    assert (trade["funding_usd"], trade["net_usd"]) == (Decimal("0.25"), Decimal("0.25"))


def test_of_a_trade_that_is_half_open_what_is_closed_is_realised():
    run = stored(
        (1, "entry", "buy", "1", "10", "0"),
        (2, "entry", "buy", "1", "10", "1"),
        (2, "target_1", "sell", "0.5", "11", "0.25"),
        (3, "entry", "buy", "1", "10", "0"),
        (3, "exit", "sell", "1", "11", "0"),
    )
    half, whole = closed_trades(run)
    assert (half["trade_no"], half["quantity_base"], half["entry_price"]) == (2, Decimal("0.5"), 10)
    assert (half["gross_usd"], half["fees_usd"]) == (Decimal("0.5"), Decimal("0.75"))
    assert (whole["trade_no"], whole["gross_usd"]) == (3, 1)


def test_the_file_has_every_closed_trade_of_the_run(settings, run, tmp_path):
    done = export_run(settings, run.run_id, tmp_path / "trades.csv")
    rows = read(tmp_path / "trades.csv")
    assert tuple(rows[0]) == TRADE_COLUMNS
    assert (done.run_id, done.rows, done.left_out) == (run.run_id, len(rows), run.metrics.trades - len(rows))
    closed = run.view.trades.filter(pl.col("exit_reason") != "end")
    assert [float(row["net_usd"]) for row in rows] == pytest.approx(closed["net_pnl_usd"].to_list(), abs=1e-7)
    assert all(re.fullmatch(r"2023-01-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", row["entered_at"]) for row in rows)
    assert all(re.fullmatch(r"-?\d+(\.\d*[1-9])?", row[name]) for row in rows for name in TRADE_COLUMNS[6:])


def test_the_command_says_what_it_wrote_and_takes_the_latest_run(settings, run, tmp_path, capsys):
    path = tmp_path / "fills.csv"
    assert main(["export-trades", "latest", "--fills", "--out", str(path)]) == 0
    rows = read(path)
    assert tuple(rows[0]) == FILL_COLUMNS
    assert capsys.readouterr().out == f"{len(rows):,} fills of run {run.run_id}: {path}\n"
    assert main(["export-trades", run.run_id, "--out", str(path)]) == 0
    assert tuple(read(path)[0]) == TRADE_COLUMNS
    assert f"closed trades of run {run.run_id}" in capsys.readouterr().out


def test_says_what_can_not_be_exported(settings, run, tmp_path):
    with pytest.raises(InputUnusable, match="no stored backtest nothing"):
        export_run(settings, "nothing", tmp_path / "trades.csv")
    with pytest.raises(SetupFailed, match="can't be written to"):
        export_run(settings, run.run_id, tmp_path / "no folder" / "trades.csv")
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
        warehouse.execute("delete from marts.fills")
    publish_what_passed(settings)
    with pytest.raises(InputUnusable, match="run the backtest again"):
        export_run(settings, run.run_id, tmp_path / "trades.csv")
    assert not (tmp_path / "trades.csv").exists()


def test_every_column_is_documented():
    section = DOCUMENT.read_text("utf-8").split("## A file for taxes")[1]
    assert {*TRADE_COLUMNS, *FILL_COLUMNS} <= set(re.findall(r"`(\w+)`", section))
