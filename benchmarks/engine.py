"""The engine beside a hand-written loop: the rules of `signals_ema_cross` over 1M candles, one core.

Ours is `exchange.simulator.fold`, compiled, on whole numbers, with every guard, order and cost (spread, slippage by
range and size, funding, margin), given candles with their mark, and signals. The floor is one numba loop on floats that
finds the crosses and trades them, with nothing around it. Both are compiled before, run in turn, and judged by the
processor time of their fastest round.
"""

import time
from collections.abc import Callable

import numba
import numpy as np
from numpy.typing import NDArray

from benchmarks.table import Row, against, alone
from config.settings import load_settings
from exchange.compiling import compiled
from exchange.funding import HOUR_US
from exchange.rows import Candle, Costs, Funding, Signal
from exchange.simulator import fold
from trading.indicators.families import Candles
from trading.indicators.needs import parse_need
from trading.indicators.series import calculate
from trading.model import E8, Rules, opening

CANDLES = 1_000_000
CANDLE_US = 900_000_000
SUBSTEPS = 15
ROUNDS = 15
NEEDS = ("ema(20)", "ema(50)", "atr(14)")
HIGHEST_RATIO = 10.0
STOP_ATR, TARGET_ATR = 2.0, 4.0
CASH_USD = 100_000_000  # so that a losing strategy does not run out of lots
FEE, SLIPPAGE = 0.0005, 0.0001
RULES = Rules(
    unit_e8=10_000,
    minimum_lots=1,
    maximum_lots=1_000_000_000,
    taker_fee_ppm=500,
    maker_fee_ppm=200,
    risk_ppm=10_000,
    max_notional_ppm=1_000_000,
    max_positions=1,
    max_daily_loss_ppm=1_000_000,
    max_drawdown_ppm=1_000_000,
    cooldown_us=0,
    initial_ppm=20_000,
    maintenance_ppm=10_000,
    liquidation_buffer_ppm=50_000,
)
COSTS = Costs(
    slippage_ppm=100,
    latency_us=250_000,
    spread_ppm=100,
    range_ppm=10_000,
    impact_ppm=5_000,
    liquidation_fee_ppm=5_000,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def measure() -> list[Row]:
    """Engine time against the floor, and both in candles a second."""
    prices = random_walk(CANDLES)
    candles, signals = tables(prices)
    ours = compiled(fold, load_settings().paths.state / "numba")
    floor = numba.njit(hand_written)
    rules, account = np.array([RULES], np.int64), opening(CASH_USD * E8)
    hours = CANDLES * CANDLE_US // HOUR_US + 1
    funding = Funding(np.full((1, hours), 10**8), 0)
    runs: tuple[Callable[[], object], Callable[[], object]] = (
        lambda: ours(account, rules, COSTS, candles, signals, funding),
        lambda: floor(*prices),
    )
    seconds = [[processor_seconds(run) for run in runs] for _ in range(ROUNDS + 1)][1:]  # the first round compiles
    engine_s, floor_s = (min(column) for column in zip(*seconds, strict=True))
    return [
        against(
            "backtest of signals_ema_cross, 1M candles, engine", engine_s * 1e3, floor_s * 1e3, "ms", HIGHEST_RATIO
        ),
        alone("engine", CANDLES / engine_s / 1e6, "M candles/s"),
        alone("hand-written numba loop", CANDLES / floor_s / 1e6, "M candles/s"),
    ]


def processor_seconds(run: Callable[[], object]) -> float:
    """Processor time of one call."""
    start = time.process_time()
    run()
    return time.process_time() - start


def random_walk(candles: int, seed: int = 20240607) -> tuple[Floats, Floats, Floats, Floats]:
    """Open, high, low, close of seeded geometric Brownian motion, 60 % a year, in whole ticks of 1 USD."""
    steps = np.random.default_rng(seed).standard_normal(candles * SUBSTEPS) * 0.6 / np.sqrt(365 * 24 * 60)
    path = 30_000 * np.exp(np.cumsum(steps)).reshape(candles, SUBSTEPS)
    close = np.maximum(np.rint(path[:, -1]), 1.0)
    opened = np.concatenate(([30_000.0], close[:-1]))
    high = np.maximum(np.rint(path.max(axis=1)), np.maximum(opened, close))
    low = np.maximum(np.minimum(np.rint(path.min(axis=1)), np.minimum(opened, close)), 1.0)
    return opened, high, low, close


def tables(prices: tuple[Floats, Floats, Floats, Floats]) -> tuple[Ints, Ints]:
    """Candles and the crosses' signals, as the engine reads them."""
    candles = candle_rows(prices)
    return candles, signal_rows(candles, *crosses(prices), STOP_ATR, TARGET_ATR)


def candle_rows(prices: tuple[Floats, Floats, Floats, Floats]) -> Ints:
    """Columns of `Candle`."""
    opened_at = np.arange(len(prices[0]), dtype=np.int64) * CANDLE_US
    candles = np.column_stack(
        [
            *(np.zeros_like(opened_at), opened_at, opened_at + CANDLE_US),
            *(price.astype(np.int64) for price in (*prices, *prices[1:])),
            np.full_like(opened_at, 10**9),
        ]
    )
    assert candles.shape[1] == len(Candle._fields)
    return candles


def crosses(prices: tuple[Floats, Floats, Floats, Floats]) -> tuple[Ints, Floats]:
    """For each candle: 1 where the fast average crosses up, -1 down, 0 neither; and ATR(14), 0 while it warms up."""
    _, high, low, close = prices
    opened_at = np.arange(len(close), dtype=np.int64) * CANDLE_US
    series = Candles(opened_at, high, low, close, np.ones_like(close), CANDLE_US)
    fast, slow, width = (values for need in NEEDS for values in calculate(parse_need(need), series).values())
    trend = np.sign(fast - slow)
    has_crossed = np.concatenate(([False], trend[1:] * trend[:-1] < 0))
    return np.where(has_crossed, trend, 0).astype(np.int64), np.nan_to_num(width)


def signal_rows(candles: Ints, side: Ints, width: Floats, stop_atr: float, target_atr: float) -> Ints:
    """Columns of `Signal`, a row per cross."""
    crossed = np.flatnonzero(side)
    stop, target = (np.maximum(np.rint(times * width[crossed]), 1).astype(np.int64) for times in (stop_atr, target_atr))
    none = np.zeros_like(stop)
    known_at = candles[crossed, 2]
    columns = [none, known_at, known_at, side[crossed], candles[crossed, 6], stop, target, *[none] * 5]
    assert len(columns) == len(Signal._fields)
    return np.column_stack(columns)


def hand_written(opened: Floats, high: Floats, low: Floats, close: Floats) -> tuple[int, float]:
    """Indicators, crosses, fills and sizing of the same strategy in one loop of floats: the floor."""
    fast = slow = close[0]
    width = high[0] - low[0]
    was_above = False
    side, quantity, entry, stop, target, waiting, waiting_width = 0, 0.0, 0.0, 0.0, 0.0, 0, 0.0
    equity, trades = float(CASH_USD), 0
    for i in range(close.size):
        if waiting != 0:
            entry = opened[i] * (1 + SLIPPAGE * waiting)
            side = waiting
            waiting = 0
            quantity = min(equity * 0.01 / (2 * waiting_width), equity / entry)
            equity -= quantity * entry * FEE
            stop = entry - side * 2 * waiting_width
            target = entry + side * 4 * waiting_width
            trades += 1
        if side != 0:
            stopped = low[i] <= stop if side > 0 else high[i] >= stop
            reached = high[i] >= target if side > 0 else low[i] <= target
            if stopped:
                price = (min(opened[i], stop) if side > 0 else max(opened[i], stop)) * (1 - SLIPPAGE * side)
                equity += side * quantity * (price - entry) - quantity * price * FEE
                side = 0
            elif reached:
                price = max(opened[i], target) if side > 0 else min(opened[i], target)
                equity += side * quantity * (price - entry) - quantity * price * FEE
                side = 0
        if i > 0:
            fast += 2 / 21.0 * (close[i] - fast)
            slow += 2 / 51.0 * (close[i] - slow)
            true_range = max(high[i] - low[i], max(abs(high[i] - close[i - 1]), abs(low[i] - close[i - 1])))
            width += (true_range - width) / 14.0
        above = fast > slow
        if i >= 50 and above != was_above and side == 0 and i + 1 < close.size:
            waiting = 1 if above else -1
            waiting_width = width
        was_above = above
    return trades, equity
