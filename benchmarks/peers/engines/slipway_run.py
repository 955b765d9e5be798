# mypy: ignore-errors
"""Ours: `exchange.simulator.fold`, compiled, with every guard and cost, on the candles and signals of the others.

The fastest of five calls counts, after one that loads the machine code. A sweep makes the signals of each set anew.
"""

import numpy as np
from shared import STOP, TARGET, market, say, sets, timed

from benchmarks.engine import CASH_USD, RULES, candle_rows, signal_rows
from config.settings import load_settings
from exchange.compiling import compiled, machine_code_in
from exchange.rows import NO_FUNDING, Costs, Fill
from exchange.simulator import fold
from tasks.provenance import code_version
from trading.model import E8, Role, equity_e8, opening


def simulate(stop, target):
    """Trades and final equity of one set."""
    signals = signal_rows(candles, given.side, given.atr, stop, target)
    account, fills, *_ = engine(opening(CASH_USD * E8), rules, Costs(100, 250_000), candles, signals, NO_FUNDING)
    entries = np.count_nonzero(fills[:, Fill._fields.index("role")] == Role.ENTRY)
    return entries, equity_e8(account) / E8


given = market()
candles = candle_rows((given.open, given.high, given.low, given.close))
rules = np.array([RULES], np.int64)
engine = compiled(fold, machine_code_in(load_settings().paths.state))
simulate(STOP, TARGET)
if sets():
    seconds, results = timed(lambda: [simulate(*each) for each in sets()])
    trades, final_usd = sum(each for each, _ in results), results[0][1]
else:
    seconds, (trades, final_usd) = min(timed(lambda: simulate(STOP, TARGET)) for _ in range(5))
say(code_version(), seconds, trades, final_usd)
