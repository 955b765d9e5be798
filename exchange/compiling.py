"""Machine code of the rules, kept between runs, never stale.

numba's own cache looks only at the file of the function it compiles, not at the files of the functions called from
there: after a change of a rule it would go on with the old one. So each state of the sources has a folder of its own.
"""

import hashlib
import platform
from collections.abc import Callable
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
    numba.config.CACHE_DIR = str(cache / sources_hash(numba.__version__))
    try:
        return numba.njit(cache=True)(function)  # type: ignore[no-any-return]
    finally:
        numba.config.CACHE_DIR = before


def sources_hash(compiler_version: str) -> str:
    """Name for one state of all that becomes machine code: sources, compiler, machine."""
    parts = [compiler_version, platform.python_version(), platform.machine()]
    files = sorted([*(ROOT / "trading").rglob("*.py"), *(ROOT / "exchange").glob("*.py")])
    digest = hashlib.sha256("|".join(parts).encode())
    for file in files:
        digest.update(str(file.relative_to(ROOT)).encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
