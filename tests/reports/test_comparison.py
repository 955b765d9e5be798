"""Runs side by side: what is shown, what is marked, and what keeps them from being compared."""

import json
import re
from datetime import UTC, datetime, timedelta
from html import escape, unescape

import polars as pl
import pytest
from test_embedded import decoded

from reports import html
from reports.comparison import COLOURS, FIGURES, ComparedRun, render, write_comparison
from reports.model import EQUITY_SCHEMA

BEGIN = datetime(2023, 1, 1, tzinfo=UTC)


def run_of(run_id: str = "a" * 16, configuration: dict[str, str] | None = None, **figures: object) -> ComparedRun:
    """A run that made 10 % of 1,000 USD in three closes; `figures` replace columns of its row."""
    given = {
        **{column: 1.0 for _, column, _, _ in FIGURES},
        "strategy": "signals_ema_cross", "strategy_hash": "s", "data_hash": "d", "code_version": "1",
        "instruments": ["BTC/USD"], "timeframe": "15m", "first_candle_at": BEGIN, "candles": 3, "trades": 1_234,
        "last_candle_at": BEGIN + timedelta(hours=1), "final_equity_usd": 1_100.0, "net_profit_usd": 100.0,
    }  # fmt: skip
    at = [BEGIN + timedelta(hours=hour) for hour in range(3)]
    equity = pl.DataFrame([at, [1_000.0, 900.0, 1_100.0], [0.0, 10.0, 0.0]], schema=EQUITY_SCHEMA)
    return ComparedRun(run_id, given | figures, configuration or {"risk": "1"}, equity)


def row(page: str, label: str) -> str:
    (found,) = re.findall(rf"<tr><th scope=row>{re.escape(escape(label))}</th>(.*?)</tr>", page)
    return found


def test_figures_stand_side_by_side_and_the_best_is_marked():
    page = render(
        [run_of(sharpe=1.5, max_drawdown_percent=9.0), run_of("b" * 16, sharpe=0.5, max_drawdown_percent=3.0)]
    )
    assert row(page, "Sharpe") == "<td class=best>1.50</td><td>0.50</td>"
    assert row(page, "Max drawdown") == "<td>9.00 %</td><td class=best>3.00 %</td>"
    assert row(page, "Trades") == "<td>1,234</td><td>1,234</td>"
    assert "best" not in row(page, "Sortino")  # equal


def test_what_is_unknown_is_no_figure_and_never_the_best():
    page = render([run_of(calmar=None), run_of("b" * 16, calmar=-2.0), run_of("c" * 16, calmar=-1.0)])
    assert row(page, "Calmar") == "<td>–</td><td>−2.00</td><td class=best>−1.00</td>"


def test_bounds_stand_below_the_figures_that_have_some():
    page = render([run_of(sharpe_low=-0.5, sharpe_high=2.25), run_of("b" * 16, sharpe_low=None, sharpe_high=None)])
    assert row(page, "Sharpe") == "<td>1.00<small>95 %: −0.50 to 2.25</small></td><td>1.00</td>"


def test_only_what_differs_is_listed():
    page = render([run_of(configuration={"a": "1", "b": "2"}), run_of("b" * 16, {"a": "1", "b": "3", "c": "x"})])
    assert row(page, "b") == "<td>2</td><td>3</td>"
    assert row(page, "c") == "<td>–</td><td>x</td>"
    assert "<th scope=row>a</th>" not in page
    assert "did not trade the same candles" not in page
    assert "Nothing: strategy, candles, code and settings are the same." in render([run_of(), run_of("b" * 16)])


def test_runs_over_other_candles_are_not_silently_compared():
    page = render([run_of(), run_of("b" * 16, instruments=["ETH/USD"], last_candle_at=BEGIN)])
    assert "They differ in instruments, last candle: a better figure may be another market" in page
    assert row(page, "instruments") == "<td>BTC/USD</td><td>ETH/USD</td>"


def test_growth_is_of_the_cash_that_each_run_began_with():
    page = render([run_of(), run_of("b" * 16, final_equity_usd=2_200.0, net_profit_usd=200.0)])
    data = json.loads(re.search(r'id="data">(.*?)</script>', page)[1])
    assert [decoded(run["grown_percent"]) for run in data["runs"]] == [[0, -10, 10], [-50, -55, -45]]
    assert decoded(data["runs"][0]["drawdown_percent"]) == [0, -10, 0]


def test_text_from_outside_stays_text_and_nothing_is_loaded():
    evil = "</script><script>alert(1)</script>"
    page = render([run_of(strategy=evil, configuration={evil: "1"}), run_of(evil, code_version=evil)])
    assert page.count("<script") == render([run_of(), run_of("b" * 16)]).count("<script")
    assert evil in unescape(page)
    library, program = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    assert html.policy(library, program) in page
    assert not re.search(r"\b(fetch|XMLHttpRequest|WebSocket|EventSource|sendBeacon|import|innerHTML)\b", program)


def test_every_run_has_a_colour():
    many = [run_of(f"{number:016x}") for number in range(COLOURS + 1)]
    page = render(many)
    assert page.count('class="key run run-0"') == 2
    for number in range(COLOURS):
        assert f".run-{number}::before" in page
        assert page.count(f"--run_{number}:") == 2  # light and dark
    with pytest.raises(AssertionError):
        render(many[:1])


def test_it_is_written_whole_and_the_same_each_time(tmp_path):
    runs = [run_of(), run_of("b" * 16)]
    first, second = (write_comparison(runs, tmp_path / "reports" / name) for name in ("a.html", "b.html"))
    assert first.read_bytes() == second.read_bytes()
    assert sorted(first.parent.iterdir()) == [first, second]
