# mypy: ignore-errors
"""nautilus_trader 1.x: `BacktestEngine` on bars, with its own indicators and bracket orders.

Volume is many times what it was, since its fills are capped by the volume of a bar: so the work is the same. Stop and
target hang on the close of the signal's bar. Making bars of the frame is not in the time.
"""

from decimal import Decimal

import nautilus_trader
import pandas as pd
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.backtest.models import FillModel
from nautilus_trader.config import LoggingConfig, RiskEngineConfig, StrategyConfig
from nautilus_trader.indicators import AverageTrueRange, ExponentialMovingAverage, MovingAverageType
from nautilus_trader.model.currencies import BTC, USD
from nautilus_trader.model.data import BarType
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide, TimeInForce
from nautilus_trader.model.identifiers import InstrumentId, Symbol, TraderId, Venue
from nautilus_trader.model.instruments import CryptoPerpetual
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.persistence.wranglers import BarDataWrangler
from nautilus_trader.trading.strategy import Strategy
from shared import CASH_USD, FEE, MOST_NOTIONAL, RISK, STOP, TARGET, WARM, market, say, timed

VENUE = Venue("KRAKEN")
PERPETUAL = InstrumentId(Symbol("PF_XBTUSD"), VENUE)
BARS = BarType.from_str(f"{PERPETUAL}-15-MINUTE-LAST-EXTERNAL")
CONTRACT = CryptoPerpetual(
    instrument_id=PERPETUAL,
    raw_symbol=PERPETUAL.symbol,
    base_currency=BTC,
    quote_currency=USD,
    settlement_currency=USD,
    is_inverse=False,
    price_precision=2,
    size_precision=6,
    price_increment=Price.from_str("0.01"),
    size_increment=Quantity.from_str("0.000001"),
    max_quantity=None,
    min_quantity=None,
    max_notional=None,
    min_notional=None,
    max_price=None,
    min_price=None,
    margin_init=Decimal("0.02"),
    margin_maint=Decimal("0.01"),
    maker_fee=Decimal(str(FEE)),
    taker_fee=Decimal(str(FEE)),
    ts_event=0,
    ts_init=0,
)


class Cross(Strategy):
    """Enter at a cross when flat, with a stop and a target."""

    def __init__(self):
        super().__init__(StrategyConfig())
        self.fast, self.slow = ExponentialMovingAverage(20), ExponentialMovingAverage(50)
        self.atr = AverageTrueRange(14, MovingAverageType.WILDER)
        self.was_above, self.bars, self.is_flat = False, 0, True

    def on_start(self):
        for indicator in (self.fast, self.slow, self.atr):
            self.register_indicator_for_bars(BARS, indicator)
        self.subscribe_bars(BARS)

    def on_bar(self, bar):
        self.bars += 1
        is_above = self.fast.value > self.slow.value
        crossed, self.was_above = is_above != self.was_above, is_above
        if not crossed or self.bars <= WARM or not self.is_flat:
            return
        price, atr, side = bar.close.as_double(), self.atr.value, 1 if is_above else -1
        equity = self.portfolio.account(VENUE).balance_total(USD).as_double()
        size = round(min(equity * RISK / (STOP * atr), equity * MOST_NOTIONAL / price), 6)
        if size < 1e-6:
            return
        self.submit_order_list(
            self.order_factory.bracket(
                instrument_id=PERPETUAL,
                order_side=OrderSide.BUY if is_above else OrderSide.SELL,
                quantity=Quantity(size, 6),
                sl_trigger_price=Price(price - side * STOP * atr, 2),
                tp_price=Price(price + side * TARGET * atr, 2),
                tp_post_only=False,
                time_in_force=TimeInForce.GTC,
            )
        )
        self.is_flat = False

    def on_position_closed(self, event):
        self.is_flat = True

    def on_order_rejected(self, event):
        self.is_flat = self.portfolio.is_flat(PERPETUAL)

    def on_order_denied(self, event):
        self.is_flat = self.portfolio.is_flat(PERPETUAL)


given = market()
frame = pd.DataFrame(
    {name: getattr(given, name).copy() for name in ("open", "high", "low", "close", "volume")},
    index=pd.to_datetime(given.opened_s, unit="s", utc=True),
)
frame["volume"] *= 1e5
engine = BacktestEngine(
    BacktestEngineConfig(
        trader_id=TraderId("BENCH-001"),
        logging=LoggingConfig(bypass_logging=True),
        risk_engine=RiskEngineConfig(bypass=False),
        run_analysis=False,
    )
)
engine.add_venue(
    VENUE,
    OmsType.NETTING,
    AccountType.MARGIN,
    [Money(CASH_USD, USD)],
    base_currency=USD,
    default_leverage=Decimal(10),
    fill_model=FillModel(prob_fill_on_limit=1.0, prob_slippage=1.0, random_seed=1),
    bar_execution=True,
)
engine.add_instrument(CONTRACT)
engine.add_data(BarDataWrangler(BARS, CONTRACT).process(frame))
engine.add_strategy(Cross())
seconds, _ = timed(engine.run)
trades = len(engine.cache.position_snapshots()) + engine.cache.positions_total_count()
say(nautilus_trader.__version__, seconds, trades, engine.portfolio.account(VENUE).balance_total(USD).as_double())
