"""What a person points at (a CSV file, a zip of them, a folder of either) -> the CSV files in it that hold our candles.

Members of a zip are unpacked under numbers, never under the names they claim, into a folder that is gone afterwards.
"""

import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from zlib import error as BrokenStream  # noqa: N812  # an exception, named like one

from trading.errors import InputUnusable, SetupFailed
from warehouse.schema import TIMEFRAME_US

SeriesOf = Callable[[str], tuple[str, str] | None]  # file name -> instrument, timeframe; None: it states none

# A candle file shrinks to a tenth; a bomb to a thousandth. Small members may shrink as they like.
HIGHEST_RATIO = 200
HARMLESS_BYTES = 10_000_000
MOST_MEMBERS = 100_000
ENCRYPTED = 0x1


@dataclass(frozen=True)
class SourceFile:
    """One CSV file of one series."""

    name: str  # as the person knows it, within what they pointed at
    path: Path  # where its bytes lie while it is read
    instrument: str
    timeframe: str


@dataclass(frozen=True)
class Archive:
    """The files to read, by name, and a sentence about everything that is left out."""

    files: tuple[SourceFile, ...]
    skipped: tuple[str, ...]


@contextmanager
def opened(path: Path, series_of: SeriesOf, scratch: Path) -> Iterator[Archive]:
    """The candle files at `path`, readable until the block ends. `scratch` is a folder with room for an unpacked zip.

    Raises:
        InputUnusable: `path` is not there, is a broken, encrypted or hostile zip, or holds no file of candles.
        SetupFailed: `scratch` has no room for what the zip would unpack to.
    """
    if not path.exists():
        raise InputUnusable(f"There is nothing at {path}.")
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch, prefix="unpacked-") as unpacked:
        found = _collect(path, series_of, Path(unpacked))
        if not found.files:
            raise InputUnusable(_nothing_found(path, found.skipped))
        yield replace(found, files=tuple(sorted(found.files, key=lambda file: file.name)))


def _collect(path: Path, series_of: SeriesOf, unpacked: Path) -> Archive:
    if path.is_dir():
        return _of_folder(path, series_of, unpacked)
    if _is_zip(path):
        return _of_zip(path, path.name, series_of, unpacked)
    return _chosen([(path.name, path)], series_of)


def _of_folder(folder: Path, series_of: SeriesOf, unpacked: Path) -> Archive:
    inside = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    zips = [path for path in inside if path.suffix.lower() == ".zip"]
    tables = _chosen([(str(path.relative_to(folder)), path) for path in inside if _is_table(path)], series_of)
    parts = [tables, *(_of_zip(path, str(path.relative_to(folder)), series_of, unpacked) for path in zips)]
    return Archive(
        tuple(file for part in parts for file in part.files), tuple(line for part in parts for line in part.skipped)
    )


def _is_table(path: Path) -> bool:
    return path.suffix.lower() == ".csv"  # a folder has notes and pictures too, not worth a sentence each


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
            files.append(SourceFile(name, path, *series))
        else:
            other_timeframes[series[1]] = other_timeframes.get(series[1], 0) + 1
    skipped = [f"{name}: its name states no instrument and timeframe; skipped." for name in unknown]
    skipped += [f"{count} file(s) of {timeframe} candles skipped." for timeframe, count in other_timeframes.items()]
    return Archive(tuple(files), tuple(skipped))


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
    try:
        with zipfile.ZipFile(path) as bundle:
            members = [member for member in bundle.infolist() if not member.is_dir()]
            _refuse_hostile(members, name)
            tables = [member for member in members if _is_table(Path(member.filename))]
            wanted = _chosen([(member.filename, path) for member in tables], series_of)
            chosen = {file.name: file for file in wanted.files}
            wanted_members = [member for member in members if member.filename in chosen]
            _refuse_too_large(wanted_members, name, unpacked)
            unpacked_files = [
                replace(
                    chosen[member.filename],
                    name=f"{name}/{member.filename}",
                    path=_unpack(bundle, member, unpacked),
                )
                for member in wanted_members
            ]
    except (zipfile.BadZipFile, BrokenStream, EOFError, NotImplementedError) as error:
        raise InputUnusable(f"{name} is a broken zip: {error or 'it ends too early'}. Nothing was landed.") from error
    return Archive(tuple(unpacked_files), tuple(f"{name}: {sentence}" for sentence in wanted.skipped))


def _refuse_hostile(members: list[zipfile.ZipInfo], name: str) -> None:
    if len(members) > MOST_MEMBERS:
        raise InputUnusable(f"{name} claims {len(members)} members; more than {MOST_MEMBERS} are not read.")
    for member in members:
        claimed = PurePosixPath(member.filename.replace("\\", "/"))
        if claimed.is_absolute() or ".." in claimed.parts:
            raise InputUnusable(f"{name} holds {member.filename!r}, a path that leads out of it. Nothing was landed.")
        if member.flag_bits & ENCRYPTED:
            raise InputUnusable(f"{name} is encrypted: unpack it first, then land the folder.")
        if member.file_size > HARMLESS_BYTES and member.file_size > HIGHEST_RATIO * member.compress_size:
            raise InputUnusable(
                f"{name}: {member.filename} would grow from {member.compress_size} to {member.file_size} bytes. "
                "No candle file shrinks like that; nothing was landed."
            )
    names = [member.filename for member in members]
    if len(set(names)) < len(names):
        raise InputUnusable(f"{name} holds two members of the same name. Nothing was landed.")


def _refuse_too_large(members: list[zipfile.ZipInfo], name: str, unpacked: Path) -> None:
    needed, free = sum(member.file_size for member in members), shutil.disk_usage(unpacked).free
    if needed > free:
        raise SetupFailed(f"{name} unpacks to {needed:,} bytes, but only {free:,} are free at {unpacked.parent}.")


def _unpack(bundle: zipfile.ZipFile, member: zipfile.ZipInfo, unpacked: Path) -> Path:
    target = unpacked / f"{len(list(unpacked.iterdir()))}.csv"
    with bundle.open(member) as packed, target.open("wb") as plain:
        shutil.copyfileobj(packed, plain, 1 << 20)  # stops at the size the member claims
    return target
