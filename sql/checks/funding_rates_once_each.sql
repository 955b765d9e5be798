-- Every hour is stated first once, and a fetch revises it at most once: else it would be open which rate holds.
-- grain: one row per source, contract, hour and fetch that is not so
with

first_twice as (

    select source, instrument, began_at, max(fetched_at) as fetched_at
    from raw.funding_rates
    where not revises
    group by source, instrument, began_at
    having count(*) > 1

),

revisions as (

    select source, instrument, began_at, fetched_at, count(*) as rows
    from raw.funding_rates
    where revises
    group by source, instrument, began_at, fetched_at

),

revised_what as (

    select revisions.source, revisions.instrument, revisions.began_at, revisions.fetched_at
    from revisions left join raw.funding_rates as firsts
        on
            revisions.source = firsts.source and revisions.instrument = firsts.instrument
            and revisions.began_at = firsts.began_at and not firsts.revises
    where revisions.rows > 1 or firsts.fetched_at is null or firsts.fetched_at = revisions.fetched_at

)

select * from first_twice
union all
select * from revised_what
