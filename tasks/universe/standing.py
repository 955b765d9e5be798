"""The universe as it is published: who is in, who is out and why, and since when."""

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from config.settings import Settings
from trading.errors import SetupFailed
from warehouse.connection import reading

_UNIVERSE = """
    select source, fetched_at, instrument, contract, is_member, since, reasons, volume_24h_usd, spread_bps
    from marts.universe
    order by source, is_member desc, volume_24h_usd desc nulls last, instrument
"""


class Standing(NamedTuple):
    """One spot pair in a universe. Volume in USD in 24 hours, spread in basis points; None: not known."""

    source: str
    fetched_at: datetime  # of the look that is in force
    instrument: str
    contract: str | None
    is_member: bool
    since: datetime  # it is in, or out
    reasons: str  # why it is out
    volume_24h_usd: Decimal | None
    spread_bps: Decimal | None


def universe_in_force(settings: Settings) -> tuple[Standing, ...]:
    """Every pair that was judged: those that are in first, by their volume.

    Raises:
        SetupFailed: nothing is published, or no look at a venue is in what is.
    """
    with reading(settings.paths.published) as connection:
        standings = tuple(Standing(*row) for row in connection.execute(_UNIVERSE).fetchall())
    if not standings:
        raise SetupFailed(
            "No universe is published yet. `make run` looks at a venue; so does `prefect deployment run "
            "universe/discover --param venue=<name>`, and the next build publishes what it saw."
        )
    return standings
