"""What code writes: the tables of `raw`, `checks`, `meta` and of runs. The others are files in `sql/`, one each.

A landed row carries the number of its file, not the file's name, source, instrument and timeframe again: writing a text
that repeats in every row takes as long as writing three prices. The view `raw.kraken_ohlcvt` puts them side by side.

A contract's candles of its mark price and of its index are series of their own: `PF_XBTUSD.mark`, `PF_XBTUSD.spot`.

Whoever changes a table here raises SCHEMA_VERSION and adds the way to it in `warehouse/upkeep/migrations.py`. A new
table needs neither, nor does a view, which is replaced by what it says now.
"""

import duckdb

from warehouse import backtests
from warehouse.reference.schema import REFERENCE
from warehouse.upkeep import migrations

SCHEMA_VERSION = 4

# Prices fit 18 digits: below 1e8 with 10 decimals, more than any pair of Kraken's needs, and DuckDB reads and writes
# 64-bit decimals many times faster than 128-bit ones. Volumes can pass 1e12 with 8 decimals and get 28.
PRICE = "decimal(18, 10)"
VOLUME = "decimal(28, 10)"

TIMEFRAME_US = {"15m": 900_000_000, "1h": 3_600_000_000, "4h": 14_400_000_000, "1d": 86_400_000_000}

JOURNAL = """
    create table if not exists marts.journal (
        session varchar not null, seq bigint not null, recorded_at timestamptz not null, kind varchar not null,
        happened_at timestamptz not null, instrument varchar not null, key varchar, payload json not null,
        hash varchar not null
    )
"""


def with_their_files(rows: str) -> str:
    """SQL of landed candles with their lineage: `rows` are `raw.candle_rows`, or some of them."""
    return f"""
    select
        files.batch_id, files.source, files.instrument, files.timeframe, candle_rows.opened_at,
        make_timestamptz(epoch_us(candle_rows.opened_at) + files.candle_us) as closed_at,
        candle_rows.open, candle_rows.high, candle_rows.low, candle_rows.close, candle_rows.volume, candle_rows.trades,
        candle_rows.revises, files.file_id, files.file, files.fetched_at, files.state
    from {rows} as candle_rows join raw.files using (file_id)
    """


STATEMENTS = (
    *(f"create schema if not exists {name}" for name in ("raw", "staging", "features", "marts", "checks", "meta")),
    """
    create table if not exists raw.batches (
        batch_id varchar primary key, source varchar not null, path varchar not null, content_hash varchar not null,
        fetched_at timestamptz not null,
        state varchar not null check (state in ('landed', 'validated', 'partly', 'refused')),
        rows_read bigint not null, rows_landed bigint not null, rows_unchanged bigint not null,
        rows_revised bigint not null, rows_quarantined bigint not null, detail varchar not null
    )
    """,
    # Validated or refused instrument by instrument: `state` is the file's, that of its batch sums them up. What a
    # source was asked for, or else what the file spans, is `covers_from` to `covers_until`.
    """
    create table if not exists raw.files (
        file_id integer primary key, batch_id varchar not null, source varchar not null, file varchar not null,
        instrument varchar not null, timeframe varchar not null, candle_us bigint not null,
        fetched_at timestamptz not null, state varchar not null check (state in ('landed', 'validated', 'refused')),
        covers_from timestamptz, covers_until timestamptz, rows_read bigint not null, rows_quarantined bigint not null
    )
    """,
    # Append only. `revises` says that a row with the same key was there before: only such keys need "newest wins".
    # No index: it would cost more than landing itself, and checks look for what it would refuse.
    f"""
    create table if not exists raw.candle_rows (
        file_id integer not null, opened_at timestamptz not null,
        open {PRICE}, high {PRICE}, low {PRICE}, close {PRICE}, volume {VOLUME}, trades bigint,
        revises boolean not null
    )
    """,
    f"create or replace view raw.kraken_ohlcvt as {with_their_files('raw.candle_rows')}",
    # Where sources differ on a candle, the one with the highest precedence is believed, and of one source the newest;
    # who is not listed has 0. `vouches`: an interval without a candle is one in which nothing traded. Kraken's
    # published archives are final, its REST is corrected for a while, what we build from trades or a stream is ours.
    # What others say of Kraken's market comes after all that Kraken says itself; a sandbox replays what was there.
    """
    create or replace view raw.sources as
    select * from (values
        ('kraken', 60, true, 'Kraken''s published OHLCVT archives'),
        ('kraken-rest', 50, true, 'Kraken''s OHLC, REST'),
        ('kraken-charts', 50, true, 'Kraken Futures'' charts, REST'),
        ('kraken-trades', 40, true, 'made of Kraken''s trades, REST'),
        ('kraken_time_sales', 40, true, 'made of Kraken''s published archives of trades'),
        ('kraken-websocket', 30, false, 'Kraken''s ohlc channel'),
        ('own', 20, false, 'a person''s own files'),
        ('sandbox-rest', 10, true, 'OHLC of a sandbox'),
        ('sandbox-charts', 10, true, 'charts of a sandbox'),
        ('sandbox-trades', 10, true, 'made of the trades of a sandbox')
    ) as listed (source, precedence, vouches, description)
    """,
    """
    create table if not exists raw.quarantine (
        batch_id varchar not null, source varchar not null, file varchar not null, line bigint not null,
        instrument varchar not null, timeframe varchar not null, opened_at timestamptz,
        reason varchar not null, row_text varchar not null, quarantined_at timestamptz not null
    )
    """,
    """
    create table if not exists checks.results (
        batch_or_run varchar, suite varchar, check_name varchar, passed boolean, offenders bigint, detail varchar,
        checked_at timestamptz
    )
    """,
    JOURNAL,
    *backtests.CREATE,
    """
    create table if not exists meta.publication (
        published_at timestamptz not null, schema_version integer not null, code_version varchar not null
    )
    """,
    *REFERENCE,
)


def create_schema(connection: duckdb.DuckDBPyConnection) -> None:
    """Bring an older warehouse up to date, create what is missing, leave what is there.

    Raises:
        SetupFailed: the warehouse was made by newer code.
    """
    migrations.migrate(connection, SCHEMA_VERSION)
    for statement in STATEMENTS:
        connection.execute(statement)
