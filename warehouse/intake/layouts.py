"""How one CSV file is laid out, from its first lines and one pass over its bytes; and a person's map of their columns.

The pass also gives the file's hash and its number of lines, counted by other means than the parser's: a parser that
found as many good rows as there are lines has lost none.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, Self

import numpy as np

from trading.errors import InputUnusable

TimeUnit = Literal["seconds", "milliseconds", "microseconds", "text"]

FIELDS = ("opened_at", "open", "high", "low", "close", "volume", "trades")
OTHER_NAMES = {
    "opened_at": {"time", "timestamp", "unix", "unix_seconds", "unixtime", "date", "datetime", "open_time"},
    "volume": {"vol"},
    "trades": {"count", "trade_count"},
}
DELIMITERS = ",;\t|"
HEAD_BYTES = 65_536
CHUNK_BYTES = 1 << 18  # larger ones are mapped anew for each pass over them, which doubles its time
BOM = b"\xef\xbb\xbf"

# Bytes of a file whose every field is a plain number. Text, quotes, exponents, spaces: read with more care, slower.
_PLAIN = b".-\r\n"  # and digits
_DIGITS = b"0123456789"
_OTHER = b"x"
_TOO_FINE = b"." + 11 * b"0"  # with every digit as 0; a regular expression takes twice as long
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True)
class ColumnMap:
    """Where a person's own files have our fields: the names in their header line.

    `instrument` and `timeframe` are stated values, for files whose names don't state them. A file may lack `trades`.
    """

    opened_at: str
    open: str
    high: str
    low: str
    close: str
    volume: str
    trades: str | None = None
    instrument: str | None = None
    timeframe: str | None = None

    @classmethod
    def of(cls, columns: Mapping[str, str]) -> Self:
        """A map as it comes from a command line or a deployment's parameters.

        Raises:
            InputUnusable: a field is missing or unknown.
        """
        known = set(cls.__dataclass_fields__)
        missing = [field for field in FIELDS[:-1] if field not in columns]
        unknown = sorted(set(columns) - known)
        if missing or unknown:
            wrong = [f"{name} is missing" for name in missing] + [f"{name} is unknown" for name in unknown]
            raise InputUnusable(f"The column map can't be used: {', '.join(wrong)}. It may say {', '.join(known)}.")
        return cls(**columns)

    def named(self) -> dict[str, str]:
        """Header name, as compared, -> our field."""
        pairs = {field: getattr(self, field) for field in FIELDS}
        return {_comparable(name): field for field, name in pairs.items() if name is not None}


@dataclass(frozen=True)
class Layout:
    """What the parser must know. `fields` has our name per column, empty for a column that we don't read."""

    delimiter: str
    has_header: bool
    fields: tuple[str, ...]
    unit: TimeUnit
    refusal: str = ""  # why no line of the file can be read


@dataclass(frozen=True)
class Survey:
    """One file, looked at byte by byte. `is_plain`: the fast parser can be trusted with what it accepts of it."""

    digest: str
    lines: int  # after the header
    is_plain: bool
    is_cut: bool  # the last line has no end
    layout: Layout


