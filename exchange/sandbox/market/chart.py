"""What a tape has printed, added up: bars of any interval, prices at given times, the last 24 hours.

A `Chart` is one of trades, with a hole where nothing traded; a `Curve` one of a price that is always there.
"""

from collections import deque

import numpy as np

from exchange.sandbox.market.bars import NO_ROWS, Rows, as_bars, extended, grouped, joined, zero_bar
from exchange.sandbox.market.model import END_OF_TIME_NS, Bar, Day, Integers
from exchange.sandbox.market.noise import Floats
from exchange.sandbox.market.tape import SeenTape, Tape
from exchange.sandbox.units import DAY_NS, HOUR_NS, MINUTE_NS


class Chart:
    """Bars of one tape. Those that run are kept up to date once they have been asked for."""

    def __init__(self, tape: SeenTape) -> None:
        self._tape = tape
        self._running: dict[int, Bar] = {}  # by minutes
        self._day: RollingDay | None = None

    def keep_up(self) -> None:
        """Take the moment that the tape printed last. To be called after each of the path, in a halt too."""
        if (not self._running and self._day is None) or self._tape.is_halted:
            return
        more = self._tape.just_shown_bar()
        for minutes, bar in self._running.items():
            opened = more.opened_ns // (minutes * MINUTE_NS) * (minutes * MINUTE_NS)
            self._running[minutes] = extended(bar, more) if bar.opened_ns == opened else more._replace(opened_ns=opened)
        if self._day is not None:
            self._day.add(more)

    def bars_between(self, from_ns: int, to_ns: int, minutes: int, limit: int, newest: bool) -> tuple[Rows, bool]:
        """At most `limit` bars opened from `from_ns` to `to_ns`, the newest or the oldest; and whether there are more.

        Intervals without trades are left out.
        """
        return _bars_between(self._tape, (from_ns, to_ns), minutes, limit, newest)

    def running_bar(self, minutes: int, now_ns: int) -> Bar:
        """The bar of the interval that runs now. Kept up to date from the first time it is asked for."""
        opened = now_ns // (minutes * MINUTE_NS) * (minutes * MINUTE_NS)
        bar = self._running.get(minutes)
        if bar is None:
            found = as_bars(self.bars_between(opened, opened, minutes, 1, newest=True)[0])
            bar = found[0] if found else zero_bar(opened, self._tape.last_price())
        elif bar.opened_ns != opened:
            bar = zero_bar(opened, bar.close)
        self._running[minutes] = bar
        return bar

    def close_before(self, at_ns: int) -> int | None:
        """Price of the last trade before the interval that begins at `at_ns`; None when there was none."""
        return _close_before(self._tape, at_ns)

    def last_day(self, now_ns: int) -> Day:
        """The last 24 hours, moment by moment. Kept up to date from the first time it is asked for."""
        if self._day is None:
            self._day = RollingDay()
            start = max(self._tape.number_at(now_ns - DAY_NS) - 1, 0)
            for bar in as_bars(self._tape.moment_rows(start, self._tape.candles)):
                self._day.add(bar)
        return self._day.at(now_ns, self._tape.last_price())


