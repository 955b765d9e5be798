"""An alert is on disk before it is sent, and sent until a channel has taken it (I38)."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from ops.alerts import Outbox
from ops.clock import SteppedClock
from ops.journal import Journal
from trading.errors import SetupFailed


class Channel:
    """A real HTTP server on loopback that takes Apprise's json:// posts; `start` and `stop` are up and down."""

    def __init__(self) -> None:
        self.received: list[dict[str, str]] = []
        self.answers: list[int] = []  # status codes to give before 200
        self.asked = 0
        probe = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
        self.port = probe.server_port
        probe.server_close()
        self.url = f"json://127.0.0.1:{self.port}/alerts"
        self.server: HTTPServer | None = None

    def start(self) -> None:
        channel = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                channel.asked += 1
                status = channel.answers.pop(0) if channel.answers else 200
                if status == 200:
                    channel.received.append(message)
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", self.port), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def stop(self) -> None:
        if self.server:
            self.server.shutdown()
            self.thread.join()
            self.server.server_close()
            self.server = None

    def titles(self) -> list[str]:
        return [message["title"] for message in self.received]


@pytest.fixture
def channel():
    made = Channel()
    yield made
    made.stop()


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock(1_000)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


def opened(path: Path, clock: SteppedClock) -> Journal:
    return Journal(path, holder="test", clock=clock)


def test_an_alert_reaches_the_channel_with_its_severity_and_is_recorded(path, clock, channel):
    channel.start()
    with opened(path, clock) as journal:
        outbox = Outbox(journal, [channel.url], clock)
        assert outbox.send("ended", "critical", "Session ended", "12 trades")
        kinds = [row.kind for row in journal.rows()]
    assert kinds == ["lease", "alert", "delivery"]
    (message,) = channel.received
    assert (message["title"], message["message"], message["type"]) == ("Session ended", "12 trades", "failure")


def test_an_alert_raised_while_the_channel_is_down_arrives_after_a_restart(path, clock, channel):
    with opened(path, clock) as journal:
        outbox = Outbox(journal, [channel.url], clock)
        outbox.raise_alert("one", "info", "first", "body")
        outbox.raise_alert("two", "info", "second", "body")
        assert outbox.deliver() == (0, 2, 0)
    channel.start()
    with opened(path, clock) as journal:
        outbox = Outbox(journal, [channel.url], clock)
        assert outbox.deliver() == (2, 0, 0)
        assert outbox.deliver() == (0, 0, 0)
    assert channel.titles() == ["first", "second"]


def test_a_channel_that_fails_for_a_moment_is_tried_again_after_longer_and_longer_waits(path, clock, channel):
    channel.start()
    channel.answers = [500, 503]
    with opened(path, clock) as journal:
        assert Outbox(journal, [channel.url], clock).send("k", "info", "t", "b")
    assert channel.titles() == ["t"]
    assert clock.now() == 1_000 + 500_000 + 1_000_000


def test_tries_a_failing_channel_only_so_often_in_one_call(path, clock, channel):
    channel.start()
    channel.answers = [500] * 50
    with opened(path, clock) as journal:
        outbox = Outbox(journal, [channel.url], clock)
        for number in range(5):
            outbox.raise_alert(f"k{number}", "info", "t", "b")
        assert outbox.deliver() == (0, 5, 0)
    assert channel.asked == 3


def test_the_same_key_is_one_alert_however_often_it_is_raised(path, clock, channel):
    channel.start()
    with opened(path, clock) as journal:
        outbox = Outbox(journal, [channel.url], clock)
        assert outbox.send("k", "info", "first words", "b")
        assert not outbox.send("k", "info", "other words", "b")
    with opened(path, clock) as journal:
        assert not Outbox(journal, [channel.url], clock).send("k", "critical", "t", "b")
    assert channel.titles() == ["first words"]


def test_one_channel_down_does_not_repeat_the_message_on_the_other(path, clock, channel):
    second = Channel()
    channel.start()
    with opened(path, clock) as journal:
        outbox = Outbox(journal, [second.url, channel.url], clock)
        outbox.raise_alert("k", "info", "t", "b")
        assert outbox.deliver() == (1, 1, 0)
        second.start()
        assert outbox.deliver() == (1, 0, 0)
    second.stop()
    assert channel.titles() == second.titles() == ["t"]


def test_without_a_channel_the_alert_is_recorded_logged_and_marked_once(path, clock, channel, caplog):
    with opened(path, clock) as journal:
        outbox = Outbox(journal, [], clock)
        outbox.send("k", "warning", "something", "b")
        assert outbox.deliver() == (0, 0, 1)
        (mark,) = journal.rows(kinds=["delivery"])
    assert mark.values == {"alert": "k", "channel": None, "result": "no channel"}
    assert "something" in caplog.text
    channel.start()
    with opened(path, clock) as journal:
        assert Outbox(journal, [channel.url], clock).deliver() == (1, 0, 0)  # a channel given later gets it
    assert channel.titles() == ["something"]


def test_an_address_that_apprise_does_not_know_is_refused_without_repeating_it(path, clock, caplog):
    with opened(path, clock) as journal, pytest.raises(SetupFailed, match=r"alerts.urls\[1\]") as refused:
        Outbox(journal, ["json://127.0.0.1", "telegramm://token-canary"], clock)
    assert "canary" not in str(refused.value)
    assert "canary" not in caplog.text


def test_no_part_of_an_address_is_journaled(path, clock):
    with opened(path, clock) as journal:
        outbox = Outbox(journal, ["json://user:canary@127.0.0.1:9/"], clock)
        outbox.raise_alert("k", "info", "t", "b")
        outbox.deliver()
    assert b"canary" not in path.read_bytes()
