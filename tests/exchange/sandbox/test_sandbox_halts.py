"""What can't trade prints nothing: neither to those who listen nor in what is asked for later."""

import json
import urllib.request
from collections.abc import Callable
from contextlib import closing
from typing import Any

import numpy as np
import pytest
from doses import examples
from hypothesis import given
from hypothesis import strategies as st
from websockets.sync.client import connect

from exchange.sandbox.market.facts import listed
from exchange.sandbox.market.generator import generated
from exchange.sandbox.market.market import Market
from exchange.sandbox.market.model import Trades
from exchange.sandbox.units import DAY_NS, HOUR_NS, MINUTE_NS

SPAN_NS = 15 * MINUTE_NS
FIRST_NS = 1_700_006_400_000_000_000
STARTS_NS, ENDS_NS = FIRST_NS + DAY_NS, FIRST_NS + 2 * DAY_NS
BTC, PF_BTC, PF_DOGE = "BTC/USD", "PF_XBTUSD", "PF_DOGEUSD"
PAIRS, CONTRACTS = listed([BTC, "DOGE/USD"])
FED = list(generated("range", PAIRS, seed=3, opened_ns=FIRST_NS, span_ns=SPAN_NS, candles=192))
HALTS = st.lists(
    st.tuples(st.integers(STARTS_NS, ENDS_NS), st.sets(st.sampled_from([BTC, PF_BTC, PF_DOGE]))), max_size=6
)
Halts = list[tuple[int, set[str]]]


def market() -> Market:
    return Market(FED, pairs=PAIRS, contracts=CONTRACTS, seed=5, starts_ns=STARTS_NS)


def moved(now: Market, halts: Halts, look: Callable[[Market], object] = lambda now: None) -> tuple[Trades, Trades]:
    """The trades of BTC/USD and of its contract that were printed while the market came to its end."""
    printed = []
    for at_ns, names in [*sorted(halts, key=lambda halt: halt[0]), (ENDS_NS, set[str]())]:
        for instant in now.advance(at_ns):
            printed += [moment for moment in instant.moments if moment.instrument == BTC]
        look(now)
        now.halt(names)
    return joined([moment.spot for moment in printed]), joined([moment.futures for moment in printed])


