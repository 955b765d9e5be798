"""`slipway venue-check` asks whether the sandbox still answers as the venue does.

Exit codes: 0 no difference, 1 some, 2 the venue did not answer everything, 3 not asked for.
"""

import argparse
import os
import sys
from pathlib import Path

NOT_ASKED_FOR = 3


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("venue-check", help="compare Kraken's public replies with the sandbox's")
    parser.add_argument("--yes", action="store_true", help="do ask the venue; so does VENUE_CHECK=1")
    parser.add_argument(
        "--at", type=Path, metavar="FILE", help="another venue than production: a file like a sandbox's sandbox.json"
    )
    parser.set_defaults(command=_venue_check)


def _venue_check(chosen: argparse.Namespace) -> int:
    from config.settings import load_settings
    from ops.venue.report import show_findings
    from tasks.sandboxes.presence import refuse_ended
    from tasks.sandboxes.venue_check import check_venue, refusal, venue_addresses

    venue = venue_addresses(chosen.at)
    reason = refusal(venue, is_confirmed=chosen.yes, environment=os.environ)
    if reason is not None:
        print(reason, file=sys.stderr)
        return NOT_ASKED_FOR
    if chosen.at is not None:
        refuse_ended(venue.spot_rest, chosen.at)
    findings, page = check_venue(load_settings(chosen.profile).paths, venue, print)
    show_findings(findings, page)
    return findings.code
