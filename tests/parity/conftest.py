"""Random markets that session and backtest both trade, and what is compared of them."""

from collections.abc import Callable

import numpy as np
import pytest

from exchange.rows import Costs, Funding
from ops.journal import JournalReader
from tasks.market import Market
from tasks.recording import REPLAYED, Identity, row_projection
from trading.model import PPM, Rules, opening

BAR_US = 900_000_000
RULES = Rules(
    unit_e8=10_000, minimum_lots=1, maximum_lots=10**9, taker_fee_ppm=500, maker_fee_ppm=200, risk_ppm=10_000,
    max_notional_ppm=PPM, max_positions=2, max_daily_loss_ppm=50_000, max_drawdown_ppm=600_000, cooldown_us=0,
    initial_ppm=20_000, maintenance_ppm=10_000, liquidation_buffer_ppm=100_000,
)  # fmt: skip
COSTS = Costs(
    slippage_ppm=100, latency_us=250_000, spread_ppm=50, range_ppm=10_000, impact_ppm=20_000, participation_ppm=500_000,
    liquidation_fee_ppm=5_000,
)  # fmt: skip
CASH_E8 = 100_000 * 10**8


@pytest.fixture(scope="session")
def random_market() -> Callable[[int, int], Market]:
    """Makes a market of a seed and a number of bars."""
    return market_of


@pytest.fixture(scope="session")
def identity() -> Identity:
    return Identity("signals_test", "0" * 64, ("BTC/USD", "ETH/USD"))


@pytest.fixture(scope="session")
def projection() -> Callable[[JournalReader], str]:
    """All that must not differ between two journals of the same session."""
    return lambda journal: "\n".join(row_projection(row) for row in journal.rows(kinds=REPLAYED))


def market_of(seed: int, length: int) -> Market:
    """Two instruments on a random walk with gaps; signals at any close, some without a stop, some known late."""
    chance = np.random.default_rng(seed)
    candles, signals = [], []
    price = [20_000, 15_000]
    for bar in range(1, length + 1):
        for instrument in range(2):
            if chance.random() < 0.15:
                continue  # nothing traded
            opened = max(50, price[instrument] + int(chance.integers(-200, 200)))
            close = max(50, opened + int(chance.integers(-400, 400)))
            high = max(opened, close) + int(chance.integers(0, 300))
            low = max(1, min(opened, close) - int(chance.integers(0, 300)))
            price[instrument] = close
            at = bar * BAR_US
            mark = (high + int(chance.integers(-20, 20)), max(1, low + int(chance.integers(-20, 20))), close + 5)
            volume = int(chance.integers(0, 10**6))
            candles.append((instrument, at - BAR_US, at, opened, high, low, close, *mark, volume))
            if chance.random() < 0.3:
                signals.append(signal_of(chance, instrument, at, close))
    rates = Funding(chance.integers(-(10**8), 10**8, (2, length // 4 + 1)), 0)
    return Market(table(candles, 11), table(signals, 12), (RULES, RULES), COSTS, opening(CASH_E8), rates)


def signal_of(chance: np.random.Generator, instrument: int, at: int, close: int) -> tuple[int, ...]:
    side = int(chance.choice([1, -1]))
    stop = int(chance.choice([0, 150, 300, 600], p=[0.1, 0.3, 0.3, 0.3]))
    targets = [int(step * chance.integers(100, 300)) if step <= chance.integers(0, 5) else 0 for step in range(1, 5)]
    return (
        instrument,
        at,
        at + int(chance.integers(0, 2)) * BAR_US,
        side,
        close,
        stop,
        *targets,
        int(chance.integers(3)),
        0,
    )


def table(rows: list[tuple[int, ...]], width: int) -> np.ndarray:
    rows = sorted(rows, key=lambda row: (row[2], row[0]))
    return np.array(rows, np.int64).reshape(len(rows), width)
