"""The futures WebSocket: who is subscribed to what, and what they are sent when the market moves."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from uuid import UUID

from aiohttp import WSCloseCode

from exchange.sandbox.futures import frames, tickers
from exchange.sandbox.futures.contracts import Row, find, standing
from exchange.sandbox.futures.requests import (
    BOOK,
    CANDLES,
    CHALLENGE,
    HEARTBEAT,
    PRIVATE_FEEDS,
    PRODUCT_FEEDS,
    SUBSCRIBE,
    TICKER,
    TICKER_LITE,
    TRADE,
    Request,
    read,
)
from exchange.sandbox.futures.streams import BookStream, CandleStream
from exchange.sandbox.futures.trades import feed_trade, rows
from exchange.sandbox.market.facts import Contract
from exchange.sandbox.market.model import Instant, Moment
from exchange.sandbox.units import MS_NS, SECOND_NS
from exchange.sandbox.venue import MAINTENANCE, Venue
from exchange.sandbox.wire.budget import Budget
from exchange.sandbox.wire.link import Link

REQUESTS_PER_S = 100  # of one connection
IDLE_NS = 60 * SECOND_NS  # without a frame or a ping of the client
TICKER_NS = HEARTBEAT_NS = SECOND_NS
SNAPSHOT_TRADES = 100

Channel = tuple[str, str]  # feed, and product or nothing


@dataclass(eq=False)
class _Session:
    """One connection. `sent_ns` has what it is subscribed to, and when by the market's clock that was sent last."""

    link: Link
    sent_ns: dict[Channel, int] = field(default_factory=dict)
    challenges: int = 0


