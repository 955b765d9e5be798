"""A candle becomes trades that add up to it exactly: open, high, low, close, volume and number of trades.

In two steps. `sketched` makes a candle into moments: at each of them one taker sweeps from one price to another.
`spread` makes moments into trades. Prices of a sweep are mirrored around its middle, and so are its volumes: so the
turnover of a moment, and with it every bar, is known from the sketch, without a single trade. Both are pure functions
of the candle and the seed, whatever else is in the batch: nothing of the past needs to be kept but its candles.
"""

from functools import cache
from typing import NamedTuple

import numpy as np

from exchange.sandbox.market.model import Booleans, Integers, SourceCandle, Trades
from exchange.sandbox.market.noise import Floats, Keys, draws, units
from exchange.sandbox.units import MINUTE_NS
from trading.errors import InputUnusable

FEWEST_MOMENTS = 4  # open, high, low and close may each need one
SHORTEST_STEP_NS, LONGEST_STEP_NS = 1_000, 9_000  # between two trades of one moment
MOST_AT_ONCE = 20  # trades of one time: a page of the venue's must hold more, or no cursor would pass them
BUSY_SHARE = (7, 8)  # of the time between two moments, that trades of one may fill
LEAST_ROOM = 128  # a moment is at least this part of a step after its minute begins: its trades all lie before it
HIGHEST_PRICE = 2**33
HIGHEST_VOLUME = 2**57
HIGHEST_TURNOVER = 2**89  # price times volume of a candle; sums are kept in two halves of 28 and 63 bits
ROUGHNESS = 0.35  # how far the way may stray from the straight line, of the candle's range


class Candles(NamedTuple):
    """Source candles of one instrument and one span, as columns."""

    opened_ns: Integers
    open: Integers
    high: Integers
    low: Integers
    close: Integers
    volume: Integers
    trades: Integers


class Moments(NamedTuple):
    """Sweeps, as columns of one length: `trades` prints from `first` to `last`, in one direction, together `volume`."""

    candle: Integers  # which one of the batch it belongs to
    at_ns: Integers  # time of the last print
    first: Integers
    last: Integers
    volume: Integers
    trades: Integers
    is_buy: Booleans
    is_market: Booleans
    key: Keys


def refuse_infeasible(candle: SourceCandle, moments: int) -> None:
    """Raises InputUnusable, naming the candle, when no sequence of trades adds up to it."""
    open_, high, low, close = candle.open, candle.high, candle.low, candle.close
    needed = 1 if high == low else 2 + (high not in (open_, close)) + (low not in (open_, close))
    reason = (
        f"its span is {candle.span_ns} ns"
        if candle.span_ns <= 0
        else "its prices are not above 0"
        if low <= 0
        else f"its price is {high} points, the highest possible is {HIGHEST_PRICE}"
        if high > HIGHEST_PRICE
        else "open or close lies outside of low and high"
        if not (low <= min(open_, close) and max(open_, close) <= high)
        else f"its prices need {needed} trades and it has {candle.trades}"
        if candle.trades < needed
        else f"{candle.trades} trades do not fit into its span"
        if candle.trades > busiest(candle.span_ns, moments)
        else f"its volume of {candle.volume} is less than 1e-8 for each of its {candle.trades} trades"
        if candle.volume < candle.trades
        else f"its volume is {candle.volume} of 1e-8, the highest possible is {HIGHEST_VOLUME}"
        if candle.volume > HIGHEST_VOLUME
        else f"its turnover is beyond {HIGHEST_TURNOVER}"
        if high * candle.volume > HIGHEST_TURNOVER
        else None
    )
    if reason:
        raise InputUnusable(
            f"The candle of {candle.instrument} opened at {candle.opened_ns} ns can't be traded: {reason}. "
            "Correct the candle or leave it out: a gap is no candle."
        )


