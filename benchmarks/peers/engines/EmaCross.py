# mypy: ignore-errors
"""The strategy as freqtrade finds it: a class in a file of its name. ATR of the signal's candle travels in the tag."""

from typing import ClassVar

import numpy as np
from freqtrade.strategy import IStrategy, stoploss_from_absolute

LEVERAGE = 3.0


class EmaCross(IStrategy):
    """Stop and target at 2 and 4 ATR from the entry, through the hooks that freqtrade has for them."""

    INTERFACE_VERSION = 3
    can_short = True
    timeframe = "15m"
    minimal_roi: ClassVar = {"0": 100.0}
    stoploss = -0.99
    use_custom_stoploss = True
    use_custom_roi = True
    use_exit_signal = False
    process_only_new_candles = True
    startup_candle_count = 0

    def populate_indicators(self, frame, metadata):
        close, before = frame["close"], frame["close"].shift(1)
        frame["fast"] = close.ewm(span=20, adjust=False).mean()
        frame["slow"] = close.ewm(span=50, adjust=False).mean()
        reach = np.fmax((frame["high"] - before).abs(), (frame["low"] - before).abs())
        frame["atr"] = np.fmax(frame["high"] - frame["low"], reach).ewm(alpha=1 / 14, adjust=False).mean()
        return frame

    def populate_entry_trend(self, frame, metadata):
        above = frame["fast"] > frame["slow"]
        crossed = (above != above.shift(1, fill_value=False)) & (np.arange(len(frame)) >= 50)
        frame.loc[crossed & above, "enter_long"] = 1
        frame.loc[crossed & ~above, "enter_short"] = 1
        frame.loc[crossed, "enter_tag"] = frame.loc[crossed, "atr"].map(repr)
        return frame

    def populate_exit_trend(self, frame, metadata):
        return frame

    def leverage(self, pair, current_time, current_rate, proposed_leverage, max_leverage, entry_tag, side, **more):
        return LEVERAGE

    def custom_stake_amount(self, pair, current_time, current_rate, proposed_stake, min_stake, max_stake, leverage,
                            entry_tag, side, **more):  # fmt: skip
        equity = self.wallets.get_total_stake_amount()
        return min(equity * 0.01 / (2 * float(entry_tag) / current_rate), equity) / leverage

    def custom_stoploss(self, pair, trade, current_time, current_rate, current_profit, after_fill, **more):
        distance = 2 * float(trade.enter_tag)
        stop = trade.open_rate + (distance if trade.is_short else -distance)
        return stoploss_from_absolute(stop, current_rate, is_short=trade.is_short, leverage=trade.leverage)

    def custom_roi(self, pair, trade, current_time, trade_duration, entry_tag, side, **more):
        distance = 4 * float(trade.enter_tag)
        return trade.calc_profit_ratio(trade.open_rate + (-distance if trade.is_short else distance))
