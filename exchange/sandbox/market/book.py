"""The order book of a market: a declared shape around the last price, a function of the seed, the price and the time.

The last trade was at the best price of the side that its taker took from. The spread is one point, sometimes two or
three. Away from the best, something rests at every second price by chance, more at round ones, and it is another
quantity every five minutes. It depends on nothing else: most of the book stays as it was from one moment to the next.
"""

from typing import NamedTuple

import numpy as np

from exchange.sandbox.market.model import Book, Integers, Level
from exchange.sandbox.market.noise import Keys, draw, draws, unit, units
from exchange.sandbox.units import MINUTE_NS

REFRESHED_NS = 5 * MINUTE_NS
WIDEST_SPREAD = 3
SMALLEST, LARGEST = 0.02, 2.02  # of the typical turnover
ROUND_PRICES = (10, 100)  # points; at each kind three times more rests than at the others


class Touch(NamedTuple):
    """What a book hangs on: the last trade and what usually rests at one price, as price times quantity."""

    last: int
    is_buy: bool
    at_ns: int
    typical_turnover: float


def book_of(key: int, touch: Touch, depth: int) -> Book:
    """At most `depth` levels on either side. There is no bid below a price of one point."""
    bid, ask = _best(key, touch)
    away = np.arange(3 * depth + 16)
    bids, asks = bid - away[:bid], ask + away  # no price is below one point
    prices = np.concatenate([bids, asks])
    chances = draws(key, prices)
    taken = (chances & np.uint64(1)) == 0
    taken[[0, len(bids)]] = True
    levels = list(map(Level, prices[taken].tolist(), _quantities(prices[taken], chances[taken], touch)))
    first_ask = int(np.count_nonzero(taken[: len(bids)]))
    return Book(touch.at_ns, tuple(levels[: min(first_ask, depth)]), tuple(levels[first_ask : first_ask + depth]))


def best_of(key: int, touch: Touch) -> tuple[Level, Level]:
    """The best bid and ask of that book; a bid of nothing at 0 where there is none."""
    bid, ask = _best(key, touch)
    return _level(key, bid, touch) if bid else Level(0, 0), _level(key, ask, touch)


def _best(key: int, touch: Touch) -> tuple[int, int]:
    wide = draw(key, touch.at_ns) % (4 * WIDEST_SPREAD)
    spread = wide if 0 < wide <= WIDEST_SPREAD else 1
    ask = touch.last if touch.is_buy else touch.last + spread
    return max(ask - spread, 0), ask


def _level(key: int, price: int, touch: Touch) -> Level:
    chance = draw(key, price)
    turn = (touch.at_ns + chance % REFRESHED_NS) // REFRESHED_NS
    size = unit(draw(chance, turn))
    quantity = touch.typical_turnover / price * (SMALLEST + (LARGEST - SMALLEST) * (size * size * size))
    for points in ROUND_PRICES:
        quantity *= 1 if price % points else 3
    return Level(price, max(round(quantity), 1))


def _quantities(prices: Integers, chances: Keys, touch: Touch) -> list[int]:
    turns = (touch.at_ns + (chances % np.uint64(REFRESHED_NS)).astype(np.int64)) // REFRESHED_NS
    size = units(draws(chances, turns))
    quantities = touch.typical_turnover / prices * (SMALLEST + (LARGEST - SMALLEST) * (size * size * size))
    for points in ROUND_PRICES:
        quantities *= np.where(prices % points, 1, 3)
    whole: list[int] = np.maximum(np.rint(quantities).astype(np.int64), 1).tolist()
    return whole