def grid(span_ns: int, moments: int) -> Integers:
    """Times of the moments of a candle after its opening, none of them on a full minute; the last before its end."""
    step = span_ns // moments
    at_ns = (np.arange(moments, dtype=np.int64) + 1) * step - step // 8
    return at_ns + np.maximum(step // LEAST_ROOM - at_ns % MINUTE_NS, 0)


@cache
def busiest(span_ns: int, moments: int) -> int:
    """The most trades of a candle for which there is room, should nearly all of them fall on one moment."""
    between = span_ns * BUSY_SHARE[0] // BUSY_SHARE[1] // moments // LONGEST_STEP_NS
    in_minute = int((grid(span_ns, moments) % MINUTE_NS).min()) // SHORTEST_STEP_NS
    return min(between, in_minute)


def sketched(candles: Candles, key: int, span_ns: int, moments: int) -> Moments:
    """The moments of each candle, in order of time: as many as it has trades, at most `moments`."""
    keys = draws(key, candles.opened_ns)
    lots = draws(keys[:, None], np.arange(1, 5 * moments + 4))
    number = np.minimum(candles.trades, moments)[:, None]
    place = np.arange(moments)[None, :]
    used = place < number
    slots = _slots(lots[:, :moments], number, place)
    trades = _trades(lots[:, moments : 2 * moments], candles.trades[:, None] - number, used)
    volume = _volumes(lots[:, 2 * moments : 3 * moments], candles, trades, place >= number - 1)
    last = _ends(lots[:, 3 * moments : 4 * moments], lots[:, -3:], candles, number, place)
    before = np.concatenate([candles.open[:, None], last[:, :-1]], axis=1)
    way = last - before
    first = before + np.sign(way) * (np.abs(way) // np.maximum(trades, 1))
    chance = lots[:, 4 * moments : 5 * moments]
    is_buy = np.where(way == 0, chance & np.uint64(1) == 0, way > 0)
    candle = np.broadcast_to(np.arange(len(keys))[:, None], used.shape)
    at_ns = candles.opened_ns[:, None] + grid(span_ns, moments)[np.minimum(slots, moments - 1)]
    is_market = chance >> np.uint64(62) != 0
    return Moments(
        candle[used],
        at_ns[used],
        first[used],
        last[used],
        volume[used],
        trades[used],
        is_buy[used],
        is_market[used],
        chance[used],
    )


def _slots(lots: Keys, number: Integers, place: Integers) -> Integers:
    """Places on the grid, ascending; beyond `number` of them the value means nothing."""
    rank = lots.argsort(axis=1, kind="stable").argsort(axis=1, kind="stable")
    slots: Integers = np.sort(np.where(rank < number, place, lots.shape[1]), axis=1)
    return slots


def _trades(lots: Keys, spare: Integers, used: Booleans) -> Integers:
    """One trade for each moment that is used, and the spare ones by lot."""
    weights = ((lots >> np.uint64(60)).astype(np.int64) + 1) * used
    reached = weights.cumsum(axis=1)
    edges = reached * spare // reached[:, -1:]
    spared: Integers = np.diff(edges, axis=1, prepend=0)
    return spared + used


def _volumes(lots: Keys, candles: Candles, trades: Integers, is_last: Booleans) -> Integers:
    """At least 1e-8 for each trade, and the spare volume by lot."""
    spare = (candles.volume - candles.trades)[:, None]
    weights = ((lots >> np.uint64(56)).astype(np.int64) + 8) * trades
    reached = weights.cumsum(axis=1)
    edges = np.minimum((reached / reached[:, -1:] * spare).astype(np.int64), spare)
    edges = np.where(is_last, spare, edges)
    return np.diff(edges, axis=1, prepend=0) + trades


def _ends(lots: Keys, choices: Keys, candles: Candles, number: Integers, place: Integers) -> Integers:
    """Price at the end of each moment: from open over the extremes to close, straight but for some noise."""
    open_, close = candles.open[:, None], candles.close[:, None]
    high, low = candles.high[:, None], candles.low[:, None]
    one, two = _turning_places(choices, number)
    at_one, at_two = _turning_prices(choices[:, 2:3], candles, number)
    final = number - 1
    straight = np.where(
        place <= one,
        _between(open_, at_one, place, one),
        np.where(place <= two, _between(at_one, at_two, place - one, two - one), 0.0),
    )
    straight = np.where(place > two, _between(at_two, close, place - two, final - two), straight)
    noise = (units(lots) - 0.5) * ROUGHNESS * (high - low)
    ends = np.clip(np.rint(straight + noise).astype(np.int64), low, high)
    ends = np.where(place == one, at_one, ends)
    ends = np.where(place == two, at_two, ends)
    ends = np.where(place >= final, close, ends)
    return np.where(place == 0, open_, ends)


def _turning_places(choices: Keys, number: Integers) -> tuple[Integers, Integers]:
    """Where the two extremes lie; both between the first and the last moment, as far as there are so many."""
    inner = np.maximum(number - 3, 1)
    one = 1 + (choices[:, :1] >> np.uint64(1)).astype(np.int64) % inner
    two = one + 1 + (choices[:, 1:2] >> np.uint64(1)).astype(np.int64) % np.maximum(number - 2 - one, 1)
    return np.minimum(one, number - 1), np.minimum(two, number - 1)


def _turning_prices(choice: Keys, candles: Candles, number: Integers) -> tuple[Integers, Integers]:
    """The extremes in their order; with a single moment between, the one that is neither open nor close."""
    open_, close = candles.open[:, None], candles.close[:, None]
    high, low = candles.high[:, None], candles.low[:, None]
    high_first = (close < open_) ^ (choice >> np.uint64(61) == 0)
    one, two = np.where(high_first, high, low), np.where(high_first, low, high)
    alone = np.where((high != open_) & (high != close), high, low)
    one = np.where(number <= 2, close, np.where(number == 3, alone, one))
    return one, np.where(number <= 3, close, two)


def _between(start: Integers, end: Integers, steps: Integers, of: Integers) -> Floats:
    share: Floats = steps / np.maximum(of, 1)
    return start + (end - start) * share


def mirrored(moments: Moments) -> tuple[Integers, Integers, Integers]:
    """Volume of one half of each sweep, of the trade in its middle, and what is left (1 or 0) for its last trade."""
    even_share = moments.volume // moments.trades
    middle = (even_share + ((moments.volume - even_share) & 1)) * (moments.trades & 1)
    both = moments.volume - middle
    return both >> 1, middle, both & 1


def spread(moments: Moments, trades_before: int, *, at_once: bool = False) -> Trades:
    """The trades of all moments, in order; their ids go on from `trades_before`.

    Each has a time of its own, or, `at_once`, in half of the small sweeps all have that of the last one.
    """
    owner = np.repeat(np.arange(len(moments.trades)), moments.trades)
    starts = moments.trades.cumsum() - moments.trades
    place = np.arange(len(owner), dtype=np.int64) - starts[owner]
    back: Integers = (moments.trades - 1)[owner] - place
    before_ns: Integers = back * _steps_ns(moments, at_once)[owner]
    return Trades(
        moments.at_ns[owner] - before_ns,
        _prices(moments, owner, place, back),
        _portions(moments, owner, place, back),
        moments.is_buy[owner],
        moments.is_market[owner],
        np.arange(trades_before + 1, trades_before + 1 + len(owner), dtype=np.int64),
    )


def _steps_ns(moments: Moments, at_once: bool) -> Integers:
    """Between two trades. No moment reaches back into the minute before: it would belong to two bars."""
    chance = (moments.key >> np.uint64(20)) % np.uint64(LONGEST_STEP_NS - SHORTEST_STEP_NS)
    room: Integers = moments.at_ns % MINUTE_NS // moments.trades
    steps = np.minimum(SHORTEST_STEP_NS + chance.astype(np.int64), room)
    is_one = at_once & (moments.trades <= MOST_AT_ONCE) & (moments.key >> np.uint64(1) & np.uint64(1) == 0)
    return np.where(is_one, 0, steps)


def _prices(moments: Moments, owner: Integers, place: Integers, back: Integers) -> Integers:
    way = moments.last - moments.first
    gone = np.abs(way)[owner] * np.minimum(place, back) // np.maximum(moments.trades - 1, 1)[owner]
    gone = gone * np.sign(way)[owner]
    middle = (moments.first + moments.last) >> 1
    sides = np.where(place < back, moments.first[owner] + gone, moments.last[owner] - gone)
    prices: Integers = np.where(place == back, middle[owner], sides)
    return prices


def _portions(moments: Moments, owner: Integers, place: Integers, back: Integers) -> Integers:
    half, middle, left = mirrored(moments)
    pairs = moments.trades >> 1
    starts = pairs.cumsum() - pairs
    parts = _parted(half, pairs, starts, moments.key)
    portions: Integers = np.where(place == back, middle[owner], parts[starts[owner] + np.minimum(place, back)])
    return np.where(back == 0, portions + left[owner], portions)


def _parted(total: Integers, number: Integers, starts: Integers, keys: Keys) -> Integers:
    """Each total in `number` parts of 1 or more; one more value at the end, for places without a pair."""
    owner = np.repeat(np.arange(len(number)), number)
    place = np.arange(len(owner), dtype=np.int64) - starts[owner]
    chance = (draws(keys[owner], place + 1) >> np.uint64(44)).astype(np.int64)
    weights = (chance * chance >> 20) + 1  # whole numbers: a sum of floats would hang on the rest of the batch
    reached = np.concatenate([[0], weights.cumsum()])
    base = reached[starts]
    whole = np.maximum(reached[starts + number] - base, 1)
    spare = np.maximum(total - number, 0)
    edges = ((reached[1:] - base[owner]) / whole[owner] * spare[owner]).astype(np.int64)
    edges = np.where(place == number[owner] - 1, spare[owner], np.minimum(edges, spare[owner]))
    parts = np.where(place == 0, edges, edges - np.concatenate([[0], edges[:-1]])) + 1 if len(edges) else edges
    return np.concatenate([parts, [0]])
