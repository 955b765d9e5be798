"""The universe as the instruments of a backfill: asked for by its name, or fetched every day by the settings."""

from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from config.settings import Settings, load_settings
from tasks.backfill.request import request_of, targets
from trading.errors import SetupFailed
from warehouse.connection import unit_of_work

LOOKED_AT = datetime(2026, 11, 20, 4, 6, tzinfo=UTC)
LOOKS = ((1, "accepted", 10), (2, "accepted", 11), (3, "refused", None))
LISTS = (
    (10, "SOL/USD", "PF_SOLUSD", True),
    (11, "BTC/USD", "PF_XBTUSD", True),
    (11, "AVAX/USD", "PF_AVAXUSD", True),
    (11, "SOL/USD", "PF_SOLUSD", False),
)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("SLIPWAY_HOME", str(tmp_path))
    return load_settings()


@pytest.fixture
def judged(settings: Settings) -> Settings:
    """A home whose warehouse knows the universe of a sandbox: a look, a newer one, and one that was refused."""
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
        for number, state, universe in LOOKS:
            warehouse.execute(
                "insert into raw.discoveries values (?, 'sandbox-rest', ?, ?, '', 1, 2, ?)",
                [number, LOOKED_AT, state, universe],
            )
        warehouse.executemany("insert into raw.universe values (?, ?, ?, ?, '', null, null)", LISTS)
    return settings


def daily(settings: Settings, *names: str) -> Settings:
    return settings.model_copy(update={"backfill": settings.backfill.model_copy(update={"instruments": names})})


def test_the_name_universe_stands_for_the_members_that_are_in_force(judged: Settings) -> None:
    assert request_of(judged, venue="sandbox", instruments=["universe"]).instruments == ("AVAX/USD", "BTC/USD")


def test_a_member_that_the_settings_do_not_describe_has_the_perpetual_that_it_is_traded_on(judged: Settings) -> None:
    request = request_of(judged, venue="sandbox", instruments=["universe", "SOL/USD"], datasets=["charts"])
    jobs, failures = targets(judged, request)
    assert [job.instrument for job in jobs] == ["PF_AVAXUSD", "PF_XBTUSD"]
    assert [failure.title for failure in failures] == ["charts SOL/USD"]
    assert "nor in the universe: name the contract itself" in str(failures[0].error)


def test_the_settings_can_have_the_universe_fetched_every_day_beside_their_own_instruments(judged: Settings) -> None:
    request = request_of(daily(judged, "universe"), venue="sandbox")
    assert request.instruments == ("BTC/USD", "ETH/USD", "AVAX/USD")
    assert request.is_routine
    assert request_of(judged, venue="sandbox").instruments == ("BTC/USD", "ETH/USD")


def test_a_universe_that_nobody_knows_is_refused_when_it_is_asked_for_and_awaited_every_day(settings: Settings) -> None:
    with pytest.raises(SetupFailed, match=r"nobody has looked yet\. Look now: `prefect deployment run universe/disc"):
        request_of(settings, venue="sandbox", instruments=["universe"])
    assert request_of(daily(settings, "universe"), venue="sandbox").instruments == ("BTC/USD", "ETH/USD")


@pytest.mark.parametrize(
    ("asked", "openings"),
    [
        ({"venue": "sandbox"}, 1),  # is the warehouse another venue's?
        ({"venue": None}, 1),  # whose is it?
        ({"venue": "sandbox", "instruments": ["BTC/USD", "PF_SOLUSD"]}, 1),
        ({"venue": "sandbox", "instruments": ["AVAX/USD"]}, 2),
        ({"venue": "sandbox", "instruments": ["universe"]}, 2),
    ],
    ids=["routine", "routine, venue left out", "known markets", "another market", "the universe"],
)
def test_a_request_waits_for_the_build_file_no_oftener_than_it_has_to(
    asked: dict[str, Any], openings: int, judged: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with unit_of_work(judged.paths.build, **judged.warehouse.model_dump()) as warehouse:
        warehouse.execute(
            "insert into raw.batches values ('b', 'sandbox-rest', 'p', 'h', ?, 'validated', 0, 0, 0, 0, 0, '')",
            [LOOKED_AT],
        )
    opened: list[Path] = []

    def counted(path: Path, **limits: Any) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        opened.append(path)
        return unit_of_work(path, **limits)

    monkeypatch.setattr("tasks.backfill.request.unit_of_work", counted)
    request_of(judged, **asked)
    assert len(opened) == openings
