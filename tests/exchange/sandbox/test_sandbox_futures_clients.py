"""Other people's clients against the sandbox, unmodified: only their URLs are changed."""

import asyncio

import ccxt.pro
import kraken.futures.websocket
import pytest
from kraken.exceptions import KrakenUnavailableError
from kraken.futures import FuturesWSClient, Market

HOUR_MS = 3_600_000
SYMBOL = "BTC/USD:USD"


def with_ccxt(sandbox, use):
    """Run `use(exchange)` on a ccxt client that speaks to the sandbox."""

    async def run():
        exchange = ccxt.pro.krakenfutures({"enableRateLimit": False})
        host = sandbox.urls.futures_rest
        exchange.urls["api"].update(
            {
                "public": f"{host}/derivatives/api/",
                "private": f"{host}/derivatives/api/",
                "charts": f"{host}/api/charts/",
                "history": f"{host}/api/history/",
                "feeschedules": f"{host}/api/feeschedules/",
                "ws": sandbox.urls.futures_ws,
            }
        )
        try:
            return await use(exchange)
        finally:
            await exchange.close()

    return asyncio.run(asyncio.wait_for(run(), 60))


def now_ms(sandbox):
    return sandbox.ask("GET", "/state")["now_ns"] // 10**6


def test_ccxt_reads_the_markets_and_their_steps(sandbox):
    markets = with_ccxt(sandbox, lambda exchange: exchange.load_markets())

    assert list(markets) == [SYMBOL, "ETH/USD:USD"]
    assert markets[SYMBOL]["precision"]["price"] == 1
    assert markets[SYMBOL]["precision"]["amount"] == 0.0001
    assert markets[SYMBOL]["swap"]
    assert markets[SYMBOL]["linear"]


def test_ccxt_reads_tickers_and_funding(sandbox):
    async def use(exchange):
        return await exchange.fetch_tickers(), await exchange.fetch_ticker(SYMBOL), await exchange.fetch_funding_rates()

    tickers, ticker, rates = with_ccxt(sandbox, use)
    assert tickers[SYMBOL]["bid"] == ticker["bid"] < ticker["ask"]
    # ccxt makes the absolute rate relative by the mark.
    assert abs(rates[SYMBOL]["fundingRate"]) < 0.001


def test_ccxt_reads_a_year_of_funding(sandbox):
    rates = with_ccxt(sandbox, lambda exchange: exchange.fetch_funding_rate_history(SYMBOL))

    times = [rate["timestamp"] for rate in rates]
    assert times == list(range(times[0], times[-1] + 1, HOUR_MS))
    assert len(times) > 200


@pytest.mark.parametrize("price", ["trade", "mark", "index"])
def test_ccxt_pages_through_candles(sandbox, price):
    until = now_ms(sandbox) // HOUR_MS * HOUR_MS
    since = until - 48 * HOUR_MS

    async def use(exchange):
        pages, at = [], since
        while at < until and (page := await exchange.fetch_ohlcv(SYMBOL, "1m", at, 700, {"price": price})):
            pages += page
            at = page[-1][0] + 60_000
        return pages, await exchange.fetch_ohlcv(SYMBOL, "1h", since, 100, {"price": price})

    minutes, hours = with_ccxt(sandbox, use)
    times = [candle[0] for candle in minutes]
    assert times == sorted(set(times))
    assert len(times) > 2000
    assert hours[0][0] == since
    assert max(candle[2] for candle in minutes if candle[0] < since + HOUR_MS) == hours[0][2]


def test_ccxt_pages_through_trades(sandbox):
    since = now_ms(sandbox) - 24 * HOUR_MS

    async def use(exchange):
        pages, at = [], since
        for _ in range(3):
            pages.append(await exchange.fetch_trades(SYMBOL, at, 400))
            at = pages[-1][-1]["timestamp"] + 1
        return pages, await exchange.fetch_trades(SYMBOL, params={"method": "publicGetHistory"})

    pages, newest = with_ccxt(sandbox, use)
    times = [trade["timestamp"] for page in pages for trade in page]
    assert [len(page) for page in pages] == [400, 400, 400]
    assert times == sorted(times)
    assert times[0] >= since
    assert len(newest) == 100
    assert len({trade["id"] for page in pages for trade in page}) == 1200


