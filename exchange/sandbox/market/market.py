"""The market: candles are fed in, and what happens comes out instant by instant. No I/O, no clock but its own."""

from collections.abc import Collection, Iterable, Iterator

from exchange.sandbox.market.expansion import FEWEST_MOMENTS, Candles, Moments, refuse_infeasible
from exchange.sandbox.market.facts import Contract, SpotPair
from exchange.sandbox.market.model import (
    Bar,
    Book,
    FundingRate,
    FuturesQuote,
    Instant,
    Integers,
    MarkBar,
    Moment,
    SourceCandle,
    SpotQuote,
    Trades,
)
from exchange.sandbox.market.noise import Floats
from exchange.sandbox.market.perpetual import Perpetual
from exchange.sandbox.market.spot import SpotMarket, columns_of
from exchange.sandbox.market.tape import NO_TRADES
from exchange.sandbox.units import DAY_NS, MINUTE_NS
from trading.errors import InputUnusable

MOMENTS_PER_CANDLE = 16
HISTORY_AT_ONCE = 4_096  # candles of the past that are expanded together: bounds the memory
LOOK_AHEAD = 128  # candles to come that are expanded together: one by one would take ten times as long


class Market:
    """Spot pairs and the perpetuals on them, as of `now_ns`. Everything is a function of candles, seed and time."""

    def __init__(
        self,
        candles: Iterable[SourceCandle],
        *,
        pairs: Iterable[SpotPair],
        contracts: Iterable[Contract],
        seed: int,
        starts_ns: int,
        moments_per_candle: int = MOMENTS_PER_CANDLE,
    ) -> None:
        """Candles come in the order of (opened_ns, instrument), of one span, and are taken as time goes on, some ahead.

        What closed before `starts_ns` is history at once. Raises InputUnusable, also later for later candles: a candle
        can't be traded or is out of order, a contract has no pair, or a pair has not traded before `starts_ns`.
        What came before such a candle is still traded; after that it is raised whenever time should go on.
        """
        self.pairs = {pair.instrument: pair for pair in pairs}
        self.contracts = _followers(contracts, self.pairs)
        self.now_ns = starts_ns
        self._moments = _checked_moments(moments_per_candle)
        self._feed = self._checked(candles)
        self._refusal: InputUnusable | None = None  # of the candle at which the feed broke off
        self._next_candle = self._pull()
        self._span_ns = self._next_candle.span_ns if self._next_candle else DAY_NS
        self._spot = {name: SpotMarket(pair, seed, self._span_ns, self._moments) for name, pair in self.pairs.items()}
        self._futures = {
            name: Perpetual(contract, self._spot[contract.instrument], seed)
            for name, contract in self.contracts.items()
        }
        self._follower = {future.contract.instrument: future for future in self._futures.values()}
        self._due: list[tuple[int, tuple[str, ...]]] = []  # time and instruments of the instants loaded, latest first
        self._take_history(starts_ns)

    # --- time

    def next_ns(self) -> int | None:
        """Time of the next instant; None when the candles have ended. Raises InputUnusable: they broke off."""
        if not self._due and self._next_candle is not None:
            self._load()
        if not self._due and self._refusal is not None:
            raise self._refusal
        return self._due[-1][0] if self._due else None

    def advance(self, to_ns: int) -> Iterator[Instant]:
        """Move to `to_ns`, instant by instant as it is iterated."""
        assert to_ns >= self.now_ns, f"The market is at {self.now_ns} ns and can't go back to {to_ns}."
        while (at_ns := self.next_ns()) is not None and at_ns <= to_ns:
            self.now_ns = at_ns
            yield Instant(at_ns, tuple([self._print(name, at_ns) for name in self._due.pop()[1]]))
        self.now_ns = to_ns

    def halt(self, names: Collection[str]) -> None:
        """From now on nothing is printed of these pairs and contracts, and all others are; `BTC/USD`, `PF_XBTUSD`.

        Their paths go on unseen, and so do index and mark. What happened in a halt is never told.
        """
        for name, spot in self._spot.items():
            spot.tape.halt(name in names, self.now_ns)
        for symbol, future in self._futures.items():
            future.tape.halt(symbol in names, self.now_ns)

    # --- spot

    def spot_bars(self, instrument: str, minutes: int, limit: int, since_ns: int = 0) -> list[Bar]:
        """Bars opened after `since_ns`: the newest `limit` committed ones and, whatever `since_ns`, the running one.

        Ascending; an interval without trades is a zero bar. Empty before the first trade.
        """
        return self._spot[instrument].bars(minutes, limit, since_ns, self.now_ns)

    def spot_running_bar(self, instrument: str, minutes: int) -> Bar:
        """The bar of the interval that runs now, kept up to date from the first time it is asked for."""
        return self._spot[instrument].chart.running_bar(minutes, self.now_ns)

    def spot_trades(self, instrument: str, from_ns: int, limit: int) -> Trades:
        """At most `limit` trades at this time or later, the oldest first."""
        tape = self._spot[instrument].tape
        start = tape.printed_at(from_ns - 1)
        return tape.trades(start, start + limit)

    def last_spot_trades(self, instrument: str, limit: int) -> Trades:
        """The last `limit` trades, ascending."""
        tape = self._spot[instrument].tape
        return tape.trades(tape.printed - limit, tape.printed)

    def spot_book(self, instrument: str, depth: int) -> Book:
        """The book, at most `depth` levels on either side."""
        return self._spot[instrument].book(depth)

    def spot_quote(self, instrument: str) -> SpotQuote:
        """The pair as its ticker states it."""
        return self._spot[instrument].quote(self.now_ns)

    # --- futures

    def futures_quote(self, symbol: str) -> FuturesQuote:
        """The contract as its ticker states it."""
        return self._futures[symbol].quote(self.now_ns)

    def futures_trades(self, symbol: str, before_ns: int, limit: int) -> Trades:
        """The newest `limit` trades strictly before this time, ascending."""
        tape = self._futures[symbol].tape
        stop = tape.printed_at(before_ns - 1)
        return tape.trades(stop - limit, stop)

    def futures_trades_since(self, symbol: str, since_ns: int, limit: int) -> Trades:
        """At most `limit` trades at this time or later, the oldest first."""
        tape = self._futures[symbol].tape
        start = tape.printed_at(since_ns - 1)
        return tape.trades(start, start + limit)

    def futures_bars(
        self, symbol: str, minutes: int, from_ns: int, to_ns: int, limit: int, newest: bool
    ) -> tuple[list[Bar], bool]:
        """At most `limit` bars opened from `from_ns` to `to_ns`, the newest or the oldest, and whether there are more.

        Ascending. An interval without trades has no bar.
        """
        return self._futures[symbol].trade_bars(from_ns, to_ns, minutes, limit, newest=newest)

    def mark_bars(
        self, symbol: str, minutes: int, from_ns: int, to_ns: int, limit: int, newest: bool
    ) -> tuple[list[MarkBar], bool]:
        """Bars of the mark, asked for as those of trades. There is one for each interval: a mark needs no trades."""
        return self._futures[symbol].mark_bars(from_ns, to_ns, self.now_ns, minutes, limit, newest=newest)

    def index_bars(
        self, symbol: str, minutes: int, from_ns: int, to_ns: int, limit: int, newest: bool
    ) -> tuple[list[MarkBar], bool]:
        """Bars of the index, asked for as those of the mark."""
        return self._futures[symbol].index_bars(from_ns, to_ns, self.now_ns, minutes, limit, newest=newest)

    def marks_at(self, symbol: str, time_ns: Integers) -> Floats:
        """The mark, in USD, when trades of these times were printed."""
        return self._futures[symbol].marks_at(time_ns)

    def futures_book(self, symbol: str, depth: int = 200) -> Book:
        """The book, at most `depth` levels on either side."""
        return self._futures[symbol].book(depth)

    def funding_rates(self, symbol: str) -> list[FundingRate]:
        """A year of hourly rates at most, up to the hour that runs, ascending."""
        return self._futures[symbol].funding_rates(self.now_ns)

    # --- candles in

    def _take_history(self, starts_ns: int) -> None:
        while self._next_candle is not None and self._next_candle.opened_ns + self._span_ns <= starts_ns:
            for name, columns, moments in self._sketched(self._next_history(starts_ns)):
                self._spot[name].path.append(moments, columns.opened_ns)
                if name in self._follower:
                    self._follower[name].append(moments, columns.opened_ns)
        while (at_ns := self.next_ns()) is not None and at_ns <= starts_ns:
            for name in self._due.pop()[1]:
                self._show(name)
        silent = [name for name, spot in self._spot.items() if not spot.tape.printed]
        if silent and self._refusal is not None:
            raise self._refusal
        if silent:
            raise InputUnusable(
                f"{', '.join(silent)} has not traded before the sandbox starts, at {starts_ns} ns. "
                "Start later, or feed candles from earlier on."
            )

    def _next_history(self, starts_ns: int) -> list[SourceCandle]:
        batch: list[SourceCandle] = []
        while self._next_candle is not None and len(batch) < HISTORY_AT_ONCE:
            if self._next_candle.opened_ns + self._span_ns > starts_ns:
                break
            batch.append(self._take_candle())
        return batch

    def _load(self) -> None:
        """Take the next candles: some more than LOOK_AHEAD, all those that are opened together."""
        batch: list[SourceCandle] = []
        while self._next_candle is not None and (
            len(batch) < LOOK_AHEAD or self._next_candle.opened_ns == batch[-1].opened_ns
        ):
            batch.append(self._take_candle())
        due: dict[int, list[str]] = {}
        for name, columns, moments in self._sketched(batch):
            self._spot[name].path.load(moments, columns.opened_ns)
            if name in self._follower:
                self._follower[name].load(moments, columns.opened_ns)
            for at_ns in moments.at_ns.tolist():
                due.setdefault(at_ns, []).append(name)
        self._due = [(at_ns, tuple(due[at_ns])) for at_ns in sorted(due, reverse=True)]

    def _take_candle(self) -> SourceCandle:
        candle = self._next_candle
        assert candle is not None
        self._next_candle = self._pull()
        return candle

    def _pull(self) -> SourceCandle | None:
        """The next candle of the feed; None at its end, and where it broke off: what was taken before is traded."""
        try:
            return next(self._feed, None)
        except InputUnusable as refusal:
            self._refusal = refusal
            return None

    def _sketched(self, candles: list[SourceCandle]) -> Iterator[tuple[str, Candles, Moments]]:
        """By instrument, in the order of their names."""
        by_name: dict[str, list[SourceCandle]] = {}
        for candle in candles:
            by_name.setdefault(candle.instrument, []).append(candle)
        for name in sorted(by_name):
            columns = columns_of(by_name[name])
            yield name, columns, self._spot[name].sketch(columns)

    def _checked(self, candles: Iterable[SourceCandle]) -> Iterator[SourceCandle]:
        before: SourceCandle | None = None
        for candle in candles:
            _refuse_stranger(candle, self.pairs)
            _refuse_disorder(before, candle)
            refuse_infeasible(candle, self._moments)
            yield candle
            before = candle

    # --- trades out

    def _show(self, instrument: str) -> None:
        self._spot[instrument].show()
        if instrument in self._follower:
            self._follower[instrument].show()

    def _print(self, instrument: str, at_ns: int) -> Moment:
        self._show(instrument)
        follower = self._follower.get(instrument)
        futures = follower.tape.just_shown() if follower else NO_TRADES
        return Moment(instrument, at_ns, self._spot[instrument].tape.just_shown(), futures)


