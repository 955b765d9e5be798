"""Sweeps and walks forward on published candles: the same rows whoever makes them, however often it is begun."""

import multiprocessing
import os
import signal

import polars as pl
import pytest

from ops import cli
from tasks.backtests import run_backtest
from tasks.candles import publish
from tasks.research.sweeps import Ask, ranked, run_sweep, walked_return_percent
from tasks.stages import check_all
from trading.errors import InputUnusable, SetupFailed, WarehouseBusy
from warehouse.connection import unit_of_work
from warehouse.sweeps import MEASURES, sweep_file

pytestmark = pytest.mark.xdist_group("heavy")  # one process compiles

FOUR = ("stop_atr=1,2", "target_atr=2:4:2")


@pytest.fixture
def strategy(settings):
    return settings.paths.sql / "marts" / "signals_ema_cross.sql"


def rows_of(summary):
    with sweep_file(summary.path) as file:
        return file.results()


def test_every_set_is_measured_as_its_backtest_is(settings, strategy):
    summary = run_sweep(settings, Ask(strategy, FOUR))
    assert [figures["sharpe"] for _, figures in summary.best] == sorted(rows_of(summary)["sharpe"], reverse=True)
    for varied, figures in summary.best:
        metrics = run_backtest(settings, strategy, parameters=varied, store=False, report=False).metrics._asdict()
        assert figures == {name: metrics[name] for name in MEASURES}


def test_begun_again_it_goes_on_where_it_was_broken_off(settings, strategy):
    def tire(progress):
        if progress.tried == 3:
            raise KeyboardInterrupt

    undisturbed = rows_of(run_sweep(settings, Ask(strategy, FOUR)))
    settings.paths.state.joinpath("sweeps").rename(settings.paths.state / "others")
    with pytest.raises(KeyboardInterrupt):
        run_sweep(settings, Ask(strategy, FOUR), tire)
    again = run_sweep(settings, Ask(strategy, FOUR))
    assert 0 < again.progress.earlier < again.progress.tried == 4
    assert rows_of(again).equals(undisturbed)
    assert run_sweep(settings, Ask(strategy, FOUR)).progress.earlier == 4


def test_several_processes_make_the_rows_of_one(settings, strategy):
    ask = Ask(strategy, ("stop_atr=1:3:0.5", "target_atr=4"), folds=2)
    alone = rows_of(run_sweep(settings, ask._replace(processes=1)))
    settings.paths.state.joinpath("sweeps").rename(settings.paths.state / "others")
    assert rows_of(run_sweep(settings, ask._replace(processes=2))).equals(alone)
    assert multiprocessing.active_children() == []


def test_a_process_that_is_killed_ends_the_sweep_with_what_it_had(settings, strategy):
    def kill(progress):
        for child in multiprocessing.active_children():
            os.kill(child.pid, signal.SIGKILL)

    ask = Ask(strategy, ("stop_atr=1:2:0.1",), processes=2)
    with pytest.raises(SetupFailed, match="start the same sweep again"):
        run_sweep(settings, ask, kill)
    again = run_sweep(settings, ask)
    assert (again.progress.tried, again.progress.sets) == (11, 11)
    assert again.progress.earlier >= 1


def test_a_walk_forward_chooses_before_a_gap_and_judges_behind_it(settings, strategy):
    summary = run_sweep(settings, Ask(strategy, FOUR, folds=3))
    rows = rows_of(summary)
    windows = rows.select("kind", "fold", "first", "last").unique().sort("first", "kind").to_dicts()
    train = {each["fold"]: each for each in windows if each["kind"] == "train"}
    test = {each["fold"]: each for each in windows if each["kind"] == "test"}
    assert set(train) == set(test) == {1, 2, 3}
    for fold in train:
        gap = test[fold]["first"] - train[fold]["last"]
        assert gap.total_seconds() == 900  # the candle that the strategy looks back
        assert fold == 1 or test[fold]["first"] == test[fold - 1]["last"]
    for chosen in summary.walked:
        of_fold = rows.filter(fold=chosen.fold, kind="train").drop_nulls("sharpe")
        assert chosen.before["sharpe"] == of_fold["sharpe"].max()
    product = 1.0
    for chosen in summary.walked:
        product *= 1 + chosen.after["return_percent"] / 100
    assert walked_return_percent(summary.walked) == pytest.approx((product - 1) * 100)


def test_a_page_is_written_and_its_commands_repeat_the_sweep_and_its_best(settings, strategy):
    ask = Ask(strategy, FOUR, folds=2, anchored=False, instruments=("BTC/USD",))
    summary = run_sweep(settings, ask)
    page = summary.report.read_text(encoding="utf-8")
    file = "sql/marts/signals_ema_cross.sql --instrument BTC/USD"
    assert f"slipway sweep {file} --vary stop_atr=1,2 --vary target_atr=2:4:2 --folds 2 --rolling --by sharpe<" in page
    best = summary.best[0][0]
    assert f"slipway backtest {file} --set stop_atr={best['stop_atr']} --set target_atr={best['target_atr']}<" in page
    assert "parameters.stop_atr" not in page  # it is varied
    assert run_sweep(settings, ask).report.read_text(encoding="utf-8") == page