def survey(path: Path, name: str, columns: ColumnMap | None) -> Survey | None:
    """Look at one file; None when there is nothing in it."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES).removeprefix(BOM)
    lines = [line for line in head.decode("utf-8", "replace").splitlines() if line.strip()]
    if not lines:
        return None
    layout = _layout(lines, name, columns)
    digest, count, is_plain, is_cut = _scan(path, layout)
    return Survey(digest, count, is_plain, is_cut, layout)


def _layout(lines: list[str], name: str, columns: ColumnMap | None) -> Layout:
    delimiter = max(DELIMITERS, key=lines[0].count)  # the first of them when there is none
    first = split(lines[0], delimiter)
    has_header = not any(_looks_like_value(field) for field in first)
    header = tuple(_comparable(field) for field in first) if has_header else ()
    refusal = _refusal(header, lines[0], name, columns)
    if refusal:
        return Layout(delimiter, False, (), "text", refusal)
    fields = FIELDS if columns is None else tuple(columns.named().get(field, "") for field in header)
    rows = lines[1:] if has_header else lines
    return Layout(delimiter, has_header, fields, _time_unit(rows, delimiter, fields.index("opened_at")))


def split(line: str, delimiter: str) -> list[str]:
    """Fields of one line, without quotes, spaces and the empty field after a trailing delimiter."""
    return [field.strip().strip('"').strip() for field in line.removesuffix(delimiter).split(delimiter)]


def _looks_like_value(field: str) -> bool:
    """Numbers and times are values; a header has none. Only a whole line of words is taken for a header."""
    return bool(_NUMBER.fullmatch(field)) or (field[:4].isdigit() and len(field) > 4) or field.lower() in {"nan", "inf"}


def _refusal(header: tuple[str, ...], line: str, name: str, columns: ColumnMap | None) -> str:
    """Why nothing in a file with this first line can be read, or nothing."""
    if columns is not None:
        missing = sorted(set(columns.named()) - set(header))
        asked = ", ".join(missing)
        return f"the column map asks for {asked}, but line 1 of {name} is {line[:200]!r}" if missing else ""
    if not header:
        return ""
    accepted = [OTHER_NAMES.get(field, set()) | {field} for field in FIELDS]
    fits = len(header) == len(FIELDS) and all(name in known for name, known in zip(header, accepted, strict=True))
    if fits:
        return ""
    return (
        f"line 1 of {name}, {line[:200]!r}, is neither a candle nor a header of {', '.join(FIELDS)}; "
        "if these are candles of your own, state a column map"
    )


def _comparable(name: str) -> str:
    return name.strip().lower().replace(" ", "_")


def _time_unit(rows: list[str], delimiter: str, position: int) -> TimeUnit:
    """Unit of the first time that is a number: its size tells. A file keeps one unit; rows that differ are bad."""
    for row in rows:
        fields = split(row, delimiter)
        text = fields[position] if position < len(fields) else ""
        if _NUMBER.fullmatch(text):
            return _unit_of(abs(float(text)))
        if text[:4].isdigit() and "-" in text:
            return "text"
    return "seconds"


def _unit_of(number: float) -> TimeUnit:
    for unit, (_, highest, _) in UNITS.items():
        if number < highest:
            return unit
    return "seconds"


# unit -> lowest, lowest beyond, microseconds in one. 1e11 seconds are the year 5138, and 1e11 milliseconds are 1973.
UNITS: dict[TimeUnit, tuple[int, int, int]] = {
    "seconds": (0, 10**11, 1_000_000),
    "milliseconds": (10**11, 10**14, 1_000),
    "microseconds": (10**14, 10**17, 1),
}


def _scan(path: Path, layout: Layout) -> tuple[str, int, bool, bool]:
    digest = hashlib.sha256()
    kinds = _kinds(layout.delimiter)
    lines, is_plain, tail = 0, not layout.refusal and layout.unit != "text", b""
    with path.open("rb") as file:
        if layout.has_header:
            digest.update(file.readline(HEAD_BYTES))
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            lines += _line_ends(chunk)
            if is_plain:
                # With the last bytes of the chunk before, for a number that lies across both.
                seen = (tail + chunk).translate(kinds)
                is_plain = _OTHER not in seen and _TOO_FINE not in seen
            tail = (tail + chunk)[-12:]
    is_cut = bool(tail) and not tail.endswith(b"\n")
    return digest.hexdigest(), lines + is_cut, is_plain, is_cut


@cache
def _kinds(delimiter: str) -> bytes:
    """A translation of bytes: every digit to 0, every byte that no plain file has to `_OTHER`."""
    kept = _PLAIN + delimiter.encode()
    return bytes(ord("0") if byte in _DIGITS else byte if byte in kept else ord(_OTHER) for byte in range(256))


def _line_ends(chunk: bytes) -> int:
    # `bytes.count` takes three times as long.
    return int(np.count_nonzero(np.frombuffer(chunk, np.uint8) == ord("\n")))