def test_ccxt_reads_the_book(sandbox):
    book = with_ccxt(sandbox, lambda exchange: exchange.fetch_order_book(SYMBOL))

    assert book["bids"][0][0] < book["asks"][0][0]


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda exchange: exchange.public_get_orderbook({"symbol": "PF_NONE"}), ccxt.BadRequest),
        (lambda exchange: exchange.public_get_history({"symbol": "PF_XBTUSD", "lastTime": "x"}), ccxt.BadRequest),
    ],
)
def test_ccxt_understands_refusals(sandbox, call, error):
    with pytest.raises(error):
        with_ccxt(sandbox, call)


def test_ccxt_watches_ticker_trades_and_book(sandbox):
    async def use(exchange):
        ticker = await exchange.watch_ticker(SYMBOL)
        trades = await exchange.watch_trades(SYMBOL)
        book = await exchange.watch_order_book(SYMBOL)
        seen = (ticker["bid"], trades[-1]["id"], dict(book)["bids"][0][0])
        moving = asyncio.create_task(asyncio.to_thread(sandbox.advance, 55))
        later = await exchange.watch_trades(SYMBOL)
        await moving
        return seen, later[-1]["id"], exchange.orderbooks[SYMBOL]["bids"][0][0], await exchange.fetch_order_book(SYMBOL)

    (bid, trade, best), later, streamed, book = with_ccxt(sandbox, use)
    assert bid == best
    assert later != trade
    assert streamed == book["bids"][0][0]


# --- python-kraken-sdk


@pytest.fixture
def market(sandbox):
    return Market(url=sandbox.urls.futures_rest)


def test_the_sdk_reads_what_is_public(market):
    assert len(market.get_instruments()["instruments"]) == 2
    assert market.get_instruments_status("PF_XBTUSD")["tradeable"] == "PF_XBTUSD"
    assert market.get_instruments_status()["instrumentStatus"]
    assert market.get_tickers()["tickers"][0]["symbol"] == "PF_XBTUSD"
    assert market.get_orderbook("PF_XBTUSD")["orderBook"]["bids"]
    assert len(market.get_trade_history("PF_XBTUSD")["history"]) == 100
    assert market.get_historical_funding_rates("PF_XBTUSD")["rates"]


def test_the_sdk_reads_the_charts(market):
    assert market.get_tick_types() == ["mark", "spot", "trade"]
    assert market.get_tradeable_products("trade") == ["PF_XBTUSD", "PF_ETHUSD"]
    assert "12h" in market.get_resolutions("trade", "PF_XBTUSD")
    assert len(market.get_ohlc("trade", "PF_XBTUSD", "1h")["candles"]) > 200


def test_the_sdk_reads_market_history(market):
    assert market.get_public_execution_events("PF_XBTUSD")["len"] == 1000


def test_the_sdk_understands_maintenance(serve):
    sandbox = serve()
    sandbox.ask("POST", "/status", status="maintenance")

    with pytest.raises(KrakenUnavailableError):
        Market(url=sandbox.urls.futures_rest).get_tickers()


def test_the_sdk_listens_to_every_public_feed(sandbox, monkeypatch):
    # The client puts wss:// before every address and offers no way to change that.
    secure = kraken.futures.websocket.connect
    monkeypatch.setattr(
        kraken.futures.websocket, "connect", lambda url, **options: secure(url.replace("wss://", "ws://"), **options)
    )
    heard = []

    async def listen():
        async def hear(message):
            heard.append(message)

        async with FuturesWSClient(url=sandbox.urls.futures_ws.removeprefix("ws://"), callback=hear) as client:
            for feed in ("ticker", "ticker_lite", "trade", "book"):
                await client.subscribe(feed=feed, products=["PF_XBTUSD", "PF_ETHUSD"])
            while sum(message.get("event") == "subscribed" for message in heard) < 8:
                await asyncio.sleep(0.01)
            assert len(client.get_active_subscriptions()) == 8
            # The client ends only after a frame has come: give it some while it waits.
            moving = asyncio.create_task(move_soon())
        await moving

    async def move_soon():
        await asyncio.sleep(0.1)
        await asyncio.to_thread(sandbox.advance, 55)

    asyncio.run(asyncio.wait_for(listen(), 30))
    assert heard[0] == {"event": "info", "version": 1}
    assert {"ticker", "ticker_lite", "trade_snapshot", "book_snapshot"} <= {message.get("feed") for message in heard}
