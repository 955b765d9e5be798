"""From a sandbox into a warehouse: every dataset, again and again, beside what fails, and never mixed."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from backfill_venue import (
    FIRST_NS,
    PRICES,
    HurriedClock,
    Running,
    backfilled,
    candles,
    contents,
    primed,
    running,
    settings_at,
)

from config.settings import Settings
from exchange.sandbox.wire.faults import Fault
from tasks import facts
from tasks.backfill.board import JobState, Look, Watch
from tasks.backfill.fetching import attempt, fetch
from tasks.backfill.landing import land
from tasks.backfill.request import held_venue, nothing_to_fetch, request_of
from trading.errors import ExchangeUnavailable, InputUnusable, SetupFailed
from warehouse.connection import unit_of_work

pytestmark = pytest.mark.xdist_group("heavy")  # one process imports Great Expectations, and has one venue

OWN = "raw.kraken_ohlcvt"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_at(tmp_path / "home")


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One that no test moves."""
    with running(tmp_path_factory.mktemp("venue") / "sandbox.json") as up:
        yield up


class Undisturbed(NamedTuple):
    """A backfill of everything that nothing disturbed."""

    contents: dict[str, str]
    took_s: float


# What disturbs one instrument disturbs two; the one does not trade in every fifth interval.
ONE = ("ETH/USD",)
DOSES = [ONE, pytest.param(tuple(PRICES), marks=pytest.mark.deep)]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, venue: Running) -> Callable[[Sequence[str]], Undisturbed]:
    """What comes of these instruments; they are fetched once."""

    @cache
    def made(instruments: Sequence[str]) -> Undisturbed:
        settings = primed(tmp_path_factory.mktemp("undisturbed"))
        began = time.monotonic()
        backfilled(settings, venue.addresses, instruments=instruments)
        took_s = time.monotonic() - began
        return Undisturbed(contents(settings), took_s)

    return made


def test_every_dataset_lands_under_its_source_and_is_validated(settings: Settings, venue: Running) -> None:
    landed = backfilled(settings, venue.addresses, trades_hours=10)
    told = candles(settings, f"select source, timeframe, count(*) from {OWN} where state = 'validated' group by all")
    counts = {(source, timeframe): count for source, timeframe, count in told}
    assert counts["sandbox-rest", "15m"] == 300
    assert counts["sandbox-charts", "15m"] == 900
    assert counts["sandbox-charts", "1d"] == 9
    assert not [key for key in counts if key[0] == "sandbox-trades"]  # all of them said the same as OHLC
    assert candles(settings, "select count(*), count(distinct began_at) from raw.funding_rates") == [(75, 75)]
    assert facts.of_backfill(landed, "sandbox")["trades"] == "51 rows, 0 landed, 51 unchanged, 0 revised"
    assert not list((settings.paths.state / "spool").iterdir())
    assert landed.has_news


