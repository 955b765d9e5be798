-- A candle comes from a batch that passed its checks, for its instrument, or is derived.
-- grain: one row per candle that does not
-- lookback: 0 days
select instrument, timeframe, opened_at, source, batch_id
from marts.candles
anti join (select batch_id, instrument from raw.files where state = 'validated') as validated
    using (batch_id, instrument)
where source <> 'derived'
