"""One perpetual: it follows the trades of its spot pair, at the premium of the moment."""

import numpy as np

from exchange.sandbox.market.bars import Rows, as_bars
from exchange.sandbox.market.basis import Basis
from exchange.sandbox.market.book import Touch, best_of, book_of
from exchange.sandbox.market.chart import Chart, Curve
from exchange.sandbox.market.expansion import Moments
from exchange.sandbox.market.facts import Contract
from exchange.sandbox.market.model import (
    VOLUME_DECIMALS,
    Bar,
    Book,
    FundingRate,
    FuturesQuote,
    Integers,
    MarkBar,
    Trades,
)
from exchange.sandbox.market.noise import Floats, draws, key_of
from exchange.sandbox.market.spot import SpotMarket
from exchange.sandbox.market.tape import SeenTape, Tape
from exchange.sandbox.units import DAY_NS, HOUR_NS

SPOT_TRADES_PER_TRADE = 4
VOLUME_OF_SPOT = (4, 3)  # of what is traded on spot
TYPICAL_LEVEL_USD = 10_000
OPEN_INTEREST_SHARE = 1.8  # of the largest position that one account may hold
LONGEST_FUNDING_NS = 365 * DAY_NS
MARK_DECIMALS = 8  # of a mark in the bars


class Perpetual:
    """What happens on one perpetual contract."""

    def __init__(self, contract: Contract, spot: SpotMarket, seed: int) -> None:
        self.contract = contract
        self.basis = Basis(key_of(seed, contract.symbol, "basis"))
        self._spot = spot
        self._book_key = key_of(seed, contract.symbol, "book")
        self._funding: FundingRate | None = None  # of the hour it was last asked for
        self._points: int = 10**spot.pair.price_decimals  # of one USD
        self._ticks: int = 10**contract.price_decimals
        self.path = Tape(spot.path.span_ns, lambda start, stop: self.followed(spot.expand(start, stop)))
        self.tape = SeenTape(self.path)
        self.chart = Chart(self.tape)
        self.marks = Tape(spot.path.span_ns, lambda start, stop: self.marked(spot.expand(start, stop)))
        self._mark_curve = Curve(self.marks)

    def append(self, moments: Moments, opened_ns: Integers) -> None:
        """Follow candles of spot that have closed already."""
        self.path.append(self.followed(moments), opened_ns)
        self.marks.append(self.marked(moments), opened_ns)

    def load(self, moments: Moments, opened_ns: Integers) -> None:
        """Follow candles of spot of which nothing has been printed yet."""
        self.path.load(self.followed(moments), opened_ns)
        self.marks.load(self.marked(moments), opened_ns)

    def show(self) -> None:
        """Print the next moment, or let it pass unseen in a halt."""
        self.path.show()
        self.marks.show()
        self.chart.keep_up()

    def followed(self, moments: Moments) -> Moments:
        """What is printed here after those moments on spot."""
        share = 1 + self.basis.premium(moments.at_ns)
        down = 10 ** (VOLUME_DECIMALS - self.contract.size_decimals)
        lots = np.maximum(moments.volume // VOLUME_OF_SPOT[1] * VOLUME_OF_SPOT[0] // down, 1)
        trades = np.minimum(1 + moments.trades // SPOT_TRADES_PER_TRADE, lots)
        first, last = self._in_ticks(moments.first * share), self._in_ticks(moments.last * share)
        return moments._replace(
            first=np.where(trades == 1, last, first),
            last=last,
            volume=lots,
            trades=trades,
            key=draws(moments.key, np.ones(1)),
        )

    def marked(self, moments: Moments) -> Moments:
        """The mark before and after each of those moments, in 1e-8 USD. Nothing is traded at a mark."""
        share = (1 + self.basis.smoothed(moments.at_ns)) * (10**MARK_DECIMALS / self._points)
        one = np.ones_like(moments.trades)
        return moments._replace(
            first=np.rint(moments.first * share).astype(np.int64),
            last=np.rint(moments.last * share).astype(np.int64),
            volume=one,
            trades=one,
        )

    def index_usd(self) -> float:
        """The index: the last price on the path of spot."""
        return self._spot.path.last_price() / self._points

    def book(self, depth: int) -> Book:
        """The book as the last trade left it."""
        return book_of(self._book_key, self._touch(self.tape.last_trade()), depth)

    def quote(self, now_ns: int) -> FuturesQuote:
        """The contract as its ticker states it."""
        last = self.tape.last_trade()
        bid, ask = best_of(self._book_key, self._touch(last))
        index = self.index_usd()
        hour = now_ns // HOUR_NS
        funding, predicted = self._running_funding(hour), self.basis.predicted_funding(now_ns)
        return FuturesQuote(
            symbol=self.contract.symbol,
            bid=bid,
            ask=ask,
            last=int(last.price[0]),
            last_size=int(last.volume[0]),
            last_ns=int(last.time_ns[0]),
            rolling=self.chart.last_day(now_ns),
            index_usd=index,
            mark_usd=self.marks.last_price() / 10**MARK_DECIMALS,
            funding_rate=funding.absolute,
            funding_rate_prediction=predicted * index,
            relative_funding_rate=funding.relative,
            relative_funding_rate_prediction=predicted,
            next_funding_ns=(hour + 1) * HOUR_NS,
            open_interest=self._open_interest(now_ns),
        )

    def _touch(self, last: Trades) -> Touch:
        turnover = TYPICAL_LEVEL_USD * self._ticks * 10.0**self.contract.size_decimals
        return Touch(int(last.price[0]), bool(last.is_buy[0]), int(last.time_ns[0]), turnover)

    def _running_funding(self, hour: int) -> FundingRate:
        if self._funding is None or self._funding.at_ns != hour * HOUR_NS:
            self._funding = self.funding_between(hour, hour)[0]
        return self._funding

    def funding_rates(self, now_ns: int) -> list[FundingRate]:
        """A year of rates at most, up to the hour that runs, ascending. The first follows the first candle."""
        if not self.path.candles:
            return []
        first = max(int(self.path.opened_ns[0]) // HOUR_NS + 1, (now_ns - LONGEST_FUNDING_NS) // HOUR_NS)
        return self.funding_between(first, now_ns // HOUR_NS)

    def funding_between(self, first_hour: int, last_hour: int) -> list[FundingRate]:
        """The rates of these hours, both included."""
        if last_hour < first_hour:
            return []
        at_ns = np.arange(first_hour, last_hour + 1, dtype=np.int64) * HOUR_NS
        relative = self.basis.relative_funding(first_hour, last_hour)
        absolute = relative * (self._spot.curve.prices_at(at_ns) / self._points)
        return [FundingRate(*row) for row in zip(at_ns.tolist(), absolute.tolist(), relative.tolist(), strict=True)]

    def trade_bars(self, from_ns: int, to_ns: int, minutes: int, limit: int, newest: bool) -> tuple[list[Bar], bool]:
        """Bars of trades, asked for as `Chart.bars_between` has it."""
        rows, more = self.chart.bars_between(from_ns, to_ns, minutes, limit, newest)
        return as_bars(rows), more

    def mark_bars(
        self, from_ns: int, to_ns: int, now_ns: int, minutes: int, limit: int, newest: bool
    ) -> tuple[list[MarkBar], bool]:
        """Bars of the mark, asked for as `Curve.bars_between` has it. The mark moves when the index does."""
        rows, more = self._mark_curve.bars_between(from_ns, to_ns, now_ns, minutes, limit, newest)
        return _mark_bars(rows, 10**MARK_DECIMALS), more

    def index_bars(
        self, from_ns: int, to_ns: int, now_ns: int, minutes: int, limit: int, newest: bool
    ) -> tuple[list[MarkBar], bool]:
        """Bars of the index, asked for likewise."""
        rows, more = self._spot.curve.bars_between(from_ns, to_ns, now_ns, minutes, limit, newest)
        return _mark_bars(rows, self._points), more

    def marks_at(self, time_ns: Integers) -> Floats:
        """The mark, in USD, when trades of these times were printed."""
        if not len(time_ns):
            return np.zeros(0)
        marks: Floats = self._mark_curve.after_moments(time_ns) / 10**MARK_DECIMALS
        return marks

    def _open_interest(self, now_ns: int) -> float:
        mean = OPEN_INTEREST_SHARE * self.contract.maximum_position
        return round(mean * self.basis.open_interest_share(now_ns), max(self.contract.size_decimals, 0))

    def _in_ticks(self, points: Floats) -> Integers:
        ticks: Integers = np.rint(points * (self._ticks / self._points)).astype(np.int64)
        return np.maximum(ticks, 1)


def _mark_bars(rows: Rows, per_usd: int) -> list[MarkBar]:
    prices = ((column / per_usd).tolist() for column in rows[1:5])
    return [MarkBar(*row) for row in zip(rows.at_ns.tolist(), *prices, strict=True)]
