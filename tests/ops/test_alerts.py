"""An alert is on disk before it is sent, and sent until a channel has taken it (I38)."""

from pathlib import Path

import pytest

from ops.alerts import Channels, Outbox, waiting_alerts
from ops.clock import SteppedClock
from ops.journal import Journal
from trading.errors import SetupFailed


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock(1_000)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


def opened(path: Path, clock: SteppedClock) -> Journal:
    return Journal(path, holder="test", clock=clock)


def fill_up(journal: Journal) -> None:
    """No page more, as on a disk without room."""
    pages = journal._connection.execute("pragma page_count").fetchone()[0]
    journal._connection.execute(f"pragma max_page_count = {pages}")


def outbox_of(journal: Journal, urls: list[str], clock: SteppedClock) -> Outbox:
    return Outbox(journal, Channels(urls, clock), clock)


def test_an_alert_reaches_the_channel_with_its_severity_and_is_recorded(path, clock, channel):
    channel.start()
    with opened(path, clock) as journal:
        outbox = outbox_of(journal, [channel.url], clock)
        assert outbox.send("ended", "critical", "Session ended", "12 trades")
        kinds = [row.kind for row in journal.rows()]
    assert kinds == ["lease", "channel", "alert", "delivery"]
    (message,) = channel.received
    assert (message["title"], message["message"], message["type"]) == ("Session ended", "12 trades", "failure")


def test_an_alert_raised_while_the_channel_is_down_arrives_after_a_restart(path, clock, channel):
    with opened(path, clock) as journal:
        outbox = outbox_of(journal, [channel.url], clock)
        outbox.raise_alert("one", "info", "first", "body")
        outbox.raise_alert("two", "info", "second", "body")
        assert outbox.deliver() == (0, 2, 0)
    channel.start()
    with opened(path, clock) as journal:
        outbox = outbox_of(journal, [channel.url], clock)
        assert outbox.deliver() == (2, 0, 0)
        assert outbox.deliver() == (0, 0, 0)
    assert channel.titles() == ["first", "second"]


def test_a_channel_that_fails_for_a_moment_is_tried_again_after_longer_and_longer_waits(path, clock, channel):
    channel.start()
    channel.answers = [500, 503]
    with opened(path, clock) as journal:
        assert outbox_of(journal, [channel.url], clock).send("k", "info", "t", "b")
    assert channel.titles() == ["t"]
    assert clock.now() == 1_000 + 500_000 + 1_000_000


def test_tries_a_failing_channel_only_so_often_in_one_call(path, clock, channel):
    channel.start()
    channel.answers = [500] * 50
    with opened(path, clock) as journal:
        outbox = outbox_of(journal, [channel.url], clock)
        for number in range(5):
            outbox.raise_alert(f"k{number}", "info", "t", "b")
        assert outbox.deliver() == (0, 5, 0)
    assert channel.asked == 3


def test_the_same_key_is_one_alert_however_often_it_is_raised(path, clock, channel):
    channel.start()
    with opened(path, clock) as journal:
        outbox = outbox_of(journal, [channel.url], clock)
        assert outbox.send("k", "info", "first words", "b")
        assert not outbox.send("k", "info", "other words", "b")
    with opened(path, clock) as journal:
        assert not outbox_of(journal, [channel.url], clock).send("k", "critical", "t", "b")
    assert channel.titles() == ["first words"]


def test_one_channel_down_does_not_repeat_the_message_on_the_other(path, clock, channel, make_channel):
    second = make_channel()
    channel.start()
    with opened(path, clock) as journal:
        outbox = outbox_of(journal, [second.url, channel.url], clock)
        outbox.raise_alert("k", "info", "t", "b")
        assert outbox.deliver() == (1, 1, 0)
        second.start()
        assert outbox.deliver() == (1, 0, 0)
    assert channel.titles() == second.titles() == ["t"]


def test_without_a_channel_the_alert_is_recorded_logged_and_marked_once(path, clock, channel, caplog):
    with opened(path, clock) as journal:
        outbox = outbox_of(journal, [], clock)
        outbox.send("k", "warning", "something", "b")
        assert outbox.deliver() == (0, 0, 1)
        (mark,) = journal.rows(kinds=["delivery"])
    assert mark.values == {"alert": "k", "channel": None, "result": "no channel"}
    assert "something" in caplog.text


def test_a_channel_given_later_is_told_what_comes_and_not_what_was(path, clock, channel, make_channel):
    later = make_channel()
    channel.start()
    later.start()
    with opened(path, clock) as journal:
        outbox_of(journal, [], clock).send("none", "info", "before any channel", "b")
        outbox_of(journal, [channel.url], clock).send("one", "info", "before the second", "b")
    with opened(path, clock) as journal:
        outbox = outbox_of(journal, [channel.url, later.url], clock)
        assert outbox.deliver() == (0, 0, 0)
        outbox.send("two", "info", "for both", "b")
    assert channel.titles() == ["before the second", "for both"]
    assert later.titles() == ["for both"]


