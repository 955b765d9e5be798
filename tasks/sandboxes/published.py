"""What a sandbox over the published warehouse is fed.

Apart from the rest: DuckDB and Polars take a sixth of the time in which a sandbox starts, and no other needs them.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import NamedTuple

from config.settings import Settings
from exchange.sandbox.market.facts import PAIRS
from exchange.sandbox.market.sources import Row
from trading.errors import InputUnusable
from warehouse.replay import ClosedCandle, Span, bounded_reading, instruments_in, replay


class Feed(NamedTuple):
    """Candles of one timeframe, in the order of time, then of instrument; and the instruments that have any."""

    rows: Iterator[Row]
    instruments: Sequence[str]


@contextmanager
def published_feed(
    settings: Settings,
    instruments: Sequence[str] | None,
    timeframe: str,
    first: datetime | None,
    last: datetime | None,
) -> Iterator[Feed]:
    """The published candles of these instruments; None: of all pairs that are known. Read as they are taken.

    Raises InputUnusable: an instrument that is named has none in that span, or no pair has. And SetupFailed: nothing is
    published.
    """
    wanted = tuple(instruments or (pair.instrument for pair in PAIRS))
    span = Span(wanted, (timeframe,), first, last)
    limits = settings.warehouse
    with bounded_reading(
        settings.paths.published,
        memory_limit=limits.memory_limit,
        threads=limits.threads,
        scratch=settings.paths.state / "replay",
    ) as connection:
        there = instruments_in(connection, span)
        missing = [name for name in instruments or () if name not in there]
        if missing or not there:
            raise InputUnusable(
                f"The published warehouse has no {timeframe} candles of {', '.join(missing or wanted)} in that span."
            )
        yield Feed(map(_row, replay(connection, span)), there)


def _row(candle: ClosedCandle) -> Row:
    return Row(
        candle.instrument,
        candle.timeframe,
        candle.opened_at,
        candle.open,
        candle.high,
        candle.low,
        candle.close,
        candle.volume,
        candle.trades,
    )
