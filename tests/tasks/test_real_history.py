"""Real candles of four instruments have the holes that were counted where they were found, and no others.

Beside the sample (`data/sample/PROVENANCE.md`): 15m candles of SOL/USD and AVAX/USD, first half of 2023, found in
algo-trade-bot/trading-bot@4e210a1e5678 `trading_train_data/`, no licence stated; plain prices, which the venue gives to
everyone. Their header line was dropped; nothing else was changed. The counts are those stated beside the files.
"""

from pathlib import Path

import pytest

from config.settings import load_settings
from tasks.candles import land_archive, publish, validate_batch
from tasks.stages import build_all, check_all
from warehouse.connection import reading

MORE = Path(__file__).parent / "real" / "SOL_AVAX_15m_2023H1.zip"
MISSING = {
    ("BTC/USD", "15m"): 12,
    ("ETH/USD", "15m"): 13,
    ("SOL/USD", "15m"): 25,
    ("AVAX/USD", "15m"): 1_082,
    ("BTC/USD", "1d"): 12,
    ("ETH/USD", "1d"): 6,
}
# All four were silent at once on three occasions: the venue was down.
OUTAGE = 12


@pytest.mark.deep
@pytest.mark.xdist_group("heavy")
def test_the_holes_of_real_history_are_those_that_its_source_states(tmp_path, monkeypatch):
    monkeypatch.setenv("SLIPWAY_HOME", str(tmp_path))
    settings = load_settings()
    for archive in (settings.paths.sample, MORE):
        verdict = validate_batch(settings, land_archive(settings, archive))
        assert verdict is not None
        assert verdict.passed
    build_all(settings)
    check_all(settings, run="test")
    publish(settings)
    with reading(settings.paths.published) as connection:
        quality = connection.execute(
            "select instrument, timeframe, expected - present, missing, outage from marts.data_quality"
        ).fetchall()
    holes = {(instrument, timeframe): hole for instrument, timeframe, hole, _, _ in quality}
    assert {series: holes[series] for series in MISSING} == MISSING
    assert {(missing, outage) for _, timeframe, _, missing, outage in quality if timeframe == "15m"} == {(0, OUTAGE)}