def test_a_channel_is_told_the_very_alert_that_it_is_first_seen_with(path, clock, channel):
    with opened(path, clock) as journal:
        outbox_of(journal, [channel.url], clock).raise_alert("k", "critical", "t", "b")
    channel.start()
    with opened(path, clock) as journal:
        assert outbox_of(journal, [channel.url], clock).deliver() == (1, 0, 0)


def test_an_alert_that_no_channel_took_arrives_when_the_address_is_mended(path, clock, channel, make_channel):
    wrong = make_channel()  # nobody listens there
    with opened(path, clock) as journal:
        outbox = outbox_of(journal, [wrong.url], clock)
        outbox.raise_alert("k", "critical", "halted", "b")
        assert outbox.deliver() == (0, 1, 0)
    channel.start()
    with opened(path, clock) as journal:
        outbox = outbox_of(journal, [channel.url], clock)
        assert outbox.deliver() == (1, 0, 0)
        assert outbox.deliver() == (0, 0, 0)
        assert waiting_alerts(journal) == 0
    assert channel.titles() == ["halted"]


def test_a_mended_address_is_told_only_what_no_other_channel_took(path, clock, channel, make_channel):
    mended = make_channel()
    channel.start()
    mended.start()
    with opened(path, clock) as journal:
        outbox = outbox_of(journal, [channel.url], clock)
        outbox.send("taken", "critical", "taken before", "b")
        channel.answers = [500] * 3
        outbox.send("waiting", "critical", "taken by nobody", "b")
    with opened(path, clock) as journal:
        assert outbox_of(journal, [mended.url], clock).deliver() == (1, 0, 0)
    assert mended.titles() == ["taken by nobody"]


def test_a_channel_that_never_answers_is_left_alone_and_holds_nobody_up(
    path, clock, channel, make_channel, monkeypatch
):
    monkeypatch.setattr("ops.alerts.ROUND_WAIT_S", 0.2)
    silent = make_channel()
    silent.may_answer.clear()
    silent.start()
    channel.start()
    with opened(path, clock) as journal:
        outbox = outbox_of(journal, [silent.url, channel.url], clock)
        outbox.raise_alert("k", "critical", "t", "b")
        assert outbox.deliver() == (1, 1, 0)
    assert silent.asked == 1
    assert channel.titles() == ["t"]


def test_an_alert_that_a_lost_lease_keeps_out_of_the_journal_is_said_at_once(path, clock, channel, caplog):
    channel.start()
    with opened(path, clock) as older, opened(path, clock) as newer:
        assert outbox_of(older, [channel.url], clock).send("k", "critical", "halted", "taken over")
        assert list(newer.rows(kinds=["alert"])) == []
    (message,) = channel.received
    assert (message["title"], message["message"], message["type"]) == ("halted", "taken over", "failure")
    assert "halted: taken over" in caplog.text
    assert "another writer (test) took over" in caplog.text.lower()


def test_an_alert_that_a_full_disk_keeps_out_of_the_journal_is_said_at_once(path, clock, channel):
    channel.start()
    with opened(path, clock) as journal:
        fill_up(journal)
        outbox_of(journal, [channel.url], clock).send("k", "critical", "halted", "x" * 100_000)
    assert channel.titles() == ["halted"]


def test_without_journal_and_channel_an_alert_is_in_the_log_at_least(clock, caplog):
    assert Channels([], clock).send("k", "critical", "halted", "why")
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("CRITICAL", "halted: why (alert k, sent without a record)")
    ]


def test_a_channel_that_does_not_take_an_alert_said_at_once_is_named_in_the_log(clock, channel, make_channel, caplog):
    channel.start()
    channel.answers = [500] * 3
    other = make_channel()
    other.start()
    channels = Channels([channel.url, other.url], clock)
    channels.send("k", "critical", "halted", "why")
    assert other.titles() == ["halted"]
    assert f"channel {next(iter(channels))} has not taken the alert k" in caplog.text


def test_an_address_that_apprise_does_not_know_is_named_without_repeating_it_and_the_others_work(
    clock, channel, caplog
):
    channel.start()
    channels = Channels([channel.url, "telegramm://token-canary"], clock)
    with pytest.raises(SetupFailed, match=r"alerts.urls\[1\]") as refused:
        channels.refuse_unusable()
    assert "canary" not in str(refused.value)
    channels.send("k", "critical", "t", str(refused.value))
    assert channel.titles() == ["t"]
    assert "canary" not in caplog.text


def test_no_part_of_an_address_is_journaled(path, clock):
    with opened(path, clock) as journal:
        outbox = outbox_of(journal, ["json://user:canary@127.0.0.1:9/"], clock)
        outbox.raise_alert("k", "info", "t", "b")
        outbox.deliver()
    assert b"canary" not in path.read_bytes()
