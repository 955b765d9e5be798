"""What a result depends on, as hashes: the same inputs give the same name, another input another."""

import functools
import hashlib
import importlib.metadata
import json
import subprocess
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from config.settings import ROOT, Settings
from exchange.compiling import sources_hash

TRADED = {"instruments", "costs", "risk", "strategy"}  # settings that change a decision; paths and alerts don't
# Limits that earlier versions did not have: while they are off, what was decided before has the same name.
ADDED_LIMITS = {
    "break_even_after_target", "trailing_stop_r", "max_holding_minutes", "max_leverage_percent", "max_side_percent",
    "max_bucket_positions", "max_losses_in_a_row", "loss_pause_minutes", "entry_limit_minutes",
}  # fmt: skip
ROWS_ARE_MADE_BY = ("tasks/backtests.py", "tasks/results.py")  # of what the engine counted


def settings_hash(settings: Settings) -> str:
    """Hash of all settings that can change a decision."""
    off: dict[str, set[str] | dict[str, set[str]]] = {
        "risk": {name for name in ADDED_LIMITS if not getattr(settings.risk, name)},
        "instruments": {name: {"bucket"} for name, each in settings.instruments.items() if not each.bucket},
    }
    return text_hash(json.dumps(settings.model_dump(mode="json", include=TRADED, exclude=off), sort_keys=True))


def text_hash(*texts: str) -> str:
    """SHA-256 over texts, each with its length, so that no two lists of texts share a hash."""
    digest = hashlib.sha256()
    for text in texts:
        content = text.encode()
        digest.update(b"%d:" % len(content) + content)
    return digest.hexdigest()


def table_hash(tables: Iterable[NDArray[np.int64]]) -> str:
    """SHA-256 over tables of numbers, shapes included."""
    digest = hashlib.sha256()
    for table in tables:
        digest.update(repr(table.shape).encode())
        digest.update(np.ascontiguousarray(table, dtype="<i8").data)
    return digest.hexdigest()


@functools.cache
def engine_hash() -> str:
    """Hash of all code between a market's numbers and a run's rows, committed or not.

    Read once per process: what runs is what was loaded, whatever happens to the checkout meanwhile.
    """
    return text_hash(sources_hash(), *((ROOT / name).read_text(encoding="utf-8") for name in ROWS_ARE_MADE_BY))


@functools.cache
def code_version() -> str:
    """The checkout's commit, `-dirty` if it differs from it; without git or a commit, the package's version.

    A label for people: all that differs from a commit has the same one. What names a result is `engine_hash`.
    Read once per process: what runs is what was loaded, whatever happens to the checkout meanwhile.
    """
    described = (
        _git("describe", "--always", "--abbrev=12", "--exclude=*", "--dirty") if (ROOT / ".git").exists() else ""
    )
    return described or importlib.metadata.version("slipway")


def _git(*arguments: str) -> str:
    try:
        answer = subprocess.run(
            ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""  # no git on this machine, or a checkout on a disk that hangs: the version is what we have
    return answer.stdout.strip() if answer.returncode == 0 else ""
