"""Every hour in a position has a rate: the venue's, or one that is declared and counted (I51)."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import polars as pl
import pytest

from config.settings import Costs, Instrument, load_settings
from exchange.funding import HOUR_US
from exchange.rows import Payment
from tasks.backtests import run_backtest
from tasks.candles import publish
from tasks.futures.perpetuals import hourly_rates, hours_held, refuse_assumed
from tasks.stages import build_all, check_all
from trading.errors import InputUnusable
from warehouse.connection import unit_of_work
from warehouse.reference.funding import FundingHour, land_funding

pytestmark = pytest.mark.xdist_group("heavy")  # one process compiles

BASE = load_settings()
SPEC = BASE.instruments["BTC/USD"]
BEGIN = datetime(2023, 1, 1, tzinfo=UTC)
FIRST_HOUR = int(BEGIN.timestamp()) // 3600


def costs(**changes: object) -> Costs:
    return BASE.costs.model_copy(update=changes)


def told(*rates: tuple[int, float]) -> pl.DataFrame:
    """Rows of hour and rate of PF_XBTUSD."""
    rows = [("PF_XBTUSD", BEGIN + timedelta(hours=hour), rate) for hour, rate in rates]
    return pl.DataFrame(rows, schema={"contract": pl.String, "began_at": pl.Datetime("us", "UTC"), "rate": pl.Float64},
                        orient="row")  # fmt: skip


def candles(hours: int, prices=(20_000,)) -> np.ndarray:
    """A candle an hour that opens and closes at the price of its hour."""
    rows = []
    for hour in range(hours):
        at, price = (FIRST_HOUR + hour) * HOUR_US, prices[min(hour, len(prices) - 1)]
        rows.append((0, at, at + HOUR_US, price, price, price, price, 0, 0, 0, 0))
    return np.array(rows, np.int64)


def rates(given: pl.DataFrame, table: np.ndarray, specs: list[Instrument] | None = None, **changes: object):
    return hourly_rates(given, table, specs or [SPEC], costs(**changes))


def test_a_rate_of_one_coin_becomes_one_of_a_lot():
    known = rates(told((0, 1.5), (1, -0.25)), candles(2), funding="historical")
    assert known.funding.rates.tolist() == [[150_000_000, -25_000_000]]  # 1e-12 USD, of 0.0001 BTC
    assert (known.funding.first_hour, known.assumed.any()) == (FIRST_HOUR, False)


def test_an_hour_in_a_position_without_a_rate_is_an_error_that_names_it_i51():
    known = rates(told((0, 1.5), (2, 1.5)), candles(3), funding="historical")
    held = np.array([Payment((FIRST_HOUR + 3) * HOUR_US, FIRST_HOUR * HOUR_US + 5, 0, 0, 1)])
    with pytest.raises(InputUnusable, match=r"1 hours in a position of PF_XBTUSD .* 2023-01-01 01:00 UTC"):
        refuse_assumed(known, held, [SPEC], costs(funding="historical"))
    refuse_assumed(known, held[:0], [SPEC], costs(funding="historical"))
    refuse_assumed(known, held, [SPEC], costs(funding="assumed"))


def test_or_it_costs_a_share_of_the_price_that_was_known_when_it_began():
    share = Decimal("0.01")
    assumed = rates(
        told((1, 1.5)), candles(4, (20_000, 30_000, 40_000)), funding="assumed", assumed_funding_percent=share
    )
    # The first hour begins before anything has closed: its open stands for that.
    assert assumed.funding.rates.tolist() == [[200_000_000, 150_000_000, 300_000_000, 400_000_000]]
    assert assumed.assumed.tolist() == [[True, False, True, True]]


def test_holding_may_be_declared_free():
    assert rates(told((0, 1.5)), candles(2), funding="none").funding.rates.size == 0


def test_hours_that_nobody_asked_for_are_left_alone():
    known = rates(told((-1, 9.0), (0, 1.0), (7, 9.0)), candles(1), funding="historical")
    assert known.funding.rates.tolist() == [[100_000_000]]


def test_a_candle_of_a_day_needs_all_its_hours():
    day = np.array([[0, FIRST_HOUR * HOUR_US, (FIRST_HOUR + 24) * HOUR_US, *[20_000] * 4, 0, 0, 0, 0]])
    assert rates(told(), day, funding="assumed").funding.rates.shape == (1, 24)


def test_hours_are_counted_once_however_often_they_are_paid_for():
    known = rates(told((0, 1.5), (1, 1.5)), candles(4), funding="assumed")
    half = FIRST_HOUR * HOUR_US + HOUR_US // 2
    paid = [
        Payment(half, FIRST_HOUR * HOUR_US + 5, 0, 0, 1),
        Payment((FIRST_HOUR + 2) * HOUR_US, half, 0, 0, 1),
        Payment((FIRST_HOUR + 4) * HOUR_US, (FIRST_HOUR + 2) * HOUR_US, 0, 0, 0),
    ]
    assert hours_held(known, np.array(paid)) == (4, 2)
    assert hours_held(known, np.zeros((0, 5), np.int64)) == (0, 0)


def test_the_report_counts_the_hours_that_nobody_told_a_rate_of(settings):
    strategy = settings.paths.sql / "marts" / "signals_ema_cross.sql"
    summary = run_backtest(settings, strategy, store=False, report=False)
    (said,) = [line for line in summary.view.assumptions if "no known funding rate" in line]
    assert said.endswith("they cost 0.001 % of the price, which longs pay and shorts receive.")
    assert summary.view.metrics.funding_usd != 0
    free = settings.model_copy(update={"costs": settings.costs.model_copy(update={"funding": "none"})})
    summary = run_backtest(free, strategy, store=False, report=False)
    assert "No funding is paid or received." in summary.view.assumptions
    assert summary.view.metrics.funding_usd == 0


def test_what_was_paid_for_holding_is_rows_that_add_up(settings):
    strategy = settings.paths.sql / "marts" / "signals_ema_cross.sql"
    summary = run_backtest(settings, strategy, report=False)
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
        rows = warehouse.execute(
            "select trade_no, sum(amount_usd)::double, min(since), max(paid_at) from marts.funding_payments"
            " where run_id = ? group by trade_no order by trade_no",
            [summary.run_id],
        ).fetchall()
    trades = summary.view.trades
    assert [row[0] for row in rows] == trades["trade_no"].to_list()
    assert [row[1] for row in rows] == pytest.approx(trades["funding_usd"].to_list(), abs=1e-9)
    assert all(since >= entered for (_, _, since, _), entered in zip(rows, trades["entered_at"], strict=True))
    view = summary.view
    assert view.metrics.net_profit_usd + view.metrics.costs_usd == pytest.approx(view.trades["gross_pnl_usd"].sum())


def test_funding_that_is_known_changes_the_run(settings):
    strategy = settings.paths.sql / "marts" / "signals_ema_cross.sql"
    before = run_backtest(settings, strategy, store=False, report=False)
    hours = [
        FundingHour(contract, BEGIN + timedelta(hours=hour), Decimal(rate), Decimal("0.0001"))
        for hour in range(24 * 31)
        for contract, rate in (("PF_XBTUSD", "10"), ("PF_ETHUSD", "0.5"))
    ]
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
        land_funding(warehouse, hours, source="kraken-rest", fetched_at=BEGIN + timedelta(days=99))
    build_all(settings)
    check_all(settings, run="test")
    publish(settings)
    after = run_backtest(settings, strategy, store=False, report=False)
    assert after.view.hashes["data"] != before.view.hashes["data"]
    assert abs(after.view.metrics.funding_usd) > 10 * abs(before.view.metrics.funding_usd)
