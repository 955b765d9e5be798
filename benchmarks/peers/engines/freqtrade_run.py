# mypy: ignore-errors
"""freqtrade: its backtesting on files, without a network: the market's list and leverage tiers are given to it.

It has no slippage: a fee of 6 bps stands for 5 bps and 1 bp of slippage. The time is of its indicators and its loop.
"""

import contextlib
import io
import json
import logging
import shutil
import tempfile
from pathlib import Path

import freqtrade
import pandas as pd
from freqtrade.configuration import Configuration
from freqtrade.data.history import get_datahandler
from freqtrade.enums import CandleType, RunMode
from freqtrade.exchange import Exchange
from freqtrade.optimize.backtesting import Backtesting
from shared import CASH_USD, FEE, SLIPPAGE, market, say, timed

PAIR = "BTC/USD:USD"
LIMITS = {"min": None, "max": None}
CONTRACT = {
    "id": "PF_XBTUSD", "symbol": PAIR, "base": "BTC", "quote": "USD", "settle": "USD", "baseId": "XBT",
    "quoteId": "USD", "settleId": "USD", "type": "swap", "spot": False, "margin": False, "swap": True, "future": False,
    "option": False, "index": False, "active": True, "contract": True, "linear": True, "inverse": False,
    "contractSize": 1.0, "taker": FEE, "maker": FEE, "precision": {"amount": 1e-6, "price": 0.01}, "info": {},
    "limits": {"amount": {"min": 1e-6, "max": None}, "price": LIMITS, "cost": LIMITS,
               "leverage": {"min": None, "max": 50}},
}  # fmt: skip
TIER = {"minNotional": 0, "maxNotional": 1e12, "maintenanceMarginRate": 0.01, "maxLeverage": 50, "info": {"cum": 0}}


def offline():
    """Have freqtrade know the one market without asking for it."""

    def load(self, reload=False):
        currencies = {code: {"id": code, "code": code, "precision": 1e-8} for code in ("USD", "BTC")}
        self._api_async.set_markets([CONTRACT], currencies)

    Exchange._load_async_markets = load
    Exchange.get_leverage_tiers = lambda self: {PAIR: [TIER]}


def write_files(given, folder):
    """Candles, mark prices and funding of 0, as freqtrade keeps them."""
    (folder / "futures").mkdir(parents=True)
    handler = get_datahandler(folder, "feather")
    columns = {name: getattr(given, name) for name in ("open", "high", "low", "close", "volume")}
    candles = pd.DataFrame({"date": pd.to_datetime(given.opened_s, unit="s", utc=True), **columns})
    handler.ohlcv_store(PAIR, "15m", candles, CandleType.FUTURES)
    how = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    hours = candles.set_index("date").resample("1h").agg(how).dropna().reset_index()
    handler.ohlcv_store(PAIR, "1h", hours, CandleType.MARK)
    handler.ohlcv_store(PAIR, "1h", hours[["date"]].assign(funding_rate=0.0), CandleType.FUNDING_RATE)


def configuration(root, folder):
    """That of a backtest on one market."""
    pricing = {"price_side": "same", "use_order_book": False}
    said = {
        "max_open_trades": 1, "stake_currency": "USD", "stake_amount": "unlimited", "tradable_balance_ratio": 0.99,
        "dry_run": True, "dry_run_wallet": CASH_USD, "trading_mode": "futures", "margin_mode": "isolated",
        "timeframe": "15m", "pairlists": [{"method": "StaticPairList"}], "entry_pricing": pricing,
        "exit_pricing": pricing, "dataformat_ohlcv": "feather", "dataformat_trades": "feather",
        "exchange": {"name": "krakenfutures", "pair_whitelist": [PAIR], "pair_blacklist": []},
    }  # fmt: skip
    file = root / "config.json"
    file.write_text(json.dumps(said))
    (root / "strategies").mkdir()
    arguments = {
        "config": [str(file)], "strategy": "EmaCross", "strategy_path": str(Path(__file__).parent),
        "datadir": str(folder), "user_data_dir": str(root), "export": "none", "backtest_cache": "none",
        "fee": FEE + SLIPPAGE,
    }  # fmt: skip
    return Configuration(arguments, RunMode.BACKTEST).get_config()


def simulate(backtesting, data, span):
    strategy = backtesting.strategylist[0]
    backtesting._set_strategy(strategy)
    backtesting.backtest_one_strategy(strategy, data, span)
    return next(iter(backtesting.all_bt_content.values()))


logging.disable(logging.CRITICAL)
offline()
root = Path(tempfile.mkdtemp(prefix="freqtrade-"))
try:
    write_files(market(), root / "data")
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        backtesting = Backtesting(configuration(root, root / "data"))
        data, span = backtesting.load_bt_data()
        seconds, done = timed(lambda: simulate(backtesting, data, span))
finally:
    shutil.rmtree(root)
say(freqtrade.__version__, seconds, len(done["results"]), done["final_balance"])
