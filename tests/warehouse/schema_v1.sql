-- The tables of schema version 1 (November 2026), as its code made them. Never edit this file.
create schema if not exists raw;

create schema if not exists staging;

create schema if not exists features;

create schema if not exists marts;

create schema if not exists checks;

create schema if not exists meta;

create table if not exists raw.batches (
    batch_id varchar primary key, source varchar not null, path varchar not null, content_hash varchar not null,
    fetched_at timestamptz not null, state varchar not null check (state in ('landed', 'validated', 'refused')),
    rows_read bigint not null, rows_landed bigint not null, rows_unchanged bigint not null,
    rows_revised bigint not null, rows_quarantined bigint not null, detail varchar not null
);

create table if not exists raw.files (
    file_id integer primary key, batch_id varchar not null, source varchar not null, file varchar not null,
    instrument varchar not null, timeframe varchar not null, candle_us bigint not null,
    fetched_at timestamptz not null
);

create table if not exists raw.candle_rows (
    file_id integer not null, opened_at timestamptz not null,
    open decimal(18, 10), high decimal(18, 10), low decimal(18, 10), close decimal(18, 10), volume decimal(28, 10), trades bigint,
    revises boolean not null
);

create view if not exists raw.kraken_ohlcvt as
select
    files.batch_id, files.source, files.instrument, files.timeframe, candle_rows.opened_at,
    make_timestamptz(epoch_us(candle_rows.opened_at) + files.candle_us) as closed_at,
    candle_rows.open, candle_rows.high, candle_rows.low, candle_rows.close, candle_rows.volume, candle_rows.trades,
    candle_rows.revises, files.file_id, files.file, files.fetched_at, batches.state
from raw.candle_rows join raw.files using (file_id) join raw.batches using (batch_id);

create table if not exists raw.quarantine (
    batch_id varchar not null, source varchar not null, file varchar not null, line bigint not null,
    instrument varchar not null, timeframe varchar not null, opened_at timestamptz,
    reason varchar not null, row_text varchar not null, quarantined_at timestamptz not null
);

create table if not exists checks.results (
    batch_or_run varchar, suite varchar, check_name varchar, passed boolean, offenders bigint, detail varchar,
    checked_at timestamptz
);

create table if not exists meta.publication (
    published_at timestamptz not null, schema_version integer not null, code_version varchar not null
);
