"""A backfill goes on: beside what was refused, after what nobody judged, and with what earlier requests have left."""

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from backfill_venue import FIRST_NS, HurriedClock, Running, backfilled, candles, primed, running

from config.settings import Settings
from exchange.kraken.spool import Job, Spool
from tasks.backfill import fetching
from tasks.backfill.fetching import attempt
from tasks.backfill.landing import land
from tasks.backfill.request import Failure, Request, Target, request_of, targets
from trading.errors import CheckFailed, InputUnusable, SetupFailed
from warehouse.connection import unit_of_work

FIRST_S = FIRST_NS // 10**9
OWN = "raw.kraken_ohlcvt"
PERPETUAL = ("PF_XBTUSD", "PF_XBTUSD.mark", "PF_XBTUSD.spot")
TIMEFRAMES = ("15m", "1h", "4h", "1d")


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One that no test moves."""
    with running(tmp_path_factory.mktemp("venue") / "sandbox.json") as up:
        yield up


def asked(settings: Settings, venue: Running, **what: Any) -> Request:
    return request_of(settings, venue="sandbox", addresses=venue.addresses, **what)


def fetched(settings: Settings, request: Request) -> tuple[Failure, ...]:
    return attempt(settings, request, clock=HurriedClock())


def target(settings: Settings, request: Request) -> Target:
    (only,), _ = targets(settings, request)
    return only


def begun(settings: Settings, request: Request) -> Job:
    """The job that a request of one target has begun."""
    with Spool(target(settings, request).spool, None) as spool:
        return spool.job


def change(settings: Settings, *statements: str) -> None:
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
        for statement in statements:
            warehouse.execute(statement)


def test_a_series_without_a_usable_candle_holds_up_no_other_of_its_job(tmp_path: Path, venue: Running) -> None:
    settings = primed(tmp_path)
    request = asked(settings, venue, instruments=["ETH/USD"], datasets=["ohlc"])
    assert fetched(settings, request) == ()
    with sqlite3.connect(target(settings, request).spool) as spool:
        spool.execute("update candles set low = '200000000' where timeframe = '1d'")
    spool.close()
    landed = land(settings, request)
    assert [(type(each.error), each.title) for each in landed.failures] == [(InputUnusable, "ohlc ETH/USD")]
    assert "1 series had no usable candle. ETHUSD_1440.csv was refused" in str(landed.failures[0].error)
    states = candles(
        settings, "select timeframe, state from raw.files where batch_id <> 'first' and source = 'sandbox-rest'"
    )
    assert dict(states) == {"15m": "validated", "1h": "validated", "4h": "validated", "1d": "refused"}
    assert landed.has_news
    assert not list(target(settings, request).spool.parent.iterdir())


def test_rates_that_can_not_be_used_are_told_and_fetched_anew(tmp_path: Path, venue: Running) -> None:
    settings = primed(tmp_path)
    request = asked(settings, venue, instruments=["BTC/USD"], datasets=["funding"])
    fetched(settings, request)
    with sqlite3.connect(target(settings, request).spool) as spool:
        spool.execute("update funding set began_s = began_s + 60")
    spool.close()
    (failure,) = land(settings, request).failures
    assert isinstance(failure.error, InputUnusable)
    assert "does not begin at a full hour" in str(failure.error)
    assert not target(settings, request).spool.exists()
    assert fetched(settings, request) == ()
    assert land(settings, request).failures == ()


def test_one_bad_spool_holds_up_no_other(tmp_path: Path, venue: Running) -> None:
    settings = primed(tmp_path)
    request = asked(settings, venue, instruments=["BTC/USD", "ETH/USD"], datasets=["ohlc"])
    (bad, good), _ = targets(settings, request)
    bad.spool.mkdir(parents=True)
    (failure,) = fetched(settings, request)
    assert failure.title == bad.title
    assert isinstance(failure.error, SetupFailed)
    assert str(bad.spool) in str(failure.error)
    assert [job.target for job in land(settings, request).jobs] == [good]


@pytest.mark.xdist_group("heavy")  # one process imports Great Expectations
def test_what_landed_and_was_never_judged_is_not_held_and_is_judged_by_the_next_run(
    tmp_path: Path, venue: Running
) -> None:
    settings = primed(tmp_path)
    backfilled(settings, venue.addresses, datasets=("ohlc",))
    # as a kill between landing and judging leaves it, and somebody who removes the spool
    change(
        settings,
        "update raw.files set state = 'landed' where batch_id <> 'first'",
        "update raw.batches set state = 'landed' where batch_id <> 'first'",
    )
    request = asked(settings, venue, instruments=["BTC/USD"], datasets=["ohlc"])
    assert fetched(settings, request) == ()
    assert begun(settings, request).from_s["BTC/USD 15m"] == FIRST_S - settings.backfill.overlap_candles * 900
    target(settings, request).spool.unlink()
    landed = land(settings, request)
    assert set(landed.sentences) == {"ohlc BTC/USD: what an earlier run had landed, and not judged, was validated."}
    assert landed.has_news
    assert candles(settings, "select distinct state from raw.files") == [("validated",)]


def test_only_what_its_own_source_has_told_makes_a_job_an_increment(tmp_path: Path, venue: Running) -> None:
    settings = primed(tmp_path)
    request = asked(settings, venue, instruments=["BTC/USD"], datasets=["ohlc"])
    fetched(settings, request)
    assert begun(settings, request).increments == tuple(f"BTC/USD {timeframe}" for timeframe in TIMEFRAMES)
    target(settings, request).spool.unlink()
    change(settings, "update raw.files set source = 'kraken' where source = 'sandbox-rest' and timeframe <> '1h'")
    fetched(settings, request)
    assert begun(settings, request).increments == ("BTC/USD 1h",)


@pytest.mark.parametrize(("days", "increments"), [(0, TIMEFRAMES), (2, ("1h", "4h", "1d")), (50, ("1d",)), (100, ())])
def test_what_goes_back_further_than_the_overlap_is_no_increment(
    tmp_path: Path, venue: Running, days: int, increments: tuple[str, ...]
) -> None:
    settings = primed(tmp_path)
    since = datetime.fromtimestamp(FIRST_S, UTC) - timedelta(days=days)
    request = asked(settings, venue, instruments=["BTC/USD"], datasets=["ohlc"], since=since)
    fetched(settings, request)
    assert begun(settings, request).increments == tuple(f"BTC/USD {timeframe}" for timeframe in increments)


def test_a_perpetual_without_any_trade_yet_goes_on_with_its_mark_price_and_index(
    tmp_path: Path, venue: Running
) -> None:
    settings = primed(tmp_path)
    change(settings, "delete from raw.files where instrument = 'PF_XBTUSD'")
    request = asked(settings, venue, instruments=["BTC/USD"], datasets=["charts"])
    fetched(settings, request)
    job = begun(settings, request)
    overlap_s = settings.backfill.overlap_candles * 900
    assert [job.from_s[f"{series} 15m"] for series in PERPETUAL] == [0, FIRST_S - overlap_s, FIRST_S - overlap_s]
    assert {key.partition(" ")[0] for key in job.increments} == {"PF_XBTUSD.mark", "PF_XBTUSD.spot"}


def refused_mark(home: Path, ago: timedelta, times: int = 1) -> Settings:
    """A home in which the whole history of a mark price was refused, some times, the last a while ago."""
    settings = primed(home)
    at = datetime.now(UTC) - ago
    change(
        settings,
        f"update raw.files set state = 'refused', fetched_at = '{at.isoformat()}' where instrument = 'PF_XBTUSD.mark'",
        *(
            f"insert into raw.files select 100 * {number} + file_id, 'again-{number}', * exclude (file_id, batch_id)"
            " from raw.files where instrument = 'PF_XBTUSD.mark' and batch_id = 'first'"
            for number in range(1, times)
        ),
    )
    return settings


def test_a_history_that_was_refused_is_left_alone_for_a_while_and_the_rest_of_its_job_goes_on(
    tmp_path: Path, venue: Running
) -> None:
    settings = refused_mark(tmp_path, timedelta(minutes=5))
    request = asked(settings, venue, instruments=["BTC/USD"], datasets=["charts"])
    (failure,) = fetched(settings, request)
    assert isinstance(failure.error, CheckFailed)
    assert "PF_XBTUSD.mark 15m was refused in 1 batch(es), the last first, and is not asked for before" in str(
        failure.error
    )
    assert str(failure.error).endswith("To fetch charts PF_XBTUSD at once, give a --since.")
    landed = land(settings, request)
    assert landed.failures == ()
    counts = candles(settings, f"select instrument, count(*) from {OWN} where batch_id <> 'first' group by all")
    assert {name for name, _ in counts} == {"PF_XBTUSD", "PF_XBTUSD.spot"}


@pytest.mark.parametrize(
    ("ago", "times", "is_left_alone"),
    [
        (timedelta(minutes=55), 1, True),
        (timedelta(minutes=65), 1, False),
        (timedelta(minutes=115), 2, True),
        (timedelta(minutes=125), 2, False),
        (timedelta(hours=23), 9, True),
        (timedelta(hours=25), 9, False),
    ],
)
def test_the_pause_doubles_from_an_hour_to_a_day(
    tmp_path: Path, venue: Running, ago: timedelta, times: int, is_left_alone: bool
) -> None:
    settings = refused_mark(tmp_path, ago, times)
    request = asked(settings, venue, instruments=["BTC/USD"], datasets=["charts"])
    assert bool(fetched(settings, request)) == is_left_alone
    assert ("PF_XBTUSD.mark 15m" not in begun(settings, request).from_s) == is_left_alone


def test_who_says_from_when_on_gets_a_refused_history_at_once(tmp_path: Path, venue: Running) -> None:
    settings = refused_mark(tmp_path, timedelta(minutes=5))
    since = datetime.fromtimestamp(FIRST_S, UTC)
    request = asked(settings, venue, instruments=["BTC/USD"], datasets=["charts"], since=since)
    assert fetched(settings, request) == ()
    assert begun(settings, request).from_s["PF_XBTUSD.mark 15m"] == FIRST_S


def test_a_spool_of_an_earlier_request_is_landed_and_then_comes_what_was_asked_for(tmp_path: Path) -> None:
    settings = primed(tmp_path / "home")
    with running(tmp_path / "sandbox.json") as venue:
        what: dict[str, Any] = {"instruments": ["ETH/USD"], "datasets": ["ohlc"]}
        fetched(settings, asked(settings, venue, **what))
        venue.advance(1_800)
        request = asked(settings, venue, **what)
        told = []
        for _ in range(2):
            assert fetched(settings, request) == ()
            landed = land(settings, request)
            (until,) = candles(settings, "select max(covers_until) from raw.files")[0]
            told.append((landed.is_earlier, round(until.timestamp()) - FIRST_S))
    assert told == [(True, 300 * 900), (False, 302 * 900)]


def routine(settings: Settings, venue: Running) -> tuple[Settings, Request]:
    listed = {name: settings.instruments[name] for name in ("BTC/USD",)}
    small = settings.model_copy(update={"instruments": listed})
    return small, asked(small, venue)


def test_a_routine_run_finishes_what_earlier_requests_have_left(tmp_path: Path, venue: Running) -> None:
    settings = primed(tmp_path)
    left = asked(settings, venue, instruments=["ETH/USD"], datasets=["trades"])
    fetched(settings, left)
    settings, request = routine(settings, venue)
    assert fetched(settings, request) == ()
    landed = land(settings, request)
    assert "trades ETH/USD" in [job.target.title for job in landed.jobs]
    assert landed.failures == ()
    assert not landed.is_earlier  # nobody asks for it again
    assert not list(target(settings, left).spool.parent.iterdir())


def test_what_is_left_gets_a_share_of_a_routine_run_and_goes_on_with_the_next(
    tmp_path: Path, venue: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = primed(tmp_path)
    left = asked(settings, venue, instruments=["ETH/USD"], datasets=["trades"])
    fetched(settings, left)
    with sqlite3.connect(target(settings, left).spool) as spool:
        spool.execute("update job set is_complete = 0")
    spool.close()
    settings, request = routine(settings, venue)
    monkeypatch.setattr(fetching, "LEFTOVER_S", 0.0)
    assert fetched(settings, request) == ()
    assert "trades ETH/USD" not in [job.target.title for job in land(settings, request).jobs]
    monkeypatch.undo()
    assert fetched(settings, request) == ()
    assert "trades ETH/USD" in [job.target.title for job in land(settings, request).jobs]


def test_only_a_routine_run_takes_up_what_others_have_left(tmp_path: Path, venue: Running) -> None:
    settings = primed(tmp_path)
    fetched(settings, asked(settings, venue, instruments=["ETH/USD"], datasets=["trades"]))
    request = asked(settings, venue, instruments=["BTC/USD"], datasets=["ohlc"])
    assert [each.title for each in targets(settings, request)[0]] == ["ohlc BTC/USD"]
