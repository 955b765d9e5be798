"""A small spot market, and clients without habits: plain HTTP and plain WebSocket."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from websockets.sync.client import ClientConnection, connect

from exchange.sandbox.market.facts import listed
from exchange.sandbox.market.market import Market
from exchange.sandbox.market.model import SourceCandle
from exchange.sandbox.units import MINUTE_NS, SECOND_NS

STARTS_NS = 1_795_388_400 * SECOND_NS  # 2026-11-22T23:00:00Z
PRICES = {"BTC/USD": 900_000, "DOGE/USD": 1_000_000, "ETH/USD": 300_000}
HISTORY_MINUTES, FUTURE_MINUTES = 900, 600
SILENT_EVERY = 5  # DOGE/USD doesn't trade in every fifth minute, the third of the hour among them
PATIENCE_S = 10.0


def small_market(seed: int = 1, *, is_flat: bool = False) -> Market:
    """Three pairs in candles of a minute; 15 hours of them are history. In a flat one prices never change."""
    pairs, contracts = listed(PRICES)
    return Market(
        _candles(*(0, 0) if is_flat else (300, 50)), pairs=pairs, contracts=contracts, seed=seed, starts_ns=STARTS_NS
    )


def is_silent(instrument: str, minute: int) -> bool:
    """Whether the instrument has no trade in this minute, counted from the start."""
    return instrument == "DOGE/USD" and minute % SILENT_EVERY == SILENT_EVERY - 2


class Spot:
    """The spot side of a running sandbox, as a test asks it."""

    def __init__(self, running: Any) -> None:
        self.running = running
        self.venue = running.sandbox.venue
        self.rest: str = running.urls.spot_rest
        self.socket: str = running.urls.spot_ws

    def advance(self, seconds: float) -> None:
        """Let the market go on for so long, and wait until that is done."""
        self.running.advance(seconds)

    def get(self, path: str, **query: object) -> Any:
        """The reply to a GET, as it came."""
        return self.reply(Request(f"{self.rest}{path}?{urlencode(query)}"))

    def result(self, method: str, **query: object) -> Any:
        """The result of a public method that must succeed."""
        reply = self.get(f"/0/public/{method}", **query)
        assert reply["error"] == [], reply
        return reply["result"]

    def reply(self, request: Request) -> Any:
        with urlopen(request, timeout=PATIENCE_S) as response:
            assert response.status == 200
            return json.loads(response.read())

    @contextmanager
    def client(self) -> Iterator["Client"]:
        """A connected WebSocket, already greeted."""
        with connect(self.socket, open_timeout=PATIENCE_S, max_queue=None) as connection:
            client = Client(connection)
            client.greeting = client.receive()
            yield client


class Client:
    """A raw WebSocket client."""

    greeting: Any

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    def send(self, **frame: object) -> None:
        self.connection.send(json.dumps(frame))

    def receive(self) -> Any:
        return json.loads(self.connection.recv(PATIENCE_S))

    def ask(self, **frame: object) -> Any:
        self.send(**frame)
        return self.receive()

    def subscribe(self, channel: str, *symbols: str, **params: object) -> Any:
        """Subscribe without a snapshot, unless told otherwise; the last answer."""
        params = {"channel": channel, "snapshot": False, **params}
        self.send(method="subscribe", params={**params, "symbol": list(symbols)} if symbols else params)
        return [self.receive() for _ in symbols or ("",)][-1]

    def drain(self) -> list[Any]:
        """All that was sent up to now: what comes before the answer to a ping."""
        self.send(method="ping", req_id=99)
        received = []
        while (message := self.receive()).get("req_id") != 99:
            received.append(message)
        return received

    def updates(self, channel: str) -> list[Any]:
        return [message for message in self.drain() if message.get("channel") == channel]


def _candles(move: int, wick: int) -> Iterator[SourceCandle]:
    chance = Random(5)
    prices = dict(PRICES)
    for minute in range(-HISTORY_MINUTES, FUTURE_MINUTES):
        for instrument in PRICES:
            if is_silent(instrument, minute):
                continue
            opened = prices[instrument]
            closed = opened + chance.randint(-move, move)
            high, low = max(opened, closed) + chance.randint(0, wick), min(opened, closed) - chance.randint(0, wick)
            prices[instrument] = closed
            volume, trades = chance.randint(10**6, 10**10), chance.randint(5, 40)
            opened_ns = STARTS_NS + minute * MINUTE_NS
            yield SourceCandle(instrument, opened_ns, MINUTE_NS, opened, high, low, closed, volume, trades)
