"""The tape of one market: what it has printed up to now.

Of the past only one row per candle is kept; its moments and trades are expanded again when asked for. Ahead of the time
is the reel: some candles that are expanded already, all together because that is quick, and printed moment by moment.

While trading is halted the path goes on unseen, and the market comes back at another price. `Tape` is the path, which
the index follows; `SeenTape` is what was printed of it: nothing that happened in a halt, then or later.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from exchange.sandbox.market.bars import (
    NO_ROWS,
    Rows,
    as_bars,
    gathered,
    joined,
    rows_of,
)
from exchange.sandbox.market.expansion import Moments, spread
from exchange.sandbox.market.model import END_OF_TIME_NS, Bar, Integers, Trades

KEPT_EXPANSIONS = 16  # candles of the past, for a client that turns page after page
SOURCE_COLUMNS = 7  # opening, prices, volume and trades: what a source candle is

Expand = Callable[[int, int], Moments]


class _Reel(NamedTuple):
    """Candles that are being printed."""

    first: int  # number of the first candle
    trades_before: int
    moments: Moments
    rows: Rows  # of the moments
    candles: list[int]  # number of the candle of each moment
    ends: list[int]  # trades of the reel after each moment


NO_TRADES = Trades(
    np.zeros(0, np.int64),
    np.zeros(0, np.int64),
    np.zeros(0, np.int64),
    np.zeros(0, np.bool_),
    np.zeros(0, np.bool_),
    np.zeros(0, np.int64),
)
NO_MOMENTS = Moments(
    np.zeros(0, np.int64),
    np.zeros(0, np.int64),
    np.zeros(0, np.int64),
    np.zeros(0, np.int64),
    np.zeros(0, np.int64),
    np.zeros(0, np.int64),
    np.zeros(0, np.bool_),
    np.zeros(0, np.bool_),
    np.zeros(0, np.uint64),
)


class Tape:
    """Closed candles, the candle that prints now, and how much of it has been printed."""

    candles_in_halts = 0  # a path knows no halts

    def __init__(self, span_ns: int, expand: Expand, *, at_once: bool = False) -> None:
        """`expand(start, stop)` gives the moments of the candles from the one numbered `start` to before `stop`.

        `at_once`: trades of one taker may share their time.
        """
        self.span_ns = span_ns
        self._expand = expand
        self._at_once = at_once
        self._table = np.zeros((len(Rows._fields) + 1, 64), np.int64)  # the last row: trades before the candle
        self._loaded = self._trades_loaded = 0
        self._reel = _Reel(0, 0, NO_MOMENTS, NO_ROWS, [], [])
        self._reel_trades: Trades | None = None  # from the first time they are asked for, as are the bars
        self._reel_bars: list[Bar] | None = None
        self._shown = 0  # moments of the reel
        self._expansions: OrderedDict[int, Trades] = OrderedDict()

    # --- printing

    def append(self, moments: Moments, opened_ns: Integers) -> None:
        """Take candles that have closed already; `moments.candle` numbers them from 0."""
        self._store(moments, rows_of(moments), opened_ns)
        self._reel = _Reel(self._loaded, self._trades_loaded, NO_MOMENTS, NO_ROWS, [], [])
        self._shown = 0

    def load(self, moments: Moments, opened_ns: Integers) -> None:
        """Take the next candles, of which nothing has been printed yet."""
        assert self._shown == len(self._reel.ends), "A candle was left before its end."
        rows = rows_of(moments)
        candles = (self._loaded + moments.candle).tolist()
        self._reel = _Reel(self._loaded, self._trades_loaded, moments, rows, candles, moments.trades.cumsum().tolist())
        self._reel_trades = self._reel_bars = None
        self._shown = 0
        self._store(moments, rows, opened_ns)

    def show(self) -> None:
        """Print the next moment."""
        self._shown += 1

    def just_shown(self) -> Trades:
        """The trades of the moment that was printed last."""
        ends = self._reel.ends
        return _cut(self._trades_of_reel(), ends[self._shown - 2] if self._shown > 1 else 0, ends[self._shown - 1])

    def just_shown_bar(self) -> Bar:
        """What the moment that was printed last adds to any bar; its opening is the time of the moment."""
        if self._reel_bars is None:
            self._reel_bars = as_bars(self._reel.rows)
        return self._reel_bars[self._shown - 1]

    def _store(self, moments: Moments, rows: Rows, opened_ns: Integers) -> None:
        candles = gathered(rows, np.flatnonzero(np.diff(moments.candle, prepend=-1)), opened_ns[moments.candle])
        end = self._loaded + len(opened_ns)
        if end > self._table.shape[1]:
            grown = np.zeros((len(self._table), max(end, 2 * self._table.shape[1])), np.int64)
            grown[:, : self._loaded] = self._table[:, : self._loaded]
            self._table = grown
        self._table[:-1, self._loaded : end] = candles
        self._table[-1, self._loaded : end] = self._trades_loaded + candles.trades.cumsum() - candles.trades
        self._trades_loaded += int(candles.trades.sum())
        self._loaded = end

    def _trades_of_reel(self) -> Trades:
        if self._reel_trades is None:
            self._reel_trades = spread(self._reel.moments, self._reel.trades_before, at_once=self._at_once)
        return self._reel_trades

    # --- how far it has been printed

    @property
    def closed(self) -> int:
        """Number of candles that have been printed and print no more."""
        return self._reel.candles[self._shown - 1] if self._shown else self._reel.first

    @property
    def candles(self) -> int:
        """Number of candles of which anything has been printed."""
        return self.closed + (self._shown > 0)

    @property
    def printed(self) -> int:
        """Number of trades printed so far: the id of the last one."""
        return self._reel.trades_before + (self._reel.ends[self._shown - 1] if self._shown else 0)

    @property
    def opened_ns(self) -> Integers:
        """Opening times of the candles of which anything has been printed."""
        return self._table[0, : self.candles]

    def source(self, start: int, stop: int) -> Integers:
        """What was fed in as the candles from number `start` to before `stop`: a row for each column."""
        return self._table[:SOURCE_COLUMNS, start:stop]

    def number_at(self, at_ns: int) -> int:
        """Number of the first candle opened at this time or later."""
        return int(np.searchsorted(self.opened_ns, min(max(at_ns, 0), END_OF_TIME_NS)))

    # --- trades

    def trades(self, start: int, stop: int) -> Trades:
        """The trades number `start` (from 0) to before `stop`, as far as they are printed."""
        start, stop = max(start, 0), min(stop, self.printed)
        if start >= stop:
            return NO_TRADES
        edge = self._reel.trades_before
        if start >= edge:
            return _cut(self._trades_of_reel(), start - edge, stop - edge)
        past = self._past_trades(start, min(stop, edge))
        return past if stop <= edge else _joined([past, _cut(self._trades_of_reel(), 0, stop - edge)])

    def last_trade(self) -> Trades:
        """The last trade, alone. There has to be one."""
        return self.trades(self.printed - 1, self.printed)

    def last_price(self) -> int:
        """Price of the last trade. There has to be one."""
        return int(self._reel.rows.close[self._shown - 1] if self._shown else self._table[4, self.closed - 1])

    def printed_at(self, at_ns: int) -> int:
        """Number of trades printed at this time or before."""
        at_ns = min(max(at_ns, 0), END_OF_TIME_NS)
        number = int(np.searchsorted(self.opened_ns, at_ns, "right")) - 1
        if number < 0:
            return 0
        in_reel = number >= self._reel.first
        trades = self._trades_of_reel() if in_reel else self._expansion(number)
        before = self._reel.trades_before if in_reel else int(self._table[-1, number])
        return min(before + int(np.searchsorted(trades.time_ns, at_ns, "right")), self.printed)

    def _past_trades(self, start: int, stop: int) -> Trades:
        before = self._table[-1, : self._reel.first]
        first, last = np.searchsorted(before, [start, stop - 1], "right").tolist()
        trades = _joined([self._expansion(number) for number in range(first - 1, last)])
        return _cut(trades, start - int(before[first - 1]), stop - int(before[first - 1]))

    def _expansion(self, number: int) -> Trades:
        if number not in self._expansions:
            before = int(self._table[-1, number])
            self._expansions[number] = spread(self._expand(number, number + 1), before, at_once=self._at_once)
            if len(self._expansions) > KEPT_EXPANSIONS:
                self._expansions.popitem(last=False)
        self._expansions.move_to_end(number)
        return self._expansions[number]

    # --- rows

    def candle_rows(self, start: int, stop: int) -> Rows:
        """What has been printed in the candles from number `start` to before `stop`; the last one moment by moment."""
        closed = Rows._make(self._table[:-1, start : min(stop, self.closed)])
        return joined([closed, self.shown_rows(self.closed)]) if stop > self.closed else closed

    def moment_rows(self, start: int, stop: int) -> Rows:
        """One row for each moment printed in the candles from number `start` to before `stop`."""
        past, first = min(stop, self._reel.first), self._reel.first
        parts = [rows_of(self._expand(start, past))] if start < past else []
        if stop > first:
            parts.append(self._reel.rows.part(self._place_in_reel(start), self._place_in_reel(stop)))
        return joined(parts)

    def shown_rows(self, start: int) -> Rows:
        """One row for each moment printed of the reel, from the candle numbered `start` on."""
        return self._reel.rows.part(self._place_in_reel(start), self._shown)

    def _place_in_reel(self, number: int) -> int:
        return int(np.searchsorted(self._reel.moments.candle[: self._shown], number - self._reel.first))


class Halt(NamedTuple):
    """Moments after one time up to another, and their trades from number `first` to before `stop` of the path."""

    from_ns: int
    to_ns: int
    first: int
    stop: int


class SeenTape:
    """A tape as its readers know it. Numbers of trades and candles are asked for and answered as on a `Tape`."""

    def __init__(self, path: Tape) -> None:
        self.is_halted = False
        self.span_ns = path.span_ns
        self._path = path
        self._halts: list[Halt] = []  # that struck something, or may yet: the last one while `is_halted`

    def halt(self, is_halted: bool, now_ns: int) -> None:
        """Stop to print what the path shows, or begin again."""
        if is_halted == self.is_halted:
            return
        self.is_halted = is_halted
        if is_halted:
            self._halts.append(Halt(now_ns, END_OF_TIME_NS, self._path.printed, self._path.printed))
            return
        ended = self._halts.pop()._replace(to_ns=now_ns, stop=self._path.printed)
        if ended.stop > ended.first:
            self._halts.append(ended)

    # --- trades

    @property
    def printed(self) -> int:
        """Number of trades printed so far: the id of the last one."""
        return self._seen(self._path.printed)

    def printed_at(self, at_ns: int) -> int:
        """Number of trades printed at this time or before."""
        return self._seen(self._path.printed_at(at_ns))

    def trades(self, start: int, stop: int) -> Trades:
        """The trades number `start` (from 0) to before `stop`, as far as they are printed."""
        if not self._halts:
            return self._path.trades(start, stop)
        parts: list[Trades] = []
        struck = begin = 0  # trades struck so far, and the trade of the path at which the halt before ended
        end = self._path.printed
        for first, next_begin in (*((halt.first, self._stop(halt)) for halt in self._halts), (end, end)):
            one, other = max(max(start, 0) + struck, begin), min(stop + struck, first)
            if one < other:
                part = self._path.trades(one, other)
                parts.append(_renumbered(part, struck))
            struck, begin = struck + next_begin - first, next_begin
        return _joined(parts) if parts else NO_TRADES

    def last_trade(self) -> Trades:
        """The last trade, alone. There has to be one."""
        return self.trades(self.printed - 1, self.printed) if self._halts else self._path.last_trade()

    def last_price(self) -> int:
        """Price of the last trade. There has to be one."""
        return int(self.last_trade().price[0]) if self._halts else self._path.last_price()

    def just_shown(self) -> Trades:
        """The trades of the moment that the path showed last; none in a halt."""
        if not self._halts:
            return self._path.just_shown()
        if self.is_halted:
            return NO_TRADES
        shown = self._path.just_shown()
        return _renumbered(shown, self._path.printed - self.printed)

    def just_shown_bar(self) -> Bar:
        """What the moment that was shown last adds to any bar. Not to be asked for in a halt."""
        return self._path.just_shown_bar()

    # --- candles and rows

    @property
    def candles(self) -> int:
        """Number of candles of which anything has been shown, in halts too."""
        return self._path.candles

    @property
    def candles_in_halts(self) -> int:
        """So many candles, at most, have nothing to be seen."""
        ends = ((self._candle_at(halt.from_ns), self._candle_at(halt.to_ns)) for halt in self._halts)
        return sum(last - first + 1 for first, last in ends)

    def number_at(self, at_ns: int) -> int:
        """Number of the first candle opened at this time or later."""
        return self._path.number_at(at_ns)

    def candle_rows(self, start: int, stop: int) -> Rows:
        """What has been printed in these candles; moment by moment of the last one, and of those cut by a halt."""
        if not self._halts:
            return self._path.candle_rows(start, stop)
        parts: list[Rows] = []
        at = start
        for cut in sorted({self._candle_at(end_ns) for halt in self._halts for end_ns in halt[:2]}):
            if at <= cut < stop:
                parts += [self._path.candle_rows(at, cut), self._path.moment_rows(cut, cut + 1)]
                at = cut + 1
        if at < stop:
            parts.append(self._path.candle_rows(at, stop))
        return self._unhalted(joined(parts))

    def moment_rows(self, start: int, stop: int) -> Rows:
        """One row for each moment printed in the candles from number `start` to before `stop`."""
        return self._unhalted(self._path.moment_rows(start, stop))

    # --- halts

    def _seen(self, number: int) -> int:
        """How many of the first `number` trades of the path were printed."""
        return number - sum(min(max(number - halt.first, 0), self._stop(halt) - halt.first) for halt in self._halts)

    def _stop(self, halt: Halt) -> int:
        return self._path.printed if halt.to_ns == END_OF_TIME_NS else halt.stop

    def _candle_at(self, at_ns: int) -> int:
        """Number of the last candle opened at this time or before."""
        return max(self._path.number_at(at_ns + 1) - 1, 0)

    def _unhalted(self, rows: Rows) -> Rows:
        for halt in self._halts:
            seen: Integers = np.flatnonzero((rows.at_ns <= halt.from_ns) | (rows.at_ns > halt.to_ns))
            rows = Rows._make(column[seen] for column in rows)
        return rows


def _cut(trades: Trades, start: int, stop: int) -> Trades:
    return Trades(
        trades.time_ns[start:stop],
        trades.price[start:stop],
        trades.volume[start:stop],
        trades.is_buy[start:stop],
        trades.is_market[start:stop],
        trades.trade_id[start:stop],
    )


def _renumbered(trades: Trades, struck: int) -> Trades:
    """Trades of a path by the numbers under which they are seen, when so many before them are not."""
    return Trades(*trades[:-1], trades.trade_id - struck)


def _joined(parts: list[Trades]) -> Trades:
    if len(parts) == 1:
        return parts[0]
    return Trades(
        np.concatenate([part.time_ns for part in parts]),
        np.concatenate([part.price for part in parts]),
        np.concatenate([part.volume for part in parts]),
        np.concatenate([part.is_buy for part in parts]),
        np.concatenate([part.is_market for part in parts]),
        np.concatenate([part.trade_id for part in parts]),
    )
