"""What `make run` says at the end, and what `slipway status` says at any time."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ops.orchestrator import Orchestrator
from ops.stack import FIRST_PORT, HOST, Stack

QUERY = "from marts.signals_ema_cross limit 5"
COLUMN = 30  # of the names of facts
USUAL_API_URL = f"http://{HOST}:{FIRST_PORT}/api"  # what prefect.toml says


class Finished(NamedTuple):
    """One run of the chain that ended well, and what it says it did."""

    title: str
    seconds: float
    facts: Mapping[str, str]


class Outcome(NamedTuple):
    """How far the chain came, and why no further; `failure` is empty if it came to its end."""

    finished: tuple[Finished, ...]
    failure: str


def print_summary(console: Console, outcome: Outcome, up: Stack, *, seconds: float) -> None:
    """What was done, in the order in which it was done, and what to do next."""
    for step in outcome.finished:
        console.print()
        console.print(Text.assemble((step.title, "bold"), (f"  {step.seconds:.1f} s", "dim")))
        console.print(_facts(step.facts))
    console.print()
    if outcome.failure:
        console.print(Text(outcome.failure, style="red"), soft_wrap=True)
        console.print()
    else:
        console.print(Text(_verdict(outcome, seconds), style="bold green"))
    console.print(_next(up))


def show_schedule(up: Stack) -> None:
    """The last and the next run of every deployment; nothing while the server does not answer."""
    with Orchestrator(up.api_url, timeout_s=5.0) as server:
        if server.is_healthy():
            Console().print(_schedule(server))


def _facts(facts: Mapping[str, str]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", min_width=COLUMN)
    table.add_column(overflow="fold")
    for fact, value in facts.items():
        table.add_row(f"  {fact}", value)
    return table


def _verdict(outcome: Outcome, seconds: float) -> str:
    landed = outcome.finished[0].facts.get("rows landed", "")
    if landed == "0":
        return f"Nothing new: all of it had landed before, and nothing was landed twice. ({seconds:.0f} s)"
    return f"From files to fills: {landed} rows landed. ({seconds:.0f} s)"


def _next(up: Stack) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", min_width=COLUMN)
    table.add_column(overflow="fold")
    table.add_row("  watch", up.ui_url)
    table.add_row("  query", "make sql")
    table.add_row("", f'.venv/bin/slipway sql -c "{QUERY}"')
    if up.api_url != USUAL_API_URL:
        table.add_row("  prefect", f"export PREFECT_API_URL={up.api_url}")
    table.add_row("  more", "make status · make stop")
    return table


def _schedule(server: Orchestrator) -> Table:
    table = Table("deployment", "last run", "", "next run", box=None, header_style="dim", padding=(0, 2, 0, 0))
    for deployment in server.deployments():
        last = next(iter(server.newest_runs(deployment.id, limit=1)), None)
        coming = next(iter(server.scheduled_runs(deployment.id)), None)
        table.add_row(
            deployment.name,
            _moment(last.expected_at if last else None),
            Text(last.state_name if last else "", _colour(last.state_type if last else "")),
            _moment(coming.expected_at if coming else None),
        )
    return table


def _colour(state_type: str) -> str:
    return {"COMPLETED": "green", "FAILED": "red", "CRASHED": "red"}.get(state_type, "")


def _moment(at: datetime | None) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if at else ""
