"""CSV files -> `temp.incoming`, rows that are candles, and `temp.rejected`, lines that are none, with the reason.
`temp.sources` has a row per file.

Two ways to the same rows. Plain files go through DuckDB's parser, many at once. Where it finds fewer good rows than the
file has lines, and where a file holds text, the file is read again line by line, with exact line numbers and reasons.

`temp.incoming` is a view. What a plain file says of a new series has nothing to be compared with, so it is written at
once where it stays, in `raw.candle_rows`: a first load has millions of rows, and a second copy of them takes as long as
reading them did. All others wait in `temp.waiting`. Those in `raw` are known by the numbers of their files: new ones.
"""

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import duckdb
import pyarrow as pa

from warehouse.intake.archives import SourceFile
from warehouse.intake.layouts import BOM, UNITS, Layout, Survey
from warehouse.intake.rules import FORM, MACROS, PRICES, VALUES, none_of, opened_at_of, reason_of
from warehouse.schema import PRICE, TIMEFRAME_US, VOLUME

LINES_AT_ONCE = 100_000
LONGEST_LINE = 4_096  # bytes; a candle needs about 100
SHOWN_TEXT = 500  # characters of a bad line that are kept
BYTES_AT_ONCE = 128 << 20  # of files in one statement: what it holds at a time has to fit into memory beside all else

STAGED = (("view", "incoming"), ("table", "waiting"), ("table", "sources"), ("table", "rejected"))
LANDED, WAITING = "raw.candle_rows", "temp.waiting"
CANDLE = "opened_at, open, high, low, close, volume, trades"

TABLES = (
    """
    create or replace temp table sources (
        file_id integer, name varchar, path varchar, instrument varchar, timeframe varchar, candle_us bigint,
        fetched_us bigint
    )
    """,
    f"""
    create or replace temp table waiting (
        file_id integer, line bigint, opened_at timestamptz,
        open {PRICE}, high {PRICE}, low {PRICE}, close {PRICE}, volume {VOLUME}, trades bigint
    )
    """,
    """
    create or replace temp table rejected (
        file_id integer, line bigint, opened_at timestamptz, reason varchar, row_text varchar
    )
    """,
)


@dataclass(frozen=True)
class Surveyed:
    """A file that is about to be read."""

    file_id: int
    source: SourceFile
    survey: Survey


def read_files(connection: duckdb.DuckDBPyConnection, files: Sequence[Surveyed], fetched_us: int) -> None:
    """Fill `temp.sources`, `temp.incoming` and `temp.rejected` from `files`, all anew.

    The files have the highest numbers that there are, none of them in `raw`. Whoever does not land them calls
    `take_back`.
    """
    _create_tables(connection, files)
    # One statement, not one per file.
    connection.execute(
        "insert into sources select unnest($ids::integer[]), unnest($names::varchar[]), unnest($paths::varchar[]),"
        " unnest($instruments::varchar[]), unnest($timeframes::varchar[]), unnest($candles_us::bigint[]), $fetched_us",
        {
            "ids": [file.file_id for file in files],
            "names": [file.source.name for file in files],
            "paths": [str(file.source.path) for file in files],
            "instruments": [file.source.instrument for file in files],
            "timeframes": [file.source.timeframe for file in files],
            "candles_us": [TIMEFRAME_US[file.source.timeframe] for file in files],
            "fetched_us": fetched_us,
        },
    )
    plain = [file for file in files if file.survey.is_plain]
    told_before = _told_before(connection)
    for layout, alike in groupby(sorted(plain, key=_layout_order), key=lambda file: file.survey.layout):
        for portion in _portions(alike):
            _read_fast(connection, layout, [file for file in portion if file.file_id not in told_before], LANDED)
            _read_fast(connection, layout, [file for file in portion if file.file_id in told_before], WAITING)
    whole = _read_whole(connection, plain)
    read_again(connection, [file for file in files if file.file_id not in whole])


def read_again(connection: duckdb.DuckDBPyConnection, files: Sequence[Surveyed]) -> None:
    """Replace what was read of `files` by what a careful, slower reading finds, line by line."""
    for table in ("rejected", WAITING):
        _delete(connection, table, files)
    take_back(connection, files)
    for file in files:
        for lines in _numbered_lines(file.source.path, file.survey.layout.has_header):
            _take_lines(connection, file, lines)


