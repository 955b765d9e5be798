"""One spot pair: its source candles, its path and its tape."""

from typing import Any

import numpy as np

from exchange.sandbox.market.bars import as_bars, filled
from exchange.sandbox.market.book import Touch, best_of, book_of
from exchange.sandbox.market.chart import Chart, Curve
from exchange.sandbox.market.expansion import Candles, Moments, sketched
from exchange.sandbox.market.facts import SpotPair
from exchange.sandbox.market.model import VOLUME_DECIMALS, Bar, Book, Day, SourceCandle, SpotQuote, Trades
from exchange.sandbox.market.noise import key_of
from exchange.sandbox.market.tape import SeenTape, Tape
from exchange.sandbox.units import DAY_NS, MINUTE_NS

TYPICAL_LEVEL_USD = 5_000


class SpotMarket:
    """What happens on one pair."""

    def __init__(self, pair: SpotPair, seed: int, span_ns: int, moments: int) -> None:
        self.pair = pair
        self._moments = moments
        self._key = key_of(seed, pair.instrument, "trades")
        self._book_key = key_of(seed, pair.instrument, "book")
        self.path = Tape(span_ns, self.expand, at_once=True)
        self.tape = SeenTape(self.path)
        self.chart = Chart(self.tape)
        self.curve = Curve(self.path)  # an index is made of many venues: a halt at one does not stop it

    def expand(self, start: int, stop: int) -> Moments:
        """The moments of the source candles from number `start` to before `stop`: the path keeps the candles."""
        return self.sketch(Candles(*self.path.source(start, stop)))

    def sketch(self, candles: Candles) -> Moments:
        """The moments of candles that the path need not know yet."""
        return sketched(candles, self._key, self.path.span_ns, self._moments)

    def show(self) -> None:
        """Print the next moment, or let it pass unseen in a halt."""
        self.path.show()
        self.chart.keep_up()

    def bars(self, minutes: int, limit: int, since_ns: int, now_ns: int) -> list[Bar]:
        """At most `limit` committed bars opened after `since_ns`, and the running one."""
        if not self.path.candles:
            return []
        span_ns = minutes * MINUTE_NS
        running = now_ns // span_ns
        beginning = int(self.path.opened_ns[0])
        first = min(max(running - limit, since_ns // span_ns + 1, beginning // span_ns), running)
        rows, _ = self.chart.bars_between(first * span_ns, running * span_ns, minutes, limit + 1, newest=True)
        opened = range(first * span_ns, running * span_ns + 1, span_ns)
        return filled(as_bars(rows), self.chart.close_before(first * span_ns), opened)

    def book(self, depth: int) -> Book:
        """The book as the last trade left it."""
        return book_of(self._book_key, self._touch(self.tape.last_trade()), depth)

    def quote(self, now_ns: int) -> SpotQuote:
        """The pair as its ticker states it."""
        last = self.tape.last_trade()
        bid, ask = best_of(self._book_key, self._touch(last))
        today = self.chart.running_bar(DAY_NS // MINUTE_NS, now_ns)
        return SpotQuote(
            self.pair.instrument,
            bid,
            ask,
            int(last.price[0]),
            int(last.volume[0]),
            int(last.time_ns[0]),
            Day(today.open, today.high, today.low, today.volume, today.turnover, today.trades),
            self.chart.last_day(now_ns),
        )

    def _touch(self, last: Trades) -> Touch:
        turnover = TYPICAL_LEVEL_USD * 10.0 ** (self.pair.price_decimals + VOLUME_DECIMALS)
        return Touch(int(last.price[0]), bool(last.is_buy[0]), int(last.time_ns[0]), turnover)


def columns_of(candles: list[SourceCandle]) -> Candles:
    """Candles of one instrument as columns."""
    rows: Any = np.array([(c.opened_ns, *c[3:]) for c in candles], np.int64).reshape(len(candles), 7)
    return Candles(*rows.T)
