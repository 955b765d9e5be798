"""Alerts of flows that have no session: each kind of flow has a journal, and so an outbox, of its own."""

import hashlib
import os
from datetime import date
from typing import NamedTuple

from config.settings import Settings
from ops.alerts import LOG_LEVELS, Channels, Outbox
from ops.clock import SystemClock
from ops.journal import Journal, Kind
from tasks.startup import sentence_of, settings_or_alert, told, was_told
from trading.ports import Severity


class FailedRun(NamedTuple):
    """A run of a flow that has ended for good, and badly."""

    flow: str
    name: str
    day: date  # UTC, on which it ended
    message: str  # of its last state
    error: BaseException | None  # None: it ended without one, or in a process that is gone
    is_killed: bool

    @property
    def key(self) -> str:
        """The same for runs that end by one cause on one day: numbers, times and names of files differ, words don't."""
        words = [word for word in self.said.partition("\n")[0].split() if not any(map(str.isdigit, word))]
        cause = hashlib.sha256(" ".join(words).encode()).hexdigest()[:12]
        return f"flow-failed:{self.flow}:{self.day}:{self._what}:{cause}"

    @property
    def title(self) -> str:
        return f"{self.flow} {'was killed' if self.is_killed else 'failed'}"

    @property
    def said(self) -> str:
        """Why it ended, in its own words."""
        return sentence_of(self.error) if self.error else self.message or "It did not say why."

    @property
    def advice(self) -> str:
        """What a person can do."""
        mend = "See that the machine has memory and room" if self.is_killed else "Mend what is named above"
        return (
            f"{mend}; then start {self.flow} again, or let its schedule do it: what the run had done stays, and is not "
            f"done twice. Its log is in Prefect's UI, run {self.name}; `slipway status` says where. The same cause is "
            "told again tomorrow, if it lasts."
        )

    @property
    def _what(self) -> str:
        return type(self.error).__name__ if self.error else "killed" if self.is_killed else "failed"


def alert(settings: Settings, flow: str, *, key: str, severity: Severity, title: str, body: str) -> None:
    """Record an alert in the journal of this kind of flow, and send it.

    The same key again says nothing new, unless it has become graver meanwhile: then once more. Without a journal it
    goes to the channels at once.

    Raises:
        SetupFailed: the journal can't be opened, or another run of the same flow holds it; that was told instead.
        CheckFailed: the journal is damaged; the same.
    """
    clock = SystemClock()
    channels = Channels(settings.alerts.urls, clock)
    file, holder = settings.paths.journals / f"{flow}.sqlite", f"{flow}, process {os.getpid()}"
    with told(channels, key, title):  # without a journal there is no outbox
        journal = Journal(file, holder=holder, clock=clock)
    with journal:
        with told(channels, key, title):  # nor when it is damaged inside
            key = _key_of(journal, key, severity)
        Outbox(journal, channels, clock).send(key, severity, title, body)


def alert_failed_run(profile: str, failed: FailedRun, severity: Severity) -> None:
    """Tell of a run that failed or was killed, once a day for each cause; nothing, if an alert said it before.

    Without settings it goes to the channels that can be read, each time: there is no journal that would remember.

    Raises:
        SetupFailed: the settings can't be used, or the journal can't be opened; that was told instead.
    """
    if was_told(failed.error):
        return
    settings = settings_or_alert(profile, failed.key, failed.title)
    body = f"{failed.said}\n{failed.advice}"
    alert(settings, failed.flow, key=failed.key, severity=severity, title=failed.title, body=body)


def _key_of(journal: Journal, key: str, severity: Severity) -> str:
    """The key itself; another one, if all that it raised before was less grave."""
    graver = f"{key}:{severity}"
    before = [row.values["severity"] for row in journal.rows(kinds=[Kind.ALERT]) if row.values["key"] in (key, graver)]
    return graver if before and max(LOG_LEVELS[each] for each in before) < LOG_LEVELS[severity] else key
