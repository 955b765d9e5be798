"""Machine code of the rules, kept between runs, never stale.

numba's own cache looks only at the file of the function it compiles, not at the files of the functions called from
there: after a change of a rule it would go on with the old one. So each state of the sources has a folder of its own.
"""

import fcntl
import hashlib
import os
import platform
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

from trading.compiled import teach_numba

F = TypeVar("F", bound=Callable[..., Any])
ROOT = Path(__file__).resolve().parent.parent


def compiled(function: F, cache: Path | None) -> F:
    """`function` as machine code, made at its first call and kept in a folder under `cache` (None: not kept)."""
    import numba

    teach_numba()
    if cache is None:
        return numba.njit(function)  # type: ignore[no-any-return]
    before = numba.config.CACHE_DIR
    folder = cache / machine_code_name(numba.__version__)
    numba.config.CACHE_DIR = str(folder)
    try:
        machine: F = numba.njit(cache=True)(function)
        return _alone_at_first(machine, folder / f"{function.__name__}.lock")
    finally:
        numba.config.CACHE_DIR = before


def _alone_at_first(machine: F, lock: Path) -> F:
    """`machine`, whose first call waits for that of other processes: who comes second loads what the first has made.

    Two runs of one chain would compile the same for half a minute each, and both on the processors that both need.
    """
    called: list[bool] = []

    @wraps(machine)
    def call(*given: Any) -> Any:
        if called:
            return machine(*given)
        lock.parent.mkdir(parents=True, exist_ok=True)
        with lock.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # the kernel drops it when its holder dies
            answer = machine(*given)
        called.append(True)
        return answer

    return call  # type: ignore[return-value]  # it takes and gives what `machine` does


def compiled_when_called(function: F, cache: Path | None) -> F:
    """As `compiled`, but who never calls it does not wait for the compiler."""
    made: list[F] = []

    @wraps(function)
    def call(*given: Any) -> Any:
        if not made:
            made.append(compiled(function, cache))
        return made[0](*given)

    return call  # type: ignore[return-value]  # it takes and gives what `function` does


def machine_code_in(state: Path) -> Path:
    """Where to keep it: with the checkout that it is made of, whoever's data it runs on; else under `state`."""
    return ROOT / ".slipway" / "compiled" if os.access(ROOT, os.W_OK) else state / "compiled"


def machine_code_name(compiler_version: str) -> str:
    """Name for one state of all that machine code is made of: sources, compiler, machine."""
    parts = [sources_hash(), compiler_version, platform.python_version(), platform.machine()]
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:16]


def sources_hash() -> str:
    """Name for one state of the engine: its rules, its matching, its measures. The same on every machine."""
    digest = hashlib.sha256()
    for file in sorted([*(ROOT / "trading").rglob("*.py"), *(ROOT / "exchange").glob("*.py")]):
        digest.update(file.relative_to(ROOT).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()
