"""What `raw` holds already, as far as a backfill has to know: how far each series reaches, and whose data it is."""

from collections.abc import Sequence
from datetime import datetime

import duckdb

Connection = duckdb.DuckDBPyConnection


def newest_candles(connection: Connection, series: Sequence[str]) -> dict[tuple[str, str], datetime]:
    """By series and timeframe, when the newest candle opened; of what was not refused. Unknown series are left out."""
    rows = connection.execute(
        """
        select instrument, timeframe, max(opened_at) from raw.kraken_ohlcvt
        where list_contains($series, instrument) and state <> 'refused' group by instrument, timeframe
        """,
        {"series": list(series)},
    ).fetchall()
    return {(instrument, timeframe): newest for instrument, timeframe, newest in rows}


def newest_rate(connection: Connection, contract: str) -> datetime | None:
    """When the hour of a contract's newest funding rate began."""
    row = connection.execute("select max(began_at) from raw.funding_rates where instrument = ?", [contract]).fetchone()
    assert row is not None
    began_at: datetime | None = row[0]
    return began_at


def covers(connection: Connection, source: str, series: str, timeframe: str, span: tuple[datetime, datetime]) -> bool:
    """Whether a source has told all of one series between two times already, at once."""
    row = connection.execute(
        """
        select count(*) > 0 from raw.files
        where source = $source and instrument = $series and timeframe = $timeframe and state <> 'refused'
            and covers_from <= $first and covers_until >= $last
        """,
        {"source": source, "series": series, "timeframe": timeframe, "first": span[0], "last": span[1]},
    ).fetchone()
    assert row is not None
    is_covered: bool = row[0]
    return is_covered


def sources(connection: Connection) -> set[str]:
    """Of everything that was landed, whoever told it."""
    rows = connection.execute(
        "select source from raw.batches where state <> 'refused' union select source from raw.funding_rates"
        " union select source from raw.discoveries"
    ).fetchall()
    return {source for (source,) in rows}
