"""The public side of the venue against a sandbox that is started for it: composition of `ops.venue`."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from config.settings import Paths
from exchange.kraken.budget import Budget
from exchange.kraken.probes.asking import Addresses, Asker
from exchange.kraken.probes.questions import CALLS, LISTENINGS
from exchange.sandbox import serving
from exchange.sandbox.server import Sandbox
from ops.clock import SystemClock
from ops.venue import consent
from ops.venue.check import Findings, Question, check
from ops.venue.report import Circumstances, write_report
from ops.venue.shapes import Layout
from tasks.provenance import code_version
from trading.errors import InputUnusable

SPEED = 60.0  # of the sandbox: a candle takes seconds, so that every feed has something to say
QUESTIONS = (
    *(Question(call.name, Layout(*call.reading)) for call in CALLS),
    *(Question(each.name, Layout(*each.reading), each.by_chance) for each in LISTENINGS),
)


class VenueReport(NamedTuple):
    """What was found, and the page that says it."""

    findings: Findings
    page: Path


def venue_addresses(file: Path | None) -> Addresses:
    """Production's; or those that a file names, as `slipway sandbox` writes one.

    Raises InputUnusable: there is no such file, or an address is missing.
    """
    if file is None:
        return Addresses()
    try:
        named = json.loads(file.read_text(encoding="utf-8"))
        return Addresses(**{name: named[name] for name in Addresses._fields})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputUnusable(
            f"{file} has not the addresses of a venue ({error!r}): give JSON with {', '.join(Addresses._fields)}."
        ) from error


def refusal(venue: Addresses, *, is_confirmed: bool, environment: Mapping[str, str]) -> str | None:
    """Why the check may not start, and what it would do; None: it may."""
    return consent.refusal(
        venue, calls=len(CALLS), listenings=len(LISTENINGS), is_confirmed=is_confirmed, environment=environment
    )


def check_venue(paths: Paths, venue: Addresses, say: Callable[[str], None]) -> VenueReport:
    """Ask every question of both, keep the replies and write the report under `paths.state / "venue-check"`.

    Raises InputUnusable: the sample, which the sandbox trades, is gone.
    """
    began_at = datetime.now(UTC)
    folder = paths.state / "venue-check" / f"{began_at:%Y%m%dT%H%M%SZ}"
    findings = asyncio.run(_checked(paths.sample, venue, folder, say))
    when = Circumstances(f"{began_at:%Y-%m-%dT%H:%M:%SZ}", urlsplit(venue.spot_rest).netloc, code_version())
    return VenueReport(findings, write_report(findings, when, folder))


async def _checked(sample: Path, addresses: Addresses, folder: Path, say: Callable[[str], None]) -> Findings:
    market = serving.market_of_files(
        sorted(sample.glob("*_15.csv")),
        seed=0,
        when=serving.When(now_ns=time.time_ns()),
        moments=serving.MOMENTS_IN_REAL_TIME,
    )
    async with Sandbox(market, speed=SPEED, has_limits=False, drops_idle=False) as sandbox:
        own = Addresses(**{name: getattr(sandbox.urls, name) for name in Addresses._fields})
        async with Asker(addresses, Budget(SystemClock())) as theirs, Asker(own, None) as ours:
            return await check(QUESTIONS, theirs.ask, ours.ask, folder, say)
