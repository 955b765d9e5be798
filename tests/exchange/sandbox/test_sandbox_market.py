"""The market as a whole: what is printed, and what is known of it afterwards."""

import hashlib
import json
import pickle
import urllib.request
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from doses import examples
from hypothesis import given
from hypothesis import strategies as st

from exchange.sandbox.market.expansion import MOST_AT_ONCE
from exchange.sandbox.market.facts import Contract, listed
from exchange.sandbox.market.generator import SCENARIOS, generated
from exchange.sandbox.market.market import Market
from exchange.sandbox.market.model import Bar, Instant, SourceCandle, Trades
from exchange.sandbox.units import DAY_NS, HOUR_NS, MINUTE_NS
from trading.errors import InputUnusable

SPAN_NS = 15 * MINUTE_NS
FIRST_NS = 1_700_006_400_000_000_000
PAIRS, CONTRACTS = listed(["BTC/USD", "DOGE/USD"])
BTC, PF_BTC = "BTC/USD", "PF_XBTUSD"
SPANS = 240  # two and a half days


def candles(scenario: str = "gap", seed: int = 3, span_ns: int = SPAN_NS) -> list[SourceCandle]:
    return list(generated(scenario, PAIRS, seed=seed, opened_ns=FIRST_NS, span_ns=span_ns, candles=SPANS))


def market(fed: Iterable[SourceCandle], starts_ns: int = FIRST_NS + SPAN_NS, seed: int = 5) -> Market:
    return Market(fed, pairs=PAIRS, contracts=CONTRACTS, seed=seed, starts_ns=starts_ns)


FED = candles()
ENDS_NS = FED[-1].opened_ns + SPAN_NS
TIMES = st.integers(FIRST_NS + SPAN_NS, ENDS_NS)


@pytest.fixture(scope="module")
def whole() -> tuple[Instant, ...]:
    """Everything that is printed, from the second candle to the last."""
    return tuple(market(FED).advance(ENDS_NS))


@pytest.fixture(scope="module")
def now() -> Market:
    """The market after its last candle, only to be asked."""
    return market(FED, starts_ns=ENDS_NS)


