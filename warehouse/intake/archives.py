"""What a person points at (a CSV file, a zip of them, a folder of either) -> the CSV files in it that hold our candles.

Of a folder and its sub-folders every regular file named `*.csv` or `*.zip` is looked at. Passed over without a word, as
they are no candles: hidden files and folders, links (they may lead anywhere, or in circles), and every other ending;
so also a download that is called `.part`, `.tmp` or `.crdownload` until it is complete. Of an inbox, a file that was
written to within the last minute is passed over too: someone may still be writing it.

Members of a zip are unpacked under numbers, never under the names they claim, into a folder that is gone afterwards.
"""

import errno
import os
import shutil
import struct
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from zlib import error as BrokenStream  # noqa: N812  # an exception, named like one

from trading.errors import InputUnusable, SetupFailed
from warehouse.schema import TIMEFRAME_US

SeriesOf = Callable[[str], tuple[str, str] | None]  # file name -> instrument, timeframe; None: it states none

# A candle file shrinks to a tenth; a bomb to a thousandth. Small members may shrink as they like.
HIGHEST_RATIO = 200
HARMLESS_BYTES = 10_000_000
MOST_MEMBERS = 100_000
ENCRYPTED = 0x1

SETTLING_S = 60
ENDINGS = (".csv", ".zip")

# What changes when a file is written to, replaced or made readable: inode, size and the times of both kinds of change.
Stamp = tuple[int, int, int, int]


@dataclass(frozen=True)
class SourceFile:
    """One CSV file of one series."""

    name: str  # as the person knows it, within what they pointed at
    path: Path  # where its bytes lie while it is read
    instrument: str
    timeframe: str
    stamp: Stamp  # of the file at `path`, from before its first byte was read

    @property
    def size_bytes(self) -> int:
        return self.stamp[1]


@dataclass(frozen=True)
class Unusable:
    """A file that can't be read as what its name says, and why, as a sentence."""

    name: str
    path: Path
    reason: str


@dataclass(frozen=True)
class Archive:
    """The files to read, by name; those that can't be; and a sentence about everything else that is left out."""

    files: tuple[SourceFile, ...]
    unusable: tuple[Unusable, ...]
    skipped: tuple[str, ...]


class Unnamed(NamedTuple):
    """A file of an inbox whose name states no series. Another one of that name was written at another time."""

    name: str
    written_s: float  # since 1970


class NothingToLand(InputUnusable):
    """There is no file of candles to read. For a folder that is looked at again and again this is no fault."""


@contextmanager
def opened(path: Path, series_of: SeriesOf, scratch: Path, settled_at: datetime | None = None) -> Iterator[Archive]:
    """The candle files at `path`, readable until the block ends. `scratch` is a folder with room for an unpacked zip.

    `settled_at` is the time of a look into an inbox: what was written to within a minute of it is left for the next.
    A broken, encrypted or hostile zip costs no other file of a folder its place: it is among the `unusable`.

    Raises:
        NothingToLand: `path` is not there, or holds no file of candles.
        SetupFailed: `scratch` has no room for what a zip would unpack to.
    """
    if not path.exists():
        raise NothingToLand(f"There is nothing at {path}.")
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch, prefix="unpacked-") as unpacked:
        found = _collect(path, series_of, Path(unpacked), settled_at)
        if not found.files and not found.unusable:
            raise NothingToLand(_nothing_found(path, found.skipped))
        yield replace(found, files=tuple(sorted(found.files, key=lambda file: file.name)))


def holds_candles(inbox: Path, series_of: SeriesOf, settled_at: datetime) -> bool:
    """Whether a look into an inbox at `settled_at` would find a file that is ours to read."""
    inside, _ = _settled(_inside(inbox), inbox, settled_at)
    return any(_is_zip(path) or _ours(str(path.relative_to(inbox)), series_of) for path in inside)


def unnamed(inbox: Path, series_of: SeriesOf, settled_at: datetime) -> tuple[Unnamed, ...]:
    """The CSV files of an inbox, at rest by `settled_at`, whose names state no series: nobody will ever read them."""
    inside, _ = _settled([path for path in _inside(inbox) if _is_table(path)], inbox, settled_at)
    named = ((str(path.relative_to(inbox)), _written_s(path)) for path in inside)
    return tuple(Unnamed(name, at_s) for name, at_s in named if at_s is not None and series_of(name) is None)


