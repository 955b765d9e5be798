"""A flow that failed is told once a day for each cause, and not where an alert told of it before."""

from datetime import date

import pytest

from config import settings as module
from config.settings import Settings, load_settings
from ops.journal import JournalReader, Kind
from tasks.alerting import FailedRun, alert_failed_run
from tasks.startup import marked_as_told, told, was_told
from trading.errors import CheckFailed, SetupFailed, WarehouseBusy

TODAY, TOMORROW = date(2026, 11, 23), date(2026, 11, 24)
BUSY = WarehouseBusy("Process 4711 has held /home/me/.slipway/build.duckdb for 60 s.")


@pytest.fixture
def settings(tmp_path, monkeypatch) -> Settings:
    monkeypatch.setenv("SLIPWAY_HOME", str(tmp_path))
    return load_settings()


def failed(error, *, day=TODAY, flow="transform") -> FailedRun:
    return FailedRun(flow, "fiery-chameleon", day, "Flow run encountered an exception.", error, is_killed=False)


def bodies(settings, flow="transform"):
    with JournalReader(settings.paths.journals / f"{flow}.sqlite") as journal:
        return [row.values["body"] for row in journal.rows(kinds=[Kind.ALERT])]


def test_the_same_cause_is_told_once_a_day(settings):
    later = WarehouseBusy(str(BUSY).replace("4711", "4712"))
    for run in (failed(BUSY), failed(later), failed(BUSY, day=TOMORROW)):
        alert_failed_run("paper", run, "warning")
    assert len(bodies(settings)) == 2


@pytest.mark.parametrize("error", [CheckFailed(str(BUSY)), WarehouseBusy("Somebody has it."), ZeroDivisionError()])
def test_another_cause_on_the_same_day_is_told_too(settings, error):
    for run in (failed(BUSY), failed(error)):
        alert_failed_run("paper", run, "warning")
    assert len(bodies(settings)) == 2


def test_says_what_happened_and_what_to_do(settings):
    alert_failed_run("paper", failed(BUSY), "warning")
    (body,) = bodies(settings)
    assert body.startswith(f"{BUSY}\nMend what is named above; then start transform again")
    assert "run fiery-chameleon; `slipway status` says where" in body


def test_says_nothing_of_what_an_alert_told_before(settings):
    alert_failed_run("paper", failed(marked_as_told(CheckFailed("Ten rows are gone."))), "warning")
    assert not settings.paths.journals.exists()


def test_an_error_that_stopped_a_session_was_told():
    with pytest.raises(ZeroDivisionError) as caught, told(Silent(), "key", "title"):
        1 / 0  # noqa: B018
    assert was_told(caught.value)


class Silent:
    """Alerts to nobody."""

    def send(self, *_: object) -> bool:
        return True


def test_without_settings_it_is_told_where_base_says(tmp_path, monkeypatch, channel):
    channel.start()
    base = (module.PROFILES / "base.toml").read_text().replace("urls = []", f'urls = ["{channel.url}"]')
    (tmp_path / "base.toml").write_text(base)
    (tmp_path / "paper.toml").write_text("[session\n")
    monkeypatch.setattr(module, "PROFILES", tmp_path)
    with pytest.raises(SetupFailed, match="is not TOML"):
        alert_failed_run("paper", failed(BUSY), "warning")
    assert channel.titles() == ["transform failed"]
