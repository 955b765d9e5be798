"""`slipway alerts`: what was told, or waits for a channel that takes it, newest first; from the journals themselves."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ops.alerts import untaken
from ops.clock import as_datetime
from ops.journal import JournalReader, Kind
from trading.errors import CheckFailed, SetupFailed

SHOWN = 20


class Alert(NamedTuple):
    """One alert, as its journal has it."""

    at: int  # µs
    severity: str
    journal: str
    title: str
    body: str
    is_waiting: bool  # no channel has taken it yet


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    alerts = commands.add_parser("alerts", help="show what was alerted, newest first")
    alerts.add_argument("-n", type=int, default=SHOWN, dest="number", help=f"how many; default: {SHOWN}")
    alerts.set_defaults(command=_alerts)


def _alerts(chosen: argparse.Namespace) -> int:
    from config.settings import load_settings

    found: list[Alert] = []
    unread: list[str] = []
    for path in sorted(load_settings(chosen.profile).paths.journals.glob("*.sqlite")):
        try:
            found += _of(path)
        except (CheckFailed, SetupFailed) as error:  # that one, and no other
            unread.append(str(error))
    newest = sorted(found, reverse=True)[: max(0, chosen.number)]
    print("\n".join(map(_text, newest)) if found else "There is no alert.")
    if len(newest) < len(found):
        print(f"… and {len(found) - len(newest):,} older ones; -n shows more.")
    for sentence in unread:
        print(f"slipway: {sentence}", file=sys.stderr)
    return 1 if unread else 0


def _of(path: Path) -> Iterator[Alert]:
    with JournalReader(path) as journal:
        waiting = untaken(journal)
        for row in journal.rows(kinds=[Kind.ALERT]):
            told = row.values
            is_waiting = told["key"] in waiting
            yield Alert(row.at, told["severity"], path.stem, told["title"], told["body"], is_waiting)


def _text(alert: Alert) -> str:
    body = "".join(f"\n    {line}" for line in alert.body.splitlines())
    waits = "  (waits for a channel: alerts.urls)" if alert.is_waiting else ""
    moment = f"{as_datetime(alert.at):%Y-%m-%d %H:%M} UTC"
    return f"{moment}  {alert.severity:8}  {alert.journal}: {alert.title}{waits}{body}"