def take_back(connection: duckdb.DuckDBPyConnection, files: Sequence[Surveyed]) -> None:
    """Leave nothing of `files` in `raw`."""
    _delete(connection, LANDED, files)


def _delete(connection: duckdb.DuckDBPyConnection, table: str, files: Sequence[Surveyed]) -> None:
    if files:
        numbers = [file.file_id for file in files]
        # The bounds spare the rows of earlier batches.
        connection.execute(
            f"delete from {table} where file_id between $first and $last and list_contains($numbers, file_id)",
            {"first": min(numbers), "last": max(numbers), "numbers": numbers},
        )


def lines_of(file: Surveyed, numbers: set[int]) -> dict[int, str]:
    """Text of some lines of a file, by number."""
    with file.source.path.open("rb") as opened:
        return {number: _text(line)[:SHOWN_TEXT] for number, line, _ in _lines(opened) if number in numbers}


def _create_tables(connection: duckdb.DuckDBPyConnection, files: Sequence[Surveyed]) -> None:
    for statement in (*TABLES, *MACROS):
        connection.execute(statement)
    numbers = [file.file_id for file in files]
    first, last = min(numbers, default=0), max(numbers, default=-1)
    connection.execute(
        f"""
        create or replace temp view incoming as
        from {WAITING}
        union all by name
        select file_id, {CANDLE} from {LANDED} where file_id between {first} and {last}
        """
    )


def _told_before(connection: duckdb.DuckDBPyConnection) -> set[int]:
    """Files of `temp.sources` whose series has been told by some earlier batch, whatever became of it."""
    rows = connection.execute(
        "select file_id from sources semi join raw.files as files using (instrument, timeframe)"
    ).fetchall()
    return {file_id for (file_id,) in rows}


def _layout_order(file: Surveyed) -> tuple[str, bool, tuple[str, ...], str, int]:
    layout = file.survey.layout
    return (layout.delimiter, layout.has_header, layout.fields, layout.unit, file.file_id)


def _portions(files: Iterable[Surveyed]) -> Iterator[list[Surveyed]]:
    """The files in their order, `BYTES_AT_ONCE` at a time."""
    portion: list[Surveyed] = []
    size = 0
    for file in files:
        if portion and size + file.source.size_bytes > BYTES_AT_ONCE:
            yield portion
            portion, size = [], 0
        portion.append(file)
        size += file.source.size_bytes
    yield portion


def _read_fast(connection: duckdb.DuckDBPyConnection, layout: Layout, files: list[Surveyed], table: str) -> None:
    """Read what are good rows beyond doubt. A file with any other has fewer of them than it has lines."""
    if not files:
        return
    # Times and trades as text, which shows a fraction that a cast would round. A file's number is looked up in a list:
    # after a join DuckDB would insert files, and parts of one, in any order.
    types = dict.fromkeys(PRICES, PRICE)
    columns = {field or f"unread_{place}": types.get(field, "varchar") for place, field in enumerate(layout.fields)}
    lowest, beyond, us = UNITS[layout.unit]
    has_trades = "trades" in columns
    trades, is_counted = ("whole_trades(trades)", "trades is not null") if has_trades else ("null::bigint", "true")
    beside = "null" if table == WAITING else "false"
    connection.execute(
        f"""
        insert into {table} (file_id, {CANDLE}, {"line" if table == WAITING else "revises"})
        select file_id, {CANDLE}, {beside}
        from (
            select
                $numbers[list_position($paths, path)] as file_id,
                $candles_us[list_position($paths, path)] as candle_us,
                (select any_value(fetched_us) from sources) as fetched_us,     -- the same of all
                case when strlen(opened_at) = {len(str(beyond)) - 2} and try_cast(opened_at as bigint) >= {lowest}
                    then make_timestamptz(try_cast(opened_at as bigint) * {us}) end as opened_at,
                open, high, low, close,
                exact_number(volume) as volume,
                {trades} as trades
            from read_csv(
                $paths, columns = {columns}, header = false, skip = {int(layout.has_header)}, auto_detect = false,
                delim = $delimiter, quote = '', escape = '', ignore_errors = true, filename = 'path'
            )
        )
        where {none_of(VALUES)} and {is_counted}
        """,
        {
            "paths": [str(file.source.path) for file in files],
            "numbers": [file.file_id for file in files],
            "candles_us": [TIMEFRAME_US[file.source.timeframe] for file in files],
            "delimiter": layout.delimiter,
        },
    )


