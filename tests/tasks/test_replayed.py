"""One stream for all: what a backtest trades and what a sandbox trades are the published candles, replayed."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from config.settings import Settings
from exchange.sandbox import serving
from exchange.sandbox.market.market import Market
from exchange.sandbox.units import DAY_NS, HOUR_NS
from tasks.market import load_history
from tasks.sandboxes.market import Asked, opened_market
from trading.errors import InputUnusable, SetupFailed
from warehouse.connection import reading
from warehouse.replay import ClosedCandle, Span, replay
from warehouse.strategies.loading import load_strategy

FIRST = datetime(2023, 1, 1, tzinfo=UTC)
STARTS = FIRST + timedelta(days=3)
PUBLISHED = Asked(
    files=(), generate=None, warehouse=True, instruments=None, timeframe=None, first=None, last=None, start=STARTS,
    moments=4, speed=None, seed=5,
)  # fmt: skip


def traded(market: Market, days: int) -> list[object]:
    """Everything that trades from the market's start on, instant by instant."""
    until_ns = market.now_ns + days * DAY_NS
    return [
        (instant.at_ns, moment.instrument, *(column.tolist() for column in moment.spot))
        for instant in market.advance(until_ns)
        for moment in instant.moments
    ]


def test_a_backtest_trades_the_replayed_candles(settings: Settings):
    names = settings.strategy.instruments
    history = load_history(settings, load_strategy(settings.paths.sql / "marts" / "signals_ema_cross.sql"))
    with reading(settings.paths.published) as connection:
        stream = list(replay(connection, Span(names, ("15m",)), batch_rows=100))
    assert len(stream) > 2_000
    assert list(map(ClosedCandle._make, history.candles.iter_rows())) == stream
    closes = [(round(candle.closed_at.timestamp()) * 10**6, names.index(candle.instrument)) for candle in stream]
    assert history.market.candles[:, [2, 0]].tolist() == sorted(map(list, closes))


def test_a_sandbox_over_the_warehouse_trades_as_one_over_the_files_that_were_landed(settings: Settings, tmp_path: Path):
    end_s = round((FIRST + timedelta(days=14)).timestamp())
    for name in ("XBTUSD_15.csv", "ETHUSD_15.csv"):
        lines = (settings.paths.sample / name).read_text().splitlines(keepends=True)
        (tmp_path / name).write_text("".join(line for line in lines if int(line.partition(",")[0]) < end_s))
    files = serving.market_of_files(
        [tmp_path / "ETHUSD_15.csv", tmp_path / "XBTUSD_15.csv"],
        seed=5,
        when=serving.When(starts_ns=round(STARTS.timestamp()) * 10**9),
        moments=4,
    )
    expected = traded(files, days=5)
    with opened_market(PUBLISHED, settings) as market:
        assert traded(market, days=5) == expected
    assert len(expected) > 1_000


def test_a_publication_in_between_does_not_disturb_a_running_sandbox(settings: Settings, tmp_path: Path):
    with opened_market(PUBLISHED, settings) as market:
        undisturbed = traded(market, days=10)
    with opened_market(PUBLISHED, settings) as market:
        (tmp_path / "other").write_bytes(b"another publication")
        (tmp_path / "other").replace(settings.paths.published)
        assert traded(market, days=10) == undisturbed


def test_a_sandbox_over_the_warehouse_leaves_no_file_behind(settings: Settings):
    with opened_market(PUBLISHED._replace(timeframe="1h"), settings) as market:
        market.advance(market.now_ns + HOUR_NS)
    scratch = settings.paths.state / "replay"
    assert not scratch.exists() or not list(scratch.iterdir())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"instruments": ["DOGE/USD"]}, "no 15m candles of DOGE/USD in that span"),
        ({"first": datetime(2030, 1, 1, tzinfo=UTC)}, "no 15m candles of BTC/USD, .* in that span"),
        ({"warehouse": False, "generate": "trend", "timeframe": "1h"}, "--timeframe can't be used with --generate"),
        ({"warehouse": False, "instruments": ["BTC/USD"]}, "--instrument can't be used with files"),
    ],
)
def test_what_can_not_be_traded_is_named(settings: Settings, change, sentence):
    with pytest.raises(InputUnusable, match=sentence), opened_market(PUBLISHED._replace(**change), settings):
        pass


def test_without_a_publication_it_says_what_to_do(settings: Settings):
    settings.paths.published.unlink()
    with pytest.raises(SetupFailed, match="make run"), opened_market(PUBLISHED, settings):
        pass