def stamp_of(path: Path) -> Stamp:
    """Differs from an earlier stamp when the file has been written to in between, however little.

    Clocks of file systems tick in milliseconds, so it takes a file that has been at rest for that long.
    """
    seen = path.stat()
    return (seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)


def has_changed(path: Path, stamp: Stamp) -> bool:
    """Whether a file is not, or no longer, what it was when `stamp` was taken."""
    try:
        return stamp_of(path) != stamp
    except OSError:
        return True


def _collect(path: Path, series_of: SeriesOf, unpacked: Path, settled_at: datetime | None) -> Archive:
    if path.is_dir():
        return _of_folder(path, series_of, unpacked, settled_at)
    if _is_zip(path):
        return _of_zip(path, path.name, series_of, unpacked)
    return _chosen([(path.name, path)], series_of)


def _of_folder(folder: Path, series_of: SeriesOf, unpacked: Path, settled_at: datetime | None) -> Archive:
    inside, unsettled = _settled(_inside(folder), folder, settled_at)
    named = [(str(path.relative_to(folder)), path) for path in inside]
    tables = _chosen([(name, path) for name, path in named if _is_table(path)], series_of)
    zips = [_of_zip(path, name, series_of, unpacked) for name, path in named if _is_zip(path)]
    parts = [tables, *zips, Archive((), (), unsettled)]
    return Archive(
        tuple(file for part in parts for file in part.files),
        tuple(file for part in parts for file in part.unusable),
        tuple(sentence for part in parts for sentence in part.skipped),
    )


def _inside(folder: Path) -> list[Path]:
    found: list[Path] = []
    for place, folders, names in os.walk(folder):  # does not follow links to folders
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths = [Path(place, name) for name in names if not name.startswith(".") and name.lower().endswith(ENDINGS)]
        found += [path for path in paths if path.is_file() and not path.is_symlink()]
    return sorted(found)


def _settled(paths: list[Path], folder: Path, settled_at: datetime | None) -> tuple[list[Path], tuple[str, ...]]:
    """The files that nobody seems to be writing, and a sentence about each other one."""
    if settled_at is None:
        return paths, ()
    look_s = settled_at.timestamp()
    written_s = {path: _written_s(path) for path in paths}
    is_settled = {path: abs(look_s - at_s) >= SETTLING_S for path, at_s in written_s.items() if at_s is not None}
    names = [str(path.relative_to(folder)) for path, is_at_rest in is_settled.items() if not is_at_rest]
    return [path for path, is_at_rest in is_settled.items() if is_at_rest], tuple(
        f"{name} was written to within the last minute; left for the next look." for name in names
    )