def test_a_second_backfill_adds_only_what_has_closed_since(tmp_path: Path) -> None:
    settings = primed(tmp_path / "home")
    with running(tmp_path / "sandbox.json") as venue:
        asked = {"datasets": ("ohlc",), "instruments": ["ETH/USD"]}
        backfilled(settings, venue.addresses, **asked)
        again = backfilled(settings, venue.addresses, **asked)
        assert again.jobs == ()
        venue.advance(1_800)
        later = backfilled(settings, venue.addresses, **asked)
    assert [(job.counts[1], job.has_news) for job in later.jobs] == [(2, True)]
    newest = candles(settings, f"select max(closed_at) from {OWN}")
    assert newest == [(datetime.fromtimestamp(FIRST_NS // 10**9 + 302 * 900, UTC),)]


def test_an_interval_without_a_candle_is_covered_up_to_the_last_close(tmp_path: Path, venue: Running) -> None:
    settings = primed(tmp_path)
    backfilled(settings, venue.addresses, datasets=("ohlc",), instruments=["ETH/USD"])
    covers = candles(
        settings,
        "select covers_from, covers_until, rows_read from raw.files"
        " where source = 'sandbox-rest' and timeframe = '15m' and batch_id <> 'first'",
    )
    first_s = FIRST_NS // 10**9
    assert covers == [(datetime.fromtimestamp(first_s, UTC), datetime.fromtimestamp(first_s + 300 * 900, UTC), 240)]


def test_silence_is_news_too_it_is_covered_by_whoever_was_asked(tmp_path: Path) -> None:
    settings = primed(tmp_path / "home")
    with running(tmp_path / "sandbox.json") as venue:
        for quarters in (3, 1):  # to the close of the last candle before an interval in which nothing trades, and on
            venue.advance(900 * quarters)
            backfilled(settings, venue.addresses, datasets=("ohlc", "trades"), instruments=["ETH/USD"])
    covers = candles(
        settings,
        "select source, max(covers_until) from raw.files where timeframe = '15m' and batch_id <> 'first' group by all",
    )
    newest = candles(settings, f"select max(closed_at) from {OWN} where timeframe = '15m'")
    until = datetime.fromtimestamp(FIRST_NS // 10**9 + 304 * 900, UTC)
    assert sorted(covers) == [("sandbox-rest", until), ("sandbox-trades", until)]
    assert newest == [(datetime.fromtimestamp(FIRST_NS // 10**9 + 303 * 900, UTC),)]


def test_one_bad_instrument_holds_up_no_other(tmp_path: Path, venue: Running) -> None:
    settings = primed(tmp_path)
    request = request_of(
        settings,
        venue="sandbox",
        instruments=["SOL/USD", "MOON", "BTC/USD"],
        datasets=["ohlc"],
        addresses=venue.addresses,
    )
    failures = attempt(settings, request, clock=HurriedClock())
    assert [failure.title for failure in failures] == ["ohlc MOON", "ohlc SOL/USD"]
    assert "is no instrument of Kraken's" in str(failures[0].error)
    assert "Unknown asset pair" in str(failures[1].error)
    landed = land(settings, request)
    assert [job.target.instrument for job in landed.jobs] == ["BTC/USD"]
    with pytest.raises(InputUnusable, match=r"2 of the jobs failed; whatever else .* is fetched\.\nohlc MOON: "):
        fetch(settings, request, clock=HurriedClock())


def test_a_sandbox_that_plays_another_year_is_another_market(tmp_path: Path, venue: Running) -> None:
    settings = primed(tmp_path)
    backfilled(settings, venue.addresses, datasets=("ohlc",), instruments=["BTC/USD"])
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
        warehouse.execute("update raw.files set covers_until = covers_until - interval 40 days")
    request = request_of(settings, venue="sandbox", datasets=["ohlc"], addresses=venue.addresses)
    with pytest.raises(SetupFailed, match=r"that is another market\. Start the sandbox near there"):
        fetch(settings, request, clock=HurriedClock())


def test_what_the_venue_may_answer_later_is_to_be_tried_again_and_goes_on_from_there(tmp_path: Path) -> None:
    settings = primed(tmp_path / "home")
    faults = [Fault("unavailable", "spot_rest", match="Trades", nth=3, times=20)]
    with running(tmp_path / "sandbox.json", faults) as venue:
        request = request_of(
            settings, venue="sandbox", instruments=["BTC/USD"], datasets=["trades"], addresses=venue.addresses
        )
        hasty = settings.model_copy(
            update={"venues": {"sandbox": settings.venues["sandbox"].model_copy(update={"attempts": 1})}}
        )
        with pytest.raises(ExchangeUnavailable, match="trades BTC/USD: "):
            fetch(hasty, request, clock=HurriedClock())
        assert land(hasty, request).jobs == ()
        for _ in range(25):
            if not attempt(hasty, request, clock=HurriedClock()):
                break
        (job,) = land(hasty, request).jobs
    assert job.counts[0] == 396


@pytest.mark.parametrize("instruments", DOSES)
def test_faults_of_the_venue_change_nothing_of_what_lands(
    tmp_path: Path, undisturbed: Callable[..., Undisturbed], instruments: Sequence[str]
) -> None:
    settings = primed(tmp_path / "home")
    faults = [
        Fault("too_many_requests", "spot_rest", nth=2),
        Fault("server_error", "spot_rest", nth=4, times=2),
        Fault("unavailable", "spot_rest", nth=7, times=3),
        Fault("reset", "spot_rest", nth=11),
        Fault("server_error", "futures_rest"),
    ]
    with running(tmp_path / "sandbox.json", faults) as troubled:
        backfilled(settings, troubled.addresses, instruments=instruments)
    assert contents(settings) == undisturbed(instruments).contents


@pytest.mark.parametrize("zone", ["America/New_York", "Pacific/Kiritimati"])
@pytest.mark.parametrize("instruments", DOSES)
def test_the_time_zone_of_the_machine_changes_nothing(
    tmp_path: Path, venue: Running, undisturbed: Callable[..., Undisturbed], instruments: Sequence[str], zone: str
) -> None:
    settings = primed(tmp_path / "home")
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TZ", zone)
            time.tzset()
            backfilled(settings, venue.addresses, instruments=instruments)
    finally:
        time.tzset()
    assert contents(settings) == undisturbed(instruments).contents


def test_data_of_another_venue_is_never_mixed_in(tmp_path: Path, venue: Running) -> None:
    settings = primed(tmp_path)
    assert held_venue(settings) is None
    backfilled(settings, venue.addresses, datasets=("ohlc",))
    assert held_venue(settings) == "sandbox"
    with pytest.raises(SetupFailed, match="holds data of the venue 'sandbox', and data of 'kraken' is never mixed"):
        request_of(settings, venue="kraken")
    assert request_of(settings, venue=None).venue == "sandbox"


def test_a_routine_run_without_a_venue_says_why_it_does_nothing(tmp_path: Path, venue: Running) -> None:
    settings = primed(tmp_path)
    assert nothing_to_fetch(settings, None).startswith("Nothing was fetched: no venue was chosen yet.")
    backfilled(settings, venue.addresses, datasets=("ohlc",))
    assert nothing_to_fetch(settings, None).endswith("holds the market of a sandbox, and none is running.")
    (settings.paths.state / "sandbox.json").write_bytes(venue.addresses.read_bytes())
    assert nothing_to_fetch(settings, None) == ""


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"venue": None}, "No venue was chosen"),
        ({"venue": "moon"}, "There is no venue 'moon'"),
        ({"venue": "sandbox", "since": datetime(2026, 11, 20)}, "say its time zone"),
        ({"venue": "sandbox", "trades_hours": -1}, "a number of hours above 0"),
    ],
)
def test_a_request_that_can_not_be_meant_is_refused(settings: Settings, asked: dict[str, Any], said: str) -> None:
    with pytest.raises((SetupFailed, InputUnusable), match=said):
        request_of(settings, **asked)


@pytest.mark.parametrize("content", [None, "", "[]", "{}"])
def test_a_sandbox_that_is_not_there_is_named_with_its_command(settings: Settings, content: str | None) -> None:
    file = settings.paths.state / "sandbox.json"
    file.parent.mkdir(parents=True)
    if content is not None:
        file.write_text(content)
    with pytest.raises(SetupFailed, match=r"slipway sandbox|start it again"):
        fetch(settings, request_of(settings, venue="sandbox"))


def test_a_time_that_is_still_to_come_is_refused_by_the_venues_clock(settings: Settings, venue: Running) -> None:
    later = datetime(2026, 12, 24, tzinfo=UTC)
    request = request_of(settings, venue="sandbox", since=later, addresses=venue.addresses)
    with pytest.raises(InputUnusable, match=r"since 2026-12-24 00:00 UTC: that is in the future of sandbox, whose clo"):
        fetch(settings, request, clock=HurriedClock())


@pytest.fixture
def killed(settings: Settings, tmp_path: Path) -> Path:
    """The addresses that a sandbox has left behind where the settings look for them: it had no time to remove them."""
    file = settings.paths.state / "sandbox.json"
    with running(tmp_path / "sandbox.json") as ended:
        file.parent.mkdir(parents=True)
        file.write_bytes(ended.addresses.read_bytes())
    return file


def test_a_sandbox_that_was_killed_is_told_from_one_that_is_slow(settings: Settings, killed: Path) -> None:
    with pytest.raises(SetupFailed, match=r"of a sandbox that has ended: nothing listens at .* `make sandbox`") as told:
        fetch(settings, request_of(settings, venue="sandbox"))
    assert str(killed) in str(told.value)


def test_a_routine_run_has_nothing_to_fetch_of_a_sandbox_that_was_killed(settings: Settings, killed: Path) -> None:
    assert nothing_to_fetch(settings, "sandbox").endswith("and none is running.")


def test_the_jobs_are_told_while_they_run(tmp_path: Path, venue: Running) -> None:
    settings = primed(tmp_path)
    told: list[Look] = []
    request = request_of(
        settings, venue="sandbox", instruments=["BTC/USD"], datasets=["ohlc", "trades"], addresses=venue.addresses
    )
    fetch(settings, request, watch=Watch(told.append, 0.01), clock=HurriedClock())
    last = told[-1]
    assert [job.state for job in last.jobs] == ["done", "done"]
    assert [job.remark for job in last.jobs] == ["396 rows, 100%", "396 rows, 100%"]
    assert last.share == 1.0
    assert last.text.startswith("2 of 2 jobs done, 792 rows  \n16 calls, 0 refused, ")
    shares = [look.share for look in told]
    assert shares == sorted(shares)


def test_what_is_left_is_told_from_how_fast_it_went() -> None:
    running = JobState("trades BTC/USD", "running", 1_000, 0.5, seconds_left=200.0)
    assert running.remark == "1,000 rows, 50%, 3 min left"
    assert running._replace(seconds_left=20_000.0).remark == "1,000 rows, 50%, 5.6 h left"
    assert running._replace(seconds_left=7.0).remark == "1,000 rows, 50%, 7 s left"
    assert running._replace(state="failed").remark == "1,000 rows, 50%"
    assert JobState("trades BTC/USD").remark == ""


BACKFILL = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from backfill_venue import backfilled
from config.settings import load_settings

settings = load_settings()
print("begins", flush=True)
backfilled(settings, Path(sys.argv[2]), instruments=tuple(sys.argv[3:]))
print("ends", flush=True)
"""


def killed_again_and_again(home: Path, addresses: Path, instruments: Sequence[str], moments_s: list[float]) -> int:
    """Run the backfill until it comes to its end, and kill it after these times before; how often it was killed."""
    command = [sys.executable, "-c", BACKFILL, str(Path(__file__).parent), str(addresses), *instruments]
    for killed, moment_s in enumerate([*moments_s, None]):
        process = subprocess.Popen(
            command, env={**os.environ, "SLIPWAY_HOME": str(home)}, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout.readline() == "begins\n"
        try:
            process.wait(moment_s)
        except subprocess.TimeoutExpired:
            process.kill()
        said, _ = process.communicate()
        if process.returncode == 0:
            assert said == "ends\n"
            return killed
        assert process.returncode == -9
    raise AssertionError("the last one is never killed")


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("instruments", "kills"), [(ONE, 3), pytest.param(tuple(PRICES), 20, marks=pytest.mark.deep)], ids=["3", "20"]
)
def test_a_backfill_that_is_killed_again_and_again_ends_as_one_that_was_not(
    tmp_path: Path, venue: Running, undisturbed: Callable[..., Undisturbed], instruments: Sequence[str], kills: int
) -> None:
    """Killed at random points, as often as asked; one that ends before is compared, and another one begun."""
    expected = undisturbed(instruments)
    chance, done = random.Random(11), 0
    while done < kills:
        home = tmp_path / f"killed-{done}"
        killed = primed(home)
        moments_s = [chance.uniform(0, expected.took_s / 2) for _ in range(kills - done)]
        died = killed_again_and_again(home, venue.addresses, instruments, moments_s)
        assert contents(killed) == expected.contents
        assert died, "not one was killed in time"
        done += died
