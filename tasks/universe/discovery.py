"""One look at a venue: asked, doubted, judged, kept; and a person told when it was not believed (I20).

The universe changes only by a look that is believed. A nearly empty list, or one without a market that we hold a
position in, is far more often a hiccup of the venue's than the truth, and would take the ground from under a trade.
"""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from config.settings import Settings
from exchange.kraken.budget import Budget
from exchange.kraken.client import Patience, PublicClient
from exchange.universe import Candidate, Listed, Thresholds, doubts_about, judge
from ops.clock import SystemClock
from tasks.alerting import alert
from tasks.backfill.fetching import urls_of
from tasks.backfill.request import Request, request_of
from tasks.startup import marked_as_told
from tasks.universe.holdings import held_markets
from tasks.universe.listing import (
    Reply,
    candidate_rows,
    contract_rows,
    listed,
    pair_rows,
    perpetuals,
    quoted,
    spot_pairs,
)
from trading.errors import CheckFailed
from trading.ports import Clock, Severity
from warehouse.connection import unit_of_work
from warehouse.reference import discoveries
from warehouse.reference.discoveries import Discovery, Names, Refusal

FLOW = "universe"  # by which its alerts are kept
SHOWN = 10  # names in a sentence


class DiscoveryReport(NamedTuple):
    """What one look found. With doubts it was refused, and what was `known` before stays in force."""

    source: str
    fetched_at: datetime
    seen: Listed
    known: Names | None
    candidates: tuple[Candidate, ...]  # none of a look that was refused
    doubts: tuple[str, ...]
    is_new: bool  # False: the newest look had said just the same, and nothing was stored

    @property
    def sentences(self) -> tuple[str, ...]:
        """The report for a person."""
        lists = f"{len(self.seen.pairs):,} spot pairs and {len(self.seen.contracts):,} contracts"
        if self.doubts:
            return (f"{self.source} listed {lists}, and was not believed.", *self.doubts, self._staying)
        stored = "" if self.is_new else " Nothing has changed since the look before."
        judged = f"in the universe are {len(self.seen.members):,} of {len(self.candidates):,} candidates"
        return (f"{self.source} lists {lists}; {judged}.{stored}", *self._moves)

    def refuse_doubted(self) -> None:
        """Raise CheckFailed when the look was not believed."""
        if self.doubts:
            said = (f"The universe of {self.source} was refused.", *self.doubts, self._staying)
            raise marked_as_told(CheckFailed("\n".join(said)))  # `discover` has alerted

    @property
    def _staying(self) -> str:
        return _staying(self.known)

    @property
    def _moves(self) -> tuple[str, ...]:
        if self.known is None:
            return ()
        before, now = self.known.pairs | self.known.contracts, self.seen.pairs | self.seen.contracts
        moves = (
            ("Newly listed", now - before),
            ("Delisted", before - now),
            ("New in the universe", self.seen.members - self.known.members),
            ("Out of the universe", self.known.members - self.seen.members),
        )
        return tuple(f"{what}: {_shown(names)}." for what, names in moves if names)


def discover(
    settings: Settings, venue: str | None = None, *, addresses: Path | None = None, shrink_is_believed: bool = False
) -> DiscoveryReport:
    """Ask a venue for its markets, decide which of them are in, and keep what it said, believed or not.

    A look that is refused is kept too, and alerted; `refuse_doubted` of the report then ends the run. Asking twice is
    harmless.

    Args:
        venue: Left out: the one whose data the warehouse holds.
        addresses: The file of a running sandbox, instead of the one that the settings name.
        shrink_is_believed: A person has looked, and more than half of a list, or of the universe, is really gone.

    Raises:
        ExchangeUnavailable: the venue gave no answer that can be used.
        InputUnusable: it refused the question, or answered something else than its protocol; nothing was stored.
        CheckFailed: a session's journal is damaged, so nobody knows its positions; nothing was stored.
        SetupFailed: no venue to ask, its sandbox does not run, or a journal can't be opened.
        WarehouseBusy: another process held the build file for the whole bounded wait; nothing was stored.
    """
    request = request_of(settings, venue=venue, addresses=addresses)
    clock, source = SystemClock(), f"{request.venue}-rest"
    reply = asyncio.run(_asked(settings, request, clock))
    fetched_at = datetime.now(UTC)
    held = held_markets(settings.paths.journals, {name: each.futures for name, each in settings.instruments.items()})
    candidates = judge(spot_pairs(reply.pairs), perpetuals(reply.instruments, reply.tickers), _thresholds(settings))
    seen = listed(reply, candidates)
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
        known = discoveries.in_force(warehouse, source)
        before = None if known is None else Listed(known.pairs, known.contracts, known.members)
        found = doubts_about(seen, quoted(reply.tickers), before, held, shrink_is_believed=shrink_is_believed)
        is_new = discoveries.record(warehouse, _discovery(reply, candidates, source, fetched_at, found))
        refusal = discoveries.newest_refusal(warehouse, source)
    if refusal is not None:
        _alert(settings, refusal, source, _staying(known), "critical" if held and found else "warning")
    return DiscoveryReport(source, fetched_at, seen, known, () if found else candidates, found, is_new)


async def _asked(settings: Settings, request: Request, clock: Clock) -> Reply:
    """The tickers last: they are the only ones that age while the others are waited for."""
    venue = settings.venues[request.venue]
    patience = Patience(timeout_s=venue.timeout_s, attempts=venue.attempts)
    async with PublicClient(urls_of(settings, request), Budget(clock), patience) as client:
        return Reply(await client.asset_pairs(), await client.instruments(), await client.tickers())


def _thresholds(settings: Settings) -> Thresholds:
    chosen = settings.universe
    return Thresholds(
        frozenset(chosen.quotes),
        chosen.min_volume_24h_usd,
        chosen.max_spread_bps,
        frozenset(chosen.include),
        frozenset(chosen.exclude),
    )


def _discovery(
    reply: Reply, candidates: tuple[Candidate, ...], source: str, fetched_at: datetime, found: tuple[str, ...]
) -> Discovery:
    return Discovery(
        source,
        fetched_at,
        [*pair_rows(reply.pairs)],
        [*contract_rows(reply.instruments)],
        [*candidate_rows(candidates)],
        found,
    )


def _alert(settings: Settings, refusal: Refusal, source: str, staying: str, severity: Severity) -> None:
    """Tell of the newest refusals, once, however many there were in a row: also of those that a kill kept from it.

    And once more, as critical, if a position was opened after the first of them.
    """
    alert(
        settings,
        FLOW,
        key=f"universe-refused:{source}:{refusal.began_at.isoformat()}",
        severity=severity,
        title=f"universe refused: {source}",
        body="\n".join((*refusal.doubts, staying, "If it is true, say so: docs/universe.md tells how.")),
    )


def _staying(known: Names | None) -> str:
    if known is None:
        return "There is no universe yet."
    return f"The universe of {known.fetched_at:%Y-%m-%d %H:%M} UTC stays in force, {len(known.members):,} pairs."


def _shown(names: frozenset[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(sorted(names)[:SHOWN]) + (f" and {more} more" if more > 0 else "")
