"""Jobs against the sandbox: every dataset, from any page on, under faults; and against a venue that lies."""

from decimal import Decimal
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from kraken_venue import FIRST_NS, STARTS_NS, Venue, with_venue
from twisted_venue import Twist, twisted

from exchange.kraken.history import Progress, collect, covered_from, parts_of
from exchange.kraken.spool import Job, Row, Spool, key_of
from exchange.sandbox.wire.faults import Fault
from trading.errors import CheckFailed, ExchangeUnavailable

pytestmark = pytest.mark.xdist_group("kraken_history")  # what is undisturbed is fetched once

FIRST_S, NOW_S = FIRST_NS // 10**9, STARTS_NS // 10**9
MINUTES = {"15m": 15, "1h": 60, "4h": 240, "1d": 1440}


def job(dataset: Any, instrument: str, from_s: int = 0, until_s: int = NOW_S) -> Job:
    return Job(dataset, instrument, {key_of(*part): from_s for part in parts_of(dataset, instrument)}, until_s)


def collected(tmp_path: Path, wanted: Job, *, twist: Twist | None = None, **options: Any) -> list[Any]:
    """All rows of a job, fetched from a fresh venue."""

    async def use(venue: Venue) -> list[Any]:
        await venue.tell("/advance", by_s=400)  # into the middle of a candle
        with Spool(tmp_path / "job.sqlite", wanted) as spool:
            if twist:
                async with twisted(venue, twist) as client:
                    await collect(client, spool, lambda _: None)
            else:
                await collect(venue.client, spool, lambda _: None)
            assert spool.is_complete
            return rows_of(spool)

    return with_venue(use, **options)


@cache
def undisturbed(dataset: str, instrument: str) -> list[Any]:
    """All rows of a whole job that nothing disturbs, fetched once for all tests."""
    with TemporaryDirectory() as folder:
        return collected(Path(folder), job(dataset, instrument))


def rows_of(spool: Spool) -> list[Any]:
    return [row for series in spool.series() for row in spool.candles(*series)] + list(spool.rates())


def grid(rows: list[Row], timeframe: str) -> list[int]:
    return [row.opened_s for row in rows if row.timeframe == timeframe]


@pytest.mark.parametrize("pair", ["BTC/USD", "DOGE/USD"])
def test_trades_make_the_very_candles_that_the_venue_lists(pair: str) -> None:
    listed, made = undisturbed("ohlc", pair), undisturbed("trades", pair)
    assert made == listed
    assert len(grid(made, "15m")) == (300 if pair == "BTC/USD" else 240)
    assert len(grid(made, "1d")) == 3


def test_the_charts_of_the_index_are_the_candles_of_spot() -> None:
    spot, charts = undisturbed("ohlc", "BTC/USD"), undisturbed("charts", "PF_XBTUSD")
    index = [row for row in charts if row.series == "PF_XBTUSD.spot"]
    assert [row[1:7] for row in index] == [row[1:7] for row in spot]
    assert {row.series for row in charts} == {"PF_XBTUSD", "PF_XBTUSD.mark", "PF_XBTUSD.spot"}
    assert {row.trades for row in charts} == {None}


@pytest.mark.parametrize(
    ("dataset", "instrument"), [("ohlc", "BTC/USD"), ("trades", "BTC/USD"), ("charts", "PF_XBTUSD")]
)
def test_the_candle_that_is_still_forming_is_never_kept(dataset: str, instrument: str) -> None:
    for row in undisturbed(dataset, instrument):
        assert row.opened_s + MINUTES[row.timeframe] * 60 <= NOW_S


@pytest.mark.parametrize(
    ("dataset", "instrument"), [("ohlc", "BTC/USD"), ("trades", "BTC/USD"), ("charts", "PF_XBTUSD")]
)
def test_a_job_ends_where_it_was_begun_to_end_however_late_it_is_finished(
    tmp_path: Path, dataset: str, instrument: str
) -> None:
    early = NOW_S - 7_200
    assert collected(tmp_path, job(dataset, instrument, until_s=early)) == [
        row for row in undisturbed(dataset, instrument) if row.opened_s + MINUTES[row.timeframe] * 60 <= early
    ]