def _checked_moments(moments: int) -> int:
    if moments < FEWEST_MOMENTS:
        raise InputUnusable(f"moments_per_candle = {moments}: open, high, low and close need {FEWEST_MOMENTS}.")
    return moments


def _followers(contracts: Iterable[Contract], pairs: dict[str, SpotPair]) -> dict[str, Contract]:
    by_instrument: dict[str, Contract] = {}
    for contract in contracts:
        if contract.instrument not in pairs or contract.instrument in by_instrument:
            raise InputUnusable(f"{contract.symbol} needs the pair {contract.instrument}, and for itself alone.")
        by_instrument[contract.instrument] = contract
    return {contract.symbol: contract for contract in by_instrument.values()}


def _refuse_stranger(candle: SourceCandle, pairs: dict[str, SpotPair]) -> None:
    if candle.instrument not in pairs:
        raise InputUnusable(
            f"A candle of {candle.instrument} was fed to a market of {', '.join(pairs)}. List its pair or leave it out."
        )
    if candle.span_ns <= 0 or candle.span_ns % MINUTE_NS or DAY_NS % candle.span_ns:
        raise InputUnusable(
            f"A candle of {candle.instrument} spans {candle.span_ns} ns: not a part of a day in minutes."
        )


def _refuse_disorder(before: SourceCandle | None, candle: SourceCandle) -> None:
    name = f"The candle of {candle.instrument} opened at {candle.opened_ns} ns"
    if candle.opened_ns % candle.span_ns:
        raise InputUnusable(f"{name} is off the grid of its span. Feed candles as the venue makes them.")
    if before is None:
        return
    if candle.span_ns != before.span_ns:
        raise InputUnusable(
            f"{name} spans {candle.span_ns} ns, that before {before.span_ns}. Feed candles of one span."
        )
    if (candle.opened_ns, candle.instrument) <= (before.opened_ns, before.instrument):
        raise InputUnusable(
            f"{name} comes after that of {before.instrument} opened at {before.opened_ns} ns. "
            "Feed them in the order of time, then of instrument."
        )