def _read_whole(connection: duckdb.DuckDBPyConnection, plain: Sequence[Surveyed]) -> set[int]:
    """Files of which the fast parser made one good row per line."""
    found = dict(connection.execute("select file_id, count(*) from incoming group by file_id").fetchall())
    return {file.file_id for file in plain if found.get(file.file_id) == file.survey.lines}


def _numbered_lines(path: Path, has_header: bool) -> Iterator[pa.Table]:
    """Lines that are not blank, some at a time: line number, text, whether the line was cut for its length."""
    with path.open("rb") as file:
        numbers: list[int] = []
        texts: list[str] = []
        cut: list[bool] = []
        is_header_due = has_header
        for number, line, is_overlong in _lines(file):
            if not line.strip():
                continue
            if is_header_due:
                is_header_due = False
                continue
            numbers.append(number)
            texts.append(_text(line))
            cut.append(is_overlong)
            if len(numbers) == LINES_AT_ONCE:
                yield pa.table({"line": numbers, "text": texts, "is_overlong": cut})
                numbers, texts, cut = [], [], []
        if numbers:
            yield pa.table({"line": numbers, "text": texts, "is_overlong": cut})


def _text(line: bytes) -> str:
    return line.rstrip(b"\r\n").decode("utf-8", "replace").replace("\0", "\ufffd")


def _lines(file: io.BufferedReader) -> Iterator[tuple[int, bytes, bool]]:
    number = 0
    while line := file.readline(LONGEST_LINE):
        number += 1
        rest = line
        while rest and not rest.endswith(b"\n"):  # the end of the file, or of what one line may have
            rest = file.readline(LONGEST_LINE)
        yield number, line.removeprefix(BOM) if number == 1 else line, len(line) == LONGEST_LINE


def _take_lines(connection: duckdb.DuckDBPyConnection, file: Surveyed, lines: pa.Table) -> None:
    layout = file.survey.layout
    texts = ", ".join(f"{_field(layout, name)} as {name}_text" for name in ("opened_at", *PRICES, "volume", "trades"))
    prices = ", ".join(f"try_cast({name}_text as {PRICE}) as {name}" for name in PRICES)
    connection.register("numbered_lines", lines)
    connection.execute(
        f"""
        create or replace temp table judged as
        with split as (
            select line, text, is_overlong, string_split(text, $delimiter) as parts, $file_id::integer as file_id
            from numbered_lines
        ),
        named as (
            select
                *, {texts},
                -- An empty field at the end is a trailing delimiter, nothing lost.
                len(parts) - (len(parts) > $expected and trim(parts[-1]) = '')::integer as found
            from split
        ),
        numbered as (
            select *, whole_number(opened_at_text) as time_number from named
        ),
        typed as (
            select
                *,
                case
                    when $unit = 'text' then try_cast(opened_at_text as timestamptz)
                    else {opened_at_of("time_number", "$unit")}
                end as opened_at,
                {prices}, exact_number(volume_text) as volume,
                whole_number(trades_text) as trades,
                $expected as expected, $unit as unit, $refusal as refusal, $has_trades as has_trades
            from numbered
        ),
        judged as (
            select
                typed.*, coalesce({reason_of(FORM)}, {reason_of(VALUES)}) as reason
            from typed join sources using (file_id)
        )
        select * from judged
        """,
        {
            "delimiter": layout.delimiter,
            "file_id": file.file_id,
            "expected": len(layout.fields),
            "unit": layout.unit,
            "refusal": layout.refusal,
            "has_trades": "trades" in layout.fields,
        },
    )
    connection.unregister("numbered_lines")
    connection.execute(
        """
        insert into waiting
        select file_id, line, opened_at, open, high, low, close, volume, trades from judged where reason is null
        """
    )
    connection.execute(
        f"""
        insert into rejected
        select file_id, line, opened_at, reason, left(text, {SHOWN_TEXT}) from judged where reason is not null
        """
    )
    connection.execute("drop table judged")


def _field(layout: Layout, name: str) -> str:
    if name not in layout.fields:
        return "null::varchar"
    return f"trim(trim(trim(parts[{layout.fields.index(name) + 1}]), '\"'))"
