"""Where a sandbox is, on file: `sandbox.json`, or `sandbox-2.json` and so on while others run in the same checkout.

Who has such a file holds the lock beside it, `sandbox.lock`, and says in there who it is. The system frees the lock
when the process ends, however that ends: what a killed sandbox has left behind is taken over by the next.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import NamedTuple, TextIO

from trading.errors import SetupFailed

Addresses = dict[str, str]


class Place(NamedTuple):
    """The file that a sandbox has, and those that run already, each as a sentence."""

    file: Path
    others: tuple[str, ...] = ()


@contextmanager
def on_file(addresses: Addresses, first: Path) -> Iterator[Place]:
    """Have the addresses on file while the block runs: in `first`, or in the next that no other sandbox has.

    Raises SetupFailed: there can be no such file.
    """
    with ExitStack() as held:
        try:
            place = _taken(addresses, first, held)
        except OSError as error:
            raise SetupFailed(
                f"The sandbox can't write its addresses to {first}: {error.strerror}. Make room there and the folder "
                "writable, or give it another home: SLIPWAY_HOME=<another folder>."
            ) from error
        try:
            yield place
        finally:
            _remove(addresses, place.file)


def _taken(addresses: Addresses, first: Path, held: ExitStack) -> Place:
    """Write the first file that nobody has; its lock is `held` from then on."""
    first.parent.mkdir(parents=True, exist_ok=True)
    others: list[str] = []
    for number in count(1):
        file = first if number == 1 else first.with_stem(f"{first.stem}-{number}")
        with ExitStack() as looking:
            lock = looking.enter_context(_lock_of(file).open("a+", encoding="utf-8"))
            if _claimed(lock, addresses):
                _write(addresses, file)
                held.enter_context(looking.pop_all())
                return Place(file, tuple(others))
        others.append(_other(file))
    raise AssertionError("numbers don't end")


def _lock_of(file: Path) -> Path:
    return file.with_suffix(".lock")


def _claimed(lock: TextIO, addresses: Addresses) -> bool:
    """Take the lock, if nobody has it, and say in it who has it now; whether it was free."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    lock.truncate(0)
    urls = ", ".join(f"{side} {addresses[f'{side}_rest']}" for side in ("spot", "futures"))
    lock.write(f"process {os.getpid()}, {urls}, control {addresses['control']}")
    lock.flush()
    return True


def _other(file: Path) -> str:
    """Who has this file."""
    who = _lock_of(file).read_text(encoding="utf-8")
    return f"Another sandbox runs already and has {file.name}: {who}."


def _write(addresses: Addresses, file: Path) -> None:
    """Write the file at once: who reads it finds all of it."""
    draft = file.with_suffix(f".{os.getpid()}")
    draft.write_text(json.dumps(addresses, indent=2) + "\n", encoding="utf-8")
    draft.replace(file)


def _remove(addresses: Addresses, file: Path) -> None:
    """Remove the file, unless somebody else has written it since."""
    if file.exists() and json.loads(file.read_text(encoding="utf-8")) == addresses:
        file.unlink()
