"""Kill -9 a real writer at random moments: what it acknowledged is there, and the chain holds."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ops.journal import JournalReader

# Appends an event with its two intents per transaction, and says the event's number once the journal has it.
WRITER = """
import sys
from pathlib import Path
from ops.clock import SystemClock
from ops.journal import Entry, Journal, Kind

with Journal(Path(sys.argv[1]), holder="victim", clock=SystemClock()) as journal:
    number = sum(1 for _ in journal.rows(kinds=["event"]))
    while True:
        event = Entry(Kind.EVENT, number, "BTC/USD", f"candle-{number}", {"close": number})
        intents = [Entry(Kind.INTENT, number, "BTC/USD", f"slw-{number}-{role}") for role in (1, 2)]
        journal.append([event, *intents])
        print(number, flush=True)
        number += 1
"""


def killed_after(path: Path, seconds: float) -> int:
    """Start the writer, kill it `seconds` after its first acknowledgement; the last event it acknowledged."""
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    first = writer.stdout.readline()
    time.sleep(seconds)
    writer.kill()
    rest = writer.stdout.read().split("\n")[:-1]  # a line cut by the kill is no acknowledgement
    writer.wait()
    return int(rest[-1] if rest else first)


def assert_nothing_acknowledged_is_lost(path: Path, kills: int) -> None:
    chance = random.Random(7)
    for _ in range(kills):
        acknowledged = killed_after(path, chance.uniform(0, 0.1))
        with JournalReader(path) as reader:
            verdict = reader.verify()
            assert (verdict.broken_at, verdict.reason) == (None, "")
            events = [row.at for row in reader.rows(kinds=["event"])]
            intents = [row.at for row in reader.rows(kinds=["intent"])]
        assert events == list(range(len(events)))
        assert len(events) - 1 in (acknowledged, acknowledged + 1)  # a commit may have outrun its acknowledgement
        assert intents == [event for event in events for _ in range(2)]  # never an event without its intents


def test_loses_nothing_acknowledged_when_killed(tmp_path):
    assert_nothing_acknowledged_is_lost(tmp_path / "journal.sqlite", kills=3)


@pytest.mark.deep
def test_loses_nothing_acknowledged_when_killed_many_times(tmp_path):
    assert_nothing_acknowledged_is_lost(tmp_path / "journal.sqlite", kills=40)
