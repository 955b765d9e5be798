"""Alerts through a durable outbox: recorded in the journal first, then sent until the channel has taken them (I38).

An alert is a row with a key; the same key again is the same alert and changes nothing. Each channel that took it adds
a delivery row, so a restart sends what is missing and only that. A kill between the channel's yes and our row repeats
one message: at least once, never not at all.
"""

import hashlib
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ops.journal import Entry, Journal, JournalReader, Kind, Row
from trading.errors import SetupFailed
from trading.ports import Clock, Severity

if TYPE_CHECKING:
    from apprise import Apprise

log = logging.getLogger(__name__)

NOTIFY_TYPES: dict[Severity, str] = {"info": "info", "warning": "warning", "critical": "failure"}  # ours to Apprise's

ATTEMPTS = 3  # per alert and channel, in one call of `deliver`
FIRST_WAIT_US = 500_000  # before the second attempt; doubled before each further one


class Delivery(NamedTuple):
    """What one call of `deliver` did, counted in alerts times channels."""

    delivered: int
    waiting: int  # stays in the outbox for the next call
    without_channel: int  # alerts recorded while no channel is configured


class Outbox:
    """The alerts of one journal and the channels they go to; `urls` are Apprise addresses, and secret."""

    def __init__(self, journal: Journal, urls: Sequence[str], clock: Clock) -> None:
        """Raises SetupFailed: an address is none that Apprise understands."""
        self._journal = journal
        self._clock = clock
        self._channels = {_channel_id(url): _channel(url, number) for number, url in enumerate(urls)}

    def send(self, key: str, severity: Severity, title: str, body: str) -> bool:
        """Record an alert and try to deliver all that wait; False if `key` was raised before."""
        is_new = self.raise_alert(key, severity, title, body)
        self.deliver()
        return is_new

    def raise_alert(self, key: str, severity: Severity, title: str, body: str) -> bool:
        """Record an alert durably, without sending; False if `key` was raised before.

        Raises TradingHalted: the journal can't be written.
        """
        if self._journal.find(_alert_key(key)):
            return False
        payload = {"key": key, "severity": severity, "title": title, "body": body}
        self._journal.append([Entry(Kind.ALERT, self._clock.now(), key=_alert_key(key), payload=payload)])
        return True

    def deliver(self) -> Delivery:
        """Send what waits, oldest first; a channel that fails `ATTEMPTS` times is left alone until the next call.

        Raises TradingHalted: the journal can't be written.
        """
        alerts = list(self._journal.rows(kinds=[Kind.ALERT]))
        if not self._channels:
            return self._mark_without_channel(alerts)
        delivered = waiting = 0
        for channel_id, channel in self._channels.items():
            due = [alert for alert in alerts if not self._journal.find(_delivery_key(alert, channel_id))]
            taken = self._deliver_through(channel_id, channel, due)
            delivered += taken
            waiting += len(due) - taken
        return Delivery(delivered, waiting, 0)

    def _deliver_through(self, channel_id: str, channel: "Apprise", due: Sequence[Row]) -> int:
        for taken, alert in enumerate(due):
            if not self._is_taken(channel, alert):
                log.warning("channel %s is down; %d alerts wait in the outbox", channel_id, len(due) - taken)
                return taken
            self._record(alert, _delivery_key(alert, channel_id), {"channel": channel_id, "result": "delivered"})
        return len(due)

    def _is_taken(self, channel: "Apprise", alert: Row) -> bool:
        message = alert.values
        for attempt in range(ATTEMPTS):
            if attempt:
                self._clock.sleep_until(self._clock.now() + FIRST_WAIT_US * 2 ** (attempt - 1))
            notify_type = NOTIFY_TYPES[message["severity"]]
            if bool(channel.notify(title=message["title"], body=message["body"], notify_type=notify_type)):
                return True
        return False

    def _mark_without_channel(self, alerts: Sequence[Row]) -> Delivery:
        for alert in alerts:
            if not self._journal.find(_delivery_key(alert, "none")):
                log.warning("no alert channel is configured; recorded only: %s", alert.values["title"])
                self._record(alert, _delivery_key(alert, "none"), {"channel": None, "result": "no channel"})
        return Delivery(0, 0, len(alerts))

    def _record(self, alert: Row, key: str, payload: dict[str, object]) -> None:
        entry = Entry(Kind.DELIVERY, self._clock.now(), key=key, payload={"alert": alert.values["key"], **payload})
        self._journal.append([entry])


def waiting_alerts(journal: JournalReader) -> int:
    """Alerts that no channel has taken yet."""
    taken = {row.values["alert"] for row in journal.rows(kinds=[Kind.DELIVERY]) if row.values["channel"]}
    return sum(row.values["key"] not in taken for row in journal.rows(kinds=[Kind.ALERT]))


def _channel(url: str, number: int) -> "Apprise":
    from apprise import Apprise  # 0.4 s, and only those who have a channel pay it

    logging.getLogger("apprise").disabled = True  # it logs whole addresses, secrets included (I39); failures we log
    channel = Apprise()
    if not channel.add(url):
        raise SetupFailed(f"alerts.urls[{number}] is not an address that Apprise understands.")  # it may hold a secret
    return channel


def _channel_id(url: str) -> str:
    """A name for a channel that gives none of its secrets away, and stays the same over restarts."""
    return hashlib.sha256(url.encode()).hexdigest()[:12]


def _alert_key(key: str) -> str:
    return f"alert:{key}"


def _delivery_key(alert: Row, channel_id: str) -> str:
    return f"delivery:{channel_id}:{alert.values['key']}"
