-- Hardly any row of a batch is bad: when many are, the rest is not to be believed either.
-- grain: the batch, when it has too many
-- param: max_quarantined_share double = 0.05
select batch_id, path, rows_read, rows_quarantined, rows_quarantined / rows_read as quarantined_share
from temp.batch
where rows_quarantined > getvariable('max_quarantined_share') * rows_read
