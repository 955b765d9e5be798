"""Funding rates -> `raw.funding_rates`: an hour is landed once, and again only when the venue says another rate."""

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

import duckdb
import pyarrow as pa

from trading.errors import InputUnusable
from warehouse.reference.exact import rounded
from warehouse.reference.schema import DIGITS, RATE_DECIMALS

_RATE = pa.decimal128(DIGITS, RATE_DECIMALS)
_COLUMNS = pa.schema(
    [
        ("instrument", pa.string()),
        ("began_at", pa.timestamp("us", tz="UTC")),
        ("rate", _RATE),
        ("relative_rate", _RATE),
    ]
)


class FundingHour(NamedTuple):
    """What a position of one base unit pays for one hour, long to short. `instrument` is the contract, `PF_XBTUSD`."""

    instrument: str
    began_at: datetime
    rate: Decimal  # quote units for one base unit and hour
    relative_rate: Decimal  # fraction of the index


class FundingReport(NamedTuple):
    """What became of the rows. rows_read = rows_landed + rows_revised + rows_unchanged."""

    rows_read: int
    rows_landed: int
    rows_revised: int
    rows_unchanged: int


def land_funding(
    connection: duckdb.DuckDBPyConnection, rows: Iterable[FundingHour], *, source: str, fetched_at: datetime
) -> FundingReport:
    """Add what is new or revised, in the caller's transaction. Landing the same rows again adds nothing.

    A row is compared with what was landed last of its source, whatever its time: a clock can be set back. A revision is
    then stored as of just after what it revises, so that the newest is always the one that holds. Rates keep 30
    decimals; the venue computes them with floats of 17 digits.

    Raises:
        InputUnusable: a time that is no full hour or not aware, an hour twice with different rates, a rate that does
            not fit; nothing was landed.
    """
    hours = _once_each(rows)
    columns = list(zip(*hours.values(), strict=True)) or [(), (), (), ()]
    given = pa.table([pa.array(values, kind) for values, kind in zip(columns, _COLUMNS.types, strict=True)], _COLUMNS)
    connection.register("given_rates", given)
    try:
        landed, revised = _land(connection, source, fetched_at)
    finally:
        connection.unregister("given_rates")
    return FundingReport(len(hours), landed, revised, len(hours) - landed - revised)


def _once_each(rows: Iterable[FundingHour]) -> dict[tuple[str, datetime], FundingHour]:
    hours: dict[tuple[str, datetime], FundingHour] = {}
    for row in rows:
        hour = _checked(row)
        if hours.setdefault((hour.instrument, hour.began_at), hour) != hour:
            raise InputUnusable(
                f"The funding rates of {hour.instrument} say two things about {hour.began_at.isoformat()}: fetch them "
                "again."
            )
    return hours


def _checked(row: FundingHour) -> FundingHour:
    what = f"The funding rate of {row.instrument} at {row.began_at.isoformat()}"
    if row.began_at.tzinfo is None or row.began_at.timestamp() % 3600:
        raise InputUnusable(f"{what} does not begin at a full hour of UTC: the venue's protocol has changed.")
    return FundingHour(
        row.instrument,
        row.began_at.astimezone(UTC),
        rounded(row.rate, RATE_DECIMALS, what),
        rounded(row.relative_rate, RATE_DECIMALS, what),
    )


def _land(connection: duckdb.DuckDBPyConnection, source: str, fetched_at: datetime) -> tuple[int, int]:
    """How many rows are new, and how many revise another."""
    connection.execute(
        """
        create or replace temp table differing_rates as
        with in_force as (
            select instrument, began_at, rate, relative_rate, fetched_at
            from raw.funding_rates
            where source = $source and instrument in (select instrument from given_rates)
            qualify row_number() over (partition by instrument, began_at order by fetched_at desc, rowid desc) = 1
        )
        select
            given.*, in_force.rate is not null as revises,
            greatest($fetched_at, in_force.fetched_at + interval 1 microsecond) as fetched_at
        from given_rates as given left join in_force using (instrument, began_at)
        where (given.rate, given.relative_rate) is distinct from (in_force.rate, in_force.relative_rate)
        """,
        {"source": source, "fetched_at": fetched_at},
    )
    connection.execute(
        "insert into raw.funding_rates"
        " select * exclude (fetched_at), $source, fetched_at from temp.differing_rates order by all",
        {"source": source},
    )
    row = connection.execute(
        "select count(*) filter (not revises), count(*) filter (revises) from temp.differing_rates"
    ).fetchone()
    connection.execute("drop table temp.differing_rates")
    assert row is not None
    return row[0], row[1]
