"""Funding rates that Great Expectations refuses do not land, and the run says so."""

from pathlib import Path

import pytest
from backfill_venue import HurriedClock, candles, running

from config.settings import load_settings
from tasks.backfill.fetching import attempt
from tasks.backfill.landing import land
from tasks.backfill.request import request_of
from trading.errors import CheckFailed

pytestmark = pytest.mark.xdist_group("heavy")  # one process imports Great Expectations


def test_rates_out_of_range_do_not_land_and_are_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPWAY_HOME", str(tmp_path / "home"))
    settings = load_settings()
    strict = settings.validation.model_copy(update={"max_relative_funding_rate": 1e-12})
    settings = settings.model_copy(update={"validation": strict})
    with running(tmp_path / "sandbox.json") as venue:
        request = request_of(
            settings, venue="sandbox", instruments=["BTC/USD"], datasets=["funding"], addresses=venue.addresses
        )
        for _ in range(2):
            assert attempt(settings, request, clock=HurriedClock()) == ()
            landed = land(settings, request)
            assert [failure.title for failure in landed.failures] == ["funding PF_XBTUSD"]
            with pytest.raises(CheckFailed, match="highest_relative_rate"):
                landed.raise_failures()
    assert candles(settings, "select count(*) from raw.funding_rates") == [(0,)]
    assert candles(settings, "select suite, check_name, passed from checks.results where not passed") == [
        ("raw funding rates", "highest_relative_rate", False)
    ]
    assert not list((settings.paths.state / "spool").iterdir())
