# mypy: ignore-errors
"""vectorbt: `Portfolio.from_signals`, and its broadcasting for a sweep.

The entry stands at the close of the signal's candle, which is the next open in these candles, so that stop and target
are looked at from the next candle on, as elsewhere. A first call, on few candles, compiles and is not in the time.
"""

import numpy as np
import pandas as pd
import vectorbt as vbt
from shared import CASH_USD, FEE, MOST_NOTIONAL, RISK, SLIPPAGE, STOP, TARGET, Market, market, say, sets, timed

COLUMNS = 50  # sets at a time: all at once would need more memory than there is


def simulate(given, stops, targets):
    """Trades and final equity; a column for each stop and target, in ATR."""
    frame = pd.DataFrame(given._asdict(), index=pd.to_datetime(given.opened_s, unit="s"))
    unit = (frame["atr"] / frame["close"]).to_numpy()[:, None]
    stop, target = (pd.DataFrame(unit * np.asarray(times), index=frame.index) for times in (stops, targets))
    portfolio = vbt.Portfolio.from_signals(
        frame["close"],
        open=frame["open"],
        high=frame["high"],
        low=frame["low"],
        entries=frame["side"] == 1,
        short_entries=frame["side"] == -1,
        price=frame["close"],
        size=(RISK / stop).clip(upper=MOST_NOTIONAL),
        size_type="percent",
        sl_stop=stop,
        tp_stop=target,
        fees=FEE,
        slippage=SLIPPAGE,
        stop_entry_price="fillprice",
        stop_exit_price="stopmarket",
        upon_opposite_entry="ignore",
        accumulate=False,
        init_cash=CASH_USD,
        freq="15min",
    )
    return len(portfolio.trades.records), np.ravel(portfolio.final_value())


def sweep(given, wanted):
    trades, final = 0, []
    for first in range(0, len(wanted), COLUMNS):
        stops, targets = zip(*wanted[first : first + COLUMNS], strict=True)
        more, values = simulate(given, stops, targets)
        trades += more
        final.extend(values)
    return trades, final


given = market()
wanted = sets() or [(STOP, TARGET)]
sweep(Market(*(column[:1_000] for column in given)), wanted[:COLUMNS])
seconds, (trades, final) = timed(lambda: sweep(given, wanted))
say(vbt.__version__, seconds, trades, final[0])
