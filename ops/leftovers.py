"""Files under `.slipway/` that nobody needs any longer: old logs, reports, and what killed processes left behind."""

import shutil
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

# What is still written to is not old. Journals, the build file and what Prefect keeps are not of these.
PATTERNS = ("logs/*", "reports/*", "gx/*", "spool/*", "build/unpacked-*", "drill-*", "sandbox-*", "*/.*.restoring")


class Removed(NamedTuple):
    """How much was removed."""

    files: int
    size_bytes: int


def remove_old_files(state: Path, before: datetime, patterns: Iterable[str] = PATTERNS) -> Removed:
    """Remove what matches one of `patterns` under `state` and was last written to before `before`.

    A folder goes as a whole, when all of it is older.
    """
    files = size_bytes = 0
    for path in sorted({path for pattern in patterns for path in state.glob(pattern)}):
        inside = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
        facts = [one.stat() for one in inside] or [path.stat()]
        if max(fact.st_mtime for fact in facts) >= before.timestamp():
            continue
        files += len(inside)
        size_bytes += sum(one.stat().st_size for one in inside)
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    return Removed(files, size_bytes)
