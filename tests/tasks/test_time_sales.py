"""An archive of trades through land, validate and publish."""

import zipfile
from datetime import UTC, datetime

import pytest

from config.settings import load_settings
from tasks.backfill.time_sales import rebuild_archive
from tasks.candles import publish, validate_batch
from tasks.stages import build_all, check_all
from trading.errors import InputUnusable
from warehouse.connection import reading, unit_of_work

pytestmark = pytest.mark.xdist_group("heavy")  # one process imports Great Expectations

MIDNIGHT = 1_700_265_600  # 2023-11-18
WHOLE = {"instrument": None, "since": datetime(2023, 11, 18, tzinfo=UTC), "until": datetime(2023, 11, 19, tzinfo=UTC)}


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setenv("SLIPWAY_HOME", str(tmp_path / "home"))
    return load_settings()


@pytest.fixture
def archive(tmp_path):
    """A day of trades of BTC/USD, two a quarter but for one that is silent; and of ETH/USD with a broken line."""
    seconds = [s for s in range(0, 86_400, 450) if not 36_000 <= s < 36_900]
    path = tmp_path / "Kraken_Trading_History.zip"
    with zipfile.ZipFile(path, "w") as bundle:
        bundle.writestr("XBTUSD.csv", "".join(f"{MIDNIGHT + s},{36_000 + s % 7}.5,0.125\n" for s in seconds))
        bundle.writestr("ETHUSD.csv", f"{MIDNIGHT},2000,1\n{MIDNIGHT + 900},2000\n")
        bundle.writestr("README.csv", "none of ours\n")
    return path


def test_a_pair_lands_passes_and_is_published_beside_one_that_is_refused(settings, archive):
    rebuilt = rebuild_archive(settings, archive, **WHOLE)
    (batch,) = rebuilt.batches
    assert [(span.timeframe, span.rows) for span in batch.series] == [("15m", 95), ("1d", 1), ("1h", 24), ("4h", 6)]
    with pytest.raises(InputUnusable, match=r"ETH/USD: .*zip/ETHUSD\.csv, line 2: .* is no trade"):
        rebuilt.raise_refused()
    verdict = validate_batch(settings, batch)
    assert verdict is not None
    assert verdict.passed

    build_all(settings)
    check_all(settings, run="test")
    publish(settings)
    with reading(settings.paths.published) as connection:
        (day,) = connection.execute(
            "select volume, trades, source from marts.candles where timeframe = '1d'"
        ).fetchall()
        gaps = connection.execute("select kind, missing from marts.candle_gaps").fetchall()
    assert day == (190 * 0.125, 190, "kraken_time_sales")
    assert gaps == [("no trades", 1)]


def test_an_archive_that_comes_again_lands_nothing(settings, archive):
    (first,) = rebuild_archive(settings, archive, **WHOLE).batches
    (again,) = rebuild_archive(settings, archive, **WHOLE).batches
    assert (again.already_landed, again.batch_id) == (True, first.batch_id)


def test_the_same_trades_with_other_bounds_store_no_candle_that_is_confirmed(settings, tmp_path):
    path = tmp_path / "XBTUSD.csv"
    path.write_text("".join(f"{MIDNIGHT + s},{36_000 + s % 7}.5,0.125\n" for s in range(0, 86_400, 450)))
    cut = {"instrument": None, "since": None, "until": None}
    later = {**WHOLE, "until": datetime(2023, 11, 20, tzinfo=UTC)}
    landed = []
    for bounds in (cut, WHOLE, later, cut):
        rebuild_archive(settings, path, **bounds)
        with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
            warehouse.execute("update raw.files set state = 'validated'")
            warehouse.execute("update raw.batches set state = 'validated'")
            landed += warehouse.execute("select count(*) from raw.candle_rows").fetchone()
    whole = 96 + 24 + 6 + 1
    assert landed[0] < whole
    assert landed[1:] == [whole, whole, whole]


def test_candles_that_the_warehouse_can_not_hold_are_named(settings, tmp_path):
    path = tmp_path / "XBTUSD.csv"
    path.write_text("".join(f"{MIDNIGHT + s},2e8,1\n" for s in range(0, 86_400, 450)))
    with pytest.raises(InputUnusable, match=r"XBTUSD_15\.csv"):
        rebuild_archive(settings, path, **WHOLE).raise_refused()


def test_a_file_whose_name_states_no_pair_takes_the_stated_one(settings, tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("".join(f"{MIDNIGHT + s},100,1\n" for s in range(0, 3_601, 900)))
    with pytest.raises(InputUnusable, match="no file of trades"):
        rebuild_archive(settings, path, instrument=None, since=None, until=None)
    (batch,) = rebuild_archive(settings, path, instrument="BTC/USD", since=None, until=None).batches
    assert {(span.instrument, span.timeframe, span.rows) for span in batch.series} >= {("BTC/USD", "15m", 4)}
