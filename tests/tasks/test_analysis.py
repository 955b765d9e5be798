"""`slipway check` on published candles: what passes, what fails and where, what hangs on each number."""

import pytest

from ops import cli
from tasks.research.analysis import check_strategy

pytestmark = pytest.mark.xdist_group("heavy")  # one process compiles

TWO_STEPS = """-- grain: one row per close below that of thirty candles before
-- key: instrument, timeframe, closed_at
-- lookback: 20 candles
-- needs: atr(14)
with
first_step as (
    select *, lag(close, 15) over (partition by instrument, timeframe order by closed_at) as older from marts.candles
),
decided as (
    select *, lag(older, 15) over (partition by instrument, timeframe order by closed_at) > close as falls
    from first_step
)
select decided.instrument, decided.timeframe, decided.closed_at, indicators.known_at, 'short' as side,
    close::double as close, atr_14 as stop_distance, atr_14 as target_1_distance, null::double as target_2_distance,
    null::double as target_3_distance, null::double as target_4_distance, 1.0::double as score
from decided join features.indicators using (instrument, timeframe, closed_at)
where falls and atr_14 > 0
"""


def test_an_honest_strategy_passes_and_its_numbers_are_varied(settings):
    findings = check_strategy(settings, settings.paths.sql / "marts" / "signals_ema_cross.sql")
    assert findings.passed
    trials = {each.name: each.trials for each in findings.tried}
    assert trials == {"Look-ahead": 24, "Lookback": 24, "Warm-up": 0}  # two weeks are too few candles for the last
    names = [(each.parameter, each.value) for each in findings.varied]
    assert names[0] == ("", "")
    assert [name for name, _ in names[1:]] == ["stop_atr"] * 4 + ["target_atr"] * 4
    assert len({each.metrics.net_profit_usd for each in findings.varied}) > 5


def test_a_lookback_that_is_too_short_fails_by_name_and_close(settings, tmp_path, capsys):
    file = tmp_path / "signals_two_steps.sql"
    file.write_text(TWO_STEPS, encoding="utf-8")
    assert cli.main(["check", str(file)]) == 1
    told = capsys.readouterr()
    assert "trials: FAILED" in told.out
    assert "Lookback fails first at BTC/USD 15m 2023-01-" in told.out
    assert "in the signal itself: no signal, and a signal with the candles beyond" in told.out
    assert "times the candles end earlier." in told.err


def test_a_strategy_without_a_signal_on_that_timeframe_has_not_passed(settings, tmp_path, capsys):
    file = tmp_path / "signals_two_steps.sql"
    file.write_text(TWO_STEPS.replace("where falls", "where timeframe = '1h' and falls"), encoding="utf-8")
    assert cli.main(["check", str(file)]) == 1
    assert "gives no signal on 15m candles of BTC/USD, ETH/USD, so there is nothing to try" in capsys.readouterr().err


def test_a_number_that_is_given_is_the_one_that_is_varied(settings):
    path = settings.paths.sql / "marts" / "signals_ema_cross.sql"
    findings = check_strategy(settings, path, parameters={"stop_atr": "1"}, instruments=("BTC/USD",))
    assert sorted(each.value for each in findings.varied if each.parameter == "stop_atr") == [0.8, 0.9, 1.1, 1.2]
