"""A session that can't start is not silent (I55): it says so through the channels that it can know of by then."""

import pytest

from config import settings as module
from config.settings import Settings
from ops.alerts import Channels, Outbox
from ops.clock import SteppedClock
from ops.journal import Entry, Journal, Kind
from tasks.session import run_session
from tasks.startup import session_settings, told
from trading.errors import InputUnusable, SetupFailed, TradingHalted


@pytest.fixture
def heard(channel):
    """A channel that is up."""
    channel.start()
    return channel


@pytest.fixture
def alerting(settings: Settings, heard) -> Settings:
    """Settings of a short session whose alerts are heard."""
    return with_alerts(settings, heard.url)


@pytest.fixture
def profiles(tmp_path, monkeypatch, heard):
    """A folder of profiles that a test may spoil; base.toml names the channel."""
    for path in module.PROFILES.glob("*.toml"):
        (tmp_path / path.name).write_text(path.read_text().replace("urls = []", f'urls = ["{heard.url}"]'))
    monkeypatch.setattr(module, "PROFILES", tmp_path)
    return tmp_path


def with_alerts(settings: Settings, *urls: str) -> Settings:
    session = settings.session.model_copy(update={"candles": 20})
    return settings.model_copy(update={"alerts": module.Alerts(urls=urls), "session": session})


def test_nothing_published(alerting, heard):
    alerting.paths.published.unlink()
    with pytest.raises(SetupFailed, match="no published warehouse"):
        run_session(alerting)
    (message,) = heard.received
    assert (message["title"], message["type"]) == ("session can't start: paper", "failure")
    assert "There is no published warehouse" in message["message"]


def test_a_strategy_that_can_not_be_used(alerting, heard):
    strategy = alerting.strategy.model_copy(update={"name": "signals_of_nobody"})
    with pytest.raises(InputUnusable):
        run_session(alerting.model_copy(update={"strategy": strategy}))
    assert "signals_of_nobody.sql can't be read" in heard.received[0]["message"]


def test_a_channel_that_can_not_be_used_is_told_on_the_others(settings, heard):
    with pytest.raises(SetupFailed, match=r"alerts\.urls\[0\]"):
        run_session(with_alerts(settings, "telegramm://token-canary", heard.url))
    assert heard.titles() == ["session can't start: paper"]
    assert "canary" not in heard.received[0]["message"]


def test_a_journal_that_another_process_holds(alerting, heard, monkeypatch):
    monkeypatch.setattr("ops.journal.BUSY_TIMEOUT_S", 0.05)
    path = run_session(alerting).journal
    with Journal(path, holder="test", clock=SteppedClock()) as other, other._transaction(), pytest.raises(SetupFailed):
        run_session(alerting)
    assert heard.titles() == [f"session ended: {path.stem}", "session can't start: paper"]
    assert "database is locked" in heard.received[-1]["message"]


def test_a_journal_that_is_none(alerting, heard):
    path = run_session(alerting).journal
    path.write_bytes(b"no journal" * 1000)
    with pytest.raises(SetupFailed, match="can't be opened"):
        run_session(alerting)
    assert heard.titles()[-1] == "session can't start: paper"


def test_a_journal_that_is_damaged_inside(alerting, heard):
    path = run_session(alerting).journal
    content = path.read_bytes()
    path.write_bytes(content[:8192] + b"\xff" * (len(content) - 8192))
    with pytest.raises(TradingHalted, match="malformed"):
        run_session(alerting)
    assert heard.titles()[-1] == "session can't start: paper"


def test_a_lease_lost_while_trading_is_told_though_the_journal_takes_no_more(heard, tmp_path):
    path, clock = tmp_path / "journal.sqlite", SteppedClock()
    with Journal(path, holder="first", clock=clock) as older, Journal(path, holder="second", clock=clock):
        outbox = Outbox(older, Channels([heard.url], clock), clock)
        with pytest.raises(TradingHalted), told(outbox, "k", "session halted: paper"):
            older.append([Entry(Kind.EVENT, 1)])
    (message,) = heard.received
    assert message["title"] == "session halted: paper"
    assert "Another writer (second) took over" in message["message"]


def test_an_error_that_nobody_foresaw_is_told_by_its_name_and_not_swallowed(heard):
    with pytest.raises(ZeroDivisionError), told(Channels([heard.url], SteppedClock()), "k", "t"):
        1 / 0  # noqa: B018
    assert heard.received[0]["message"] == "ZeroDivisionError('division by zero')"


@pytest.mark.parametrize("spoiled", ["paper.toml", "base.toml"])
def test_settings_that_lack_a_limit(profiles, heard, spoiled):
    with (profiles / spoiled).open("a") as file:
        file.write("\n[risk2]\nmax_positions = 1\n")
    with pytest.raises(SetupFailed, match="risk2"):
        session_settings("paper")
    (message,) = heard.received
    assert message["title"] == "session can't start: profile paper"
    assert "risk2" in message["message"]


def test_a_profile_that_is_no_toml_is_told_where_base_says(profiles, heard):
    (profiles / "paper.toml").write_text("[session\n")
    with pytest.raises(SetupFailed, match="is not TOML"):
        session_settings("paper")
    assert heard.titles() == ["session can't start: profile paper"]


def test_a_profile_that_does_not_exist_is_told_where_base_says(profiles, heard):
    with pytest.raises(SetupFailed, match="no profile 'papre'"):
        session_settings("papre")
    assert heard.titles() == ["session can't start: profile papre"]


def test_the_profile_says_where_before_base_does(profiles, heard, make_channel):
    own = make_channel()
    own.start()
    with (profiles / "paper.toml").open("a") as file:
        file.write(f'\n[alerts]\nurls = ["{own.url}"]\ncolour = "red"\n')
    with pytest.raises(SetupFailed, match=r"alerts\.colour"):
        session_settings("paper")
    assert (len(own.received), len(heard.received)) == (1, 0)


def test_settings_without_a_fault_alert_nobody(profiles, heard):
    assert session_settings("paper") == module.load_settings("paper")
    assert heard.received == []
