"""Only what has passed its checks is published, whoever publishes."""

import shutil
from datetime import UTC, datetime

import duckdb
import pytest

from config.settings import load_settings
from tasks.candles import land_archive, publish
from tasks.stages import build_all, check_all
from trading.errors import CheckFailed
from warehouse.connection import unit_of_work
from warehouse.gate.validation import validate

pytestmark = pytest.mark.xdist_group("publication")  # one warehouse is built for all


@pytest.fixture(scope="module")
def built_home(tmp_path_factory):
    """A home whose build file holds the marts of one validated batch, which nobody has checked yet; made once."""
    folder = tmp_path_factory.mktemp("built")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLIPWAY_HOME", str(folder / "home"))
        settings = load_settings("paper")
    landed(settings, archive(folder / "a", 0, 8))
    build_all(settings)
    return folder / "home"


@pytest.fixture
def settings(built_home, tmp_path, monkeypatch):
    """Of a copy of that home."""
    shutil.copytree(built_home, tmp_path / "home")
    monkeypatch.setenv("SLIPWAY_HOME", str(tmp_path / "home"))
    return load_settings("paper")


def archive(folder, first, count):
    """A file of quiet 15m candles: `count` from number `first` on."""
    folder.mkdir()
    rows = (f"{1672531200 + 900 * n},100,101,99,100,1,1" for n in range(first, first + count))
    (folder / "XBTUSD_15.csv").write_text("\n".join(rows) + "\n")
    return folder


def landed(settings, folder):
    """A batch that the SQL checks have validated; Great Expectations has tests of its own."""
    batch = land_archive(settings, folder)
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
        verdict = validate(
            warehouse,
            batch.batch_id,
            checks=settings.paths.sql / "checks" / "batches",
            thresholds=settings.validation.model_dump(),
            checked_at=datetime.now(UTC),
            gate=None,
        )
    verdict.refuse_failed()


def test_a_build_that_was_not_checked_is_not_published(settings):
    with pytest.raises(CheckFailed, match="Not published"):
        publish(settings)
    check_all(settings, run="a")
    publish(settings)
    assert settings.paths.published.is_file()


def test_a_batch_that_came_in_after_the_checks_waits_for_its_own(settings, tmp_path):
    check_all(settings, run="a")
    landed(settings, archive(tmp_path / "b", 8, 8))
    with pytest.raises(CheckFailed, match="Not published"):
        publish(settings)


def test_a_batch_that_came_in_between_build_and_checks_is_not_published_unbuilt(settings, tmp_path):
    landed(settings, archive(tmp_path / "b", 8, 8))
    with pytest.raises(CheckFailed, match="build again"):
        check_all(settings, run="a")
    with pytest.raises(CheckFailed, match="Not published"):
        publish(settings)
    build_all(settings)
    check_all(settings, run="b")
    publish(settings)
    with duckdb.connect(str(settings.paths.published), read_only=True) as published:
        for table in ("marts.candles", "features.indicators"):
            assert published.execute(f"select count(*) from {table} where timeframe = '15m'").fetchone() == (16,)


def test_what_the_checks_found_in_an_outdated_build_is_kept(settings, tmp_path):
    landed(settings, archive(tmp_path / "b", 8, 8))
    with pytest.raises(CheckFailed, match="build again"):
        check_all(settings, run="a")
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
        query = "select count(*) > 0 from checks.results where batch_or_run = 'a'"
        assert warehouse.execute(query).fetchone() == (True,)


def test_a_failed_check_withdraws_nothing_that_is_published_and_publishes_nothing(settings, tmp_path):
    check_all(settings, run="a")
    publish(settings)
    landed(settings, archive(tmp_path / "b", 8, 8))
    build_all(settings)
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
        warehouse.execute(
            "update raw.candle_rows set high = 1 where opened_at = (select max(opened_at) from raw.candle_rows)"
        )
    build_all(settings, "full")
    with pytest.raises(CheckFailed):
        check_all(settings, run="b")
    with pytest.raises(CheckFailed, match="Not published"):
        publish(settings)
    with duckdb.connect(str(settings.paths.published), read_only=True) as published:
        assert published.execute("select count(*) from marts.candles where timeframe = '15m'").fetchone() == (8,)


def test_rounds_in_which_nothing_changed_do_not_make_the_published_file_grow(settings):
    sizes = []
    for number in range(12):
        build_all(settings)
        check_all(settings, run=f"round {number}")
        sizes.append(publish(settings).size_bytes)
    assert max(sizes[6:]) <= max(sizes[:6]), sizes  # some blocks are written anew before the old ones are free
