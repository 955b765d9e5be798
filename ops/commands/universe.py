"""`slipway universe`: which pairs can be traded, as it is published, and why the others can't."""

import argparse
from collections.abc import Sequence
from decimal import Decimal
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasks.universe.standing import Standing


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    universe = commands.add_parser("universe", help="show which pairs can be traded, and why the others can't")
    universe.add_argument("names", nargs="*", metavar="NAME", help="only these, as BTC/USD; default: all of them")
    universe.set_defaults(command=_universe)


def _universe(chosen: argparse.Namespace) -> int:
    from config.settings import load_settings
    from tasks.universe.standing import universe_in_force
    from trading.errors import InputUnusable

    standings = universe_in_force(load_settings(chosen.profile))
    unknown = sorted({*chosen.names} - {each.instrument for each in standings})
    if unknown:
        raise InputUnusable(
            f"The universe knows no {', '.join(unknown)}: it has pairs in the quotes that the settings name "
            "(universe.quotes), spelled like BTC/USD."
        )
    for source, judged in groupby(standings, lambda each: each.source):
        _show(source, [*judged], chosen.names)
    return 0


def _show(source: str, judged: Sequence["Standing"], names: Sequence[str]) -> None:
    from rich.console import Console
    from rich.table import Table

    members = sum(each.is_member for each in judged)
    seen = f"{judged[0].fetched_at:%Y-%m-%d %H:%M} UTC"
    table = Table("pair", "contract", "", "since (UTC)", box=None, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("24 h, USD", justify="right")
    table.add_column("spread, bps", justify="right")
    table.add_column("why not", overflow="fold")
    for each in judged:
        if not names or each.instrument in names:
            table.add_row(*_cells(each))
    console = Console(highlight=False)
    console.print(f"{source}, as of {seen}: {members:,} of {len(judged):,} pairs are in.", style="bold", soft_wrap=True)
    console.print(table)


def _cells(each: "Standing") -> tuple[str, ...]:
    return (
        each.instrument,
        each.contract or "",
        "in" if each.is_member else "out",
        f"{each.since:%Y-%m-%d %H:%M}",
        _number(each.volume_24h_usd, 0),
        _number(each.spread_bps, 1),
        each.reasons,
    )


def _number(value: Decimal | None, decimals: int) -> str:
    return "" if value is None else f"{value:,.{decimals}f}"
