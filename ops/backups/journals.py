"""The journals' way into a backup and out of it. Nothing that a journal holds is ever lost to an older copy of it."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from ops.backups.manifest import JOURNALS, JournalFile, digest_of
from ops.journal import Head, JournalReader
from trading.errors import CheckFailed, InputUnusable, SetupFailed, WarehouseBusy


class JournalsCopied(NamedTuple):
    """What became of a folder of journals."""

    journals: tuple[JournalFile, ...]
    left_out: tuple[str, ...]  # a sentence for each file that is damaged, or no journal


def copy_journals(folder: Path, backup: Path) -> JournalsCopied:
    """Copy every journal in `folder` into `backup`, each as of one moment, and walk the chain of each copy.

    A journal that is damaged keeps no other from being copied.

    Raises:
        SetupFailed: a copy can't be written.
    """
    (backup / JOURNALS).mkdir()
    copied, left_out = [], []
    for path in sorted(folder.glob("*.sqlite")):
        name = f"{JOURNALS}/{path.name}"
        try:
            head = _copied(path, backup / name)
        except CheckFailed as error:
            (backup / name).unlink(missing_ok=True)
            left_out.append(f"{path.name} is left out of the backup: {error}")
        else:
            size_bytes, sha256 = (backup / name).stat().st_size, digest_of(backup / name)
            copied.append(JournalFile(name=name, size_bytes=size_bytes, sha256=sha256, seq=head.seq, hash=head.hash))
    return JournalsCopied(tuple(copied), tuple(left_out))


def journals_to_restore(
    backup: Path, journals: Iterable[JournalFile], folder: Path, *, is_forced: bool
) -> tuple[JournalFile, ...]:
    """Those journals of a backup that `folder` does not hold just so.

    Raises:
        InputUnusable: without `is_forced`, when a present journal holds what the backup's does not: more rows, another
            chain, or something that can't be read.
        WarehouseBusy: somebody has one of them open, a session, say.
    """
    different = [journal for journal in journals if not _is_same(journal.place(folder), journal)]
    objections = [
        f"{present} {objection}"
        for journal in different
        if (present := journal.place(folder)).exists()
        and (objection := _objection(present, backup / journal.name, journal))
    ]
    if objections and not is_forced:
        raise InputUnusable(
            f"Nothing was restored: {'; '.join(objections)}. `--only warehouse` leaves the journals alone; `--force` "
            "puts those of the backup in their place, and keeps the present ones beside them."
        )
    return tuple(different)


def refuse_held(path: Path) -> None:
    """Raise WarehouseBusy when a process has the journal open; one that was killed has not."""
    if not path.exists():
        return
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=0)) as probe:
        try:
            # A WAL file's locks are shared by all who have it open; nobody can get this one beside them.
            probe.execute("pragma locking_mode = exclusive")
            probe.execute("begin exclusive")
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                raise WarehouseBusy(
                    f"A session, or a reader, has {path} open. End it (`make stop` ends what Prefect runs), then "
                    "restore."
                ) from error


def refuse_other_chain(path: Path, journal: JournalFile) -> None:
    """Raise CheckFailed when the journal at `path` is broken, or does not pass through the end of the backup's."""
    with JournalReader(path) as present:
        verdict = present.verify(Head(journal.seq, journal.hash))
    if verdict.broken_at is not None:
        raise CheckFailed(f"{path}: row {verdict.broken_at} {verdict.reason}.")


def _copied(path: Path, target: Path) -> Head:
    try:
        source = JournalReader(path)
    except SetupFailed as error:  # what is no journal is a fault of the file here, not of the machine
        raise CheckFailed(str(error)) from error
    with source:
        source.copy_to(target)
    with JournalReader(target) as copy:
        verdict = copy.verify()
    if verdict.broken_at is not None:
        raise CheckFailed(f"row {verdict.broken_at} {verdict.reason}.")
    return verdict.head


def _is_same(present: Path, journal: JournalFile) -> bool:
    if not present.exists():
        return False
    try:
        with JournalReader(present) as reader:
            verdict = reader.verify()
    except (CheckFailed, SetupFailed):
        return False  # it can't be read; `_objection` says so
    return verdict.broken_at is None and verdict.head == Head(journal.seq, journal.hash)


def _objection(present: Path, copy: Path, journal: JournalFile) -> str:
    """Why replacing `present` by the backup's copy would lose something, in words; empty: it would not."""
    try:
        with JournalReader(present) as reader:
            verdict, holds_backup = reader.verify(), _passes(reader, Head(journal.seq, journal.hash))
    except (CheckFailed, SetupFailed) as error:
        return f"can't be read ({error})"
    if verdict.broken_at is not None:
        return f"is broken: row {verdict.broken_at} {verdict.reason}"
    if holds_backup:
        return f"has {verdict.head.seq - journal.seq} rows more than the backup's"
    with JournalReader(copy) as reader:
        return "" if _passes(reader, verdict.head) else "is another chain than the backup's"


def _passes(journal: JournalReader, head: Head) -> bool:
    """Whether the journal has the row with this number and hash. Every one passes the beginning."""
    row = next(journal.rows(after=head.seq - 1), None)
    return head.seq == 0 or (row is not None and Head(row.seq, row.hash) == head)
