-- The venue's own spot candles.
-- grain: one row per instrument, timeframe and candle
-- key: instrument, timeframe, opened_at
-- lookback: 0 days
-- materialized: view
select * from staging.stg_kraken__believed
where left(instrument, 3) not in ('PF_', 'PI_', 'FI_', 'FF_')     -- how Kraken Futures' symbols begin
