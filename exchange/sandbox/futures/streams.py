"""Feeds with a state of their own that all their subscribers share: one book, one running candle per product."""

from collections.abc import Iterable

from exchange.sandbox.futures.contracts import Row, base_units, padded_size, usd
from exchange.sandbox.futures.trades import Trade
from exchange.sandbox.market.facts import Contract
from exchange.sandbox.market.model import Bar, Book
from exchange.sandbox.units import MINUTE_NS, MS_NS
from exchange.sandbox.wire.numbers import decimal_text

VOLUME_DECIMALS = 8  # fractional digits of a volume on the candle feed

Side = dict[int, int]  # price -> quantity


class BookStream:
    """A product's book as its subscribers know it, and the number of its last change."""

    def __init__(self, contract: Contract, book: Book, seq: int) -> None:
        self.seq = seq
        self._contract = contract
        self._at_ns = book.at_ns
        self._bids: Side = dict(book.bids)
        self._asks: Side = dict(book.asks)

    def snapshot(self) -> Row:
        """The whole book, best first. Levels are objects here, and arrays on REST."""
        return {
            "feed": "book_snapshot",
            "product_id": self._contract.symbol,
            "timestamp": self._at_ns // MS_NS,
            "seq": self.seq,
            "tickSize": None,
            "bids": [self._level(level) for level in sorted(self._bids.items(), reverse=True)],
            "asks": [self._level(level) for level in sorted(self._asks.items())],
        }

    def move(self, book: Book) -> list[Row]:
        """The changes that lead to `book`, numbered without a gap; 0 removes a level.

        What goes is said first: in this order the book is never crossed between two changes.
        """
        bids, asks = dict(book.bids), dict(book.asks)
        changes = [
            *(("buy", price, 0) for price in self._bids if price not in bids),
            *(("sell", price, 0) for price in self._asks if price not in asks),
            *(("buy", price, quantity) for price, quantity in bids.items() if self._bids.get(price) != quantity),
            *(("sell", price, quantity) for price, quantity in asks.items() if self._asks.get(price) != quantity),
        ]
        self._at_ns, self._bids, self._asks = book.at_ns, bids, asks
        return [self._change(side, price, quantity) for side, price, quantity in changes]

    def _level(self, level: tuple[int, int]) -> Row:
        price, quantity = level
        return {"price": usd(price, self._contract), "qty": base_units(quantity, self._contract)}

    def _change(self, side: str, price: int, quantity: int) -> Row:
        self.seq += 1
        return {
            "feed": "book",
            "product_id": self._contract.symbol,
            "side": side,
            "seq": self.seq,
            "price": usd(price, self._contract),
            "qty": base_units(quantity, self._contract),
            "timestamp": self._at_ns // MS_NS,
        }


class CandleStream:
    """A product's running candle of one resolution. Before the first trade there is none."""

    def __init__(self, contract: Contract, feed: str, minutes: int, running: Bar | None) -> None:
        self._contract = contract
        self._feed = feed
        self._span_ns = minutes * MINUTE_NS
        self._bar = running

    def snapshot(self) -> list[Row]:
        """The running candle, or the last one that had a trade."""
        return [] if self._bar is None else [self._message(f"{self._feed}_snapshot", self._bar)]

    def move(self, trades: Iterable[Trade]) -> list[Row]:
        """One message for each candle that these trades touched: its state after the last of them."""
        touched = {}
        for trade in trades:
            self._bar = _with_trade(self._bar, trade, self._span_ns)
            touched[self._bar.opened_ns] = self._bar
        return [self._message(self._feed, bar) for bar in touched.values()]

    def _message(self, feed: str, bar: Bar) -> Row:
        decimals = self._contract.price_decimals
        return {
            "feed": feed,
            "candle": {
                "time": bar.opened_ns // MS_NS,
                "open": decimal_text(bar.open, decimals),
                "high": decimal_text(bar.high, decimals),
                "low": decimal_text(bar.low, decimals),
                "close": decimal_text(bar.close, decimals),
                "volume": padded_size(bar.volume, self._contract, VOLUME_DECIMALS),
            },
            "product_id": self._contract.symbol,
        }


def _with_trade(bar: Bar | None, trade: Trade, span_ns: int) -> Bar:
    opened_ns = trade.time_ns - trade.time_ns % span_ns
    if bar is None or opened_ns != bar.opened_ns:
        return Bar(
            opened_ns, trade.price, trade.price, trade.price, trade.price, trade.lots, trade.price * trade.lots, 1
        )
    return bar._replace(
        high=max(bar.high, trade.price),
        low=min(bar.low, trade.price),
        close=trade.price,
        volume=bar.volume + trade.lots,
        turnover=bar.turnover + trade.price * trade.lots,
        trades=bar.trades + 1,
    )