@pytest.mark.parametrize(
    ("dataset", "instrument"), [("ohlc", "BTC/USD"), ("trades", "BTC/USD"), ("charts", "PF_XBTUSD")]
)
def test_a_job_begins_where_it_was_asked_to(tmp_path: Path, dataset: str, instrument: str) -> None:
    middle = FIRST_S + 50 * 3_600
    rest = collected(tmp_path, job(dataset, instrument, from_s=middle))
    assert rest == [row for row in undisturbed(dataset, instrument) if row.opened_s >= middle]


def test_funding_rates_come_up_to_the_hour_that_has_begun(tmp_path: Path) -> None:
    rates = collected(tmp_path, job("funding", "PF_XBTUSD", from_s=NOW_S - 5 * 3_600))
    assert [rate.began_s for rate in rates] == list(range(NOW_S - 5 * 3_600, NOW_S + 1, 3_600))
    assert all(Decimal(rate.rate) for rate in rates)


@pytest.mark.parametrize(
    ("dataset", "instrument"), [("ohlc", "DOGE/USD"), ("trades", "DOGE/USD"), ("charts", "PF_XBTUSD")]
)
def test_goes_on_after_any_page_as_if_nothing_had_happened(tmp_path: Path, dataset: str, instrument: str) -> None:
    async def use(venue: Venue) -> tuple[list[Any], int]:
        await venue.tell("/advance", by_s=400)
        ends = 0
        while True:
            with Spool(tmp_path / "again.sqlite", job(dataset, instrument)) as spool:
                if await ended_after_a_page(venue, spool):
                    return rows_of(spool), ends
                ends += 1

    rows, ends = with_venue(use)
    assert rows == undisturbed(dataset, instrument)
    assert ends >= 3


class Killed(BaseException):
    """Ends a job after its first new page, and is nobody's to catch."""


async def ended_after_a_page(venue: Venue, spool: Spool) -> bool:
    """Whether the job came to its end with its next page."""

    def tell(_: Progress) -> None:
        if not spool.is_complete:
            raise Killed

    try:
        await collect(venue.client, spool, tell)
    except Killed:
        return False
    return True


def test_faults_of_the_venue_change_nothing(tmp_path: Path) -> None:
    faults = [
        Fault("too_many_requests", "spot_rest", match="Trades", nth=1),
        Fault("server_error", "spot_rest", match="Trades", nth=3),
        Fault("unavailable", "spot_rest", match="Trades", nth=5, times=2),
        Fault("reset", "spot_rest", match="Trades", nth=9),
        Fault("unavailable", "spot_rest", match="OHLC", nth=2),
    ]
    assert collected(tmp_path, job("trades", "BTC/USD"), faults=faults) == undisturbed("trades", "BTC/USD")


def test_a_venue_that_does_not_answer_costs_no_page_that_was_kept(tmp_path: Path) -> None:
    faults = [Fault("unavailable", "spot_rest", match="Trades", nth=3, times=None)]
    with pytest.raises(ExchangeUnavailable):
        collected(tmp_path, job("trades", "BTC/USD"), faults=faults)
    with Spool(tmp_path / "job.sqlite", None) as spool:
        assert spool.rows > 100
        assert not spool.is_complete


def test_a_short_page_in_the_middle_is_not_taken_for_the_end(tmp_path: Path) -> None:
    def cut(path: str, query: dict[str, str], reply: Any) -> Any:
        if path.endswith("Trades"):
            key = next(key for key in reply["result"] if key != "last")
            if len(reply["result"][key]) > 500:
                reply["result"][key] = reply["result"][key][:500]
                # Times are floats here, with less than the microsecond that is taken off.
                reply["result"]["last"] = f"{round(Decimal(str(reply['result'][key][-1][2])) * 10**9) - 1_000}"
        return reply

    assert collected(tmp_path, job("trades", "BTC/USD"), twist=cut) == undisturbed("trades", "BTC/USD")


