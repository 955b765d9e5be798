"""The page of a sweep: what is in it, and that it promises no more than the sweep does."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
from test_backtest_report import Page

from reports.model import EQUITY_SCHEMA
from reports.sweep_page import MOST_MAPPED, Fold, SweepView, render, write_sweep
from reports.sweeps import Tried, set_text
from trading.metrics.returns import drawdown_percent

BEGIN = datetime(2023, 1, 1, tzinfo=UTC)


def sweep_of(**changes: object) -> SweepView:
    """Twelve sets of three parameters, the highest stop the best; `changes` replace fields of the view."""
    sets = [{"stop": stop, "bars": bars, "side": side} for stop in (1.0, 2.5) for bars in (3, 5, 9) for side in (0, 1)]
    ranked = [(each, figures_of(each["stop"] - each["bars"] / 10)) for each in sets]
    ranked.sort(key=lambda one: -one[1]["sharpe"])
    given = {
        "sweep_id": "0123456789abcdef",
        "strategy": "signals_ema_cross",
        "strategy_sql": "select 1",
        "market": "BTC/USD · 15m · 1,000 candles, 2023-01-01 00:00 to 2023-03-01 00:00 UTC",
        "objective": "sharpe",
        "tried": [Tried(each, figures["sharpe"]) for each, figures in ranked],
        "best": ranked,
        "growth": {set_text(each): growth_of(number) for number, (each, _) in enumerate(ranked[:3])},
        "walked": [Fold(1, BEGIN, BEGIN + timedelta(days=30), sets[3], figures_of(1.5), figures_of(-0.5))],
        "walked_return_percent": -5.0,
        "deflated_sharpe": 0.31,
        "overfitting": 0.44,
        "sentences": (),
        "commands": ("slipway sweep a.sql --vary stop=1,2.5", "slipway backtest a.sql --set stop=2.5"),
        "configuration": (("risk", "1 %"),),
        "provenance": (("code", "0.1.0"),),
    }
    return SweepView(**(given | changes))  # type: ignore[arg-type]


def figures_of(sharpe: float) -> dict[str, float | None]:
    return {
        "trades": 40.0, "return_percent": 10 * sharpe, "max_drawdown_percent": 12.0, "sharpe": sharpe, "sortino": None,
        "profit_factor": 1.25, "expectancy_r": sharpe / 10, "win_rate_percent": 45.0,
    }  # fmt: skip


def growth_of(seed: int) -> pl.DataFrame:
    equity = 100 * np.cumprod(1 + np.random.default_rng(seed).normal(0.001, 0.01, 60))
    at = [BEGIN + timedelta(days=day) for day in range(1, 61)]
    return pl.DataFrame([at, equity, drawdown_percent(equity, 100.0)], schema=EQUITY_SCHEMA)


def test_the_page_of_a_sweep_holds_every_part():
    text = Page(render(sweep_of())).text
    for words in (
        "ema cross: 12 sets of parameters", "The best by Sharpe, stop=2.5 bars=3 side=0, made 22.00 %.",
        "Any skill31 %", "Overfitting44 %", "Walked forward−5.00 %1 choice", "less than is usually asked for, 95 %",
        "Near 50 % the choice is worth nothing", "Sharpe by bars, across, and stop, down", "12.5", "2.202.001.60",
        "12.53040+22.00 %12.00 %2.20–1.25+0.22 R45.0 %", "2023-01-01 to 2023-01-31stop=1 bars=5 side=11.5040−5.00 %",
        "slipway sweep a.sql --vary stop=1,2.5", "slipway backtest a.sql --set stop=2.5", "select 1",
        "0123456789abcdef",
    ):  # fmt: skip
        assert words in text, words


def test_a_gain_that_may_be_luck_has_not_the_colour_of_a_gain():
    assert 'class="verdict even"' in render(sweep_of())
    assert 'class="verdict even"' in render(sweep_of(deflated_sharpe=None))
    assert 'class="verdict gain"' in render(sweep_of(deflated_sharpe=0.97))


def test_a_loss_is_called_one():
    page = render(sweep_of(best=[({"stop": 1.0}, figures_of(-1.0))], deflated_sharpe=0.97))
    assert 'class="verdict loss"' in page
    assert "The best by Sharpe, stop=1, lost 10.00 %." in Page(page).text


def test_one_parameter_makes_a_map_of_one_row():
    text = Page(render(sweep_of(tried=[Tried({"stop": 1.0}, 0.5), Tried({"stop": 2.0}, -0.5)]))).text
    assert "Sharpe by stop, across120.50−0.50" in text


def test_many_parameters_make_no_more_maps_than_somebody_would_look_at():
    many = [Tried({f"p{i}": (number >> i) & 1 for i in range(9)}, float(number)) for number in range(512)]
    assert render(sweep_of(tried=many)).count('<table class="map"') == MOST_MAPPED * (MOST_MAPPED - 1) // 2


def test_a_sweep_that_could_try_nothing_says_so():
    nothing = sweep_of(
        tried=[], best=[], growth={}, walked=[], walked_return_percent=None, deflated_sharpe=None, overfitting=None,
        sentences=("Its lookback is too long.",),
    )  # fmt: skip
    text = Page(render(nothing)).text
    assert "No set could be tried. Its lookback is too long." in text
    assert "Walked forward–not asked for" in text


def test_what_comes_from_outside_is_text_in_the_page_of_a_sweep_too():
    evil = "<b onclick=alert(1)>"
    view = sweep_of(
        strategy=evil, strategy_sql=evil, market=evil, sentences=(evil,), commands=(evil,),
        configuration=((evil, evil),), provenance=((evil, evil),), growth={evil: growth_of(1)},
    )  # fmt: skip
    view = replace(
        view,
        tried=[Tried({evil: 1, "b": "2"}, 1.0), Tried({evil: 2, "b": evil}, 1.0)],
        best=[({evil: evil}, figures_of(1.0))],
    )
    page = Page(render(view))
    assert page.text.count(evil) >= 12
    assert "onclick" not in {name for _, name, _ in page.attributes}
    assert len(page.scripts) == 3


def test_the_same_sweep_gives_the_same_bytes(tmp_path):
    first, second = (write_sweep(sweep_of(), tmp_path / name) for name in ("a.html", "b.html"))
    assert first.read_bytes() == second.read_bytes()
