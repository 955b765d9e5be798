"""`slipway sql`: the DuckDB command line on the published warehouse, read-only, with a greeting.

Flows replace the published file by rename and never write into it, so a prompt may stay open for ever and blocks
nobody. It keeps seeing the file that it opened; the prompt shows when that was published, and one `.open` line, printed
in the greeting, moves it to the newest.
"""

import importlib.util
import os
import sys
from pathlib import Path
from typing import NamedTuple, NoReturn

from trading.errors import SetupFailed


class Example(NamedTuple):
    """A question and the query that answers it, one line to copy."""

    question: str
    query: str


def examples(strategy: str) -> tuple[Example, ...]:
    """Queries for the greeting; each runs as it stands on any published warehouse. `strategy` names a signal table."""
    return (
        Example(
            "What is there?",
            "select instrument, timeframe, count(*), max(closed_at) from marts.candles group by all order by all;",
        ),
        Example(
            "The last signals",
            f"select instrument, closed_at, side, close from marts.{strategy} order by closed_at desc limit 10;",
        ),
        Example(
            "Every backtest",
            "select strategy, trades, return_percent, max_drawdown_percent, sharpe from marts.backtests;",
        ),
        Example(
            "How did trades end?",
            "select instrument, exit_reason, count(*), sum(net_pnl_usd) from marts.trades group by all;",
        ),
        Example("What was refused, and why?", "select file, line, reason, row_text from raw.quarantine limit 10;"),
    )


def open_prompt(published: Path, state: Path, strategy: str, query: str | None = None) -> NoReturn:
    """Become the DuckDB command line: with a greeting for a person, plain for a pipe or a `query`.

    The process is replaced, not wrapped: Ctrl-C then cancels a query instead of killing the prompt's parent.

    Raises SetupFailed: nothing has been published yet, or the DuckDB command line is not installed.
    """
    if not published.is_file():
        raise SetupFailed(f"There is no published warehouse at {published} yet: run `make run` first.")
    binary = _binary()
    is_person = query is None and sys.stdin.isatty()
    options = _greeting(published, state, strategy) if is_person else ["-no-init"]
    asked = [] if query is None else ["-c", query]
    # DuckDB takes its time zone from the system; set here, it also holds after `.open`
    environment = os.environ | {"TZ": "UTC"}
    sys.stdout.flush()
    os.execve(binary, [str(binary), "-readonly", *options, str(published), *asked], environment)  # noqa: S606  # no shell, our own arguments


def greeting_script(published: Path, strategy: str) -> str:
    """What the prompt reads first: settings, then the greeting."""
    try:
        shown = published.relative_to(Path.cwd())
    except ValueError:
        shown = published
    published_at = "strftime(published_at, '%Y-%m-%d %H:%M:%S')"
    lines = [
        ".startup_text none",
        ".headers off",
        ".mode list",
        f"select 'Slipway warehouse, read-only, published ' || {published_at} || ' UTC.' from meta.publication;",
        ".print 'Keep it open as long as you like; it blocks nothing. Tables: .tables   Leave: .quit'",
        f".print 'Newest data:  .open --readonly \"{shown}\"'",
    ]
    for example in examples(strategy):
        lines += [".print", f".print '-- {example.question}'", f'.print "{example.query}"']
    lines += [
        ".print",
        ".headers on",
        ".mode duckbox",
        '.prompt "slipway {sql:select strftime(published_at, \'%H:%M\') from meta.publication}> " "             -> "',
    ]
    return "\n".join(lines) + "\n"


def _greeting(published: Path, state: Path, strategy: str) -> list[str]:
    state.mkdir(parents=True, exist_ok=True)
    script = state / "prompt.sql"
    script.write_text(greeting_script(published, strategy), encoding="utf-8")
    return ["-init", str(script)]


def _binary() -> Path:
    """The executable inside the duckdb-cli wheel; the script that the wheel puts beside Python only wraps it."""
    wheel = importlib.util.find_spec("duckdb_cli")
    if wheel is not None and wheel.origin is not None:
        binary = Path(wheel.origin).with_name("duckdb")
        if binary.is_file():
            return binary
    raise SetupFailed("The DuckDB command line is missing from the environment: run `make run` to install it.")
