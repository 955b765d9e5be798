"""Only what has passed its checks is published, whoever publishes."""

import shutil
from datetime import UTC, datetime
from decimal import Decimal

import duckdb
import pytest

from config.settings import load_settings
from tasks.candles import land_archive, publish
from tasks.publication import publish_journals
from tasks.stages import build_all, check_all
from trading.errors import CheckFailed, Outdated
from warehouse.connection import unit_of_work
from warehouse.gate.validation import validate
from warehouse.reference.discoveries import Discovery, record
from warehouse.reference.funding import FundingHour, land_funding
from warehouse.upkeep.retention import forget

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


def opened(settings):
    return unit_of_work(settings.paths.build, **settings.warehouse.model_dump())


def batch_landed(settings, tmp_path):
    land_archive(settings, archive(tmp_path / "b", 8, 8))


def batch_validated(settings, tmp_path):
    landed(settings, archive(tmp_path / "b", 8, 8))


def funding_rate(settings, _):
    began_at = datetime(2023, 1, 1, tzinfo=UTC)
    with opened(settings) as warehouse:
        rates = [FundingHour("PF_XBTUSD", began_at, Decimal("0.1"), Decimal("0.00001"))]
        land_funding(warehouse, rates, source="kraken-rest", fetched_at=datetime.now(UTC))


def believed_look(settings, _):
    with opened(settings) as warehouse:
        assert record(warehouse, Discovery("kraken-rest", datetime.now(UTC), [], [], [], doubts=()))


def refused_look(settings, _):
    with opened(settings) as warehouse:
        assert record(warehouse, Discovery("kraken-rest", datetime.now(UTC), [], [], [], doubts=("It is empty.",)))


def line_in_quarantine(settings, _):
    with opened(settings) as warehouse:
        warehouse.execute("insert into raw.quarantine select 'b', 'own', 'f', 1, 'i', '15m', null, 'bad', 'x', now()")


def table_of_later_code(settings, _):
    with opened(settings) as warehouse:
        warehouse.execute("create table raw.trades as select 1 as price")


SOURCES = (
    batch_landed,
    batch_validated,
    funding_rate,
    believed_look,
    refused_look,
    line_in_quarantine,
    table_of_later_code,
)


@pytest.mark.parametrize("tell", SOURCES, ids=lambda tell: tell.__name__)
def test_what_is_told_after_the_checks_is_not_published_before_its_own(tell, settings, tmp_path):
    check_all(settings, run="a")
    tell(settings, tmp_path)
    with pytest.raises(CheckFailed, match="Not published"):
        publish(settings)


@pytest.mark.parametrize(
    "tell", [batch_landed, funding_rate, believed_look, refused_look], ids=lambda tell: tell.__name__
)
def test_the_next_build_publishes_what_was_told_after_the_checks(tell, settings, tmp_path):
    check_all(settings, run="a")
    tell(settings, tmp_path)
    build_all(settings)
    check_all(settings, run="b")
    publish(settings)


def test_what_was_refused_and_is_forgotten_after_the_checks_is_no_longer_what_they_passed(settings, tmp_path):
    batch = land_archive(settings, archive(tmp_path / "b", 8, 8))
    with opened(settings) as warehouse:
        warehouse.execute("update raw.batches set state = 'refused' where batch_id = ?", [batch.batch_id])
        warehouse.execute("update raw.files set state = 'refused' where batch_id = ?", [batch.batch_id])
    check_all(settings, run="a")
    now = datetime.now(UTC)
    with opened(settings) as warehouse:
        assert forget(warehouse, refused_before=now, texts_before=now, checks_before=now).refused_batches == 1
    with pytest.raises(CheckFailed, match="Not published"):
        publish(settings)


def test_rows_of_runs_sessions_and_checks_are_published_whenever_they_come(settings):
    check_all(settings, run="a")
    with opened(settings) as warehouse:
        warehouse.execute("insert into marts.backtests (run_id) values ('r')")
        warehouse.execute("insert into marts.journal select 's', 1, now(), 'decision', now(), 'i', null, '{}', 'h'")
        warehouse.execute("insert into checks.results select 'day', 's', 'c', true, 0, '', now()")
    assert publish_journals(settings).is_published


def test_a_look_that_was_believed_between_build_and_checks_is_not_published_unbuilt(settings, tmp_path):
    believed_look(settings, tmp_path)
    with pytest.raises(CheckFailed, match="build again"):
        check_all(settings, run="a")
    build_all(settings)
    check_all(settings, run="b")
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


def test_bad_lines_that_landed_between_build_and_checks_are_not_published_uncounted(settings, tmp_path):
    folder = archive(tmp_path / "bad", 8, 1)
    with (folder / "XBTUSD_15.csv").open("a") as file:
        file.write("1672600000,100,90,110,100,1,1\n")
    land_archive(settings, folder)
    with pytest.raises(Outdated, match="build again"):
        check_all(settings, run="a")
    build_all(settings)
    check_all(settings, run="b")
    publish(settings)
