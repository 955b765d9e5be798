"""A file of a backup takes its place: whenever the process ends, a whole file lies there, and the old one is kept."""

import errno
import os
from datetime import UTC, datetime
from itertools import count

import pytest

from ops.backups.placing import SQLITE_COMPANIONS, Placement, put_in_place, staged
from trading.errors import SetupFailed

AT = datetime(2026, 11, 23, tzinfo=UTC)
SHA256_OF_NEW = "11507a0e2f5e69d5dfa40a62a1bd7b6ee57e6bcd85c67c9b8431b36fff21c437"  # pragma: allowlist secret
CHANGES = ("link", "rename", "replace", "unlink")


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture
def placement(tmp_path):
    (tmp_path / "backup").write_text("new")
    for ending in ("", *SQLITE_COMPANIONS):
        (tmp_path / f"journal{ending}").write_text(f"old{ending}")
    return Placement(tmp_path / "backup", tmp_path / "journal", SHA256_OF_NEW, SQLITE_COMPANIONS)


def kill(monkeypatch, after):
    """End the process after so many changes of names; all that go through `os`."""
    left = [after]

    def dying(change):
        def changed(*given, **named):
            if not left[0]:
                raise Killed
            left[0] -= 1
            return change(*given, **named)

        return changed

    for name in CHANGES:
        monkeypatch.setattr(os, name, dying(getattr(os, name)))


def refuse_links(monkeypatch):
    def refused(*_, **__):
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(os, "link", refused)


@pytest.mark.parametrize("has_links", [True, False], ids=["hard links", "no hard links"])
def test_there_is_no_moment_without_a_file(placement, monkeypatch, has_links):
    for after in count():
        placement.target.write_text("old")
        with staged([placement]), monkeypatch.context() as patch:
            if not has_links:
                refuse_links(patch)
            kill(patch, after)
            try:
                put_in_place(placement, AT.replace(microsecond=after))
            except Killed:
                assert placement.target.read_text() == "old"
            else:
                break
    assert after > 1
    assert placement.target.read_text() == "new"


@pytest.mark.parametrize("has_links", [True, False], ids=["hard links", "no hard links"])
def test_what_was_there_is_kept_beside_it_whole(placement, monkeypatch, has_links):
    if not has_links:
        refuse_links(monkeypatch)
    with staged([placement]):
        aside = put_in_place(placement, AT)
    placement.target.write_text("newer")
    assert aside is not None
    assert [aside.with_name(aside.name + ending).read_text() for ending in ("", *SQLITE_COMPANIONS)] == [
        "old", "old-wal", "old-shm"
    ]  # fmt: skip
    assert sorted(path.name for path in placement.target.parent.iterdir() if "before" not in path.name) == [
        "backup", "journal"
    ]  # fmt: skip


def test_what_can_not_be_kept_is_not_replaced(placement, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with staged([placement]):
        refuse_links(monkeypatch)
        monkeypatch.setattr("shutil.copyfile", full)
        with pytest.raises(SetupFailed, match="No space left on device"):
            put_in_place(placement, AT)
    assert placement.target.read_text() == "old"
