"""Alerts through a durable outbox: recorded in the journal first, then sent until the channel has taken them (I38).

An alert is a row with a key; the same key again is the same alert and changes nothing. Each channel that took it adds
a delivery row, so a restart sends what is missing and only that. A kill between the channel's yes and our row repeats
one message: at least once, never not at all. A channel is told what was raised since the journal first saw it (that
first sight is a row too), and of what is older only what has no delivery row: a mended address is a new channel, and
is told what the address before it never took.

The outbox lives in the journal, so a journal that refuses takes its alerts with it. Then, and before there is a
journal at all (I55), an alert goes straight to the log and to the channels: one round, in bounded time, no record.
"""

import hashlib
import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple

from ops.journal import Entry, Journal, JournalReader, Kind, Row
from trading.errors import CheckFailed, SetupFailed, TradingHalted
from trading.ports import Clock, Severity

if TYPE_CHECKING:
    from apprise import Apprise

log = logging.getLogger(__name__)

NOTIFY_TYPES: dict[Severity, str] = {"info": "info", "warning": "warning", "critical": "failure"}  # ours to Apprise's
LOG_LEVELS: dict[Severity, int] = {"info": logging.INFO, "warning": logging.WARNING, "critical": logging.CRITICAL}

ATTEMPTS = 3  # per alert and channel, in one round
FIRST_WAIT_US = 500_000  # before the second attempt; doubled before each further one
ROUND_WAIT_S = 20.0  # for all attempts of one round; a channel that has said nothing by then is down


class Message(NamedTuple):
    """What a channel is given to say."""

    severity: Severity
    title: str
    body: str


class Delivery(NamedTuple):
    """What one call of `deliver` did, counted in alerts times channels."""

    delivered: int
    waiting: int  # stays in the outbox for the next call
    without_channel: int  # alerts recorded while no channel is configured


class Channels:
    """Where alerts go; `urls` are Apprise addresses, and secret. An `Alerts` without a memory: it sends at once."""

    def __init__(self, urls: Sequence[str], clock: Clock) -> None:
        """An address that Apprise does not understand is left out; `refuse_unusable` names it."""
        self._clock = clock
        made = {url: _channel(url) for url in urls}
        self._by_id = {_channel_id(url): channel for url, channel in made.items() if channel is not None}
        self._unusable = [number for number, url in enumerate(urls) if made[url] is None]

    def __iter__(self) -> Iterator[str]:
        """A name for each channel that gives none of its secrets away, and stays the same over restarts."""
        return iter(self._by_id)

    def refuse_unusable(self) -> None:
        """Raises SetupFailed: an address is none that Apprise understands."""
        if self._unusable:  # the address itself may hold a secret
            places = " and ".join(f"alerts.urls[{number}]" for number in self._unusable)
            raise SetupFailed(f"{places}: no address that Apprise understands. Mend it in config/, or take it out.")

    def send(self, key: str, severity: Severity, title: str, body: str) -> bool:
        """Log an alert and say it on every channel, once, without a record. Always the first of its key."""
        log.log(LOG_LEVELS[severity], "%s: %s (alert %s, sent without a record)", title, body, key)
        for channel_id in self:
            if not self.take(channel_id, Message(severity, title, body)):
                log.error("channel %s has not taken the alert %s", channel_id, key)
        return True

    def take(self, channel_id: str, message: Message) -> bool:
        """Whether the channel has taken the message, in at most `ATTEMPTS` attempts and `ROUND_WAIT_S` seconds.

        Asked in a thread of its own: a socket's timeout begins anew with every byte and a machine's clock can be set
        back, so neither bounds a wait. What arrives after we stopped waiting may arrive twice.
        """
        answers: SimpleQueue[bool] = SimpleQueue()
        channel = self._by_id[channel_id]
        threading.Thread(target=lambda: answers.put(self._is_taken(channel, message)), daemon=True).start()
        try:
            return answers.get(timeout=ROUND_WAIT_S)
        except Empty:
            log.warning("channel %s gave no answer in %g s", channel_id, ROUND_WAIT_S)
            return False

    def _is_taken(self, channel: "Apprise", message: Message) -> bool:
        for attempt in range(ATTEMPTS):
            if attempt:
                self._clock.sleep_until(self._clock.now() + FIRST_WAIT_US * 2 ** (attempt - 1))
            notify_type = NOTIFY_TYPES[message.severity]
            if bool(channel.notify(title=message.title, body=message.body, notify_type=notify_type)):
                return True
        return False


