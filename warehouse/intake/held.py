"""What `raw` holds already, as far as a backfill has to know: how far each series reaches, and whose data it is.

Only what was validated is held. What landed and was never judged, because a kill came in between, is not.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import duckdb

Connection = duckdb.DuckDBPyConnection
Series = tuple[str, str]  # instrument and timeframe


class Refused(NamedTuple):
    """A series that its source has told in vain since it was last validated: in how many batches, the last of them."""

    times: int
    last_at: datetime
    last_batch: str


class Unjudged(NamedTuple):
    """A batch that landed and was never judged; `path` is what it was landed from."""

    batch_id: str
    path: Path


def newest_candles(connection: Connection, series: Sequence[str]) -> dict[Series, datetime]:
    """By series and timeframe, when the newest validated candle opened, whoever told it."""
    return _by_series(
        connection,
        """
        select instrument, timeframe, max(opened_at) from raw.kraken_ohlcvt
        where list_contains($series, instrument) and state = 'validated' group by instrument, timeframe
        """,
        {"series": list(series)},
    )


def told_until(connection: Connection, source: str, series: Sequence[str]) -> dict[Series, datetime]:
    """By series and timeframe, up to when a source has told all there was, and was believed."""
    return _by_series(
        connection,
        """
        select instrument, timeframe, max(covers_until) from raw.files
        where source = $source and list_contains($series, instrument) and state = 'validated'
        group by instrument, timeframe
        """,
        {"source": source, "series": list(series)},
    )


def refused(connection: Connection, source: str, series: Sequence[str]) -> dict[Series, Refused]:
    """By series and timeframe, what a source was refused since something of it was validated."""
    rows = connection.execute(
        """
        with judged as (
            select *, max(file_id) filter (state = 'validated') over (partition by instrument, timeframe) as good_id
            from raw.files where source = $source and list_contains($series, instrument)
        )
        select instrument, timeframe, count(distinct batch_id), max(fetched_at), arg_max(batch_id, file_id)
        from judged where state = 'refused' and file_id > coalesce(good_id, 0) group by instrument, timeframe
        """,
        {"source": source, "series": list(series)},
    ).fetchall()
    return {(instrument, timeframe): Refused(*told) for instrument, timeframe, *told in rows}


def newest_rate(connection: Connection, contract: str) -> datetime | None:
    """When the hour of a contract's newest funding rate began."""
    row = connection.execute("select max(began_at) from raw.funding_rates where instrument = ?", [contract]).fetchone()
    assert row is not None
    began_at: datetime | None = row[0]
    return began_at


def covers(connection: Connection, source: str, series: str, timeframe: str, span: tuple[datetime, datetime]) -> bool:
    """Whether a source has told all of one series between two times already, at once, and was believed."""
    row = connection.execute(
        """
        select count(*) > 0 from raw.files
        where source = $source and instrument = $series and timeframe = $timeframe and state = 'validated'
            and covers_from <= $first and covers_until >= $last
        """,
        {"source": source, "series": series, "timeframe": timeframe, "first": span[0], "last": span[1]},
    ).fetchone()
    assert row is not None
    is_covered: bool = row[0]
    return is_covered


def unjudged(connection: Connection, source_prefix: str) -> list[Unjudged]:
    """The batches of some sources that landed and were never judged, in the order of their landing."""
    rows = connection.execute(
        "select batch_id, path from raw.batches where state = 'landed' and starts_with(source, ?) order by all",
        [source_prefix],
    ).fetchall()
    return [Unjudged(batch_id, Path(path)) for batch_id, path in rows]


def left_unjudged(connection: Connection, before: datetime) -> list[str]:
    """Ids of the batches, of any source, that landed before a time and were never judged."""
    rows = connection.execute(
        "select batch_id from raw.batches where state = 'landed' and fetched_at < ? order by fetched_at, batch_id",
        [before],
    ).fetchall()
    return [batch_id for (batch_id,) in rows]


def told_last(connection: Connection, source_prefix: str) -> datetime | None:
    """Up to when some sources have told all there was, and were believed; None: they never told anything."""
    row = connection.execute(
        "select max(covers_until) from raw.files where state = 'validated' and starts_with(source, ?)", [source_prefix]
    ).fetchone()
    assert row is not None
    at: datetime | None = row[0]
    return at


def sources(connection: Connection) -> set[str]:
    """Of everything that was landed, whoever told it."""
    rows = connection.execute(
        "select source from raw.batches where state <> 'refused' union select source from raw.funding_rates"
        " union select source from raw.discoveries"
    ).fetchall()
    return {source for (source,) in rows}


def _by_series(connection: Connection, query: str, values: Mapping[str, object]) -> dict[Series, datetime]:
    return {(name, timeframe): at for name, timeframe, at in connection.execute(query, values).fetchall()}
