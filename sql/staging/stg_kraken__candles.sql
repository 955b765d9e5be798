-- The venue's own spot candles.
-- grain: one row per instrument, timeframe and candle
-- key: instrument, timeframe, opened_at
-- lookback: 0 days
-- materialized: view
select * from staging.stg_kraken__believed
where not regexp_matches(instrument, '^(PF|PI|FI|FF)_')     -- how Kraken Futures' symbols begin