def spot_prints(instants: Iterable[Instant], instrument: str = BTC) -> Trades:
    parts = [moment.spot for instant in instants for moment in instant.moments if moment.instrument == instrument]
    return Trades(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def digest(instants: Iterable[Instant]) -> str:
    """One text for all bytes that are printed."""
    whole = hashlib.sha256()
    for instant in instants:
        for moment in instant.moments:
            whole.update(f"{instant.at_ns} {moment.instrument} {moment.at_ns}".encode())
            for column in (*moment.spot, *moment.futures):
                whole.update(column.tobytes())
    return whole.hexdigest()


def same(one: Trades, other: Trades) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def everything_known(now: Market) -> bytes:
    return pickle.dumps(
        [
            now.next_ns(),
            now.last_spot_trades(BTC, 60),
            now.futures_trades(PF_BTC, now.now_ns, 60),
            *(now.spot_bars(name, minutes, 720) for name in now.pairs for minutes in (1, 15, 60, 1440)),
            *(now.spot_running_bar(name, minutes) for name in now.pairs for minutes in (1, 15, 60, 1440)),
            *(now.spot_quote(name) for name in now.pairs),
            *(now.futures_quote(name) for name in now.contracts),
            *(now.futures_bars(name, 5, 0, now.now_ns, 300, newest=True) for name in now.contracts),
            *(now.mark_bars(name, 60, 0, now.now_ns, 300, newest=False) for name in now.contracts),
            now.spot_book(BTC, 25),
            now.futures_book(PF_BTC),
            now.funding_rates(PF_BTC),
        ]
    )


def test_the_streamed_trades_of_a_span_make_its_candle(whole: tuple[Instant, ...]) -> None:
    trades = spot_prints(whole)
    opened = trades.time_ns // SPAN_NS * SPAN_NS
    for candle in [fed for fed in FED if fed.instrument == BTC][1:]:
        price, volume = trades.price[opened == candle.opened_ns], trades.volume[opened == candle.opened_ns]
        assert (price[0], price.max(), price.min(), price[-1]) == candle[3:7]
        assert (volume.sum(), len(price)) == candle[7:9]


def test_the_same_seed_prints_the_same_and_another_does_not() -> None:
    until_ns = FIRST_NS + 6 * HOUR_NS
    prints = [digest(market(FED, seed=seed).advance(until_ns)) for seed in (5, 5, 6)]
    assert prints[0] == prints[1] != prints[2]


@given(stops=st.lists(TIMES, max_size=4))
@examples(8)
def test_to_advance_in_pieces_is_to_advance_at_once(whole: tuple[Instant, ...], stops: list[int]) -> None:
    moving, instants = market(FED), []
    for stop in [*sorted(stops), ENDS_NS]:
        instants += list(moving.advance(stop))
        assert moving.now_ns == stop
    assert digest(instants) == digest(whole)


@given(TIMES)
@examples(6)
def test_a_market_that_starts_later_knows_what_one_that_came_there_knows(now_ns: int) -> None:
    came = market(FED)
    for _ in came.advance(now_ns):
        pass
    assert everything_known(market(FED, starts_ns=now_ns)) == everything_known(came)


def test_what_is_kept_up_to_date_equals_what_is_asked_for_the_first_time() -> None:
    moving = market(FED)
    everything_known(moving)
    for stop in range(FIRST_NS + 2 * SPAN_NS, ENDS_NS, 11 * HOUR_NS + 7):
        for _ in moving.advance(stop):
            moving.spot_running_bar(BTC, 15)
        assert everything_known(moving) == everything_known(market(FED, starts_ns=stop))


def test_instants_come_in_order_and_are_foretold(whole: tuple[Instant, ...]) -> None:
    moving = market(FED)
    for _ in range(200):
        foretold = moving.next_ns()
        assert foretold is not None
        (instant,) = moving.advance(foretold)
        assert instant.at_ns == foretold == moving.now_ns
        assert [moment.instrument for moment in instant.moments] == sorted(m.instrument for m in instant.moments)
    assert all(one.at_ns < other.at_ns for one, other in pairwise(whole))


def test_time_goes_on_after_the_last_candle(whole: tuple[Instant, ...]) -> None:
    moving = market(FED)
    assert len(list(moving.advance(ENDS_NS + DAY_NS))) == len(whole)
    assert moving.next_ns() is None
    assert moving.now_ns == ENDS_NS + DAY_NS
    assert moving.spot_bars(BTC, 60, 3)[-1].trades == 0


@given(TIMES, st.integers(MOST_AT_ONCE + 1, 1000), st.integers(0, 40))
@examples(15)
def test_paging_by_cursor_yields_every_trade_once(now_ns: int, limit: int, hours: int) -> None:
    now = market(FED, starts_ns=now_ns)
    start_ns = now_ns - hours * HOUR_NS
    every = now.last_spot_trades(BTC, 10**9)
    assert paged(now, start_ns, limit) == every.trade_id[every.time_ns >= start_ns].tolist()


def test_trades_of_one_taker_often_share_their_time_on_spot(whole: tuple[Instant, ...]) -> None:
    sweeps = [moment.spot.time_ns for instant in whole for moment in instant.moments if len(moment.spot) > 1]
    shared = [times for times in sweeps if (times == times[-1]).all()]
    assert 0.2 < len(shared) / len(sweeps) < 0.8
    assert all((np.diff(moment.futures.time_ns) > 0).all() for instant in whole for moment in instant.moments)


def paged(now: Market, from_ns: int, limit: int) -> list[int]:
    """Ids of all spot trades from a time on, each once, as the venue has them paged: until a page ends as it began."""
    ids: dict[int, None] = {}
    while True:
        page = now.spot_trades(BTC, from_ns, limit)
        assert len(page) <= limit
        ids.update(dict.fromkeys(page.trade_id.tolist()))
        if not len(page) or page.time_ns[-1] == from_ns:
            return list(ids)
        from_ns = int(page.time_ns[-1])


@pytest.mark.parametrize("moments", [16, 90])
@pytest.mark.parametrize("span_ns", [SPAN_NS, HOUR_NS, 4 * HOUR_NS, DAY_NS])
def test_paging_loses_no_trade_whatever_the_span(span_ns: int, moments: int) -> None:
    opened_ns = FIRST_NS // DAY_NS * DAY_NS
    shape = SourceCandle(BTC, opened_ns, span_ns, 837_000, 840_000, 830_000, 838_000, 10**12, 30_000)
    pairs, contracts = listed([BTC])
    fed = [shape._replace(opened_ns=opened_ns + number * span_ns) for number in range(3)]
    ends_ns = opened_ns + 3 * span_ns
    now = Market(fed, pairs=pairs, contracts=contracts, seed=5, starts_ns=ends_ns, moments_per_candle=moments)
    assert paged(now, 0, 7_000) == list(range(1, 90_001))
    since_ns, ids = 0, []
    while len(page := now.futures_trades_since(PF_BTC, since_ns, 1_000)):
        ids += page.trade_id.tolist()
        since_ns = int(page.time_ns[-1]) + 1
    assert ids == now.futures_trades(PF_BTC, ends_ns, 10**9).trade_id.tolist()


def test_executions_page_forward_to_their_end_however_long_the_candles(serve: Callable[..., Any]) -> None:
    shape = SourceCandle(BTC, 0, DAY_NS, 837_000, 840_000, 830_000, 838_000, 10**12, 3_000)
    pairs, contracts = listed([BTC])
    fed = [shape._replace(opened_ns=number * DAY_NS) for number in range(5)]
    of_days = Market(fed, pairs=pairs, contracts=contracts, seed=1, starts_ns=3 * DAY_NS, moments_per_candle=90)
    url = f"{serve(of_days).urls.futures_rest}/api/history/v3/market/{PF_BTC}/executions?sort=asc"
    seen, more = [], ""
    while True:
        with urllib.request.urlopen(url + more, timeout=20) as reply:
            page = json.loads(reply.read())
        seen += [element["uid"] for element in page["elements"]]
        if "continuationToken" not in page:
            break
        more = f"&continuation_token={page['continuationToken']}"
    printed = len(of_days.futures_trades(PF_BTC, 3 * DAY_NS + 1, 10**9))
    assert len(seen) == len(set(seen)) == printed


def test_the_past_is_expanded_again_as_it_was_printed(whole: tuple[Instant, ...]) -> None:
    now = market(FED, starts_ns=ENDS_NS)
    history, streamed = now.last_spot_trades(BTC, 10**9), spot_prints(whole)
    assert same(Trades(*(column[-len(streamed) :] for column in history)), streamed)
    assert history.trade_id.tolist() == list(range(1, len(history) + 1))


def test_futures_trades_page_backwards_without_a_gap() -> None:
    now = market(FED, starts_ns=ENDS_NS)
    before_ns, ids = now.now_ns, []
    while len(page := now.futures_trades(PF_BTC, before_ns, 100)):
        ids = page.trade_id.tolist() + ids
        before_ns = int(page.time_ns[0])
    assert ids == list(range(1, len(ids) + 1))


@given(TIMES, st.sampled_from([1, 5, 15, 30, 60, 240, 1440, 10080]), st.integers(1, 720))
@examples(30)
def test_bars_are_made_of_the_trades_up_to_now(now_ns: int, minutes: int, limit: int) -> None:
    now = market(FED, starts_ns=now_ns)
    bars = now.spot_bars(BTC, minutes, limit)
    trades = now.last_spot_trades(BTC, 10**9)
    assert trades.time_ns[-1] <= now_ns
    assert bars[-1].opened_ns == now_ns // (minutes * MINUTE_NS) * (minutes * MINUTE_NS)
    assert len(bars) <= limit + 1
    assert bars == bars_by_hand(trades, minutes * MINUTE_NS, bars[0].opened_ns, bars[-1].opened_ns)
    assert now.spot_running_bar(BTC, minutes) == bars[-1]


def bars_by_hand(trades: Trades, span_ns: int, first_ns: int, last_ns: int) -> list[Bar]:
    bars = []
    for opened in range(first_ns, last_ns + 1, span_ns):
        inside = (trades.time_ns >= opened) & (trades.time_ns < opened + span_ns)
        price, volume = trades.price[inside].tolist(), trades.volume[inside].tolist()
        if price:
            turnover = sum(p * v for p, v in zip(price, volume, strict=True))
            bars.append(Bar(opened, price[0], max(price), min(price), price[-1], sum(volume), turnover, len(price)))
        else:
            close = int(trades.price[trades.time_ns < opened][-1])
            bars.append(Bar(opened, close, close, close, close, 0, 0, 0))
    return bars


@given(
    at_ns=st.integers() | st.sampled_from([2**62, 2**63, 2**64, -(2**63)]),
    minutes=st.sampled_from([1, 15, 21600]),
    newest=st.booleans(),
)
@examples(20)
def test_no_time_is_too_absurd_to_ask_for(now: Market, at_ns: int, minutes: int, newest: bool) -> None:
    known = set(now.last_spot_trades(BTC, 10**9).time_ns.tolist())
    after = now.spot_trades(BTC, at_ns, 10)
    assert set(after.time_ns.tolist()) <= {time for time in known if time >= at_ns}
    assert (now.futures_trades(PF_BTC, at_ns, 10).time_ns < at_ns).all()
    assert now.spot_bars(BTC, minutes, 720, since_ns=at_ns)
    for bars, _ in (
        now.futures_bars(PF_BTC, minutes, at_ns, 10**30, 50, newest),
        now.mark_bars(PF_BTC, minutes, -(10**30), at_ns, 50, newest),
    ):
        assert len(bars) <= 50


def test_bars_begin_after_the_cursor_and_the_running_one_always_comes() -> None:
    now = market(FED, starts_ns=FIRST_NS + 20 * SPAN_NS + 1)
    bars = now.spot_bars(BTC, 15, 720, since_ns=FIRST_NS + 15 * SPAN_NS)
    assert [bar.opened_ns for bar in bars] == [FIRST_NS + number * SPAN_NS for number in range(16, 21)]
    assert [bar.opened_ns for bar in now.spot_bars(BTC, 15, 720, since_ns=ENDS_NS)] == [FIRST_NS + 20 * SPAN_NS]
    assert len(now.spot_bars(BTC, 15, 4)) == 5


def test_a_ticker_covers_today_and_the_last_24_hours() -> None:
    now = market(FED, starts_ns=FIRST_NS + 40 * HOUR_NS)
    quote, trades = now.spot_quote(BTC), now.last_spot_trades(BTC, 10**9)
    for day, since_ns in ((quote.rolling, now.now_ns - DAY_NS), (quote.today, now.now_ns // DAY_NS * DAY_NS)):
        price, volume = trades.price[trades.time_ns > since_ns], trades.volume[trades.time_ns > since_ns]
        assert day[:3] == (price[0], price.max(), price.min())
        assert (day.volume, day.trades) == (volume.sum(), len(price))
        assert day.turnover == sum(p * v for p, v in zip(price.tolist(), volume.tolist(), strict=True))
    assert (quote.last, quote.last_volume, quote.last_ns) == (price[-1], volume[-1], trades.time_ns[-1])


def test_nothing_is_left_of_a_day_without_trades() -> None:
    now = market(FED, starts_ns=ENDS_NS + 2 * DAY_NS)
    quote = now.spot_quote(BTC)
    assert quote.rolling == quote.today == (quote.last, quote.last, quote.last, 0, 0, 0)


@pytest.mark.parametrize("span_ns", [MINUTE_NS, HOUR_NS, DAY_NS])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_scenario_makes_a_market_on_any_span(scenario: str, span_ns: int) -> None:
    opened_ns = FIRST_NS // DAY_NS * DAY_NS
    fed = list(generated(scenario, PAIRS, seed=8, opened_ns=opened_ns, span_ns=span_ns, candles=60))
    now = market(fed, starts_ns=opened_ns + 30 * span_ns)
    printed = sum(len(moment.spot) for instant in now.advance(opened_ns + 60 * span_ns) for moment in instant.moments)
    assert printed == sum(candle.trades for candle in fed if candle.opened_ns >= opened_ns + 30 * span_ns)
    whole = [candle for candle in fed if candle.instrument == BTC]
    bars = [bar for bar in now.spot_bars(BTC, span_ns // MINUTE_NS, 720) if bar.trades]
    assert [bar[1:6] for bar in bars] == [candle[3:8] for candle in whole]
    everything_known(now)


def test_prices_of_books_and_quotes_fit_the_last_trade() -> None:
    moving = market(FED)
    for instant in moving.advance(FIRST_NS + 5 * HOUR_NS):
        for moment in instant.moments:
            quote, book = moving.spot_quote(moment.instrument), moving.spot_book(moment.instrument, 10)
            assert (book.bids[0], book.asks[0]) == (quote.bid, quote.ask)
            assert quote.last == moment.spot.price[-1] == (quote.ask if moment.spot.is_buy[-1] else quote.bid).price


def test_a_pair_that_has_not_traded_yet_stops_the_start() -> None:
    with pytest.raises(InputUnusable, match="BTC/USD, DOGE/USD has not traded before the sandbox starts"):
        market(FED, starts_ns=FIRST_NS)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda fed: fed[::-1], "Feed them in the order of time"),
        (lambda fed: [fed[0], *fed], "Feed them in the order of time"),
        (lambda fed: [fed[0]._replace(opened_ns=FIRST_NS + 1), *fed[1:]], "off the grid"),
        (lambda fed: [fed[0]._replace(instrument="PEPE/USD"), *fed[1:]], "a market of BTC/USD, DOGE/USD"),
        (lambda fed: [fed[0], fed[1]._replace(span_ns=5 * MINUTE_NS), *fed[2:]], "Feed candles of one span"),
        (lambda fed: [fed[0]._replace(span_ns=7 * MINUTE_NS), *fed[1:]], "not a part of a day"),
        (lambda fed: [fed[0]._replace(volume=0), *fed[1:]], "less than 1e-8 for each"),
    ],
)
def test_candles_that_make_no_market_are_refused(change: object, reason: str) -> None:
    with pytest.raises(InputUnusable, match=reason):
        market(change(FED[:6]))  # type: ignore[operator]


def test_what_comes_before_a_bad_candle_is_traded_and_then_it_is_named_each_time() -> None:
    place = next(number for number, candle in enumerate(FED) if candle.trades > 4 and number > 200)
    moving = market([*FED[:place], FED[place]._replace(volume=0), *FED[place + 1 :]])
    instants = []
    with pytest.raises(InputUnusable, match="less than 1e-8 for each"):
        instants.extend(moving.advance(ENDS_NS))
    whole = list(market(FED[:place]).advance(ENDS_NS))
    assert digest(instants) == digest(whole)
    for stop_ns in (ENDS_NS, ENDS_NS + DAY_NS):
        with pytest.raises(InputUnusable, match="less than 1e-8 for each"):
            list(moving.advance(stop_ns))
    with pytest.raises(InputUnusable, match="less than 1e-8 for each"):
        moving.next_ns()


def test_fewer_moments_than_a_candle_may_need_are_refused() -> None:
    with pytest.raises(InputUnusable, match="moments_per_candle = 3"):
        Market(FED, pairs=PAIRS, contracts=CONTRACTS, seed=1, starts_ns=ENDS_NS, moments_per_candle=3)


@pytest.mark.parametrize("contracts", [CONTRACTS * 2, listed(["ETH/USD"])[1]])
def test_a_contract_without_a_pair_of_its_own_is_refused(contracts: tuple[Contract, ...]) -> None:
    with pytest.raises(InputUnusable, match="and for itself alone"):
        Market(FED, pairs=PAIRS, contracts=contracts, seed=1, starts_ns=ENDS_NS)
