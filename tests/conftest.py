"""What every test may rely on: nothing of the person's own Prefect is read or written, and a channel that takes alerts.

Prefect makes its home when it is imported, so the home is moved here, before any test module is.
"""

import gc
import json
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import duckdb
import pytest
from doses import DEEP, USUAL, dose
from hypothesis import is_hypothesis_test, settings

gc.disable()  # until all is collected: what is imported stays, and to look for garbage in it is a quarter of that time

pytest_plugins = ["without_browser"]

PREFECT_HOME = tempfile.TemporaryDirectory(prefix="slipway-prefect-")  # of this process; each worker has its own
for name in [name for name in os.environ if name.startswith("PREFECT_")]:
    del os.environ[name]  # a profile, a server, a key
os.environ["PREFECT_HOME"] = PREFECT_HOME.name

for profile in ("fast", DEEP):  # how long an example takes is the machine's affair, not the test's
    settings.register_profile(profile, deadline=None, max_examples=dose(USUAL, profile))
settings.load_profile("fast")  # unless --hypothesis-profile names the other

# Modules that coverage does not watch, besides all properties. It doubles the time of what it watches. These take four
# fifths of that time, since they go many times where shorter tests go once, and bring one line in twenty that those do
# not: the figure is that much too low, and never too high.
UNWATCHED = (
    "architecture/test_import_law.py",
    "docs/test_docs_tell_the_truth.py",
    "docs/test_every_table_is_documented.py",
    "docs/test_strategies_documented.py",
    "exchange/kraken/test_kraken_client.py",
    "exchange/kraken/test_kraken_history.py",
    "exchange/kraken/test_kraken_paging.py",
    "exchange/sandbox/test_sandbox_basis.py",
    "exchange/sandbox/test_sandbox_expansion.py",
    "exchange/sandbox/test_sandbox_faults.py",
    "exchange/sandbox/test_sandbox_futures_clients.py",
    "exchange/sandbox/test_sandbox_futures_feed.py",
    "exchange/sandbox/test_sandbox_halts.py",
    "exchange/sandbox/test_sandbox_links.py",
    "exchange/sandbox/test_sandbox_lockstep.py",
    "exchange/sandbox/test_sandbox_market.py",
    "exchange/sandbox/test_sandbox_sources.py",
    "exchange/sandbox/test_sandbox_spot_clients.py",
    "exchange/sandbox/test_sandbox_spot_feed.py",
    "exchange/sandbox/test_sandbox_spot_rest.py",
    "exchange/test_compiled_equals_interpreted.py",
    "ops/test_venue_check.py",
    "sql/test_every_close.py",
    "sql/test_given_expect.py",
    "sql/test_no_look_ahead.py",
    "sql/test_reference_checks.py",
    "sql/test_signals_smc.py",
    "tasks/test_backfill.py",
    "tasks/test_backfill_goes_on.py",
    "tasks/test_backtest.py",
    "tasks/test_backup.py",
    "tasks/test_backup_survives.py",
    "tasks/test_candles.py",
    "tasks/test_day_validation.py",
    "tasks/test_discovery.py",
    "tasks/test_late_candles.py",
    "tasks/test_publication.py",
    "tasks/test_refused_rates.py",
    "tasks/test_replayed.py",
    "tasks/test_revisions.py",
    "warehouse/grammar/test_lint_cheats.py",
    "warehouse/grammar/test_lint_honest.py",
    "warehouse/test_bad_input.py",
    "warehouse/test_batch_checks.py",
    "warehouse/test_candle_suites.py",
    "warehouse/test_daily_suites.py",
    "warehouse/test_journals_as_rows.py",
    "warehouse/test_landing_again.py",
    "warehouse/test_signals.py",
    "warehouse/test_stages.py",
    "warehouse/test_told_rates.py",
    "warehouse/test_upkeep_copies.py",
)