class Outbox:
    """The alerts of one journal, and the channels they go to."""

    def __init__(self, journal: Journal, channels: Channels, clock: Clock) -> None:
        self._journal = journal
        self._channels = channels
        self._clock = clock

    def send(self, key: str, severity: Severity, title: str, body: str) -> bool:
        """Record an alert and try to deliver all that wait; False if `key` was raised before.

        If the journal can't take it (another writer has it, a full disk), it goes straight to the channels.
        """
        try:
            is_new = self.raise_alert(key, severity, title, body)
            self.deliver()
        except (TradingHalted, CheckFailed) as refusal:
            log.critical("the outbox can't be used: %s", refusal)
            return self._channels.send(key, severity, title, body)
        return is_new

    def raise_alert(self, key: str, severity: Severity, title: str, body: str) -> bool:
        """Record an alert durably, without sending; False if `key` was raised before.

        Raises TradingHalted: the journal can't be written.
        """
        if self._journal.find(_alert_key(key)):
            return False
        payload = {"key": key, "severity": severity, "title": title, "body": body}
        alert = Entry(Kind.ALERT, self._clock.now(), key=_alert_key(key), payload=payload)
        self._journal.append([*self._first_sights(), alert])
        return True

    def deliver(self) -> Delivery:
        """Send what waits, oldest first; a channel that fails `ATTEMPTS` times is left alone until the next call.

        Raises TradingHalted: the journal can't be written.
        """
        if unseen := self._first_sights():
            self._journal.append(unseen)
        delivered = waiting = 0
        for channel_id in self._channels:
            due = self._due(channel_id)
            taken = self._deliver_through(channel_id, due)
            delivered += taken
            waiting += len(due) - taken
        return Delivery(delivered, waiting, 0 if [*self._channels] else self._mark_without_channel())

    def _first_sights(self) -> list[Entry]:
        """Rows for the channels that this journal has not seen yet."""
        return [
            Entry(Kind.CHANNEL, self._clock.now(), key=_channel_key(channel_id), payload={"channel": channel_id})
            for channel_id in self._channels
            if self._journal.find(_channel_key(channel_id)) is None
        ]

    def _due(self, channel_id: str) -> list[Row]:
        first_sight = self._journal.find(_channel_key(channel_id))
        assert first_sight is not None, "deliver records it"
        settled = {row.values["alert"] for row in self._journal.rows(kinds=[Kind.DELIVERY])}
        return [
            alert
            for alert in self._journal.rows(kinds=[Kind.ALERT])
            if alert.values["key"] not in settled
            or (alert.seq > first_sight.seq and not self._journal.find(_delivery_key(alert, channel_id)))
        ]

    def _deliver_through(self, channel_id: str, due: Sequence[Row]) -> int:
        for taken, alert in enumerate(due):
            if not self._channels.take(channel_id, _message(alert.values)):
                log.warning("channel %s is down; %d alerts wait in the outbox", channel_id, len(due) - taken)
                return taken
            self._record(alert, _delivery_key(alert, channel_id), {"channel": channel_id, "result": "delivered"})
        return len(due)

    def _mark_without_channel(self) -> int:
        alerts = list(self._journal.rows(kinds=[Kind.ALERT]))
        for alert in alerts:
            if not self._journal.find(_delivery_key(alert, "none")):
                log.warning("no alert channel is configured; recorded only: %s", alert.values["title"])
                self._record(alert, _delivery_key(alert, "none"), {"channel": None, "result": "no channel"})
        return len(alerts)

    def _record(self, alert: Row, key: str, payload: dict[str, object]) -> None:
        entry = Entry(Kind.DELIVERY, self._clock.now(), key=key, payload={"alert": alert.values["key"], **payload})
        self._journal.append([entry])


def waiting_alerts(journal: JournalReader) -> int:
    """How many alerts no channel has taken yet."""
    return len(untaken(journal))


def untaken(journal: JournalReader) -> set[str]:
    """Their keys."""
    taken = {row.values["alert"] for row in journal.rows(kinds=[Kind.DELIVERY]) if row.values["channel"]}
    return {row.values["key"] for row in journal.rows(kinds=[Kind.ALERT])} - taken


def _channel(url: str) -> "Apprise | None":
    from apprise import Apprise  # 0.4 s, and only those who have a channel pay it

    logging.getLogger("apprise").disabled = True  # it logs whole addresses, secrets included (I39); failures we log
    channel = Apprise()
    return channel if channel.add(url) else None


def _message(values: Mapping[str, Any]) -> Message:
    return Message(values["severity"], values["title"], values["body"])


def _channel_id(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()[:12]


def _channel_key(channel_id: str) -> str:
    return f"channel:{channel_id}"


def _alert_key(key: str) -> str:
    return f"alert:{key}"


def _delivery_key(alert: Row, channel_id: str) -> str:
    return f"delivery:{channel_id}:{alert.values['key']}"
