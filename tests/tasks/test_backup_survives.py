"""Killed, or on a full disk: of a backup there is all or nothing, and of a restore each file is the old or the new."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from config.settings import Settings, load_settings
from ops.backups.folders import backups
from ops.backups.manifest import read_manifest, refuse_altered
from ops.clock import SteppedClock
from ops.journal import Entry, Journal, JournalReader, Kind
from tasks.upkeep.backups import back_up
from tasks.upkeep.restores import rehearse_restore, restore
from warehouse.connection import unit_of_work

# Starts a backup, or the restore of the folder that is named, in a child of its own for every line it reads, and says
# which process that is. It is not waited for before the next line: until then nobody else can get its number.
STARTER = """
import os, sys
from pathlib import Path
from config.settings import load_settings
from tasks.provenance import code_version
from tasks.upkeep.backups import back_up
from tasks.upkeep.restores import restore
settings = load_settings()
settings = settings.model_copy(update={"lifecycle": settings.lifecycle.model_copy(update={"backup_days": 1000})})
code_version()
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        restore(settings, Path(line.strip()), is_forced=True) if line.strip() else back_up(settings)
        os._exit(0)
    print(child, flush=True)
    sys.stdin.readline()
    os.waitpid(child, 0)
    print("ended", flush=True)
"""
ON_A_FULL_DISK = """
import resource, sys
from config.settings import load_settings
from tasks.upkeep.backups import back_up
from trading.errors import SetupFailed
settings = load_settings()
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
try:
    back_up(settings)
except SetupFailed as error:
    print(error)
"""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Of an empty home."""
    monkeypatch.setenv("SLIPWAY_HOME", str(tmp_path))
    return load_settings()


def filled(settings: Settings, rows: int) -> None:
    """A warehouse of some megabytes, and a journal."""
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
        warehouse.execute("create or replace table marts.many as select hash(n) as value from range(?) as t(n)", [rows])
    with Journal(settings.paths.journals / "paper-1.sqlite", holder="test", clock=SteppedClock(1_000)) as journal:
        journal.append(Entry(Kind.EVENT, at, "BTC/USD", f"event-{at}", {"at": at}) for at in range(2_000))


class Starter:
    """Starts backups, and restores of a folder, in processes of their own."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", STARTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def start(self, folder: Path | str = "") -> int:
        return int(self._answer(str(folder)))

    def wait(self) -> None:
        assert self._answer() == "ended\n"

    def _answer(self, line: str = "") -> str:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()


@pytest.fixture
def starter(settings: Settings) -> Iterator[Starter]:
    assert settings.paths.state.parent.exists()
    starter = Starter()
    yield starter
    starter.process.communicate()


def set_aside(settings: Settings) -> list[Path]:
    """All backups, each of a day of its own in the past: they are named by the second, and one of a day is kept."""
    for number, folder in enumerate(backups(settings.paths.backups), 1):
        folder.rename(folder.with_name(f"202001{number:02}T000000Z"))
    return backups(settings.paths.backups)


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.deep)])
def test_a_killed_backup_is_a_whole_one_or_none_and_the_old_ones_stay(
    settings: Settings, starter: Starter, kills: int
) -> None:
    filled(settings, 1_000_000)
    began = time.monotonic()
    starter.start()
    starter.wait()
    whole = time.monotonic() - began
    chance = random.Random(7)
    for _ in range(kills):
        before = set_aside(settings)
        child = starter.start()
        time.sleep(chance.uniform(0, whole))
        os.kill(child, signal.SIGKILL)
        starter.wait()
        found = backups(settings.paths.backups)
        assert found[: len(before)] == before
        for folder in found:
            refuse_altered(folder, read_manifest(folder))
    set_aside(settings)
    back_up(settings)
    assert not list(settings.paths.backups.glob(".*.part"))
    assert rehearse_restore(settings).rows == 2_001


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.deep)])
def test_a_killed_restore_leaves_each_file_old_or_new_and_is_started_again(
    settings: Settings, starter: Starter, kills: int
) -> None:
    filled(settings, 200_000)
    folder, new = back_up(settings).folder, rows(settings)
    filled(settings, 300_000)
    began = time.monotonic()
    starter.start(folder)
    starter.wait()
    whole = time.monotonic() - began
    assert rows(settings) == new
    chance = random.Random(13)
    for _ in range(kills):
        filled(settings, 300_000)
        old = rows(settings)
        child = starter.start(folder)
        time.sleep(chance.uniform(0, whole))
        os.kill(child, signal.SIGKILL)
        starter.wait()
        found = rows(settings)
        assert all(now in (before, after) for now, before, after in zip(found, old, new, strict=True))
        restore(settings, folder, is_forced=True)
        assert rows(settings) == new
    assert not list(settings.paths.state.glob("*/.*.restoring"))


def rows(settings: Settings) -> tuple[int | None, int | None]:
    """Of the warehouse's table and of the journal, whose chain holds; None where there is no file."""
    table = journal = None
    if settings.paths.build.exists():
        with duckdb.connect(str(settings.paths.build), read_only=True) as warehouse:
            (table,) = warehouse.execute("select count(*) from marts.many").fetchone() or (None,)
    if (path := settings.paths.journals / "paper-1.sqlite").exists():
        with JournalReader(path) as reader:
            verdict = reader.verify()
        assert verdict.broken_at is None
        journal = verdict.head.seq
    return table, journal


@pytest.mark.parametrize("limit", ["of the warehouse", "of the journal"])
def test_a_full_disk_leaves_no_half_backup(settings: Settings, limit: str) -> None:
    """The process may write no file larger than a part of the one in question."""
    filled(settings, 1_000_000 if limit == "of the warehouse" else 1)
    if limit == "of the journal":
        settings.paths.build.unlink()
    back_up(settings)
    before = backups(settings.paths.backups)
    size = 3_000_000 if limit == "of the warehouse" else 100_000
    done = subprocess.run(
        [sys.executable, "-c", ON_A_FULL_DISK, str(size)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert str(settings.paths.backups) in done.stdout
    assert backups(settings.paths.backups) == before
    assert not [path for path in Path(settings.paths.backups).glob(".*") if path.name != ".lock"]
