"""Candles out of nothing, by scenario and seed: for tests, demonstrations and weather that the files do not have."""

from collections.abc import Iterable, Iterator
from itertools import count, islice
from typing import NamedTuple

from exchange.sandbox.market.facts import SpotPair
from exchange.sandbox.market.model import VOLUME_DECIMALS, SourceCandle
from exchange.sandbox.market.noise import draw, key_of, unit
from trading.errors import InputUnusable

STARTING_PRICES_USD = {"BTC/USD": 84_000, "ETH/USD": 2_800, "SOL/USD": 140, "AVAX/USD": 17, "DOGE/USD": 0.15}
ANY_PRICE_USD = 100  # of a pair without an entry above
TURNOVER_USD = 5_000.0  # per trade, on average


class Scenario(NamedTuple):
    """What the candles are like. Moves are shares of the price per candle."""

    drift: float = 0.0
    turn_every: int = 0  # candles, after which the drift turns round; 0: never
    spread: float = 0.002  # standard deviation of a candle's move
    pull: float = 0.02  # of the way back to the starting price, per candle
    trades: int = 200  # per candle, on average
    silence: float = 0.0  # chance that a silence begins after a candle
    longest_silence: int = 0  # candles
    crash_every: int = 0  # candles, once in which there is a crash, by chance when; 0: never
    crash_length: int = 8  # candles
    crash_move: float = -0.035
    recovery_length: int = 32  # candles, in which half of the fall is made good


SCENARIOS = {
    "trend": Scenario(drift=0.0006, turn_every=2_000, pull=0.001),  # from half to twice the starting price
    "range": Scenario(),
    "crash": Scenario(crash_every=672),  # a week of quarter hours
    "gap": Scenario(silence=0.03, longest_silence=24, spread=0.004),
    "thin": Scenario(trades=2, silence=0.5, longest_silence=6, spread=0.003),
}


def generated(
    scenario: str, pairs: Iterable[SpotPair], *, seed: int, opened_ns: int, span_ns: int, candles: int | None = None
) -> Iterator[SourceCandle]:
    """Candles of all pairs in the order that a market takes them, from `opened_ns` on, for `candles` spans or endless.

    Each pair trades in the first span; where a scenario falls silent there is no candle. Raises InputUnusable: there
    is no such scenario.
    """
    if scenario not in SCENARIOS:
        raise InputUnusable(f"There is no scenario {scenario!r}. There are: {', '.join(SCENARIOS)}.")
    crashes = key_of(seed, "crashes")
    paths = [
        _path(
            SCENARIOS[scenario],
            pair,
            _Keys(key_of(seed, pair.instrument, "scenario", scenario), crashes),
            opened_ns,
            span_ns,
        )
        for pair in sorted(pairs)
    ]
    together = zip(*paths, strict=True)
    for row in together if candles is None else islice(together, candles):
        yield from (candle for candle in row if candle is not None)


class _Keys(NamedTuple):
    """What chance decides by: for one pair, and for all together."""

    pair: int
    crashes: int


def _path(
    scenario: Scenario, pair: SpotPair, keys: _Keys, opened_ns: int, span_ns: int
) -> Iterator[SourceCandle | None]:
    """One candle, or None, for each span."""
    start = price = STARTING_PRICES_USD.get(pair.instrument, ANY_PRICE_USD) * 10.0**pair.price_decimals
    silent = 0
    for number in count():
        chances = draw(keys.pair, number)
        crash, activity = _crash(scenario, keys.crashes, number)
        opened = price
        drift = _drift(scenario, number)
        move = drift + crash + scenario.spread * _normal(chances) + scenario.pull * (start - price) / start
        price = max(price * (1 + max(move, -0.5)), 10.0)
        if silent:
            silent -= 1
            yield None
            continue
        yield _candle(scenario, pair, chances, (opened_ns + number * span_ns, span_ns), (opened, price), activity)
        if unit(draw(chances, 20)) < scenario.silence:
            silent = 1 + draw(chances, 21) % scenario.longest_silence


def _drift(scenario: Scenario, number: int) -> float:
    """Upwards first: an endless trend in one direction would leave every price a venue can state."""
    turns = number // scenario.turn_every if scenario.turn_every else 0
    return -scenario.drift if turns % 2 else scenario.drift


def _crash(scenario: Scenario, key: int, number: int) -> tuple[float, int]:
    """Move and activity that a crash adds to a candle. All pairs crash together."""
    if not scenario.crash_every:
        return 0.0, 1
    week, place = divmod(number, scenario.crash_every)
    length = scenario.crash_length + scenario.recovery_length
    after = place - draw(key, week) % (scenario.crash_every - length)
    if 0 <= after < scenario.crash_length:
        return scenario.crash_move, 10
    if scenario.crash_length <= after < length:
        return -scenario.crash_move * scenario.crash_length / scenario.recovery_length / 2, 3
    return 0.0, 1


def _candle(
    scenario: Scenario, pair: SpotPair, chances: int, when: tuple[int, int], way: tuple[float, float], activity: int
) -> SourceCandle:
    open_, close = (max(round(price), 1) for price in way)
    trades = max(round(2 * scenario.trades * activity * unit(draw(chances, 10))), 1)
    reach = scenario.spread * way[0]
    high = max(open_, close) + round(reach * unit(draw(chances, 11)))
    low = max(min(open_, close) - round(reach * unit(draw(chances, 12))), 1)
    if trades == 1:
        open_ = close
    if trades < 4:  # too few to turn at both extremes
        high, low = max(open_, close), min(open_, close)
    usd = TURNOVER_USD * trades * (0.5 + unit(draw(chances, 13)))
    volume = max(int(usd / close * 10 ** (pair.price_decimals + VOLUME_DECIMALS)), trades)
    return SourceCandle(pair.instrument, *when, open_, high, low, close, volume, trades)


def _normal(chances: int) -> float:
    """Standard normal, near enough: the sum of four draws, without tails."""
    return sum(unit(draw(chances, number)) for number in range(1, 5)) * 3**0.5 - 2 * 3**0.5
