"""A small run to report on: hourly candles, one trade every ten of them."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from chromium import Browser, executable, opened

from reports.model import (
    CANDLE_SCHEMA,
    EQUITY_SCHEMA,
    TRADE_SCHEMA,
    ZONE_SCHEMA,
    BacktestView,
    intervals_of,
    metrics_of,
)
from trading.metrics.returns import drawdown_percent

BEGIN = datetime(2023, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
STARTING_USD = 100_000.0


@pytest.fixture(scope="session")
def make_view() -> Callable[..., BacktestView]:
    return view_of


@pytest.fixture(scope="session")
def make_zones() -> Callable[..., pl.DataFrame]:
    return zone_frame


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Without one on this machine nobody gets here: `tests/without_browser.py`."""
    program = executable()
    assert program
    with opened(program, tmp_path_factory.mktemp("browser")) as browser:
        yield browser


def view_of(
    *,
    instruments: tuple[str, ...] = ("BTC/USD", "ETH/USD"),
    candle_count: int = 60,
    trade_count: int = 5,
    win_usd: float = -800.25,
    others_usd: float | None = None,
    **changes: object,
) -> BacktestView:
    """Trades in turn on the instruments; `changes` replace fields of the view.

    Each nets `win_usd`; with `others_usd` two of four net that.
    """
    others = win_usd if others_usd is None else others_usd
    frame = trade_frame(instruments, trade_count, (win_usd, win_usd, others, others))
    equity = equity_frame(candle_count, frame)
    given = {
        "title": "EMA cross",
        "strategy": "signals_ema_cross",
        "strategy_sql": "select 1",
        "timeframe": "1h",
        "timeframe_us": 3_600_000_000,
        "run_id": "3f9a1c5b",
        "created_at": datetime(2023, 7, 1, 12, 30, tzinfo=UTC),
        "hashes": {"strategy": "aa11", "data": "bb22"},
        "code_version": "0.1.0",
        "command": "slipway backtest sql/marts/signals_ema_cross.sql",
        "data_sources": ("Kraken archive, 60 candles.",),
        "assumptions": ("No funding is paid.", "Stop first."),
        "configuration": (("risk per trade", "1 %"),),
        "metrics": metrics_of(frame, equity, STARTING_USD),
        "intervals": intervals_of(frame, equity, STARTING_USD, "3f9a1c5b"),
        "candles": {name: candle_frame(candle_count, 100.0 * (i + 1)) for i, name in enumerate(instruments)},
        "trades": frame,
        "equity": equity,
    }
    return BacktestView(**(given | changes))  # type: ignore[arg-type]


def candle_frame(count: int, price: float) -> pl.DataFrame:
    """Candles that wave around a price, two of them missing, EMA 20 warm from the twentieth on."""
    opened_at = [BEGIN + HOUR * i for i in range(count + 2) if i not in (7, 8)]
    wave = np.round(price + 5 * np.sin(np.arange(count)), 2)
    frame = pl.DataFrame(
        [opened_at, wave, wave + 1.5, wave - 1.25, wave + 0.5, np.abs(np.cos(np.arange(count))) * 1e3],
        schema=CANDLE_SCHEMA,
    )
    return frame.with_columns(ema_20=pl.when(pl.int_range(pl.len()) >= 19).then(pl.col("close").rolling_mean(20)))


def trade_frame(instruments: tuple[str, ...], count: int, net_usd: tuple[float, ...]) -> pl.DataFrame:
    rows = [
        {
            "trade_no": i + 1,
            "instrument": instruments[i % len(instruments)],
            "side": "long" if i % 2 else "short",
            "quantity_base": 0.1234,
            "signal_at": BEGIN + HOUR * (10 * i + 1),
            "entered_at": BEGIN + HOUR * (10 * i + 1) + timedelta(microseconds=250_001),
            "entry_price": 101.25,
            "stop_price": 99.0 if i else None,
            "target_price": 105.5,
            "exited_at": BEGIN + HOUR * (10 * i + 5),
            "exit_price": 99.0,
            "exit_reason": "stop",
            "gross_pnl_usd": net_usd[i % len(net_usd)] + 10.125 + 1 / 3 + 0.125,
            "fees_usd": 10.125,
            "slippage_usd": 1.0 / 3.0,
            "net_pnl_usd": net_usd[i % len(net_usd)],
            "r_multiple": -1.1 if i else None,
            "ambiguous": i == 2,
            "mae_usd": 900.5,
            "mfe_usd": 120.0 + i,
            "mae_r": 1.2 if i else None,
            "mfe_r": 0.15 if i else None,
            "spread_usd": 0.25,
            "funding_usd": -0.125,
        }
        for i in range(count)
    ]
    return pl.DataFrame(rows, schema=TRADE_SCHEMA)


def zone_frame(*trades: tuple[int, ...]) -> pl.DataFrame:
    """An order block each for the trades of these numbers; the last is a bearish gap that is still open."""
    rows = [
        {
            "instrument": "BTC/USD",
            "kind": "fair value gap" if number == len(trades) else "order block",
            "side": "bearish" if number == len(trades) else "bullish",
            "born_at": BEGIN,
            "known_at": BEGIN + HOUR * number,
            "ended_at": None if number == len(trades) else BEGIN + HOUR * 20 * number,
            "bottom": 99.5,
            "top": 101.1 + number / 3,
            "trades": list(numbers),
        }
        for number, numbers in enumerate(trades, start=1)
    ]
    return pl.DataFrame(rows, schema=ZONE_SCHEMA)


def equity_frame(candles: int, trades: pl.DataFrame) -> pl.DataFrame:
    closed_at = [BEGIN + HOUR * (i + 1) for i in range(candles)]
    finished = trades["exited_at"].to_list()
    net = trades["net_pnl_usd"].to_list()
    equity = np.array([
        STARTING_USD + sum(gain for at, gain in zip(finished, net, strict=True) if at <= now) for now in closed_at
    ])  # fmt: skip
    return pl.DataFrame([closed_at, equity, drawdown_percent(equity, STARTING_USD)], schema=EQUITY_SCHEMA)
