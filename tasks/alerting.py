"""Alerts of flows that have no session: each kind of flow has a journal, and so an outbox, of its own."""

import os

from config.settings import Settings
from ops.alerts import Channels, Outbox
from ops.clock import SystemClock
from ops.journal import Journal
from tasks.startup import told
from trading.ports import Severity


def alert(settings: Settings, flow: str, *, key: str, severity: Severity, title: str, body: str) -> None:
    """Record an alert in the journal of this kind of flow, and send it; the same key again says nothing new.

    Without a journal it goes to the channels at once.

    Raises:
        SetupFailed: the journal can't be opened, or another run of the same flow holds it.
    """
    clock = SystemClock()
    channels = Channels(settings.alerts.urls, clock)
    file, holder = settings.paths.journals / f"{flow}.sqlite", f"{flow}, process {os.getpid()}"
    with told(channels, key, title):  # without a journal there is no outbox
        journal = Journal(file, holder=holder, clock=clock)
    with journal:
        Outbox(journal, channels, clock).send(key, severity, title, body)