def joined(parts: list[Trades]) -> Trades:
    return Trades(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def same(one: Trades, other: Trades) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def everything_seen(now: Market) -> list[object]:
    return [
        *(now.spot_bars(BTC, minutes, 720) for minutes in (1, 15, 60, 1440)),
        *(now.spot_running_bar(BTC, minutes) for minutes in (1, 60)),
        *(now.futures_bars(PF_BTC, minutes, 0, now.now_ns, 100, newest=True) for minutes in (1, 15, 240)),
        now.spot_quote(BTC),
        now.futures_quote(PF_BTC),
        now.spot_book(BTC, 25),
        now.futures_book(PF_BTC),
    ]


@given(HALTS)
@examples(12)
def test_what_is_asked_for_later_is_what_was_printed(halts: Halts) -> None:
    now = market()
    before = now.last_spot_trades(BTC, 1).trade_id[-1], now.futures_trades(PF_BTC, now.now_ns + 1, 1).trade_id[-1]
    spot, futures = moved(now, halts)
    assert same(spot, now.spot_trades(BTC, STARTS_NS + 1, 10**6))
    assert same(futures, now.futures_trades_since(PF_BTC, STARTS_NS + 1, 10**6))
    for number, trades in zip(before, (spot, futures), strict=True):
        assert trades.trade_id.tolist() == list(range(number + 1, number + 1 + len(trades)))


@given(HALTS, st.sampled_from([1, 15, 60, 240]))
@examples(12)
def test_bars_are_made_of_what_was_printed(halts: Halts, minutes: int) -> None:
    now = market()
    spot, futures = moved(now, halts)
    span_ns = minutes * MINUTE_NS
    traded = {bar.opened_ns: bar for bar in now.spot_bars(BTC, minutes, 2000, STARTS_NS - 1) if bar.trades}
    charted, _ = now.futures_bars(PF_BTC, minutes, STARTS_NS, ENDS_NS, 2000, newest=True)
    for trades, bars in ((spot, traded), (futures, {bar.opened_ns: bar for bar in charted})):
        opened = trades.time_ns // span_ns * span_ns
        assert sorted(bars) == np.unique(opened).tolist()
        for at_ns, bar in bars.items():
            price, volume = trades.price[opened == at_ns], trades.volume[opened == at_ns]
            assert bar[1:5] == (price[0], price.max(), price.min(), price[-1])
            assert (bar.volume, bar.turnover, bar.trades) == (volume.sum(), (price * volume).sum(), len(price))


@given(HALTS)
@examples(6)
def test_what_is_kept_up_to_date_through_halts_equals_what_is_asked_for_the_first_time(halts: Halts) -> None:
    asked, new = market(), market()
    moved(asked, halts, everything_seen)
    moved(new, halts)
    assert everything_seen(asked) == everything_seen(new)


@given(HALTS)
@examples(6)
def test_index_mark_and_funding_go_on_through_halts(halts: Halts) -> None:
    halted, free = market(), market()
    moved(halted, halts)
    moved(free, [])
    assert halted.funding_rates(PF_BTC) == free.funding_rates(PF_BTC)
    assert halted.index_bars(PF_BTC, 1, 0, ENDS_NS, 2000, True) == free.index_bars(PF_BTC, 1, 0, ENDS_NS, 2000, True)
    assert halted.mark_bars(PF_BTC, 15, 0, ENDS_NS, 2000, True) == free.mark_bars(PF_BTC, 15, 0, ENDS_NS, 2000, True)
    assert halted.futures_quote(PF_BTC).mark_usd == free.futures_quote(PF_BTC).mark_usd


def test_a_market_comes_back_from_a_halt_where_its_path_has_gone() -> None:
    halted, free = market(), market()
    moved(halted, [(STARTS_NS + HOUR_NS, {BTC}), (STARTS_NS + 9 * HOUR_NS, set())])
    moved(free, [])
    assert halted.spot_quote(BTC).last == free.spot_quote(BTC).last
    assert halted.last_spot_trades(BTC, 1).trade_id < free.last_spot_trades(BTC, 1).trade_id


# --- on the wire


def rest(up: Any, path: str) -> Any:
    with urllib.request.urlopen(up.urls.futures_rest + path, timeout=30) as reply:
        return json.loads(reply.read())


def heard(up: Any, seconds: float, **order: Any) -> list[dict[str, Any]]:
    """What trade, candle and book feeds of two contracts say while the market goes on after an order."""
    with closing(connect(up.urls.futures_ws, ping_interval=None, max_size=None, max_queue=None)) as socket:
        for feed in ("trade", "candles_trade_1m", "book"):
            socket.send(json.dumps({"event": "subscribe", "feed": feed, "product_ids": [PF_BTC, "PF_ETHUSD"]}))
        socket.send(json.dumps({"event": "challenge", "api_key": "fence"}))  # pragma: allowlist secret
        until_challenge(socket)
        up.ask("POST", **order)
        up.advance(seconds)
        socket.send(json.dumps({"event": "challenge", "api_key": "fence"}))  # pragma: allowlist secret
        return until_challenge(socket)


def until_challenge(socket: Any) -> list[dict[str, Any]]:
    frames = []
    while (frame := json.loads(socket.recv(timeout=10))).get("event") != "challenge":
        frames.append(frame)
    return frames


def test_a_suspended_contract_prints_nothing_and_the_others_go_on(serve: Callable[..., Any]) -> None:
    up = serve(drops_idle=False)
    before = rest(up, f"/derivatives/api/v3/history?symbol={PF_BTC}")["history"][0]["uid"]
    frames = heard(up, 3600, path="/suspend", instruments=[PF_BTC])
    assert {frame["product_id"] for frame in frames} == {"PF_ETHUSD"}
    assert {frame["feed"] for frame in frames} == {"trade", "candles_trade_1m", "book"}
    assert rest(up, f"/derivatives/api/v3/history?symbol={PF_BTC}")["history"][0]["uid"] == before
    up.ask("POST", "/suspend", instruments=[PF_BTC], on=False)
    up.advance(3600)
    assert rest(up, f"/derivatives/api/v3/history?symbol={PF_BTC}")["history"][0]["uid"] != before


@pytest.mark.parametrize("status", ["cancel_only", "post_only"])
def test_nothing_trades_while_nobody_may_take(serve: Callable[..., Any], status: str) -> None:
    assert heard(serve(drops_idle=False), 3600, path="/status", status=status) == []
