"""Clients of other people, unmodified: only their URLs are changed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import ccxt
import ccxt.async_support
import ccxt.pro
import pytest
from kraken.exceptions import KrakenUnknownAssetError
from kraken.spot import Market as KrakenMarket
from kraken.spot import SpotWSClient
from spot_venue import STARTS_NS, Spot, small_market

STARTS_MS = STARTS_NS // 1_000_000
MINUTE_MS = 60_000
PATIENCE_S = 20.0


@pytest.fixture
def spot(serve: Callable[..., Any]) -> Spot:
    spot = Spot(serve(small_market()))
    spot.advance(90)
    return spot


# --- ccxt


def test_ccxt_loads_markets_with_their_precision(spot: Spot) -> None:
    markets = _ccxt(ccxt.kraken, spot).load_markets()
    assert set(markets) == {"BTC/USD", "DOGE/USD", "ETH/USD"}
    btc = markets["BTC/USD"]
    assert btc["id"] == "XXBTZUSD"
    assert btc["precision"]["price"] == 0.1
    assert btc["limits"]["amount"]["min"] == 0.00005
    assert btc["active"]


def test_ccxt_reads_status_and_time(spot: Spot) -> None:
    client = _ccxt(ccxt.kraken, spot)
    assert client.fetch_status()["status"] == "ok"
    assert client.fetch_time() == STARTS_MS + 90_000


def test_ccxt_pages_through_candles(spot: Spot) -> None:
    client = _ccxt(ccxt.kraken, spot)
    since_ms, candles = STARTS_MS - 700 * MINUTE_MS, []
    while page := client.fetch_ohlcv("BTC/USD", "1m", since=since_ms, limit=300):
        candles += page
        since_ms = page[-1][0] + MINUTE_MS
    rows = spot.result("OHLC", pair="XBTUSD")["XXBTZUSD"][-len(candles) :]
    assert [candle[0] for candle in candles] == [STARTS_MS + minute * MINUTE_MS for minute in range(-700, 2)]
    assert [candle[1:5] for candle in candles] == [[float(price) for price in row[1:5]] for row in rows]


def test_ccxt_pages_through_trades(spot: Spot) -> None:
    client = _ccxt(ccxt.kraken, spot)
    since_ms, ids = STARTS_MS - 60 * MINUTE_MS, []
    while new := [one for one in client.fetch_trades("BTC/USD", since=since_ms, limit=200) if one["id"] not in ids]:
        ids += [one["id"] for one in new]
        since_ms = new[-1]["timestamp"]
    newest = spot.result("Trades", pair="XBTUSD", count=1)["XXBTZUSD"][0][6]
    assert [int(one) for one in ids] == list(range(newest - len(ids) + 1, newest + 1))
    assert len(ids) > 1000


def test_ccxt_reads_tickers_and_books(spot: Spot) -> None:
    client = _ccxt(ccxt.kraken, spot)
    ticker, book = client.fetch_ticker("BTC/USD"), client.fetch_order_book("BTC/USD", 20)
    assert ticker["bid"] == book["bids"][0][0] < book["asks"][0][0] == ticker["ask"]
    assert len(book["bids"]) == 20
    assert set(client.fetch_tickers()) == {"BTC/USD", "DOGE/USD", "ETH/USD"}
    assert ticker["last"] == client.fetch_ohlcv("BTC/USD", "1m")[-1][4]


def test_ccxt_understands_the_venues_errors(serve: Callable[..., Any]) -> None:
    spot = Spot(serve(small_market(), has_limits=True))
    client = _ccxt(ccxt.kraken, spot)
    client.load_markets()
    with pytest.raises(ccxt.BadRequest):
        client.public_get_ohlc({"pair": "XXBTZUSD", "interval": 2})
    with pytest.raises(ccxt.ExchangeError, match="EQuery:Unknown asset pair"):
        client.public_get_ohlc({"pair": "XBT/USD"})
    with pytest.raises(ccxt.DDoSProtection):
        [client.fetch_time() for _ in range(16)]
    spot.running.ask("POST", "/status", status="maintenance")
    spot.advance(20)
    with pytest.raises(ccxt.ExchangeNotAvailable):
        client.fetch_ticker("BTC/USD")


def test_ccxt_async_reads_what_ccxt_reads(spot: Spot) -> None:
    async def read() -> Any:
        async with _closing(_ccxt(ccxt.async_support.kraken, spot)) as client:
            return await client.fetch_ohlcv("ETH/USD", "5m"), await client.fetch_trades("ETH/USD")

    client = _ccxt(ccxt.kraken, spot)
    assert asyncio.run(read()) == (client.fetch_ohlcv("ETH/USD", "5m"), client.fetch_trades("ETH/USD"))


def test_ccxt_pro_watches_candles_with_the_time_they_opened(spot: Spot) -> None:
    async def watch(client: Any) -> Any:
        await client.watch_ohlcv("BTC/USD", "1m")
        return await _while(spot, 60, client.watch_ohlcv("BTC/USD", "1m"))

    watched = _watched(spot, watch)[-1]
    rows = {row[0] * 1000: row for row in spot.result("OHLC", pair="XBTUSD")["XXBTZUSD"]}
    assert watched[0] == STARTS_MS + MINUTE_MS
    assert watched[1] == float(rows[watched[0]][1])


def test_ccxt_pro_watches_trades(spot: Spot) -> None:
    async def watch(client: Any) -> Any:
        return await _while(spot, 60, client.watch_trades("BTC/USD"))

    watched = {int(trade["id"]): trade for trade in _watched(spot, watch)}
    recent = {row[6]: row for row in spot.result("Trades", pair="XBTUSD")["XXBTZUSD"]}
    assert watched
    for trade_id, trade in watched.items():
        price, volume, _, side, *_ = recent[trade_id]
        assert (trade["price"], trade["amount"]) == (float(price), float(volume))
        assert trade["side"].startswith(side)


def test_ccxt_pro_watches_the_ticker(spot: Spot) -> None:
    async def watch(client: Any) -> Any:
        return await client.watch_ticker("BTC/USD")

    watched, fetched = _watched(spot, watch), _ccxt(ccxt.kraken, spot).fetch_ticker("BTC/USD")
    for field in ("bid", "ask", "last", "high", "low", "baseVolume"):
        assert watched[field] == fetched[field]


def test_ccxt_pro_watches_the_book(spot: Spot) -> None:
    async def watch(client: Any) -> Any:
        await client.watch_order_book("BTC/USD", 10)
        for _ in range(5):
            await _while(spot, 60, client.watch_order_book("BTC/USD", 10))
        await asyncio.sleep(0.2)  # the last frames are still on their way
        return client.orderbooks["BTC/USD"]

    watched, fetched = _watched(spot, watch), spot.result("Depth", pair="XBTUSD", count=10)["XXBTZUSD"]
    for side in ("bids", "asks"):
        assert [level[0] for level in watched[side]][:10] == [float(level[0]) for level in fetched[side]]


# --- python-kraken-sdk


def test_kraken_sdk_reads_the_market(spot: Spot) -> None:
    client = KrakenMarket(url=spot.rest)
    assert client.get_system_status()["status"] == "online"
    assert set(client.get_asset_pairs()) == {"XXBTZUSD", "XDGUSD", "XETHZUSD"}
    assert client.get_asset_pairs(pair=["XBTUSD", "ETHUSD"], info="margin")["XXBTZUSD"]["margin_call"] == 80
    assert set(client.get_assets(assets=["XBT", "USD"])) == {"XXBT", "ZUSD"}
    assert len(client.get_ohlc(pair="XBTUSD", interval=1)["XXBTZUSD"]) == 721
    assert len(client.get_recent_trades(pair="BTC/USD", since=0, count=10)["BTC/USD"]) == 10
    assert len(client.get_order_book(pair="ETHUSD", count=5)["XETHZUSD"]["bids"]) == 5
    assert set(client.get_ticker(pair="XDGUSD")) == {"XDGUSD"}


def test_kraken_sdk_understands_an_unknown_pair(spot: Spot) -> None:
    with pytest.raises(KrakenUnknownAssetError):
        KrakenMarket(url=spot.rest).get_ohlc(pair="XBT/USD")


def test_kraken_sdk_streams_candles_and_trades(spot: Spot) -> None:
    async def listen() -> list[Any]:
        received: list[Any] = []

        async def take(message: Any) -> None:
            received.append(message)

        host = spot.socket.removesuffix("/v2")
        client = SpotWSClient(callback=take, rest_url=spot.rest, ws_url=host, auth_ws_url=host)
        await client.start()
        await client.subscribe(params={"channel": "ohlc", "symbol": ["BTC/USD"], "interval": 1})
        await client.subscribe(params={"channel": "trade", "symbol": ["BTC/USD", "ETH/USD"]})
        await _until(lambda: sum(message.get("success") is True for message in received) == 3)
        await asyncio.to_thread(spot.advance, 60)
        await _until(lambda: any(message.get("channel") == "trade" for message in received))
        closing = asyncio.create_task(client.close())
        await asyncio.sleep(0.1)
        await asyncio.to_thread(spot.advance, 10)  # it sees that it is to end when the next frame comes
        await closing
        return received

    received = asyncio.run(listen())
    assert received[0]["channel"] == "status"
    assert any(message.get("method") == "pong" for message in received)
    kinds = {(message.get("channel"), message.get("type")) for message in received}
    assert {("ohlc", "snapshot"), ("ohlc", "update"), ("trade", "update")} <= kinds


# --- helpers


def _ccxt(kind: Any, spot: Spot) -> Any:
    client = kind({"enableRateLimit": False})
    host = spot.socket.removesuffix("/v2")
    sockets = dict.fromkeys(("public", "private", "publicV2", "privateV2", "beta", "beta-private"), f"{host}/v2")
    client.urls["api"].update({"public": spot.rest, "private": spot.rest, "zendesk": spot.rest, "ws": sockets})
    return client


@asynccontextmanager
async def _closing(client: Any) -> AsyncIterator[Any]:
    try:
        yield client
    finally:
        await client.close()


def _watched(spot: Spot, watch: Callable[[Any], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with _closing(_ccxt(ccxt.pro.kraken, spot)) as client:
            return await asyncio.wait_for(watch(client), PATIENCE_S)

    return asyncio.run(run())


async def _while(spot: Spot, seconds: float, watching: Awaitable[Any]) -> Any:
    """What is watched, while the market goes on."""
    task = asyncio.ensure_future(watching)
    await _until(lambda: any(link.answered for link in spot.running.sandbox.links.values()))  # it has subscribed
    await asyncio.to_thread(spot.advance, seconds)
    return await task


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not holds():
            await asyncio.sleep(0.01)