class FuturesFeed:
    """All connections to the futures WebSocket."""

    def __init__(self, venue: Venue, *, has_limits: bool = True) -> None:
        self._venue = venue
        self._contracts = {contract.instrument: contract for contract in venue.market.contracts.values()}
        self._requests = Budget(REQUESTS_PER_S if has_limits else None, REQUESTS_PER_S)
        self._sessions: dict[int, _Session] = {}
        self._subscribers: dict[Channel, dict[int, _Session]] = {}
        self._books: dict[str, BookStream] = {}
        self._candles: dict[Channel, CandleStream] = {}
        self._last_seq: dict[str, int] = {}  # of every book that was ever sent: it only rises

    async def serve(self, link: Link) -> None:
        """Greet and answer until the link ends. Nothing a client sends raises."""
        session = self._sessions[link.id] = _Session(link)
        link.send(frames.info())
        if self._venue.status == MAINTENANCE:
            link.close(WSCloseCode.GOING_AWAY, "maintenance")
        try:
            async for text in link:
                self._answer(session, text)
        finally:
            self._leave(session)

    def publish(self, instant: Instant) -> None:
        """Send what the instant printed: trades, candles, books. Called right after the market moved."""
        if not self._subscribers:
            return
        for moment in instant.moments:
            if moment.instrument in self._contracts:
                self._print(self._contracts[moment.instrument], moment)
            self._move_book(moment.instrument)

    def pulse(self, now_ns: int) -> None:
        """Send what is due by the clock, and drop who has been silent for too long."""
        for session in self._sessions.values():
            if now_ns - session.link.last_received_ns > IDLE_NS:
                session.link.close()
        self._tick()
        self._beat()

    def status_changed(self) -> None:
        """Tell those who watch a ticker, unless they had one within the second: then the next one says it.

        Maintenance ends all connections, as on spot.
        """
        self._tick()
        if self._venue.status == MAINTENANCE:
            for session in self._sessions.values():
                session.link.close(WSCloseCode.GOING_AWAY, "maintenance")

    # --- requests

    def _answer(self, session: _Session, text: str) -> None:
        link = session.link
        if not self._requests.take(str(link.id), 1, self._venue.market.now_ns):
            link.send(frames.alert(frames.RATE_LIMITED))
            return
        request = read(text)
        if request is None:
            link.send(frames.error(frames.JSON_ERROR))
        elif request.event == CHALLENGE:
            session.challenges += 1
            link.send(frames.challenge(_challenge(link.id, session.challenges)))
        elif request.event == SUBSCRIBE:
            self._subscribe(session, request)
        else:
            self._unsubscribe(session, request)

    def _subscribe(self, session: _Session, request: Request) -> None:
        refusal = self._refusal(request)
        if refusal is not None:
            session.link.send(refusal)
            return
        channels = _channels(request)
        fresh = [channel for channel in channels if channel not in session.sent_ns]
        if len(fresh) < len(channels):
            session.link.send(frames.alert(frames.ALREADY_SUBSCRIBED))
        if fresh:
            session.link.send(frames.acknowledged("subscribed", request.feed, _products(fresh)))
        for channel in channels:
            self._join(session, channel)
            for row in self._opening(channel):
                session.link.send(frames.frame(row))

    def _refusal(self, request: Request) -> str | None:
        if request.feed in PRIVATE_FEEDS:
            return frames.alert(frames.PRIVATE_FEED)
        if request.feed == HEARTBEAT:
            return None
        if request.feed not in PRODUCT_FEEDS:
            return frames.alert(frames.INVALID_FEED)
        return None if self._knows(request.products) else frames.error(frames.UNKNOWN_PRODUCT)

    def _unsubscribe(self, session: _Session, request: Request) -> None:
        if request.feed not in PRODUCT_FEEDS | PRIVATE_FEEDS | {HEARTBEAT}:
            session.link.send(frames.error(frames.UNKNOWN_FEED))
            return
        if request.feed in PRODUCT_FEEDS and not self._knows(request.products):
            session.link.send(frames.error(frames.UNKNOWN_PRODUCT))
            return
        held = [channel for channel in _channels(request) if channel in session.sent_ns]
        if not held:
            session.link.send(frames.alert(frames.NOT_SUBSCRIBED))
            return
        for channel in held:
            self._part(session, channel)
        session.link.send(frames.acknowledged("unsubscribed", request.feed, _products(held)))

    def _knows(self, products: Sequence[str]) -> bool:
        return bool(products) and all(find(self._venue, product) is not None for product in products)

    # --- subscriptions

    def _join(self, session: _Session, channel: Channel) -> None:
        session.sent_ns[channel] = self._venue.market.now_ns
        self._subscribers.setdefault(channel, {})[session.link.id] = session

    def _part(self, session: _Session, channel: Channel) -> None:
        del session.sent_ns[channel]
        del self._subscribers[channel][session.link.id]
        if not self._subscribers[channel]:
            # What nobody listens to is not kept up to date.
            del self._subscribers[channel]
            self._candles.pop(channel, None)
            if channel[0] == BOOK:
                del self._books[channel[1]]

    def _leave(self, session: _Session) -> None:
        for channel in list(session.sent_ns):
            self._part(session, channel)
        del self._sessions[session.link.id]

    def _opening(self, channel: Channel) -> Iterable[Row]:
        """What a subscriber is sent first."""
        name, symbol = channel
        contract = find(self._venue, symbol)
        if contract is None:
            return ()
        if name == TRADE:
            return (self._trade_snapshot(contract),)
        if name == BOOK:
            return (self._book(contract).snapshot(),)
        if name in CANDLES:
            return self._candle(contract, name).snapshot()
        return (self._ticker(channel, contract),)

    def _trade_snapshot(self, contract: Contract) -> Row:
        market = self._venue.market
        newest = rows(market.futures_trades(contract.symbol, market.now_ns + 1, SNAPSHOT_TRADES))
        trades = [feed_trade(contract, trade) for trade in newest]
        return {"feed": "trade_snapshot", "product_id": contract.symbol, "trades": trades[::-1]}

    def _book(self, contract: Contract) -> BookStream:
        symbol = contract.symbol
        if symbol not in self._books:
            seq = max(self._venue.market.now_ns // MS_NS, self._last_seq.get(symbol, 0) + 1)
            self._books[symbol] = BookStream(contract, self._venue.market.futures_book(symbol), seq)
        return self._books[symbol]

    def _candle(self, contract: Contract, name: str) -> CandleStream:
        channel = name, contract.symbol
        if channel not in self._candles:
            market, minutes = self._venue.market, CANDLES[name]
            bars, _ = market.futures_bars(contract.symbol, minutes, 0, market.now_ns, 1, True)
            self._candles[channel] = CandleStream(contract, name, minutes, bars[-1] if bars else None)
        return self._candles[channel]

    def _ticker(self, channel: Channel, contract: Contract) -> Row:
        quote = self._venue.market.futures_quote(contract.symbol)
        if channel[0] == TICKER_LITE:
            return tickers.feed_ticker_lite(contract, quote)
        return tickers.feed_ticker(contract, quote, standing(self._venue, contract), self._venue.now_ns())

    # --- sending

    def _print(self, contract: Contract, moment: Moment) -> None:
        channels = [
            (name, contract.symbol) for name in (TRADE, *CANDLES) if (name, contract.symbol) in self._subscribers
        ]
        if not channels:
            return
        trades = list(rows(moment.futures))
        for channel in channels:
            if channel[0] == TRADE:
                self._send(channel, [feed_trade(contract, trade) for trade in trades])
            else:
                self._send(channel, self._candles[channel].move(trades))

    def _move_book(self, instrument: str) -> None:
        symbol = self._contracts[instrument].symbol if instrument in self._contracts else ""
        if symbol in self._books:
            stream = self._books[symbol]
            self._send((BOOK, symbol), stream.move(self._venue.market.futures_book(symbol)))
            self._last_seq[symbol] = stream.seq

    def _tick(self) -> None:
        for channel, contract in self._watched():
            due = self._due(channel, TICKER_NS)
            if due:
                self._send_due(channel, due, frames.frame(self._ticker(channel, contract)))

    def _watched(self) -> list[tuple[Channel, Contract]]:
        pairs = [
            ((name, contract.symbol), contract)
            for contract in self._contracts.values()
            for name in (TICKER, TICKER_LITE)
        ]
        return [pair for pair in pairs if pair[0] in self._subscribers]

    def _beat(self) -> None:
        channel = HEARTBEAT, ""
        self._send_due(channel, self._due(channel, HEARTBEAT_NS), frames.heartbeat(self._venue.now_ns() // MS_NS))

    def _due(self, channel: Channel, every_ns: int) -> list[_Session]:
        # By the market's clock: when the venue's clock is set, no second has passed.
        before_ns = self._venue.market.now_ns - every_ns
        return [
            session for session in self._subscribers.get(channel, {}).values() if session.sent_ns[channel] <= before_ns
        ]

    def _send_due(self, channel: Channel, sessions: Iterable[_Session], text: str) -> None:
        for session in sessions:
            session.sent_ns[channel] = self._venue.market.now_ns
            session.link.send(text)

    def _send(self, channel: Channel, messages: Iterable[Row]) -> None:
        sessions = list(self._subscribers[channel].values())
        for text in map(frames.frame, messages):
            for session in sessions:
                session.link.send(text)


def _challenge(link_id: int, number: int) -> str:
    return str(UUID(bytes=blake2b(f"challenge/{link_id}/{number}".encode(), digest_size=16).digest(), version=4))


def _channels(request: Request) -> list[Channel]:
    return (
        [(request.feed, product) for product in request.products]
        if request.feed in PRODUCT_FEEDS
        else [(request.feed, "")]
    )


def _products(channels: Iterable[Channel]) -> list[str]:
    return [product for _, product in channels if product]
