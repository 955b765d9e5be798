"""`slipway compare`, as a person meets it."""

import pytest

from ops.cli import main
from tasks.backtests import run_backtest
from tasks.research.comparing import compare_runs
from trading.errors import InputUnusable, SetupFailed

pytestmark = pytest.mark.xdist_group("heavy")  # one process compiles


@pytest.fixture
def two_runs(settings):
    strategy = settings.paths.sql / "marts" / "signals_ema_cross.sql"
    return [run_backtest(settings, strategy, report=False, parameters=set_).run_id for set_ in ({}, {"stop_atr": "3"})]


def test_two_stored_runs_become_a_page_among_the_reports(settings, two_runs, capsys):
    assert main(["compare", *two_runs]) == 0
    path = settings.paths.reports / f"comparison-{'-'.join(two_runs)}.html"
    assert capsys.readouterr().out == f"Comparison: {path}\n"
    page = path.read_text("utf-8")
    assert "<th scope=row>parameter stop_atr</th><td>2.0</td><td>3.0</td>" in page
    assert "did not trade the same candles" not in page


def test_says_what_can_not_be_compared(settings, two_runs, tmp_path):
    first, second = two_runs
    with pytest.raises(InputUnusable, match="two different runs"):
        compare_runs(settings, [first, first])
    with pytest.raises(InputUnusable, match="no stored backtest nothing"):
        compare_runs(settings, [first, "nothing"])
    (tmp_path / "file").write_text("a file where the folder should be")
    with pytest.raises(SetupFailed, match="comparison can't be written"):
        compare_runs(settings, [first, second], tmp_path / "file" / "page.html")
