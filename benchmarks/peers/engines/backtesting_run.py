# mypy: ignore-errors
"""backtesting.py: signals and ATR are given as columns; a fractional unit of 1e-6.

Stop and target hang on the close of the signal's candle, not on the fill. A trade that is open at the end is not
counted.
"""

import warnings

import backtesting
import pandas as pd
from backtesting import Strategy
from backtesting.lib import FractionalBacktest
from shared import CASH_USD, FEE, MOST_NOTIONAL, RISK, SLIPPAGE, STOP, TARGET, market, say, timed

UNIT = 1e-6


class Cross(Strategy):
    """Enter at a cross when flat."""

    def init(self):
        self.side = self.I(lambda: given.side.astype(float), plot=False)
        self.atr = self.I(lambda: given.atr * UNIT, plot=False)

    def next(self):
        side = self.side[-1]
        if self.position or side == 0:
            return
        price, atr = self.data.Close[-1], self.atr[-1]
        size = int(min(self.equity * RISK / (STOP * atr), self.equity * MOST_NOTIONAL / price) * 0.999)
        if size < 1:
            return
        enter = self.buy if side > 0 else self.sell
        enter(size=size, sl=price - side * STOP * atr, tp=price + side * TARGET * atr)


def simulate():
    """The statistics of a run."""
    return FractionalBacktest(
        frame, Cross, cash=CASH_USD, spread=SLIPPAGE, commission=FEE, margin=0.2, fractional_unit=UNIT
    ).run()


warnings.filterwarnings("ignore")
given = market()
frame = pd.DataFrame(
    {name.capitalize(): getattr(given, name) for name in ("open", "high", "low", "close", "volume")},
    index=pd.to_datetime(given.opened_s, unit="s"),
)
seconds, statistics = timed(simulate)
say(backtesting.__version__, seconds, int(statistics["# Trades"]), float(statistics["Equity Final [$]"]))