class Lies:
    """Tells the truth for some pages of Trades, and then what `lie` makes of one."""

    def __init__(self, lie: Any, truths: int = 2) -> None:
        self.lie, self.truths = lie, truths
        self.first: Any = None

    def __call__(self, path: str, query: dict[str, str], reply: Any) -> Any:
        if not path.endswith("Trades"):
            return reply
        self.first = self.first or reply
        self.truths -= 1
        key = next(key for key in reply["result"] if key != "last")
        return self.lie(self, reply, key) if self.truths == -1 else reply


def goes_back(lies: Lies, reply: Any, key: str) -> Any:
    return lies.first


def loses_the_last_known(lies: Lies, reply: Any, key: str) -> Any:
    del reply["result"][key][:10]
    return reply


def loses_one_in_the_middle(lies: Lies, reply: Any, key: str) -> Any:
    del reply["result"][key][500]
    return reply


@pytest.mark.parametrize(
    ("lie", "said"),
    [
        (goes_back, "the page goes back"),
        (loses_the_last_known, "trades may be lost between pages"),
        (loses_one_in_the_middle, "made of the venue's trades are not the venue's own"),
    ],
)
def test_a_venue_that_contradicts_itself_is_named_and_what_came_before_stays(
    tmp_path: Path, lie: Any, said: str
) -> None:
    with pytest.raises(CheckFailed, match=said):
        collected(tmp_path, job("trades", "BTC/USD"), twist=Lies(lie))
    with Spool(tmp_path / "job.sqlite", None) as spool:
        assert spool.rows > 50
        assert not spool.is_complete


def test_a_chart_that_goes_back_is_refused(tmp_path: Path) -> None:
    def turned(path: str, query: dict[str, str], reply: Any) -> Any:
        return {**reply, "candles": reply["candles"][::-1]} if "/charts/" in path else reply

    with pytest.raises(CheckFailed, match=r"Chart trade of PF_XBTUSD 15m: a candle of \d+ s came where one after"):
        collected(tmp_path, job("charts", "PF_XBTUSD"), twist=turned)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("0.09624183255", "0.0962418326"),  # the tie goes to the even digit
        ("0.09624183265", "0.0962418326"),
        ("0.000001234567891", "0.0000012346"),
        ("12345678901234567890123456789.5", "12345678901234567890123456789.5"),
    ],
)
def test_mark_price_and_index_are_rounded_to_ten_decimals_and_trades_are_not(
    tmp_path: Path, said: str, kept: str
) -> None:
    def finer(path: str, query: dict[str, str], reply: Any) -> Any:
        if "/charts/" in path:
            for candle in reply["candles"]:
                candle.update(dict.fromkeys(("open", "high", "low", "close"), said))
        return reply

    rows = collected(tmp_path, job("charts", "PF_XBTUSD", from_s=NOW_S - 7_200), twist=finer)
    told = {row.series: row[3:7] for row in rows}
    assert told == {
        "PF_XBTUSD": (said,) * 4,
        "PF_XBTUSD.mark": (kept,) * 4,
        "PF_XBTUSD.spot": (kept,) * 4,
    }


def test_what_is_known_of_a_series_begins_where_the_venue_begins(tmp_path: Path) -> None:
    async def use(venue: Venue) -> tuple[int, int]:
        with Spool(tmp_path / "job.sqlite", job("ohlc", "BTC/USD", from_s=FIRST_S - 86_400)) as spool:
            await collect(venue.client, spool, lambda _: None)
            return covered_from(spool, "BTC/USD", "15m"), covered_from(spool, "BTC/USD", "1d")

    assert with_venue(use, quarters=800) == (FIRST_S + 80 * 900, FIRST_S)


def test_progress_never_goes_back_and_ends_at_the_end(tmp_path: Path) -> None:
    async def use(venue: Venue) -> list[Progress]:
        told: list[Progress] = []
        with Spool(tmp_path / "job.sqlite", job("trades", "BTC/USD")) as spool:
            await collect(venue.client, spool, told.append)
        return told

    told = with_venue(use)
    shares = [each.share for each in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert len(shares) > 5
