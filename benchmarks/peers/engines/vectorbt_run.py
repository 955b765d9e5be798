# mypy: ignore-errors
"""vectorbt: `Portfolio.from_signals`, and its broadcasting for a sweep.

The entry stands at the close of the signal's candle, which is the next open in these candles, so that stop and target
are looked at from the next candle on, as elsewhere. The second call counts: the first compiles.
"""

import numpy as np
import pandas as pd
import vectorbt as vbt
from shared import CASH_USD, FEE, MOST_NOTIONAL, RISK, SLIPPAGE, STOP, TARGET, is_sweep, market, say, spaces, timed

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


def sweep(given):
    trades, final = 0, []
    sets = spaces()
    for first in range(0, len(sets), COLUMNS):
        stops, targets = zip(*sets[first : first + COLUMNS], strict=True)
        more, values = simulate(given, stops, targets)
        trades += more
        final.extend(values)
    return trades, final


given = market()
if is_sweep():
    stops, targets = zip(*spaces()[:COLUMNS], strict=True)
    simulate(type(given)(*(column[:1_000] for column in given)), stops, targets)
    seconds, (trades, final) = timed(lambda: sweep(given))
else:
    simulate(given, [STOP], [TARGET])
    seconds, (trades, final) = timed(lambda: simulate(given, [STOP], [TARGET]))
say(vbt.__version__, seconds, trades, float(final[0]))
