# mypy: ignore-errors
"""jesse: `research.backtest` in its fast mode, with its own indicators; a 15m route over 1m candles, as it wants them.

The minutes are a path that makes the given candles: open, then low or high, whichever is nearer, the other, close. So
its stops are looked at minute by minute. The first 240 candles are its warm-up, and it has no slippage.
"""

import importlib.metadata

import jesse.helpers
import jesse.indicators as ta
import numpy as np
from jesse import research
from jesse.strategies import Strategy
from shared import CASH_USD, FEE, MOST_NOTIONAL, RISK, STOP, TARGET, market, say, timed

EXCHANGE, SYMBOL = "Binance Perpetual Futures", "BTC-USDT"
MINUTES, WARM_UP = 15, 240


class Cross(Strategy):
    """Enter at a cross when flat."""

    def before(self):
        is_above = ta.ema(self.candles, 20) > ta.ema(self.candles, 50)
        crossed = is_above != self.vars.get("was_above", is_above)
        self.vars["side"] = (1 if is_above else -1) if crossed else 0
        self.vars["was_above"] = is_above

    def should_long(self):
        return self.vars["side"] == 1

    def should_short(self):
        return self.vars["side"] == -1

    def go_long(self):
        self.buy = self._size(), self.price

    def go_short(self):
        self.sell = self._size(), self.price

    def should_cancel_entry(self):
        return True

    def on_open_position(self, order):
        side, size, price = 1 if self.is_long else -1, abs(self.position.qty), self.position.entry_price
        self.stop_loss = size, price - side * STOP * self.atr
        self.take_profit = size, price + side * TARGET * self.atr

    def _size(self):
        self.atr = ta.atr(self.candles, 14)
        return min(self.balance * RISK / (STOP * self.atr), self.balance * MOST_NOTIONAL / self.price)


def minutes(given):
    """Columns of jesse's 1m candles: ms, open, close, high, low, volume."""
    low_first = given.open - given.low < given.high - given.open
    corners = np.column_stack([
        given.open, np.where(low_first, given.low, given.high), np.where(low_first, given.high, given.low), given.close
    ])  # fmt: skip
    path = np.repeat(corners, (1, 5, 5, 5), axis=1)
    opened, closed = path[:, :-1].ravel(), path[:, 1:].ravel()
    at = given.opened_s[0] * 1_000.0 + np.arange(opened.size) * 60_000.0
    high, low = np.maximum(opened, closed), np.minimum(opened, closed)
    return np.column_stack([at, opened, closed, high, low, np.full(opened.size, 1e6)])


def simulate():
    """What a run came to."""
    settings = {
        "starting_balance": CASH_USD, "fee": FEE, "type": "futures", "futures_leverage": 5,
        "futures_leverage_mode": "cross", "exchange": EXCHANGE, "warm_up_candles": WARM_UP,
    }  # fmt: skip
    key, warm = jesse.helpers.key(EXCHANGE, SYMBOL), WARM_UP * MINUTES
    series = {"exchange": EXCHANGE, "symbol": SYMBOL}
    return research.backtest(
        settings,
        [{**series, "strategy": Cross, "timeframe": "15m"}],
        [],
        {key: {**series, "candles": candles[warm:]}},
        warmup_candles={key: {**series, "candles": candles[:warm]}},
        fast_mode=True,
    )["metrics"]


candles = minutes(market())
seconds, metrics = timed(simulate)
say(importlib.metadata.version("jesse"), seconds, metrics["total"], metrics["finishing_balance"])
