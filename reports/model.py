"""What a report is made of: plain values and frames, put together by the caller."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from trading.metrics.figures import Metrics, measure
from trading.metrics.intervals import Intervals, bootstrap
from trading.metrics.returns import daily_returns
from trading.metrics.trades import TradeColumns

MOMENT, NUMBER, TEXT = pl.Datetime("us", "UTC"), pl.Float64(), pl.String()

CANDLE_SCHEMA = pl.Schema({
    "opened_at": MOMENT,
    "open": NUMBER,
    "high": NUMBER,
    "low": NUMBER,
    "close": NUMBER,
    "volume": NUMBER,
})  # fmt: skip
INDICATORS = ("ema_20", "ema_50")  # columns a candle frame may have besides; null during warm-up

TRADE_SCHEMA = pl.Schema({
    "trade_no": pl.Int64(),
    "instrument": TEXT,
    "side": TEXT,  # long | short
    "quantity_base": NUMBER,
    "signal_at": MOMENT,
    "entered_at": MOMENT,
    "entry_price": NUMBER,
    "stop_price": NUMBER,  # null: none was set
    "target_price": NUMBER,  # null: none was set
    "exited_at": MOMENT,
    "exit_price": NUMBER,
    "exit_reason": TEXT,  # stop | target | exit | end
    "gross_pnl_usd": NUMBER,
    "fees_usd": NUMBER,
    "slippage_usd": NUMBER,
    "net_pnl_usd": NUMBER,  # after all costs
    "r_multiple": NUMBER,
    "ambiguous": pl.Boolean(),  # the candle of its stop leaves open what came first
    "mae_usd": NUMBER,  # how far the market went against it, while it was open; never negative
    "mfe_usd": NUMBER,  # and for it
    "mae_r": NUMBER,
    "mfe_r": NUMBER,
    "spread_usd": NUMBER,
    "funding_usd": NUMBER,  # paid; less than 0: received
})  # fmt: skip

ZONE_SCHEMA = pl.Schema({
    "instrument": TEXT,
    "kind": TEXT,  # order block | fair value gap
    "side": TEXT,  # bullish | bearish
    "born_at": MOMENT,  # open of the candle that made it
    "known_at": MOMENT,  # the close at which it was found
    "ended_at": MOMENT,  # the close at which it was broken, filled or forgotten; null: still open
    "bottom": NUMBER,
    "top": NUMBER,
    "trades": pl.List(pl.Int64()),  # `trade_no` of those that came back to it
})  # fmt: skip

EQUITY_SCHEMA = pl.Schema({"at": MOMENT, "equity_usd": NUMBER, "drawdown_percent": NUMBER})


@dataclass(frozen=True, kw_only=True, eq=False)
class BacktestView:
    """Everything the report shows. Frames are in order of time and hold the columns of the schemas above."""

    title: str
    strategy: str
    strategy_sql: str
    timeframe: str
    timeframe_us: int
    run_id: str
    created_at: datetime  # aware
    hashes: Mapping[str, str]  # what the run id stands for: strategy, data, configuration, lock file
    code_version: str
    command: str  # repeats the run
    data_sources: tuple[str, ...]  # one sentence each
    assumptions: tuple[str, ...]  # one sentence each
    configuration: tuple[tuple[str, str], ...]
    metrics: Metrics
    intervals: Intervals
    candles: Mapping[str, pl.DataFrame]  # by instrument, in the order of the tabs
    trades: pl.DataFrame
    equity: pl.DataFrame
    decisions: Mapping[str, int] = field(default_factory=dict)  # what became of the signals, and of how many
    lost_to: Mapping[str, int] = field(default_factory=dict)  # of those without room: who had it by a higher rank
    zones: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=ZONE_SCHEMA))  # that were traded on


def metrics_of(trades: pl.DataFrame, equity: pl.DataFrame, starting_usd: float) -> Metrics:
    """Metrics of frames that hold the columns of `TRADE_SCHEMA` and `EQUITY_SCHEMA`."""
    return measure(
        at=equity["at"].dt.epoch("us").to_numpy(),
        equity_usd=equity["equity_usd"].to_numpy(),
        starting_usd=starting_usd,
        trades=trade_columns(trades),
    )


def intervals_of(trades: pl.DataFrame, equity: pl.DataFrame, starting_usd: float, run_id: str) -> Intervals:
    """Intervals of such frames; the same for the same run, as its id, in hex digits, is the seed."""
    daily = daily_returns(equity["at"].dt.epoch("us").to_numpy(), equity["equity_usd"].to_numpy(), starting_usd)
    return bootstrap(daily, trades["r_multiple"].to_numpy(), starting_usd, int(run_id, 16))


def trade_columns(trades: pl.DataFrame) -> TradeColumns:
    """A frame with the columns of `TRADE_SCHEMA`, as the core measures it."""
    return TradeColumns(
        entered_at=trades["entered_at"].dt.epoch("us").to_numpy(),
        exited_at=trades["exited_at"].dt.epoch("us").to_numpy(),
        net_pnl_usd=trades["net_pnl_usd"].to_numpy(),
        fees_usd=trades["fees_usd"].to_numpy(),
        slippage_usd=trades["slippage_usd"].to_numpy(),
        r_multiple=trades["r_multiple"].to_numpy(),  # polars hands out null as NaN
        traded_usd=(trades["quantity_base"] * (trades["entry_price"] + trades["exit_price"])).to_numpy(),
        spread_usd=trades["spread_usd"].to_numpy(),
        funding_usd=trades["funding_usd"].to_numpy(),
    )
