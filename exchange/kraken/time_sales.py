"""Kraken's published archives of trades, "time and sales": `XBTUSD.csv`, a line `unix_time,price,volume` each.

The lines are in the order of their times and have no header and no ids; the number of a line stands in for the id.
Source: https://support.kraken.com/articles/360047543791-downloadable-historical-market-data-time-and-sales-

A trade that can't be read would make a wrong candle, so a file is used as a whole or not at all.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import polars as pl
from polars.exceptions import PolarsError

from exchange.kraken.rebuild import DECIMALS, EXACT, HIGHEST, SECOND_NS, SPANS_NS, Rebuild
from exchange.kraken.symbols import instrument_of
from trading.errors import InputUnusable

LINES_AT_ONCE = 500_000
LONGEST_SILENCE_NS = 86_400 * SECOND_NS  # between two files: a longer one may be a file that is not there
FIELDS = ("traded_s", "price", "volume")
FINER = pl.Decimal(38, 18)  # shows digits that EXACT would drop
SHOWN_TEXT = 100  # characters of a bad line


class TradeFile(NamedTuple):
    """One file of trades: as the person knows it, and where its bytes lie."""

    name: str
    path: Path


class Covered(NamedTuple):
    """From when to when all trades are known, in ns; both are bounds of 15m candles."""

    from_ns: int
    until_ns: int


def instrument_of_file(name: str) -> str | None:
    """`XBTUSD.csv` -> `BTC/USD`; None: the name states no pair, or an interval too, and so candles."""
    stem, _, ending = name.replace("\\", "/").rpartition("/")[2].rpartition(".")
    return instrument_of(stem) if ending.lower() == "csv" else None


def in_order(files: Sequence[TradeFile]) -> tuple[tuple[TradeFile, ...], int, int]:
    """Files of one pair by the times of their trades, with the first and the last of all, in ns.

    Raises:
        InputUnusable: one is empty or can't be read, two overlap, or more than a day lies between them.
    """
    spans = sorted((*_ends_of(file), file) for file in files)
    for (_, earlier_ns, earlier), (later_ns, _, later) in pairwise(spans):
        if later_ns < earlier_ns:
            raise InputUnusable(
                f"{later.name} begins at {_said(later_ns)}, before {earlier.name} ends at {_said(earlier_ns)}: "
                "land them one at a time."
            )
        if later_ns - earlier_ns > LONGEST_SILENCE_NS:
            raise InputUnusable(
                f"{earlier.name} ends at {_said(earlier_ns)} and {later.name} begins at {_said(later_ns)}. What lies "
                "between may be in a file that is missing: add it, or land these one at a time."
            )
    return tuple(file for _, _, file in spans), spans[0][0], spans[-1][1]


def covered_by(first_ns: int, last_ns: int, since: datetime | None, until: datetime | None) -> Covered:
    """The span of which all trades are known. What a person says goes before what the trades themselves show: all
    between the first and the last, so the intervals these lie in may be cut.

    Raises:
        InputUnusable: a person's bound is no bound of a 15m candle, lies inside the trades, or leaves nothing.
    """
    step_ns = SPANS_NS["15m"]
    from_ns = -(-first_ns // step_ns) * step_ns if since is None else _bound("since", since)
    until_ns = last_ns // step_ns * step_ns if until is None else _bound("until", until)
    if from_ns > first_ns and since is not None:
        raise InputUnusable(f"The first trade is at {_said(first_ns)}, before `since`: no candle would have it.")
    if until_ns <= last_ns and until is not None:
        raise InputUnusable(f"The last trade is at {_said(last_ns)}, and not before `until`: no candle would have it.")
    if from_ns >= until_ns:
        raise InputUnusable(f"From {_said(first_ns)} to {_said(last_ns)} no interval of 15 minutes is complete.")
    return Covered(from_ns, until_ns)


def candles_of(files: Sequence[TradeFile], covered: Covered) -> Iterator[pl.DataFrame]:
    """Candles of all timeframes that lie in the covered span, file by file. Columns: those of `Rebuild.add`.

    Raises:
        InputUnusable: a line is no trade; names file and line.
        CheckFailed: the times of a file go back further than trades ever do.
    """
    rebuild, lines = Rebuild(covered.from_ns), 0
    for file in files:
        for trades in _trades_of(file, lines):
            lines += len(trades)
            yield rebuild.add(trades)
    yield rebuild.close(covered.until_ns)


def _trades_of(file: TradeFile, lines_before: int) -> Iterator[pl.DataFrame]:
    lazy = pl.scan_csv(
        file.path, has_header=False, schema=dict.fromkeys(FIELDS, pl.String), quote_char=None, raise_if_empty=False
    )
    numbers = {name: pl.col(name).cast(FINER, strict=False) for name in FIELDS}
    kept = {name: number.cast(EXACT, strict=False) for name, number in numbers.items()}
    is_trade = pl.all_horizontal(
        *((kept[name] == numbers[name]) & (kept[name] > 0) & (kept[name] < HIGHEST) for name in FIELDS)
    ).fill_null(value=False)
    try:
        for texts in lazy.collect_batches(chunk_size=LINES_AT_ONCE, maintain_order=True):
            trades = texts.select(
                trade_id=pl.int_range(1, pl.len() + 1) + lines_before,
                traded_ns=(kept["traded_s"] * SECOND_NS).cast(pl.Int64),
                price=kept["price"],
                volume=kept["volume"],
                is_trade=is_trade,
            )
            if not trades["is_trade"].all():
                raise _bad_line(file)
            lines_before += len(trades)
            yield trades.drop("is_trade")
    except PolarsError as error:
        raise _bad_line(file) from error


def _bad_line(file: TradeFile) -> InputUnusable:
    """The fast parser says that something is wrong; this says where. The caller raises it."""
    with file.path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            if not _is_trade(line):
                return InputUnusable(
                    f"{file.name}, line {number}: {line.strip()[:SHOWN_TEXT]!r} is no trade. A line has time, price "
                    f"and volume: numbers above 0 with at most {DECIMALS} decimals. No candle was made of the file."
                )
    return InputUnusable(f"{file.name} changed while it was read; land it again when it is complete.")


def _is_trade(line: str) -> bool:
    fields = line.rstrip("\r\n").split(",")
    return len(fields) == len(FIELDS) and all(_is_kept(field) for field in fields)


def _is_kept(field: str) -> bool:
    try:
        number = Decimal(field)
    except InvalidOperation:
        return False
    return number.is_finite() and 0 < number < HIGHEST and number == round(number, DECIMALS)


def _ends_of(file: TradeFile) -> tuple[int, int]:
    """Times of the first and the last trade, without reading what lies between."""
    with file.path.open("rb") as lines:
        first = lines.readline()
        if not first.strip():
            raise InputUnusable(f"{file.name} is empty.")
        lines.seek(max(0, file.path.stat().st_size - 4_096))
        last = lines.read().rstrip(b"\r\n").rpartition(b"\n")[2]
    ends = [line.decode("utf-8", "replace") for line in (first, last)]
    if not all(map(_is_trade, ends)):
        raise _bad_line(file)
    first_ns, last_ns = (int(Decimal(line.partition(",")[0]) * SECOND_NS) for line in ends)
    return first_ns, last_ns


def _bound(name: str, at: datetime) -> int:
    seconds = at.timestamp() if at.tzinfo else 0.5
    if seconds % 900:
        raise InputUnusable(f"`{name}` is {at}: say it as the bound of a 15m candle with its zone, 2023-01-31T00:00Z.")
    return int(seconds) * SECOND_NS


def _said(at_ns: int) -> str:
    return f"{datetime.fromtimestamp(at_ns // SECOND_NS, UTC):%Y-%m-%d %H:%M:%S} UTC"
