"""`slipway`: what must be instant, or must work while the Prefect server is down.

A composition root, like `flows/`: it loads the settings and hands them down in pieces. Every command imports what it
needs when it runs, so that `slipway sql` does not wait for numba, nor `slipway backtest` for Prefect.

Exit codes: 0 done, 1 an error that says what to do, 2 wrong usage, 130 interrupted; `venue-check` has its own.
"""

import argparse
import gc
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ops.commands import alerts, backfill, backups, check, compare, exports, sweep, universe, venue_check
from trading.errors import SlipwayError

if TYPE_CHECKING:
    from config.settings import Settings
    from exchange.sandbox.addresses import Place
    from ops.console import Rows
    from ops.run import Venue
    from ops.stack import Stack

INTERRUPTED = 130
NOW = "now"
SANDBOX = "sandbox"  # the venue that needs neither network nor account
# What backtest and sandbox would wait for, though they use none of it: DuckDB imports pandas to ask whether a parameter
# is of its kind, and numba the others to see whether they are there. All of them can do without.
NOT_NEEDED = ("pandas", "scipy", "cffi", "coverage")
CCXT = """\
  spot = ccxt.pro.kraken()
  spot.urls["api"] = dict.fromkeys(("public", "private", "zendesk"), "{spot_rest}")
  sockets = ("public", "private", "publicV2", "privateV2", "beta", "beta-private")
  spot.urls["api"]["ws"] = dict.fromkeys(sockets, "{spot_ws}")
  futures = ccxt.pro.krakenfutures()
  futures.urls["api"].update(public="{futures_rest}/derivatives/api/", private="{futures_rest}/derivatives/api/",
                             charts="{futures_rest}/api/charts/", history="{futures_rest}/api/history/",
                             feeschedules="{futures_rest}/api/feeschedules/", ws="{futures_ws}")"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code. An error nobody foresaw keeps its traceback."""
    chosen = _parser().parse_args(arguments)
    try:
        code: int = chosen.command(chosen)
    except SlipwayError as error:
        print(f"slipway: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="slipway", description="Kraken spot candles to Kraken Futures orders.")
    parser.add_argument("--profile", default="paper", help="settings: config/<profile>.toml over base.toml")
    commands = parser.add_subparsers(title="commands", metavar="", required=True)

    run = commands.add_parser("run", help="take the sample candles through the whole chain, with Prefect")
    run.set_defaults(command=_run)
    stop = commands.add_parser("stop", help="end the Prefect server and worker that `run` started, and nothing else")
    stop.set_defaults(command=_stop)
    status = commands.add_parser("status", help="show what runs and what is published")
    status.set_defaults(command=_status)

    backtest = commands.add_parser("backtest", help="trade a strategy file over the published candles")
    backtest.add_argument("file", type=Path, help="a strategy: one SQL file")
    backtest.add_argument("--instrument", action="append", dest="instruments", metavar="NAME", help="repeatable")
    backtest.add_argument("--timeframe", choices=("15m", "1h", "4h", "1d"))
    backtest.add_argument("--from", type=_moment, dest="first", metavar="DAY", help="UTC, as 2023-01-31[T12:00]")
    backtest.add_argument("--to", type=_moment, dest="last", metavar="DAY")
    backtest.add_argument(
        "--set", action="append", type=_parameter, default=[], dest="parameters", metavar="NAME=VALUE"
    )
    backtest.add_argument("--no-store", action="store_false", dest="store", help="leave the warehouse as it is")
    backtest.set_defaults(command=_backtest)

    trade = commands.add_parser("trade", help="one bounded paper session, without Prefect")
    trade.set_defaults(command=_trade)

    sql = commands.add_parser("sql", help="the DuckDB prompt on the published warehouse, read-only")
    sql.add_argument("-c", dest="query", metavar="SQL", help="answer one query and leave")
    sql.set_defaults(command=_sql)

    sandbox = commands.add_parser("sandbox", help="a Kraken on loopback: spot and futures, REST and WebSocket")
    source = sandbox.add_mutually_exclusive_group()
    source.add_argument(
        "files", nargs="*", type=Path, default=[], help="candles, as XBTUSD_15.csv; default: the sample's"
    )
    source.add_argument("--generate", metavar="SCENARIO", help="trend, range, crash, gap or thin, instead of files")
    source.add_argument("--warehouse", action="store_true", help="the published candles, instead of files")
    sandbox.add_argument(
        "--instrument", action="append", dest="instruments", metavar="NAME", help="with the above two; repeatable"
    )
    sandbox.add_argument(
        "--timeframe", choices=("15m", "1h", "4h", "1d"), help="of the candles of files or warehouse; default: 15m"
    )
    sandbox.add_argument(
        "--from", type=_moment, dest="first", metavar="DAY", help="candles from then on, UTC, as 2023-01-31[T12:00]"
    )
    sandbox.add_argument("--to", type=_moment, dest="last", metavar="DAY", help="candles closed by then")
    sandbox.add_argument(
        "--moments", type=int, metavar="N", help="of a candle, at which it trades; default: 90 in real time, else 16"
    )
    sandbox.add_argument(
        "--start", type=_start, metavar="DAY", help="where the venue's clock begins; `now` moves the candles there"
    )
    sandbox.add_argument("--speed", type=_speed, default=1.0, metavar="real|Nx|lockstep", help="default: real")
    sandbox.add_argument("--seed", type=int, default=0, help="of everything that the candles leave open")
    sandbox.add_argument(
        "--ports", type=_ports, default=(0, 0, 0), metavar="SPOT,FUTURES,CONTROL", help="0: any free one"
    )
    sandbox.add_argument("--no-limits", action="store_false", dest="has_limits", help="no limits on request rates")
    sandbox.add_argument(
        "--keep-idle", action="store_false", dest="drops_idle", help="keep connections that say nothing"
    )
    sandbox.set_defaults(command=_sandbox)

    check.register(commands, _parameter)
    sweep.register(commands, _parameter, _moment)
    venue_check.register(commands)
    backups.register(commands)
    backfill.register(commands, _moment)
    universe.register(commands)
    alerts.register(commands)
    exports.register(commands)
    compare.register(commands)

    audit = commands.add_parser("audit", help="check journals").add_subparsers(metavar="", required=True)
    verify = audit.add_parser("verify", help="walk the hash chain of every journal, or of the ones named")
    verify.add_argument("files", nargs="*", type=Path)
    verify.add_argument(
        "--anchor", type=_anchor, metavar="ROW:HASH", help="a head that was kept elsewhere, of one file"
    )
    verify.set_defaults(command=_audit_verify)
    return parser


def _run(chosen: argparse.Namespace) -> int:
    from config.settings import ROOT, load_settings
    from ops.run import run
    from tasks.provenance import code_version

    settings = load_settings(chosen.profile)
    return run(
        ROOT,
        settings.paths.state,
        settings.paths.sample,
        _venue(settings),
        version=code_version(),
        environment=os.environ,
    )


def _venue(settings: "Settings") -> "Venue":
    """The venue of `make run`: $VENUE, or whose data the warehouse holds, or a sandbox. Raises SetupFailed."""
    from ops.run import Venue
    from tasks.backfill.request import held_venue, request_of

    name = os.environ.get("VENUE") or held_venue(settings) or SANDBOX
    request = request_of(settings, venue=name, instruments=settings.strategy.instruments)
    return Venue(name, request.instruments, is_sandbox=settings.venues[name].addresses is not None)


def _stop(chosen: argparse.Namespace) -> int:
    from config.settings import load_settings
    from ops import stack

    ended = stack.stop(load_settings(chosen.profile).paths.state, print)
    print(
        "Stopped: the Prefect server and worker of this checkout." if ended else "Nothing of this checkout was running."
    )
    return 0


def _status(chosen: argparse.Namespace) -> int:
    from config.settings import load_settings
    from ops import stack
    from ops.console import show
    from ops.summary import show_schedule

    paths = load_settings(chosen.profile).paths
    up = stack.read(paths.state)
    show("Slipway", (*_processes(up), *_files(paths.published, paths.journals)))
    if up is not None:
        show_schedule(up)
    return 0


def _backtest(chosen: argparse.Namespace) -> int:
    with light_start(NOT_NEEDED):
        from config.settings import load_settings
        from ops.console import decision_text, metric_rows, show
        from tasks.backtests import run_backtest

        summary = run_backtest(
            load_settings(chosen.profile),
            chosen.file,
            instruments=tuple(chosen.instruments) if chosen.instruments else None,
            first=chosen.first,
            last=chosen.last,
            timeframe=chosen.timeframe,
            parameters=dict(chosen.parameters),
            store=chosen.store,
        )
    view = summary.view
    title = f"{view.strategy} on {', '.join(view.candles)}, {summary.candles:,} candles of {view.timeframe}"
    stored = "" if summary.is_new is None else f"stored as run {view.run_id}{'' if summary.is_new else ', as before'}"
    if stored and not summary.is_published:
        stored += ", published with the next build that passes its checks"
    show(
        title,
        (*metric_rows(view.metrics), ("signals", decision_text(view.decisions))),
        (*view.assumptions[:2], f"Report: {summary.report}", *([f"In marts.backtests: {stored}."] if stored else [])),
    )
    return 0


@contextmanager
def light_start(left_out: Sequence[str]) -> Iterator[None]:
    """Within the block, packages that nobody has imported yet import as if they were not installed.

    Nor is garbage looked for: loading packages makes hardly any, and looking takes a tenth of a short run.
    """
    absent = {name: None for name in left_out if name not in sys.modules}
    sys.modules.update(absent)  # type: ignore[arg-type]  # None is Python's own way to say it: ModuleNotFoundError
    was_collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_collecting:
            gc.enable()
        for name in absent:
            del sys.modules[name]


def _processes(running: "Stack | None") -> "Rows":
    if running is None:
        return (("Prefect", "not running; `make run` starts it"),)
    members = ("server", running.server), ("worker", running.worker)
    return (
        ("Prefect UI", running.ui_url),
        *((name, f"process {member.pid}" if member else "not ours, or not running") for name, member in members),
    )


def _files(published: Path, journals: Path) -> "Rows":
    if published.is_file():
        facts = published.stat()
        when = datetime.fromtimestamp(facts.st_mtime, UTC)
        warehouse = f"published {when:%Y-%m-%d %H:%M:%S} UTC, {facts.st_size / 1e6:,.1f} MB"
    else:
        warehouse = "not published yet; `make run` does it"
    return (
        ("warehouse", warehouse),
        *((f"journal {path.stem}", _journal(path)) for path in sorted(journals.glob("*.sqlite"))),
    )


def _journal(path: Path) -> str:
    from ops.alerts import waiting_alerts
    from ops.clock import as_datetime
    from ops.journal import JournalReader

    with JournalReader(path) as journal:
        closes = [row.at for row in journal.rows(kinds=["snapshot"])]
        waiting = waiting_alerts(journal)
    last = f" to {as_datetime(closes[-1]):%Y-%m-%d %H:%M} UTC" if closes else ""
    alerts = f", {waiting} alert{'s' if waiting > 1 else ''} waiting for a channel (alerts.urls)" if waiting else ""
    return f"{len(closes):,} closes{last}{alerts}"


def _trade(chosen: argparse.Namespace) -> int:
    from tasks.session import run_session
    from tasks.startup import session_settings

    print(run_session(session_settings(chosen.profile)).sentence)
    return 0


def _sql(chosen: argparse.Namespace) -> int:
    from config.settings import load_settings
    from ops.prompt import open_prompt

    settings = load_settings(chosen.profile)
    open_prompt(settings.paths.published, settings.paths.state, settings.strategy.name, chosen.query)


def _sandbox(chosen: argparse.Namespace) -> int:
    with ExitStack() as stack:
        with light_start(NOT_NEEDED):
            from config.settings import load_settings
            from exchange.sandbox import serving
            from exchange.sandbox.server import Ports, Sandbox
            from tasks.sandboxes.market import Asked, opened_market

            settings = load_settings(chosen.profile)
            asked = Asked(*(getattr(chosen, name) for name in Asked._fields))
            market = stack.enter_context(opened_market(asked, settings))
        sandbox = Sandbox(
            market,
            speed=chosen.speed,
            seed=chosen.seed,
            ports=Ports(*chosen.ports),
            has_limits=chosen.has_limits,
            drops_idle=chosen.drops_idle,
        )
        serving.run(sandbox, settings.paths.state / "sandbox.json", _greet)
    return 0


def _greet(addresses: dict[str, str], place: "Place") -> None:
    """Where the sandbox is, and how to point ccxt at it."""
    names = {
        "spot_rest": "spot REST",
        "spot_ws": "spot WebSocket v2",
        "futures_rest": "futures REST",
        "futures_ws": "futures WebSocket",
        "control": "control",
    }
    for sentence in place.others:
        print(sentence)
    print("A Kraken of your own; Ctrl-C ends it.\n")
    for key, name in names.items():
        print(f"  {name:18} {addresses[key]}")
    print(f"\nAddresses and dummy keys: {place.file}\n\nccxt:\n{CCXT.format(**addresses)}", flush=True)


def _audit_verify(chosen: argparse.Namespace) -> int:
    from config.settings import load_settings
    from ops.journal import Head, JournalReader

    files = chosen.files or sorted(load_settings(chosen.profile).paths.journals.glob("*.sqlite"))
    if not files:
        print("There is no journal yet.")
    broken = 0
    for file in files:
        with JournalReader(file) as journal:
            verdict = journal.verify(Head(*chosen.anchor) if chosen.anchor else None)
        if verdict.broken_at is None:
            print(f"{file}: {verdict.rows} rows hold; head {verdict.head.seq}:{verdict.head.hash}")
        else:
            broken += 1
            print(f"{file}: row {verdict.broken_at} {verdict.reason}", file=sys.stderr)
    return 1 if broken else 0


def _moment(text: str) -> datetime:
    """A day or a time, UTC unless it says otherwise."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a day like 2023-01-31 or a time like 2023-01-31T12:00"
        ) from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _start(text: str) -> datetime | str:
    return NOW if text == NOW else _moment(text)


def _speed(text: str) -> float | None:
    """Market seconds per second; None is lockstep."""
    from exchange.sandbox.commands import FASTEST

    if text == "lockstep":
        return None
    number = "1" if text == "real" else text.removesuffix("x")
    try:
        speed = float(number)
    except ValueError:
        speed = 0.0
    if not 0 < speed <= FASTEST:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not real, lockstep, or a factor like 60x, of at most {FASTEST:,.0f}x"
        )
    return speed


def _ports(text: str) -> tuple[int, ...]:
    ports = text.split(",")
    if len(ports) != 3 or not all(port.isdecimal() and int(port) < 2**16 for port in ports):
        raise argparse.ArgumentTypeError(f"{text!r} is not three ports, like 8081,8082,8083")
    return tuple(int(port) for port in ports)


def _parameter(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (equals and name.strip().isidentifier() and value.strip()):
        raise argparse.ArgumentTypeError(f"{text!r} is not name=value")
    return name.strip(), value.strip()


def _anchor(text: str) -> tuple[int, str]:
    seq, _, digest = text.partition(":")
    if not (seq.isdecimal() and len(digest) == 64):
        raise argparse.ArgumentTypeError("an anchor is row:hash, as `audit verify` prints it")
    return int(seq), digest
