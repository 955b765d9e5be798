-- Every interval of a series has a candle or a reason why there is none.
-- grain: one row per series that does not add up
select instrument, timeframe, expected, present, filled, missing
from marts.data_quality
where expected <> present + filled + missing