def test_other_volumes_are_another_sweep_though_no_price_has_changed(settings, strategy):
    before = run_sweep(settings, Ask(strategy, FOUR))
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
        warehouse.execute("update raw.candle_rows set volume = volume + 1")
    check_all(settings, run="other volumes")
    publish(settings)
    assert run_sweep(settings, Ask(strategy, FOUR)).progress.earlier == 0
    assert before.progress.tried == 4


@pytest.mark.parametrize("score", ["'nan'::double", "'inf'::double", "1e13"])
def test_a_score_that_is_no_number_is_a_set_that_says_why(settings, strategy, tmp_path, score):
    file = tmp_path / "signals_scored.sql"
    text = strategy.read_text(encoding="utf-8")
    file.write_text(
        text.replace(
            "1.0::double as score", f"case getvariable('stop_atr') when 3 then {score} else 1.0 end::double as score"
        ),
        encoding="utf-8",
    )
    summary = run_sweep(settings, Ask(file, ("stop_atr=1,2,3",), parameters={"target_atr": 3}, processes=1))
    assert summary.progress.tried == 3
    assert len(summary.unusable) == 1
    assert "score a number" in summary.unusable[0]


def test_who_never_lost_is_better_than_any_profit_factor_and_nothing_is_chosen_by_nothing():
    rows = pl.DataFrame(
        {
            "set_no": [0, 1, 2],
            "profit_factor": [2.0, None, None],
            "win_rate_percent": [50.0, 100.0, None],
        }
    )
    assert ranked(rows, "profit_factor")["set_no"].to_list() == [1, 0, 2]


def test_a_fold_before_which_nothing_was_traded_is_left_out_and_said(settings, tmp_path, strategy):
    file = tmp_path / "signals_late.sql"
    text = strategy.read_text(encoding="utf-8")
    last = "where trend != 0"
    assert last in text
    file.write_text(text.replace(last, "where closed_at > '2023-01-09'::timestamptz and trend != 0"), encoding="utf-8")
    summary = run_sweep(settings, Ask(file, ("stop_atr=1,2",), folds=2))
    assert summary.stayed_out == 1
    assert [chosen.fold for chosen in summary.walked] == [2]
    assert any("Before 1 fold(s) no set has a sharpe" in sentence for sentence in summary.sentences)


def test_what_a_killed_sweep_left_behind_is_removed(settings, strategy):
    gone = settings.paths.state / "spool" / "sweep-999999999-x"
    gone.mkdir(parents=True)
    (gone / "slipway.duckdb").write_bytes(b"")
    run_sweep(settings, Ask(strategy, ("stop_atr=1",)))
    assert not gone.exists()
    assert list(gone.parent.iterdir()) == []


def test_a_set_that_can_not_be_used_says_why_and_holds_up_no_other(settings, strategy, tmp_path):
    file = tmp_path / "signals_short.sql"
    text = strategy.read_text(encoding="utf-8")
    text = text.replace("-- param: stop_atr", "-- param: back integer = 1 in 1 .. 9\n-- param: stop_atr")
    file.write_text(text.replace("lag(trend) over", "lag(trend, getvariable('back')) over"), encoding="utf-8")
    summary = run_sweep(settings, Ask(file, ("back=1,2",)))
    assert len(summary.unusable) == 1
    assert "lookback" in summary.unusable[0]
    assert [varied for varied, _ in summary.best] == [{"back": 1}]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"vary": ()}, "Say which parameters to vary; signals_ema_cross.sql declares stop_atr, target_atr"),
        ({"vary": ("stop_atr=1", "stop_atr=2")}, "stop_atr can be said once"),
        ({"parameters": {"stop_atr": 1}}, "stop_atr can be said once"),
        ({"objective": "luck"}, "no choosing by 'luck'"),
        ({"folds": -1}, "folds = -1: it is 0 at least"),
        ({"draws": 0}, "draws = 0: it is 1 at least"),
        ({"processes": -2}, "processes = -2: it is 1 at least"),
        ({"folds": 2_000}, "shorter than the 1 that the strategy looks back"),
    ],
)
def test_what_can_not_be_swept_is_refused_before_anything_is_tried(changes, why, settings, strategy):
    with pytest.raises(InputUnusable, match=why):
        run_sweep(settings, Ask(strategy, FOUR)._replace(**changes))
    assert not settings.paths.state.joinpath("sweeps").exists()


def test_the_same_sweep_does_not_run_twice_at_once(settings, strategy):
    # DuckDB lets one process open a file twice, so the second one is another.
    context = multiprocessing.get_context("spawn")
    ask = Ask(strategy, ("stop_atr=1",))
    summary = run_sweep(settings, ask)
    with sweep_file(summary.path), context.Pool(1) as pool, pytest.raises(WarehouseBusy, match="open in another"):
        pool.apply(run_sweep, (settings, ask))


def test_the_command_shows_the_best_and_what_it_is_worth(settings, strategy, capsys):
    assert cli.main(["sweep", str(strategy), "--vary", "stop_atr=1,2", "--vary", "target_atr=3", "--folds", "2"]) == 0
    told = capsys.readouterr().out
    assert "signals_ema_cross: 2 sets on" in told
    assert "deflated Sharpe ratio" in told
    assert "slipway backtest" in told
    assert "--set stop_atr=" in told
    assert "Walked forward, chosen by sharpe before each fold, it made" in told
