"""What the warehouse need not remember for ever. Candles that counted, decisions and trades are not of it."""

from datetime import datetime
from typing import NamedTuple

import duckdb


class Forgotten(NamedTuple):
    """What was removed, counted."""

    refused_batches: int = 0
    refused_rows: int = 0  # candles of those batches
    quarantine_texts: int = 0  # the lines themselves; file, line number, time and reason stay
    check_results: int = 0


def forget(
    connection: duckdb.DuckDBPyConnection, *, refused_before: datetime, texts_before: datetime, checks_before: datetime
) -> Forgotten:
    """Remove what is older than its limit, in the caller's transaction.

    A refused batch goes with all it brought; nothing downstream has ever read it. Of a line in quarantine only its
    text goes: that it was there, where, and why it was not trusted stays, and so the sums of its batch still hold.
    """
    batches, rows = _forget_refused(connection, refused_before)
    texts = _count_of(
        connection,
        "update raw.quarantine set row_text = '' where quarantined_at < $before and row_text <> ''",
        texts_before,
    )
    results = _count_of(connection, "delete from checks.results where checked_at < $before", checks_before)
    return Forgotten(batches, rows, texts, results)


def _forget_refused(connection: duckdb.DuckDBPyConnection, before: datetime) -> tuple[int, int]:
    old = "select batch_id from raw.batches where state = 'refused' and fetched_at < $before"
    files = f"select file_id from raw.files where batch_id in ({old})"
    rows = _count_of(connection, f"delete from raw.candle_rows where file_id in ({files})", before)
    for table in ("raw.files", "raw.quarantine"):
        _count_of(connection, f"delete from {table} where batch_id in ({old})", before)
    batches = _count_of(connection, f"delete from raw.batches where batch_id in ({old})", before)
    return batches, rows


def _count_of(connection: duckdb.DuckDBPyConnection, statement: str, before: datetime) -> int:
    row = connection.execute(statement, {"before": before}).fetchone()
    assert row is not None
    count: int = row[0]
    return count
