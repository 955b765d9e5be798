"""I31: a candle that a session had decided upon is revised, and a person is told, once."""

import shutil
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from config.settings import Settings, load_settings
from ops.clock import as_datetime
from ops.journal import JournalReader, Kind
from tasks.candles import land_archive, publish
from tasks.market import load_history
from tasks.publication import publish_journals
from tasks.revisions.alerting import alert_revised_decisions
from tasks.revisions.readings import readings_between, readings_of
from tasks.session import run_session
from tasks.stages import build_all, check_all
from warehouse.connection import unit_of_work
from warehouse.strategies.loading import load_strategy

pytestmark = pytest.mark.xdist_group("revisions")  # one session is run for all


@pytest.fixture(scope="module")
def traded_home(made_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which a session has stepped all candles, and its journal is loaded; made once."""
    home = tmp_path_factory.mktemp("traded") / "home"
    shutil.copytree(made_home, home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLIPWAY_HOME", str(home))
        settings = load_settings()
        run_session(settings)
        publish_journals(settings)
    return home


@pytest.fixture
def traded(traded_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Of a copy of that home."""
    shutil.copytree(traded_home, tmp_path / "traded")
    monkeypatch.setenv("SLIPWAY_HOME", str(tmp_path / "traded"))
    return load_settings()


def correct(settings: Settings, folder: Path, changes: str) -> None:
    """Land the sample's candles of the first day once more, some of them changed."""
    folder.mkdir()
    lines = (settings.paths.sample / "XBTUSD_15.csv").read_text(encoding="utf-8").splitlines()[:96]
    *prices, volume, trades = lines[40].split(",")
    lines[40] = ",".join([*prices, "12345.678" if changes == "volume" else volume, trades])
    (folder / "XBTUSD_15.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    land_archive(settings, folder)
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
        warehouse.execute("update raw.files set state = 'validated'")
    build_all(settings)


def alerts(settings: Settings) -> list[str]:
    journal = settings.paths.journals / "transform.sqlite"
    if not journal.exists():
        return []
    with JournalReader(journal) as reader:
        return [row.values["title"] for row in reader.rows() if row.kind == Kind.ALERT]


def test_i31_a_revised_candle_that_was_used_is_alerted_once(traded, tmp_path):
    correct(traded, tmp_path / "correction", "volume")
    (revised,) = alert_revised_decisions(traded)
    assert (revised.instrument, revised.timeframe) == ("BTC/USD", "15m")
    assert revised.close_used == revised.close
    assert revised.decisions > 0
    alert_revised_decisions(traded)
    assert alerts(traded) == [f"BTC/USD 15m: 1 candle(s) revised after {revised.session} used them"]


def test_candles_that_say_the_same_again_are_no_revision(traded, tmp_path):
    correct(traded, tmp_path / "again", "nothing")
    assert alert_revised_decisions(traded) == ()
    assert alerts(traded) == []


def take_away(settings: Settings, number: int) -> None:
    """As if the candle had never been told: a derived one goes like this when a hole around it becomes a long one."""
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
        warehouse.execute(
            "delete from raw.candle_rows where opened_at = $opened_at"
            " and file_id in (select file_id from raw.files where instrument = 'BTC/USD')",
            {"opened_at": datetime(2023, 1, 1, tzinfo=UTC) + number * timedelta(minutes=15)},
        )
    build_all(settings)


def test_i31_every_candle_that_is_gone_is_alerted_and_the_same_ones_once(traded):
    take_away(traded, 40)
    (gone,) = alert_revised_decisions(traded)
    assert gone.close is None
    alert_revised_decisions(traded)
    assert alerts(traded) == [f"BTC/USD 15m: 1 candle(s) revised after {gone.session} used them"]
    take_away(traded, 60)
    alert_revised_decisions(traded)
    alert_revised_decisions(traded)
    assert alerts(traded)[1:] == [f"BTC/USD 15m: 2 candle(s) revised after {gone.session} used them"]


def live(settings: Settings) -> None:
    """Run the session, and bring its journal into the warehouse."""
    run_session(settings)
    publish_journals(settings)
    build_all(settings)


def test_a_candle_whose_revision_was_published_before_it_was_read_is_nobodys_trouble(settings, tmp_path):
    correct(settings, tmp_path / "correction", "volume")
    check_all(settings, run="test")
    publish(settings)
    live(settings)
    assert alert_revised_decisions(settings) == ()


def test_i31_a_candle_that_was_revised_after_it_was_read_and_before_it_was_recorded_is_alerted(settings, tmp_path):
    correct(settings, tmp_path / "correction", "volume")  # believed by now, and not what is published
    live(settings)
    (revised,) = alert_revised_decisions(settings)
    assert (revised.instrument, revised.timeframe) == ("BTC/USD", "15m")
    assert len(alerts(settings)) == 1


def test_i31_a_derived_candle_of_which_a_part_was_revised_is_alerted(settings, tmp_path):
    settings = settings.model_copy(update={"strategy": settings.strategy.model_copy(update={"timeframe": "1h"})})
    live(settings)
    assert alert_revised_decisions(settings) == ()
    correct(settings, tmp_path / "correction", "volume")
    (revised,) = alert_revised_decisions(settings)
    assert (revised.instrument, revised.timeframe, revised.source) == ("BTC/USD", "1h", "derived")
    assert len(alerts(settings)) == 1


def reading_days(settings: Settings, folder: Path) -> Settings:
    """With a strategy that reads the day that was complete last, beside its own candles."""
    shutil.copytree(settings.paths.sql, folder / "sql")
    text = (settings.paths.sql / "marts" / "signals_ema_cross.sql").read_text(encoding="utf-8")
    for old, new in BESIDE_DAYS.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    (folder / "sql" / "marts" / "signals_beside_days.sql").write_text(text, encoding="utf-8")
    paths = settings.paths.model_copy(update={"sql": folder / "sql"})
    strategy = settings.strategy.model_copy(update={"name": "signals_beside_days"})
    return settings.model_copy(update={"paths": paths, "strategy": strategy})


JOIN = "    join indicators using (instrument, timeframe, closed_at)\n"
BESIDE_DAYS = {
    "indicators.known_at,": "candles.closed_at as known_at,",
    JOIN: f"""{JOIN}
    asof join days on candles.instrument = days.instrument and candles.closed_at >= days.known_at
    where candles.timeframe = '15m'
""",
    "trends as (\n": """days as (

    select candles.instrument, candles.timeframe, candles.closed_at, indicators.known_at, candles.close
    from candles
    join indicators using (instrument, timeframe, closed_at)
    where candles.timeframe = '1d'

),

trends as (
""",
}


def test_i31_candles_of_longer_timeframes_that_a_strategy_reads_beside_its_own_are_alerted(settings, tmp_path):
    settings = reading_days(settings, tmp_path)
    live(settings)
    assert alert_revised_decisions(settings) == ()
    correct(settings, tmp_path / "correction", "volume")
    revised = alert_revised_decisions(settings)
    assert [(each.instrument, each.timeframe, each.source) for each in revised] == [
        ("BTC/USD", "15m", "kraken"),
        ("BTC/USD", "1d", "derived"),
        ("BTC/USD", "1h", "derived"),
        ("BTC/USD", "4h", "derived"),
    ]
    assert len(alerts(settings)) == 4


def test_a_session_that_goes_on_reads_longer_timeframes_once(settings, tmp_path):
    settings = reading_days(settings, tmp_path)
    run_session(settings)
    before = timeframes_read(settings)
    run_session(settings)
    assert timeframes_read(settings) == before
    assert before["15m"] > before["1h"] > before["4h"] > before["1d"] > 0


def test_a_strategy_that_keeps_timeframes_apart_has_its_own_candles_in_its_journal(traded):
    assert timeframes_read(traded).keys() == {"15m"}


def timeframes_read(settings: Settings) -> Counter[str]:
    (path,) = settings.paths.journals.glob("paper-*.sqlite")
    with JournalReader(path) as journal:
        return Counter(row.values["timeframe"] for row in journal.rows(kinds=[Kind.READING]))


NOON = datetime(2023, 1, 10, 12, tzinfo=UTC)


def microseconds(at: datetime) -> int:
    return int(at.timestamp()) * 1_000_000


def test_of_other_timeframes_the_candles_in_force_at_the_beginning_are_read_too(settings, tmp_path):
    settings = reading_days(settings, tmp_path)
    strategy = load_strategy(settings.paths.sql / "marts" / "signals_beside_days.sql")
    history = load_history(settings, strategy, with_beside=True)
    readings = readings_of(history, microseconds(NOON))
    first = readings_between(readings, 0, microseconds(NOON + timedelta(minutes=15)))
    read = {(entry.instrument, entry.payload["timeframe"]): as_datetime(entry.at) for entry in first}
    assert len(read) == len(first) == 8
    assert {frame: closed_at for (name, frame), closed_at in read.items() if name == "ETH/USD"} == {
        "15m": NOON + timedelta(minutes=15),
        "1h": NOON,
        "4h": NOON,
        "1d": NOON - timedelta(hours=12),
    }


def test_a_session_that_reads_a_revised_candle_again_decides_upon_the_new_value(traded, tmp_path):
    correct(traded, tmp_path / "correction", "volume")
    (before,) = alert_revised_decisions(traded)
    check_all(traded, run="test")
    publish(traded)
    live(traded)  # a volume that changed is no reason to halt
    assert alert_revised_decisions(traded) == (before,)
    assert len(alerts(traded)) == 1