def _written_s(path: Path) -> float | None:
    """When a file was last written to; None when it was taken away since it was listed."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return None


def _is_table(path: Path) -> bool:
    return path.suffix.lower() == ".csv"  # a zip has notes and pictures too, not worth a sentence each


def _ours(name: str, series_of: SeriesOf) -> bool:
    series = series_of(name)
    return series is not None and series[1] in TIMEFRAME_US


def _chosen(candidates: list[tuple[str, Path]], series_of: SeriesOf) -> Archive:
    """Keep the files whose name states a series with a timeframe of ours."""
    files: list[SourceFile] = []
    unknown: list[str] = []
    other_timeframes: dict[str, int] = {}
    for name, path in candidates:
        series = series_of(name)
        if series is None:
            unknown.append(name)
        elif series[1] in TIMEFRAME_US:
            files.append(SourceFile(name, path, *series, stamp_of(path)))
        else:
            other_timeframes[series[1]] = other_timeframes.get(series[1], 0) + 1
    skipped = [f"{name}: its name states no instrument and timeframe; skipped." for name in unknown]
    skipped += [f"{count} file(s) of {timeframe} candles skipped." for timeframe, count in other_timeframes.items()]
    return Archive(tuple(files), (), tuple(skipped))


def _nothing_found(path: Path, skipped: tuple[str, ...]) -> str:
    reasons = " ".join(skipped[:5]) or "It is empty."
    return (
        f"{path} holds no candles to read: file names must be like XBTUSD_15.csv, with 15, 60, 240 or 1440 minutes, "
        f"or a column map must state instrument and timeframe. {reasons}"
    )


def _is_zip(path: Path) -> bool:
    # By name as well as by content, so that a truncated download is called a broken zip, not a strange CSV.
    return path.suffix.lower() == ".zip" or zipfile.is_zipfile(path)


def _of_zip(path: Path, name: str, series_of: SeriesOf, unpacked: Path) -> Archive:
    stamp = stamp_of(path)
    try:
        found = _unpacked(path, name, series_of, unpacked)
    except InputUnusable as hostile:
        found = Archive((), (Unusable(name, path, str(hostile)),), ())
    except (zipfile.BadZipFile, BrokenStream, EOFError, NotImplementedError, UnicodeDecodeError, struct.error) as error:
        found = Archive((), (Unusable(name, path, f"It is a broken zip: {error or 'it ends too early'}."),), ())
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise SetupFailed(f"There is no room to unpack {name} to {unpacked.parent}.") from error
        found = Archive((), (Unusable(name, path, f"It can't be read: {error.strerror or error}."),), ())
    if has_changed(path, stamp):
        return Archive((), (), (f"{name} changed while it was read; land it again when it is complete.",))
    return found


def _unpacked(path: Path, name: str, series_of: SeriesOf, unpacked: Path) -> Archive:
    with zipfile.ZipFile(path) as bundle:
        members = [member for member in bundle.infolist() if not member.is_dir()]
        _refuse_hostile(members)
        tables = [member for member in members if _is_table(Path(member.filename))]
        wanted = _chosen([(member.filename, path) for member in tables], series_of)
        if not wanted.files:
            raise InputUnusable(f"It holds no candles to read. {' '.join(wanted.skipped[:5]) or 'It has no CSV file.'}")
        chosen = {file.name: file for file in wanted.files}
        wanted_members = [member for member in members if member.filename in chosen]
        _refuse_too_large(wanted_members, name, unpacked)
        files = []
        for member in wanted_members:
            target = _unpack(bundle, member, unpacked)
            file = chosen[member.filename]
            files.append(replace(file, name=f"{name}/{file.name}", path=target, stamp=stamp_of(target)))
    return Archive(tuple(files), (), tuple(f"{name}: {sentence}" for sentence in wanted.skipped))


def _refuse_hostile(members: list[zipfile.ZipInfo]) -> None:
    if len(members) > MOST_MEMBERS:
        raise InputUnusable(f"It claims {len(members)} members; more than {MOST_MEMBERS} are not read.")
    for member in members:
        claimed = PurePosixPath(member.filename.replace("\\", "/"))
        if claimed.is_absolute() or ".." in claimed.parts:
            raise InputUnusable(f"It holds {member.filename!r}, a path that leads out of it.")
        if member.flag_bits & ENCRYPTED:
            raise InputUnusable("It is encrypted: unpack it first, then land the folder.")
        if member.file_size > HARMLESS_BYTES and member.file_size > HIGHEST_RATIO * member.compress_size:
            raise InputUnusable(
                f"{member.filename} would grow from {member.compress_size} to {member.file_size} bytes. "
                "No candle file shrinks like that."
            )
    names = [member.filename for member in members]
    if len(set(names)) < len(names):
        raise InputUnusable("It holds two members of the same name.")


def _refuse_too_large(members: list[zipfile.ZipInfo], name: str, unpacked: Path) -> None:
    needed, free = sum(member.file_size for member in members), shutil.disk_usage(unpacked).free
    if needed > free:
        raise SetupFailed(f"{name} unpacks to {needed:,} bytes, but only {free:,} are free at {unpacked.parent}.")


def _unpack(bundle: zipfile.ZipFile, member: zipfile.ZipInfo, unpacked: Path) -> Path:
    target = unpacked / f"{len(list(unpacked.iterdir()))}.csv"
    with bundle.open(member) as packed, target.open("wb") as plain:
        shutil.copyfileobj(packed, plain, 1 << 20)  # stops at the size the member claims
    return target
