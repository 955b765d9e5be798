"""Candles that changed after a session had decided upon them (I31): told once for each, before anybody wonders."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from config.settings import Settings
from tasks.alerting import alert
from warehouse.connection import unit_of_work

SHOWN = 10
FLOW = "transform"

_REVISED = """
    select
        session, instrument, timeframe, closed_at, close_used::varchar, close::varchar, source, batch_id, decisions
    from marts.revised_decisions
    where decisions > 0
    order by session, instrument, timeframe, closed_at
"""


class Revised(NamedTuple):
    """A candle that a session has used, and of which another value is believed since, or none."""

    session: str
    instrument: str
    timeframe: str
    closed_at: datetime
    close_used: str
    close: str | None  # None: there is no such candle any more, nor source nor batch
    source: str | None
    batch_id: str | None  # that brought the value
    decisions: int  # made for its instrument upon the value used

    def __str__(self) -> str:
        candle = f"{self.instrument} {self.timeframe} {self.closed_at:%Y-%m-%d %H:%M}"
        return f"{candle} ({self._what}; {self.decisions} decisions upon it)"

    @property
    def _what(self) -> str:
        if self.close is None:
            return f"close {self.close_used}, now there is none"
        closes = f"close {self.close_used}, now {self.close}" if self.close_used != self.close else "not its close"
        return f"{closes}; {self.source}"


def alert_revised_decisions(settings: Settings) -> tuple[Revised, ...]:
    """Alert for every session and series of which candles were revised after they were used; all that there are.

    One alert per session, series and batch that revised, ever: the outbox knows what it has told. No batch is known to
    have taken a candle away. So those that are gone are told together, and again when they are not the same any more.

    Raises:
        WarehouseBusy: another process held the build file for the whole bounded wait.
        SetupFailed: the journal of these alerts can't be opened.
    """
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
        revised = tuple(Revised(*row) for row in warehouse.execute(_REVISED).fetchall())
    together: dict[tuple[str, str, str, str | None], list[Revised]] = {}
    for candle in revised:
        key = candle.session, candle.instrument, candle.timeframe, candle.batch_id
        together.setdefault(key, []).append(candle)
    for (session, instrument, timeframe, batch), candles in together.items():
        revised_by = batch or f"gone:{_digest(candles)}"
        more = [f"… and {len(candles) - SHOWN} more"] if len(candles) > SHOWN else []
        alert(
            settings,
            FLOW,
            key=f"revised:{session}:{instrument}:{timeframe}:{revised_by}",
            severity="warning",
            title=f"{instrument} {timeframe}: {len(candles)} candle(s) revised after {session} used them",
            body="\n".join([*map(str, candles[:SHOWN]), *more, "All of them: from marts.revised_decisions"]),
        )
    return revised


def _digest(gone: Sequence[Revised]) -> str:
    told = "\n".join(f"{candle.closed_at.isoformat()} {candle.close_used} {candle.close}" for candle in gone)
    return hashlib.sha256(told.encode()).hexdigest()[:12]
