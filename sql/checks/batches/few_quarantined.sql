-- Hardly any row of an instrument is bad: when many are, the rest is not to be believed either.
-- grain: one row per instrument of the batch that has too many
-- param: max_quarantined_share double = 0.05
select
    instrument, sum(rows_read) as rows_read, sum(rows_quarantined) as rows_quarantined,
    sum(rows_quarantined) / sum(rows_read) as quarantined_share
from temp.batch_files
group by instrument
having sum(rows_quarantined) > getvariable('max_quarantined_share') * sum(rows_read)
