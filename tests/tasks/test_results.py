"""Lots, ticks and 1e-8 USD become base currency, prices and USD."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import polars as pl
import pytest

from config.settings import Instrument
from exchange.rows import Ending, Fill, Verdict
from reports.model import EQUITY_SCHEMA, TRADE_SCHEMA, ZONE_SCHEMA
from tasks.results import (
    DECISION_SCHEMA,
    FILL_SCHEMA,
    decision_rows,
    equity_rows,
    fill_rows,
    settled,
    trade_rows,
    zone_rows,
)
from trading.ledger import ExitReason, Trade
from trading.metrics.excursions import Excursions
from trading.model import Decision, Role
from warehouse.strategies.zones import SCHEMA

MARGIN = {"initial_margin_percent": Decimal(2), "maintenance_margin_percent": Decimal(1)}
SPEC = Instrument(futures="PF_XBTUSD", tick_usd=Decimal("0.5"), lot_base=Decimal("0.001"), maximum_lots=10, **MARGIN)
UNIT_E8 = 50_000  # 0.5 USD times 0.001
TRADE = Trade(
    instrument=0, side=-1, lots=200, signal_at=900_000_000, entered_at=901_000_000,
    entry_notional_e8=200 * 40_000 * UNIT_E8, stop_price=40_400, target_price=0, exited_at=1_800_000_000,
    exit_notional_e8=200 * 39_600 * UNIT_E8, exit_reason=ExitReason.TARGET, fees_e8=4 * 10**8, slippage_e8=10**8,
    ambiguous=False, lowest_price=39_600, highest_price=40_000,
)  # fmt: skip
MINUTE = timedelta(minutes=1)


def rows_of(*trades: Trade) -> pl.DataFrame:
    """Rows of trades of BTC/USD that each went 10 USD against and 50 USD for."""
    moved = Excursions(*(np.full(len(trades), usd * 10**8) for usd in (10, 50)))
    return trade_rows(trades, moved, ["BTC/USD"], [SPEC])


def test_a_trade_in_usd():
    (row,) = rows_of(TRADE).iter_rows(named=True)
    assert row["trade_no"] == 1
    assert (row["instrument"], row["side"], row["quantity_base"]) == ("BTC/USD", "short", 0.2)
    assert (row["entry_price"], row["stop_price"], row["target_price"], row["exit_price"]) == (
        20_000,
        20_200,
        None,
        19_800,
    )
    assert (row["gross_pnl_usd"], row["fees_usd"], row["slippage_usd"], row["net_pnl_usd"]) == (41, 4, 1, 36)
    assert row["r_multiple"] == pytest.approx(36 / 40)  # 200 USD a coin, 0.2 coins
    assert (row["exit_reason"], row["ambiguous"]) == ("target", False)
    assert (row["mae_usd"], row["mfe_usd"], row["mae_r"], row["mfe_r"]) == (10, 50, 10 / 40, 50 / 40)
    assert row["entered_at"].isoformat() == "1970-01-01T00:15:01+00:00"


def test_without_a_stop_there_is_no_multiple_of_risk():
    rows = rows_of(TRADE._replace(stop_price=0), TRADE._replace(stop_price=40_000))
    assert rows["r_multiple"].to_list() == rows["mae_r"].to_list() == rows["mfe_r"].to_list() == [None, None]
    assert rows["mae_usd"].to_list() == [10, 10]
    assert rows["stop_price"].to_list() == [None, 20_000]


def test_schemas_hold_without_rows_too():
    assert rows_of().schema == TRADE_SCHEMA
    assert equity_rows(np.empty((0, 2), np.int64), 1.0).schema == EQUITY_SCHEMA
    assert fill_rows(np.empty((0, len(Fill._fields)), np.int64), rows_of(), ["BTC/USD"], [SPEC]).schema == FILL_SCHEMA
    assert decision_rows([], []).schema == DECISION_SCHEMA
    assert zone_rows(pl.DataFrame(schema=SCHEMA), rows_of()).schema == ZONE_SCHEMA


def test_fills_are_exact_and_know_their_trade():
    trades = rows_of(TRADE._replace(signal_at=1), TRADE)
    fills = np.array([
        Fill(901_000_000, 0, Role.ENTRY, -1, 200, 40_001, 99_999_999, 100_000_001, TRADE.signal_at, 0, 40_400, 0),
        Fill(1_800_000_000, 0, Role.TARGET_1, 1, 200, 39_600, 1, 0, TRADE.signal_at, 1, 0, 0),
    ])  # fmt: skip
    entry, leave = fill_rows(fills, trades, ["BTC/USD"], [SPEC]).iter_rows(named=True)
    assert (entry["fill_no"], entry["trade_no"], entry["role"], entry["side"]) == (1, 2, "entry", "sell")
    assert (entry["quantity_base"], entry["price"]) == (Decimal("0.2"), Decimal("20000.5"))
    assert entry["notional_usd"] == Decimal("4000.1")
    assert (entry["fee_usd"], entry["slippage_usd"]) == (Decimal("0.99999999"), Decimal("1.00000001"))
    assert (leave["fill_no"], leave["trade_no"], leave["role"], leave["side"]) == (2, 2, "target_1", "buy")
    assert leave["fee_usd"] == Decimal("0.00000001")
    assert (entry["ambiguous"], leave["ambiguous"]) == (False, True)
    assert leave["filled_at"].isoformat() == "1970-01-01T00:30:00+00:00"


def test_the_largest_fill_is_exact_too():
    spec = SPEC.model_copy(update={"lot_base": Decimal("0.0000000001"), "tick_usd": Decimal("0.0001")})
    fill = Fill(1, 0, Role.EXIT, 1, 10**9, 10**9 - 1, 4 * 10**16, 0, TRADE.signal_at, 0, 0, 0)
    (row,) = fill_rows(np.array([fill]), rows_of(TRADE), ["BTC/USD"], [spec]).iter_rows(named=True)
    assert (row["quantity_base"], row["price"]) == (Decimal("0.1"), Decimal("99999.9999"))
    assert (row["notional_usd"], row["fee_usd"]) == (Decimal("9999.99999"), Decimal(4 * 10**8))


def test_equity_and_its_drawdown():
    rows = equity_rows(np.array([[1, 200 * 10**8], [2, 150 * 10**8]]), 100.0)
    assert rows["equity_usd"].to_list() == [200, 150]
    assert rows["drawdown_percent"].to_list() == [0, 25]


def test_decisions_are_words():
    (row,) = decision_rows([Verdict(900_000_000, 0, 1, -1, Decision.DAILY_LOSS)], ["BTC/USD"]).iter_rows()
    assert row[1:] == ("BTC/USD", "short", "daily_loss", None)


def test_who_lost_to_whom_is_said_by_name():
    (row,) = decision_rows([Verdict(1, 0, 1, 1, Decision.MAX_POSITIONS, 1)], ["BTC/USD", "ETH/USD"]).iter_rows()
    assert row[1:] == ("BTC/USD", "long", "max_positions", "ETH/USD")


def test_of_an_entry_that_never_filled_it_is_said_why_unless_it_still_waits():
    entered = [Verdict(moment, 0, moment, 1, Decision.ENTERED) for moment in (100, 200, 300, 400)]
    refused = Verdict(100, 1, 100, 1, Decision.COOLDOWN)
    fill = Fill(101, 0, Role.ENTRY, 1, 5, 1_000, 0, 0, 100, 0, 990, 0)
    others = fill._replace(instrument=1, signal_at=200)
    rest = Ending(101, 0, 100, Decision.THIN)  # what a thin market left of an entry that has filled
    ends = [rest, Ending(250, 0, 200, Decision.EXPIRED), Ending(350, 0, 300, Decision.DRAWDOWN)]
    answers = settled([*entered, refused], [fill, others], ends)
    assert [answer.decision for answer in answers] == [
        Decision.ENTERED, Decision.EXPIRED, Decision.DRAWDOWN, Decision.ENTERED, Decision.COOLDOWN,
    ]  # fmt: skip


def test_zones_are_those_of_trades_once_each_with_the_numbers_of_their_trades():
    signal_at = datetime(1970, 1, 1, 0, 15, tzinfo=UTC)  # of TRADE
    later, never = signal_at + timedelta(hours=1), signal_at + timedelta(hours=2)
    trades = rows_of(TRADE, TRADE._replace(signal_at=4_500_000_000))
    zones = pl.DataFrame(
        [
            ("BTC/USD", at, zone_id, "order block", "bearish", signal_at, signal_at + zone_id * MINUTE, None, 1.0, 2.0)
            for at, zone_id in ((signal_at, 3), (later, 3), (later, 2), (never, 1))
        ],
        schema=SCHEMA,
        orient="row",
    )
    rows = zone_rows(zones, trades)
    assert rows["trades"].to_list() == [[2], [1, 2]]
    assert rows["known_at"].to_list() == [signal_at + 2 * MINUTE, signal_at + 3 * MINUTE]