def pytest_configure(config: pytest.Config) -> None:
    """In the fast tier DuckDB has one thread in a test's own process; a test that needs more says `set threads = 2`.

    Two test processes have two processors, and a second thread mostly waits for the first by spinning: a fifth of the
    time of all SQL. The processes that tests start, and the deep tier, have as many as the settings say.
    """
    if config.getoption("--hypothesis-profile") == DEEP:
        return
    connect = duckdb.connect

    def connect_with_one_thread(*given: Any, config: dict[str, Any] | None = None, **named: Any) -> Any:
        return connect(*given, config={**(config or {}), "threads": 1}, **named)

    duckdb.connect = connect_with_one_thread


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Coverage does not watch what is named above, nor properties, which go many times where examples go.

    Properties get a mark, by which the deep tier finds them again.
    """
    unwatched = {Path(__file__).parent / name for name in UNWATCHED}
    assert all(path.is_file() for path in unwatched), "UNWATCHED names a module that is gone"
    for item in items:
        is_property = isinstance(item, pytest.Function) and is_hypothesis_test(item.obj)
        if is_property:
            item.add_marker("property")
        if is_property or item.path in unwatched:
            item.add_marker("no_cover")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    """Nor does coverage watch what is made for such a test: pytest-cov pauses for its call only."""
    watch = item.config.pluginmanager.getplugin("_cov")
    if watch is None or watch.cov_controller is None or item.get_closest_marker("no_cover") is None:
        yield
        return
    watch.cov_controller.pause()
    try:
        yield
    finally:
        watch.cov_controller.resume()


def pytest_collection_finish() -> None:
    """What was imported stays, so the garbage collector need not look at it again and again: a tenth of the time."""
    gc.freeze()
    gc.enable()


def pytest_unconfigure() -> None:
    PREFECT_HOME.cleanup()


class Channel:
    """A real HTTP server on loopback that takes Apprise's json:// posts; `start` and `stop` are up and down."""

    def __init__(self) -> None:
        self.received: list[dict[str, str]] = []
        self.answers: list[int] = []  # status codes to give before 200
        self.asked = 0
        self.may_answer = threading.Event()
        self.may_answer.set()
        probe = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
        self.port = probe.server_port
        probe.server_close()
        self.url = f"json://127.0.0.1:{self.port}/alerts"
        self.server: HTTPServer | None = None

    def start(self) -> None:
        channel = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                channel.asked += 1
                channel.may_answer.wait()
                status = channel.answers.pop(0) if channel.answers else 200
                if status == 200:
                    channel.received.append(message)
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", self.port), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def stop(self) -> None:
        self.may_answer.set()
        if self.server:
            self.server.shutdown()
            self.thread.join()
            self.server.server_close()
            self.server = None

    def titles(self) -> list[str]:
        return [message["title"] for message in self.received]


@pytest.fixture
def make_channel() -> Iterator[Callable[[], Channel]]:
    """Makes channels that are down; each is stopped at the end."""
    made: list[Channel] = []

    def make() -> Channel:
        made.append(Channel())
        return made[-1]

    yield make
    for channel in made:
        channel.stop()


@pytest.fixture
def channel(make_channel: Callable[[], Channel]) -> Channel:
    return make_channel()


@pytest.fixture(scope="session")
def kernel() -> Callable[..., int]:
    """Smart Money Concepts as machine code, kept where the engine's is. Made here: no test is charged with it."""
    import numpy as np

    from exchange.compiling import ROOT, compiled
    from trading.smc.fold import fold
    from trading.smc.kernel import advance
    from trading.smc.layout import Series
    from trading.smc.parameters import Parameters
    from trading.smc.state import begin

    function = compiled(advance, ROOT / ".slipway" / "compiled")
    nothing = Series(np.empty(0, np.int64), *(np.empty(0),) * 5)
    state = begin(Parameters(), 900_000_000)
    function(state, nothing, *fold(state, nothing)[1:])
    return function
