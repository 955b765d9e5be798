"""The comment lines at the top of a SQL file: what a row is, what it needs, how far back it looks, its parameters."""

import re
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from typing import Literal

from trading.errors import InputUnusable
from warehouse.grammar.parameters import Param, parse_param

Materialized = Literal["table", "view"]

FIELDS = ("grain", "key", "lookback", "reach", "apart", "needs", "materialized", "rejections", "param")
_FIELD = re.compile(r"--\s*([a-z]+):\s*(.*?)\s*")
_LOOKBACK = re.compile(r"(\d{1,6}) candles?")
_SPAN = re.compile(r"(\d{1,4}) days?")
_COLUMN = re.compile(r"[a-z_][a-z0-9_]*")
_COMMA = re.compile(r",(?![^(]*\))")


@dataclass(frozen=True)
class Header:
    """What a file says of itself. A field that it leaves out is empty; who needs it asks `complete`."""

    grain: str = ""
    key: tuple[str, ...] = ()
    lookback: int | None = None  # earlier candles that a row may depend on; None: all of them, or what `span` says
    # Given in days: a row depends on no row that closes more than `span` before it or more than `reach` after it.
    span: timedelta | None = None
    reach: timedelta = timedelta(0)
    lookback_said: bool = False
    is_apart: bool = False  # rows of an instrument are made of rows of that instrument alone
    needs: tuple[str, ...] = ()  # as written, `ema(20)`
    materialized: Materialized = "table"
    rejections: str = ""  # the CTE whose rows are candidates, and say in `rejection` why they are no signals
    params: tuple[Param, ...] = ()
    says: str = ""  # the prose among the fields, paragraphs apart by an empty line


def parse_header(sql: str, file: str) -> Header:
    """Header of `sql`: its first comment lines. Prose among them is welcome.

    Raises:
        InputUnusable: a field is misspelt, given twice (except `param`) or can't be read; with file and line.
    """
    found: dict[str, str] = {}
    params: dict[str, Param] = {}
    for number, line in enumerate(_comment_lines(sql), start=1):
        word, text = _field(line, f"{file} line {number}")
        if not word:
            continue
        param = parse_param(text, f"{file} line {number}") if word == "param" else None
        if word in found or (param and param.name in params):
            raise InputUnusable(f"{file} line {number}: the header says `{word}: {text}` a second time.")
        if param:
            params[param.name] = param
        else:
            found[word] = text
    lookback, span = _lookback(found.get("lookback", "full"), file)
    return Header(
        grain=found.get("grain", ""),
        key=_columns(found["key"], file) if "key" in found else (),
        lookback=lookback,
        span=span,
        reach=_reach(found["reach"], span, file) if "reach" in found else timedelta(0),
        lookback_said="lookback" in found,
        is_apart="apart" in found and _is_apart(found["apart"], file),
        needs=_listed(found.get("needs", "")),
        materialized=_materialized(found.get("materialized", "table"), file),
        rejections=_rejections(found["rejections"], file) if "rejections" in found else "",
        params=tuple(params.values()),
        says=_prose(sql, file),
    )


def complete(header: Header, file: str) -> Header:
    """`header`, when it says what every stage must say.

    Raises:
        InputUnusable: grain, key or lookback is missing, or a view has parameters or is apart.
    """
    said = {"grain": bool(header.grain), "key": bool(header.key), "lookback": header.lookback_said}
    missing = [f"`-- {field}: …`" for field, present in said.items() if not present]
    if missing:
        raise InputUnusable(f"{file}: the header lacks {', '.join(missing)}.")
    if header.materialized == "view" and header.params:
        raise InputUnusable(f"{file}: a view can't have parameters; they would be gone when somebody reads it.")
    if header.materialized == "view" and header.is_apart:
        raise InputUnusable(f"{file}: a view is not built, so `-- apart:` says nothing of it.")
    return header


def _comment_lines(sql: str) -> list[str]:
    lines: list[str] = []
    for line in sql.splitlines():
        if line.strip() and not line.startswith("--"):
            break
        lines.append(line)
    return lines


def _prose(sql: str, file: str) -> str:
    lines = [line.removeprefix("--").strip() for line in _comment_lines(sql) if not _field(line, file)[0]]
    return "\n".join(lines).strip()


def _field(line: str, place: str) -> tuple[str, str]:
    match = _FIELD.fullmatch(line)
    if match is None:
        return "", ""
    word, text = match.groups()
    if word in FIELDS:
        return word, text
    meant = get_close_matches(word, FIELDS, n=1, cutoff=0.75)
    if meant:
        raise InputUnusable(f"{place}: `{word}` is no header field; did you mean `{meant[0]}`?")
    return "", ""  # prose that happens to have a colon


def _listed(text: str) -> tuple[str, ...]:
    """Parts between commas, but not between those inside parentheses."""
    return tuple(part.strip() for part in _COMMA.split(text) if part.strip())


def _columns(text: str, file: str) -> tuple[str, ...]:
    columns = _listed(text)
    if not columns or not all(_COLUMN.fullmatch(column) for column in columns):
        raise InputUnusable(f"{file}: `-- key: {text}` must list columns, such as `instrument, timeframe, closed_at`.")
    return columns


def _lookback(text: str, file: str) -> tuple[int | None, timedelta | None]:
    if text == "full":
        return None, None
    counted, span = _LOOKBACK.fullmatch(text), _SPAN.fullmatch(text)
    if counted:
        return int(counted.group(1)), None
    if span:
        return None, timedelta(days=int(span.group(1)))
    raise InputUnusable(
        f"{file}: `-- lookback: {text}` must be `full`, a count such as `50 candles`, or a time such as `2 days`."
    )


def _reach(text: str, span: timedelta | None, file: str) -> timedelta:
    match = _SPAN.fullmatch(text)
    if match is None:
        raise InputUnusable(f"{file}: `-- reach: {text}` must be a time such as `2 days`.")
    if span is None:
        raise InputUnusable(f"{file}: `-- reach: {text}` needs a lookback that is a time too, such as `2 days`.")
    return timedelta(days=int(match.group(1)))


def _is_apart(text: str, file: str) -> bool:
    if text != "instrument":
        raise InputUnusable(f"{file}: `-- apart: {text}` must be `instrument`; nothing else is told apart.")
    return True


def _materialized(text: str, file: str) -> Materialized:
    if text == "table":
        return "table"
    if text == "view":
        return "view"
    raise InputUnusable(f"{file}: `-- materialized: {text}` must be `table` or `view`.")


def _rejections(text: str, file: str) -> str:
    if not _COLUMN.fullmatch(text):
        raise InputUnusable(f"{file}: `-- rejections: {text}` must name the CTE that holds the candidates.")
    return text
