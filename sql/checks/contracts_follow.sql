-- The facts of a contract hold one after another: none ends before it began, and no two hold at once.
-- grain: one row per version of a contract that does not
select source, contract, valid_from, valid_to
from marts.contracts
qualify
    valid_from >= valid_to
    or coalesce(valid_to, 'infinity'::timestamptz)
    > lead(valid_from) over (partition by source, contract order by valid_from)
