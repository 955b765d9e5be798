"""`run_backtest` on real candles: what comes out balances, is stored once, and can be repeated."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import duckdb
import pytest

from ops.prompt import examples
from tasks.backtests import run_backtest
from tasks.research.assumptions import assumptions
from trading.errors import InputUnusable, SetupFailed
from warehouse.connection import unit_of_work

pytestmark = pytest.mark.xdist_group("heavy")  # one process compiles

FIRST, LAST = datetime(2023, 1, 5, tzinfo=UTC), datetime(2023, 1, 10, tzinfo=UTC)


@pytest.fixture
def strategy(settings):
    return settings.paths.sql / "marts" / "signals_ema_cross.sql"


def test_the_books_balance_and_the_rows_are_published(settings, strategy):
    run = run_backtest(settings, strategy)
    assert run.metrics.trades > 10
    assert run.is_new
    with duckdb.connect(str(settings.paths.published), read_only=True) as published:
        stored = published.execute(
            "select run_id, trades, final_equity_usd, candles, instruments from marts.backtests"
        ).fetchall()
        gained, fees, trades = published.execute(
            "select sum(net_pnl_usd), sum(fees_usd), count(*) from marts.trades"
        ).fetchone()
        last_equity = published.execute("select last(equity_usd order by measured_at) from marts.equity").fetchone()[0]
        answers = published.execute("select count(*) from marts.decisions where decision = 'entered'").fetchone()[0]
    assert stored == [(run.run_id, trades, run.metrics.final_equity_usd, run.candles, ["BTC/USD", "ETH/USD"])]
    assert gained == pytest.approx(run.metrics.final_equity_usd - 100_000, abs=1e-6)
    assert fees == pytest.approx(run.metrics.fees_usd)
    assert last_equity == run.metrics.final_equity_usd
    assert answers == trades


def test_the_fills_of_a_run_are_its_trades_to_the_last_decimal(settings, strategy):
    run = run_backtest(settings, strategy, report=False)
    with duckdb.connect(str(settings.paths.published), read_only=True) as published:
        totals = published.execute(
            "select trade_no, sum(fee_usd)::double, sum(slippage_usd)::double, sum(if(side = 'sell', 1, -1)"
            " * notional_usd)::double, count(*) from marts.fills group by trade_no order by trade_no"
        ).fetchall()
    closed = [total for total in totals if total[4] > 1]
    assert len(totals) == run.metrics.trades
    trades = {row["trade_no"]: row for row in run.view.trades.iter_rows(named=True)}
    for number, fees, slippage, gained, _ in closed:
        trade = trades[number]
        assert (fees, slippage) == (trade["fees_usd"], trade["slippage_usd"])
        assert gained - fees - trade["funding_usd"] == pytest.approx(trade["net_pnl_usd"], abs=1e-7)


def test_no_trade_lost_more_than_its_worst_moment_nor_won_more_than_its_best(settings, strategy):
    trades = run_backtest(settings, strategy, store=False, report=False).view.trades
    moved = trades["gross_pnl_usd"] - trades["slippage_usd"] - trades["spread_usd"]
    assert (moved <= trades["mfe_usd"] + 1e-6).all()
    assert (moved >= -trades["mae_usd"] - 1e-6).all()
    assert (trades["mae_usd"] > 0).mean() > 0.9


def test_every_query_of_the_greeting_runs_on_what_is_published(settings, strategy):
    run_backtest(settings, strategy, report=False)
    with duckdb.connect(str(settings.paths.published), read_only=True) as published:
        for example in examples(settings.strategy.name):
            published.execute(example.query).fetchall()


def test_the_same_inputs_are_the_same_run_and_stored_once(settings, strategy):
    first = run_backtest(settings, strategy, report=False)
    again = run_backtest(settings, strategy, report=False)
    assert (first.run_id, first.is_new, again.is_new) == (again.run_id, True, False)
    assert first.view.trades.equals(again.view.trades)
    with duckdb.connect(str(settings.paths.published), read_only=True) as published:
        assert published.execute("select count(*) from marts.backtests").fetchone() == (1,)
        assert published.execute("select count(*) from marts.trades").fetchone() == (first.metrics.trades,)


def test_other_code_is_another_run_and_is_stored_whatever_the_checkout_calls_itself(settings, strategy, monkeypatch):
    first = run_backtest(settings, strategy, report=False)
    monkeypatch.setattr("tasks.backtests.engine_hash", lambda: "of a rule that was changed")
    other = run_backtest(settings, strategy, report=False)
    assert other.view.code_version == first.view.code_version
    assert (other.run_id != first.run_id, other.is_new) == (True, True)


def test_the_same_code_under_another_label_is_the_same_run(settings, strategy, monkeypatch):
    first = run_backtest(settings, strategy, store=False, report=False)
    monkeypatch.setattr("tasks.backtests.code_version", lambda: "after-the-commit")
    assert run_backtest(settings, strategy, store=False, report=False).run_id == first.run_id


@pytest.mark.parametrize(
    "change",
    [{"parameters": {"stop_atr": "3"}}, {"instruments": ("BTC/USD",)}, {"first": FIRST}, {"last": LAST}],
    ids=lambda change: next(iter(change)),
)
def test_other_inputs_are_another_run(settings, strategy, change):
    usual = run_backtest(settings, strategy, store=False, report=False)
    assert run_backtest(settings, strategy, store=False, report=False, **change).run_id != usual.run_id


def test_trades_the_candles_that_lie_between_the_bounds_and_their_signals(settings, strategy):
    run = run_backtest(settings, strategy, first=FIRST, last=LAST, store=False, report=False)
    at = run.view.equity["at"]
    assert (at[0], at[-1]) == (FIRST + timedelta(minutes=15), LAST)
    assert run.candles == 2 * 5 * 96
    assert run.view.trades["signal_at"].min() > FIRST


def test_the_report_says_what_is_assumed_and_how_to_repeat_it(settings, strategy):
    run = run_backtest(settings, strategy, store=False, instruments=("BTC/USD",), parameters={"stop_atr": "2.5"})
    page = run.report.read_text(encoding="utf-8")
    for sentence in run.view.assumptions:
        assert sentence in page
    assert "slipway backtest sql/marts/signals_ema_cross.sql --instrument BTC/USD --set stop_atr=2.5" in page
    assert run.is_new is None


@pytest.mark.parametrize(
    ("delay_us", "said"),
    [(0, "A signal waits over no missing candle"), (1_800_000_000, "A signal waits at most 30 minutes")],
)
def test_what_is_assumed_of_missing_candles_is_what_the_settings_say(settings, delay_us, said):
    assert [sentence.startswith(said) for sentence in assumptions(settings, delay_us)].count(True) == 1


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ({"break_even_after_target": True}, "Once a target has filled, the stop moves to the entry."),
        ({"trailing_stop_r": Decimal("1.5")}, "At each close the stop follows to 1.5 times its first distance"),
        ({"max_leverage_percent": Decimal(300)}, "All positions together are worth at most 300 % of equity"),
        ({"max_side_percent": Decimal(150)}, "All positions on one side are worth at most 150 % of equity"),
        ({"max_bucket_positions": 2}, "At most 2 positions on one side are held of instruments in one bucket"),
        ({"max_losses_in_a_row": 3, "loss_pause_minutes": 60}, "No entries for 60 minutes each time that 3 trades"),
        ({"entry_limit_minutes": 60}, "An entry with a limit rests for 60 minutes."),
        ({"max_holding_minutes": 90}, "A trade is left at the open after the first close that is at least 90 minutes"),
    ],
)
def test_a_limit_is_an_assumption_only_while_it_is_on(settings, limit, said):
    on = settings.model_copy(update={"risk": settings.risk.model_copy(update=limit)})
    assert [any(said in line for line in assumptions(each, 0)) for each in (settings, on)] == [False, True]


def test_what_is_assumed_of_entries_at_the_market_is_not_said_of_limits(settings):
    on = settings.model_copy(update={"risk": settings.risk.model_copy(update={"entry_limit_minutes": 60})})
    for delay_us in (0, 1_800_000_000):
        said = " ".join(assumptions(on, delay_us))
        assert "A signal without a limit is entered at the open of the next candle" in said
        assert "Every fill but that of an entry that rested pays the taker fee of" in said
        assert "entry at the market" in said
    for sentence in ("A signal is entered at the open", "Every fill pays the taker fee"):
        assert [any(sentence in line for line in assumptions(each, 0)) for each in (settings, on)] == [True, False]


def test_a_halt_at_the_drawdown_limit_and_coarse_ticks_are_said_first(settings, strategy):
    risk = settings.risk.model_copy(
        update={"max_drawdown_percent": Decimal("0.5"), "max_daily_loss_percent": Decimal(1)}
    )
    coarse = settings.instruments["ETH/USD"].model_copy(update={"tick_usd": Decimal(10)})
    changed = settings.model_copy(update={"risk": risk, "instruments": {**settings.instruments, "ETH/USD": coarse}})
    said = run_backtest(changed, strategy, store=False, report=False).view.assumptions
    assert said[0].startswith("Entries stopped at the drawdown limit, and no person was there to resume: from 2023-01-")
    assert said[1].startswith("ETH/USD traded at 1")
    assert "one tick was 0." in said[1]
    before = run_backtest(settings, strategy, store=False, report=False).view.assumptions
    assert not [sentence for sentence in before if "drawdown limit, and" in sentence or "ticks of today" in sentence]


def test_the_report_counts_who_had_the_room_that_others_found_taken(settings, strategy):
    risk = settings.risk.model_copy(update={"max_positions": 1})
    summary = run_backtest(settings.model_copy(update={"risk": risk}), strategy)
    with duckdb.connect(str(settings.paths.published), read_only=True) as published:
        query = "select lost_to, count(*) from marts.decisions where lost_to is not null group by all"
        ((name, signals),) = published.execute(query).fetchall()
    assert summary.view.lost_to == {name: signals}
    assert f"at the same close: {name} {signals}." in summary.report.read_text(encoding="utf-8")


def test_the_page_for_prefect_has_the_picture_in_it(settings, strategy):
    page = run_backtest(settings, strategy, store=False, report=False).page
    assert "data:image/png;base64," in page


def test_entries_come_after_their_signal_is_known(settings, strategy):
    trades = run_backtest(settings, strategy, store=False, report=False).view.trades
    assert (trades["entered_at"] > trades["signal_at"]).all()
    assert (trades["exited_at"] > trades["entered_at"]).all()


def test_says_what_is_missing(settings, strategy):
    with pytest.raises(InputUnusable, match=r"no published 15m candles of BTC/USD, ETH/USD from 2030-01-01 00:00"):
        run_backtest(settings, strategy, first=datetime(2030, 1, 1, tzinfo=UTC))
    with pytest.raises(InputUnusable, match="describe no instrument 'XRP/USD'; they describe BTC/USD, ETH/USD"):
        run_backtest(settings, strategy, instruments=("XRP/USD",))
    with pytest.raises(InputUnusable, match="no parameter speed"):
        run_backtest(settings, strategy, parameters={"speed": "1"})


def test_says_when_nothing_is_published(settings, strategy):
    settings.paths.published.unlink()
    with pytest.raises(SetupFailed, match="make run"):
        run_backtest(settings, strategy, store=False)


def test_never_publishes_a_warehouse_without_candles(settings, strategy):
    settings.paths.build.unlink()
    before = settings.paths.published.stat().st_ino
    with pytest.raises(SetupFailed, match="build file is gone"):
        run_backtest(settings, strategy)
    assert settings.paths.published.stat().st_ino == before
    assert not settings.paths.build.exists()


def test_a_run_is_stored_but_not_published_with_a_build_that_no_checks_have_passed(settings, strategy):
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
        warehouse.execute("update raw.files set state = 'landed'")  # what is built now is not what was checked
    before = settings.paths.published.stat().st_ino
    assert run_backtest(settings, strategy, report=False).is_new
    assert settings.paths.published.stat().st_ino == before


def test_a_report_that_can_not_be_written_is_a_sentence(settings, strategy):
    settings.paths.reports.write_text("a file where the folder should be")
    with pytest.raises(SetupFailed, match="report can't be written"):
        run_backtest(settings, strategy, store=False)


def test_neither_prefect_nor_great_expectations_nor_matplotlib_is_loaded(home):
    program = """
import sys
from ops.cli import main
assert main(["backtest", "sql/marts/signals_ema_cross.sql", "--no-store"]) == 0
print(sorted({"prefect", "great_expectations", "matplotlib", "talib"} & set(sys.modules)))
"""
    from config.settings import ROOT

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "[]"