class Curve:
    """The price that a whole path shows, halts or not: from its first trade on there is one at every time."""

    def __init__(self, path: Tape) -> None:
        self._path = path

    def bars_between(
        self, from_ns: int, to_ns: int, now_ns: int, minutes: int, limit: int, newest: bool
    ) -> tuple[Rows, bool]:
        """At most `limit` bars opened from `from_ns` to `to_ns`, asked for as those of a `Chart`; none after now.

        There is one for each interval. It opens where the one before has closed: the price stands still without trades.
        """
        span_ns = minutes * MINUTE_NS
        first_ever, _ = _bars_between(self._path, (0, now_ns), minutes, 1, newest=False)
        if not len(first_ever.at_ns):
            return NO_ROWS, False
        begin = max(-(-max(from_ns, 0) // span_ns), int(first_ever.at_ns[0]) // span_ns)
        end = min(to_ns, now_ns) // span_ns + 1
        more = end - begin > limit
        if more:
            begin, end = (end - limit, end) if newest else (begin, begin + limit)
        if begin >= end:
            return NO_ROWS, False
        opened = np.arange(begin, end, dtype=np.int64) * span_ns
        traded, _ = _bars_between(self._path, (begin * span_ns, (end - 1) * span_ns), minutes, limit, newest=True)
        return _unbroken(traded, opened, _close_before(self._path, begin * span_ns)), more

    def prices_at(self, at_ns: Integers) -> Floats:
        """Price of the last trade before each of these ascending times, full hours; of the first one before that."""
        start = max(self._path.number_at(int(at_ns[0])) - 2, 0)
        is_fine = HOUR_NS % self._path.span_ns == 0
        rows = self._candle_ends(start) if is_fine else self._path.moment_rows(start, self._path.candles)
        place = np.searchsorted(rows.at_ns, at_ns) - 1
        return rows.close[np.maximum(place, 0)].astype(np.float64)

    def after_moments(self, time_ns: Integers) -> Integers:
        """Price after the moments to which the trades of these times belong. Each has to be a trade of this path."""
        start = max(self._path.number_at(int(time_ns.min()) + 1) - 1, 0)
        rows = self._path.moment_rows(start, self._path.number_at(int(time_ns.max()) + 1))
        closes: Integers = rows.close[np.searchsorted(rows.at_ns, time_ns)]
        return closes

    def _candle_ends(self, start: int) -> Rows:
        """Candles by the time after which they have their close."""
        path = self._path
        closed = path.candle_rows(start, path.closed)
        return joined([closed._replace(at_ns=closed.at_ns + path.span_ns - 1), path.shown_rows(path.closed)])


class RollingDay:
    """The last 24 hours, bar by bar: a ticker asks at every moment. A bar counts by its time, `opened_ns`."""

    def __init__(self) -> None:
        self._bars: deque[Bar] = deque()
        self._highs: deque[Bar] = deque()  # falling: the first is the highest, the others are so once it has left
        self._lows: deque[Bar] = deque()
        self._volume = self._turnover = self._trades = 0

    def add(self, bar: Bar) -> None:
        """Take what traded next, and forget what is a day older: it may be long until somebody asks."""
        self._forget(bar.opened_ns - DAY_NS)
        self._bars.append(bar)
        self._count(bar, 1)
        while self._highs and self._highs[-1].high <= bar.high:
            self._highs.pop()
        self._highs.append(bar)
        while self._lows and self._lows[-1].low >= bar.low:
            self._lows.pop()
        self._lows.append(bar)

    def at(self, now_ns: int, last: int) -> Day:
        """The 24 hours up to now; all prices are `last` when nothing has traded in them. Time does not go back."""
        self._forget(now_ns - DAY_NS)
        if not self._bars:
            return Day(last, last, last, 0, 0, 0)
        high, low = self._highs[0].high, self._lows[0].low
        return Day(self._bars[0].open, high, low, self._volume, self._turnover, self._trades)

    def _forget(self, until_ns: int) -> None:
        while self._bars and self._bars[0].opened_ns <= until_ns:
            self._count(self._bars.popleft(), -1)
        for extremes in (self._highs, self._lows):
            while extremes and extremes[0].opened_ns <= until_ns:
                extremes.popleft()

    def _count(self, bar: Bar, times: int) -> None:
        self._volume += times * bar.volume
        self._turnover += times * bar.turnover
        self._trades += times * bar.trades


def _bars_between(
    tape: Tape | SeenTape, between_ns: tuple[int, int], minutes: int, limit: int, newest: bool
) -> tuple[Rows, bool]:
    """As `Chart.bars_between`, of either kind of tape."""
    span_ns = minutes * MINUTE_NS
    from_ns, to_ns = max(between_ns[0], 0), min(between_ns[1], END_OF_TIME_NS)
    first_ns, end_ns = -(-from_ns // span_ns) * span_ns, (to_ns // span_ns + 1) * span_ns
    is_whole = span_ns % tape.span_ns == 0  # a bar is made of whole candles; else of a part of one
    start, stop = tape.number_at(first_ns if is_whole else first_ns - tape.span_ns + 1), tape.number_at(end_ns)
    most = (limit + 2) * max(span_ns // tape.span_ns, 1) + tape.candles_in_halts  # enough for one bar more than `limit`
    start, stop = (max(start, stop - most), stop) if newest else (start, min(stop, start + most))
    bars = grouped(tape.candle_rows(start, stop) if is_whole else tape.moment_rows(start, stop), span_ns)
    first, last = np.searchsorted(bars.at_ns, [first_ns, end_ns]).tolist()
    more = last - first > limit
    if more:
        first, last = (last - limit, last) if newest else (first, first + limit)
    return bars.part(first, last), more


def _close_before(tape: Tape | SeenTape, at_ns: int) -> int | None:
    """Price of the last trade before that time; None when there was none."""
    number = tape.number_at(at_ns)
    enough = 2 + tape.candles_in_halts  # the first moment of a candle may come after `at_ns`
    rows = tape.moment_rows(max(number - enough, 0), number)
    before = int(np.searchsorted(rows.at_ns, at_ns))
    return int(rows.close[before - 1]) if before else None


def _unbroken(traded: Rows, opened_ns: Integers, close_before: int | None) -> Rows:
    """A row for each opening: of what traded, or flat at the close before. Nothing traded before the first: it did."""
    place = np.searchsorted(traded.at_ns, opened_ns, "right") - 1
    closes = np.concatenate([[traded.open[0] if close_before is None else close_before], traded.close])
    ends = closes[place + 1]
    opens = np.concatenate([closes[:1], ends[:-1]])
    has_traded = np.isin(opened_ns, traded.at_ns)
    nothing = np.zeros_like(opened_ns)
    return Rows(
        opened_ns,
        opens,
        np.maximum(opens, np.where(has_traded, np.append(0, traded.high)[place + 1], opens)),
        np.minimum(opens, np.where(has_traded, np.append(0, traded.low)[place + 1], opens)),
        ends,
        nothing,
        nothing,
        nothing,
        nothing,
    )
