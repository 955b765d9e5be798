"""`slipway backfill`: a venue's history into the warehouse, without Prefect."""

import argparse
from collections.abc import Callable
from datetime import datetime


def register(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", moment: Callable[[str], datetime]
) -> None:
    """Add the command to the parser; `moment` reads a time."""
    backfill = commands.add_parser("backfill", help="fetch a venue's history into the warehouse, without Prefect")
    backfill.add_argument("--venue", help="kraken or sandbox; default: the one whose data the warehouse holds")
    backfill.add_argument(
        "--instrument",
        action="append",
        dest="instruments",
        metavar="NAME",
        help="repeatable; `universe`: all its members; default: those of the settings",
    )
    backfill.add_argument(
        "--dataset",
        action="append",
        dest="datasets",
        choices=("ohlc", "trades", "charts", "funding"),
        help="repeatable; default: those of the settings",
    )
    backfill.add_argument("--since", type=moment, metavar="DAY", help="default: from what the warehouse holds on")
    backfill.add_argument("--trades-hours", type=int, metavar="N", help="how far back trades go, instead of --since")
    backfill.set_defaults(command=_backfill)


def _backfill(chosen: argparse.Namespace) -> int:
    from rich.console import Console

    from config.settings import load_settings
    from ops.progress import Step, screen
    from tasks.backfill.board import Watch
    from tasks.backfill.fetching import attempt, raise_failures
    from tasks.backfill.landing import land
    from tasks.backfill.request import request_of

    settings = load_settings(chosen.profile)
    request = request_of(
        settings,
        venue=chosen.venue,
        instruments=chosen.instruments,
        datasets=chosen.datasets,
        since=chosen.since,
        trades_hours=chosen.trades_hours,
    )
    with screen(Console()) as shown:
        watch = Watch(lambda look: shown.show(tuple(Step(*job.line, job.remark) for job in look.jobs)), every_s=0.25)
        failures = attempt(settings, request, watch=watch)
        landed = land(settings, request)
        if landed.is_earlier:  # what an earlier command had begun is done: now what this one was asked for
            failures = attempt(settings, request, watch=watch)
            landed = landed.followed_by(land(settings, request))
    failures = (*failures, *landed.failures)
    if landed.sentences or not failures:
        print("\n".join(landed.sentences) or "Nothing new: the warehouse holds all that had closed.")
    if landed.has_news:
        print("It is in the build file. `make run`, or the next `transform/build`, brings it to the tables.")
    raise_failures(failures, "landed")
    return 0
