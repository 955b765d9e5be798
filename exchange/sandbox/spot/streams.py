"""What a channel sends about one pair: a snapshot to who joins, and an update when the market moved.

A stream is shared by all who subscribed with the same parameters, and they all get the same text.
"""

from typing import NamedTuple, Protocol

from exchange.sandbox.market.facts import SpotPair
from exchange.sandbox.market.model import Moment
from exchange.sandbox.spot import book, messages
from exchange.sandbox.spot.requests import Request
from exchange.sandbox.venue import Venue

TRADES_IN_SNAPSHOT = 50
INTERVALS_BACK = 12  # from the running one: as far as the venue's own example and a recording reach


class Topic(NamedTuple):
    """Who subscribed to the same topic gets the same messages. Topics of one moment are sent in this order."""

    channel: str
    interval_minutes: int
    depth: int
    trigger: str


class Stream(Protocol):
    """One topic of one pair."""

    def snapshot(self) -> str:
        """What a new subscriber is shown."""

    def update(self, moment: Moment) -> str | None:
        """What all are sent after these trades, if anything."""


def topic_of(request: Request) -> Topic:
    """The topic that a request is about."""
    return Topic(request.channel, request.interval_minutes, request.depth, request.trigger)


def open_stream(topic: Topic, venue: Venue, pair: SpotPair) -> Stream:
    """The stream of a topic, from now on."""
    if topic.channel == "trade":
        return TradeStream(venue, pair)
    if topic.channel == "ticker":
        return TickerStream(venue, pair, topic.trigger)
    if topic.channel == "book":
        return BookStream(venue, pair, topic.depth)
    assert topic.channel == "ohlc", topic
    return CandleStream(venue, pair, topic.interval_minutes)


class TradeStream:
    """Every trade."""

    def __init__(self, venue: Venue, pair: SpotPair) -> None:
        self._venue = venue
        self._pair = pair

    def snapshot(self) -> str:
        last = self._venue.market.last_spot_trades(self._pair.instrument, TRADES_IN_SNAPSHOT)
        return messages.trades(self._pair, messages.SNAPSHOT, last)

    def update(self, moment: Moment) -> str | None:
        return messages.trades(self._pair, messages.UPDATE, moment.spot)


class TickerStream:
    """The ticker after every trade, or when the best bid or offer changed."""

    def __init__(self, venue: Venue, pair: SpotPair, trigger: str) -> None:
        self._venue = venue
        self._pair = pair
        self._trigger = trigger
        self._shown = venue.market.spot_quote(pair.instrument)

    def snapshot(self) -> str:
        return messages.ticker(self._pair, messages.SNAPSHOT, self._venue.market.spot_quote(self._pair.instrument))

    def update(self, moment: Moment) -> str | None:
        quote = self._venue.market.spot_quote(self._pair.instrument)
        shown, self._shown = self._shown, quote
        if self._trigger == "bbo" and (quote.bid, quote.ask) == (shown.bid, shown.ask):
            return None
        return messages.ticker(self._pair, messages.UPDATE, quote)


class BookStream:
    """The levels that changed since the last message."""

    def __init__(self, venue: Venue, pair: SpotPair, depth: int) -> None:
        self._venue = venue
        self._pair = pair
        self._depth = depth
        self._shown = venue.market.spot_book(pair.instrument, depth)

    def snapshot(self) -> str:
        shown = self._shown  # what the others have too: the next update has to fit
        checksum = book.checksum(shown)
        return messages.book(self._pair, messages.SNAPSHOT, shown.bids, shown.asks, checksum, shown.at_ns)

    def update(self, moment: Moment) -> str | None:
        after = self._venue.market.spot_book(self._pair.instrument, self._depth)
        change = book.change_between(self._shown, after, self._depth)
        self._shown = after
        if not change.bids and not change.asks:
            return None
        checksum = book.checksum(after)
        return messages.book(self._pair, messages.UPDATE, change.bids, change.asks, checksum, moment.at_ns)


class CandleStream:
    """The running candle after every trade. An interval without trades is never mentioned."""

    def __init__(self, venue: Venue, pair: SpotPair, minutes: int) -> None:
        self._venue = venue
        self._pair = pair
        self._minutes = minutes

    def snapshot(self) -> str:
        bars = self._venue.market.spot_bars(self._pair.instrument, self._minutes, INTERVALS_BACK)
        traded = [bar for bar in bars if bar.trades]
        return messages.candles(self._pair, messages.SNAPSHOT, traded, self._minutes, self._venue.now_ns())

    def update(self, moment: Moment) -> str | None:
        bar = self._venue.market.spot_running_bar(self._pair.instrument, self._minutes)
        return messages.candles(self._pair, messages.UPDATE, [bar], self._minutes, moment.at_ns)
