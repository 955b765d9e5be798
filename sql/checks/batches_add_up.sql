-- Nothing is lost: every row that was read landed, was known, or is in quarantine.
-- grain: one row per batch that does not add up
with

-- All candles are counted, so by their number of a file before its name.
counted as (

    select file_id, count(*) as candles from raw.candle_rows group by file_id

),

landed as (

    select batch_id, sum(candles) as candles from counted join raw.files using (file_id) group by batch_id

),

quarantined as (

    select batch_id, count(*) as bad_rows from raw.quarantine group by batch_id

)

select
    batches.batch_id, batches.rows_read, batches.rows_landed, batches.rows_unchanged, batches.rows_revised,
    batches.rows_quarantined, coalesce(landed.candles, 0) as candles, coalesce(quarantined.bad_rows, 0) as bad_rows
from raw.batches as batches
left join landed using (batch_id)
left join quarantined using (batch_id)
where
    batches.rows_read
    <> batches.rows_landed + batches.rows_unchanged + batches.rows_revised + batches.rows_quarantined
    or coalesce(landed.candles, 0) <> batches.rows_landed + batches.rows_revised
    or coalesce(quarantined.bad_rows, 0) <> batches.rows_quarantined
