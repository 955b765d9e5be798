"""`features.smc`, what Smart Money Concepts say at the close of each candle, and `marts.zones`, with the zones' lives.

A row is known at its own close and never changes when later candles come. A zone's row does: it says when and why the
zone ended, which is hindsight to everybody before. So zones are for people, and a strategy reads `features.smc`.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import duckdb
import numpy as np
import polars as pl
from numpy.typing import NDArray

import trading.smc
from trading import compiled
from trading.errors import InputUnusable
from trading.smc.fold import fold
from trading.smc.layout import ROW, ZONE, End, Kernel, Kind, Records, Row, Series, Zone, joined
from trading.smc.state import open_zones
from warehouse.features import series as reading
from warehouse.features import states
from warehouse.features.rows import MOMENT, insert_rows
from warehouse.features.series import Bars, Span, fingerprint, is_sound, read_bars, series_in
from warehouse.features.states import EVERY, PARAMETERS, Standing
from warehouse.features.written import AsBefore, Written
from warehouse.features.written import Kind as TableKind

TABLE = "features.smc"
ZONES = "marts.zones"
ZONES_KEY = ("instrument", "timeframe", "zone_id")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FOREVER = datetime(9999, 1, 1, tzinfo=UTC)  # the close of a zone that has not ended

# What is a number in a record, in words.
_WORDS: dict[str, dict[int, str | None]] = {
    "kind": {Kind.BLOCK: "order block", Kind.GAP: "fair value gap", Kind.POOL: "liquidity pool"},
    "why": {end: None if end is End.NOT_YET else end.name.lower() for end in End},
}
_SMALL = frozenset({"trend", "bos", "choch", "session"})  # signs, and bits of a session; all else counts up


class Folded(NamedTuple):
    """What the candles of one series came to, after those that were folded before."""

    series: tuple[str, str]  # instrument, timeframe
    closed_us: NDArray[np.int64]  # of each row
    rows: Records
    ended: Records
    standings: tuple[Standing, ...]  # before, at some candles between, and after

    @property
    def newest(self) -> Standing:
        return self.standings[-1]


def code_hash() -> str:
    """Of all that decides, with the candles, what is told of them."""
    kernel = sorted(Path(str(trading.smc.__file__)).parent.glob("*.py"))
    sources = [*kernel, *(Path(str(module.__file__)) for module in (compiled, reading, states)), Path(__file__)]
    texts = [repr(PARAMETERS).encode(), *(version(name).encode() for name in ("numba", "numpy"))]
    return hashlib.sha256(b"\0".join([*texts, *(path.read_bytes() for path in sources)])).hexdigest()


def written(kernel: Kernel) -> tuple[Written, Written]:
    """The stages `features.smc` and `marts.zones`."""
    made_of = (code_hash(),)
    return Written(partial(write_smc, kernel=kernel), made_of), Written(
        partial(write_zones, kernel=kernel), made_of, is_told_by_close=False
    )


def write_smc(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    kernel: Kernel,
    *,
    kind: TableKind = "table",
    since: datetime | None = None,
) -> Sequence[AsBefore]:
    """Create or replace `table` with a row for each candle of `marts.candles`, from each series' first candle on.

    A candle that contradicts itself has none, and is as if it were not there. Given `since`, with the rows that close
    at or after it, where nothing before it has changed since the last time; and of a series in which nothing has
    changed later either, with those of its new candles.

    Raises:
        InputUnusable: a candle that is there twice; names the series.
    """
    _create(connection, table, kind, Row)
    states.prepare(connection, since)
    series = series_in(connection, since)
    reached = states.reached(connection, since)
    kept: list[Standing] = []
    as_before: list[AsBefore] = []

    def rows() -> Iterator[pl.DataFrame]:
        for folded in _folded(connection, kernel, series, states.newest(connection, series, since), reached):
            kept.extend(folded.standings[1:])
            if folded.standings[0] is reached.get(folded.series):
                as_before.append(AsBefore(*folded.series, _moment(folded.standings[0].closed_us)))
            closed_at = pl.Series(folded.closed_us, dtype=pl.Int64).cast(MOMENT)
            yield _of_series(frame_of(folded.rows, Row).with_columns(closed_at=closed_at), folded.series, since)

    insert_rows(connection, table, rows())
    states.forget(connection, since, as_before)
    states.keep(connection, kept)
    return as_before


def write_zones(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    kernel: Kernel,
    *,
    kind: TableKind = "table",
    since: datetime | None = None,
) -> Sequence[AsBefore]:
    """Create or replace `table` with every zone of every series, after `write_smc` has folded them.

    `closed_at` is the close at which a zone ended, and `FOREVER` while it is open. Given `since`, with the zones that
    ended at or after it, and all that are open; but of a series that `write_smc` found as before, only later ones.

    Raises:
        InputUnusable: as `write_smc`.
    """
    _create(connection, table, kind, Zone)
    series = series_in(connection)
    as_before = states.noted(connection) if since else []
    before = states.newest(connection, series, since, as_before) if since else [states.first(each) for each in series]
    untils = {each[:2]: each.until for each in as_before}

    def zones() -> Iterator[pl.DataFrame]:
        for folded in _folded(connection, kernel, series, before, {}):
            frame = frame_of(joined([folded.ended, open_zones(folded.newest.state)]), Zone)
            closed_at = pl.col("ended_at").fill_null(pl.lit(FOREVER, MOMENT))
            frame = _of_series(frame.with_columns(closed_at=closed_at), folded.series, since)
            until = untils.get(folded.series)
            yield frame if until is None else frame.filter(pl.col("closed_at") > until)

    insert_rows(connection, table, zones())
    return as_before


def _create(connection: duckdb.DuckDBPyConnection, table: str, kind: TableKind, record: type) -> None:
    columns = {"instrument": "varchar", "timeframe": "varchar", "closed_at": "timestamptz"}
    columns |= {_called(name): _type_of(name, record) for name in record.__annotations__}
    listed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
    connection.execute(f"create or replace {kind} {table} ({listed})")


def _called(name: str) -> str:
    return "zone_id" if name == "id" else name


def _type_of(name: str, record: type) -> str:
    if record is Zone and name in {"side", *_WORDS}:
        return "varchar"
    if name.endswith("_at"):
        return "timestamptz"
    if record.__annotations__[name] is float:
        return "double"
    return "tinyint" if name in _SMALL else "bigint"


def _folded(
    connection: duckdb.DuckDBPyConnection,
    kernel: Kernel,
    series: list[Span],
    standings: list[Standing],
    reached: Mapping[tuple[str, str], Standing],
) -> Iterator[Folded]:
    """Each series from where it stands to its last candle; or from what it reached, if its candles are the same."""
    spans = [
        each._replace(candles=each.candles - before.candles, after_us=before.opened_us)
        for each, before in zip(series, standings, strict=True)
    ]
    for standing, (span, bars) in zip(standings, read_bars(connection, spans), strict=True):
        # A check names those that contradict themselves, and nothing is published until they are gone.
        sound = is_sound(bars)
        bars = bars if sound.all() else Bars._make(column[sound] for column in bars)
        try:
            yield _fold(kernel, *_furthest(standing, reached.get(standing[:2]), bars))
        except InputUnusable as error:
            raise InputUnusable(f"{TABLE}: {span.instrument} {span.timeframe}: {error}") from error


def _furthest(standing: Standing, reached: Standing | None, bars: Bars) -> tuple[Standing, Bars]:
    """From where to go on, and the candles after it."""
    if reached is None:
        return standing, bars
    known = reached.candles - standing.candles
    same = Bars._make(column[:known] for column in bars)
    if (standing.fingerprint + fingerprint(same)) % 2**64 != reached.fingerprint:
        return standing, bars
    return reached, Bars._make(column[known:] for column in bars)


def _fold(kernel: Kernel, standing: Standing, bars: Bars) -> Folded:
    kept = [standing]
    rows, ended = [np.empty(0, ROW)], [np.empty(0, ZONE)]
    for start, end in pairwise(_cuts(standing.candles, len(bars.close))):
        piece = Bars._make(column[start:end] for column in bars)
        series = Series(piece.opened_us, piece.open, piece.high, piece.low, piece.close, piece.volume)
        result = fold(kept[-1].state, series, kernel)
        rows.append(result.rows)
        ended.append(result.ended)
        seen = standing.candles + end
        told = (kept[-1].fingerprint + fingerprint(piece)) % 2**64
        last = int(piece.opened_us[-1]), int(piece.closed_us[-1])
        kept.append(Standing(*standing[:2], seen, *last, told, result.state))
    return Folded(standing[:2], bars.closed_us, joined(rows), joined(ended), tuple(kept))


def _cuts(seen: int, new: int) -> list[int]:
    """Where a fold stops to keep a state: at the last two multiples of `EVERY` candles, and at the end."""
    last = (seen + new) // EVERY * EVERY - seen
    return sorted({0, new, *(cut for cut in (last - EVERY, last) if 0 < cut < new)})


def _moment(us: int) -> datetime:
    return EPOCH + timedelta(microseconds=us)


def frame_of(records: Records, record: type) -> pl.DataFrame:
    """A column for each field; no price and no time are NULL."""
    frame = pl.DataFrame({name: records[name] for name in record.__annotations__}, nan_to_null=True)
    times = [pl.col(name).replace(0, None).cast(MOMENT) for name in frame.columns if name.endswith("_at")]
    frame = frame.with_columns(times)
    return _in_words(frame).rename({"id": _called("id")}) if record is Zone else frame


def _in_words(zones: pl.DataFrame) -> pl.DataFrame:
    is_up, is_pool = pl.col("side") > 0, pl.col("kind") == Kind.POOL
    of_pool = pl.when(is_up).then(pl.lit("above")).otherwise(pl.lit("below"))
    of_zone = pl.when(is_up).then(pl.lit("bullish")).otherwise(pl.lit("bearish"))
    words = [pl.col(name).replace_strict(told, return_dtype=pl.String) for name, told in _WORDS.items()]
    return zones.with_columns(pl.when(is_pool).then(of_pool).otherwise(of_zone).alias("side"), *words)


def _of_series(frame: pl.DataFrame, series: tuple[str, str], since: datetime | None) -> pl.DataFrame:
    instrument, timeframe = series
    late = frame if since is None else frame.filter(pl.col("closed_at") >= since)
    return late.with_columns(instrument=pl.lit(instrument), timeframe=pl.lit(timeframe))
