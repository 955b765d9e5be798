"""The lines that are drawn."""

import numpy as np
import polars as pl
import pytest

from reports.curves import MOST_ROWS, curves, holding_usd, thinned
from reports.model import EQUITY_SCHEMA


def test_holding_is_bought_at_the_first_open_and_marked_at_every_close(make_view):
    view = make_view(instruments=("BTC/USD",))
    candles = view.candles["BTC/USD"]
    held = holding_usd(view)
    assert held[0] == pytest.approx(100_000 * candles["close"][0] / candles["open"][0])
    assert held[8] == held[7] == held[6]  # the two candles that are missing
    assert holding_usd(make_view(candles={})).size == 0
    assert holding_usd(make_view(candles={"BTC/USD": candles.clear()})).size == 0


def test_too_long_an_equity_keeps_its_extremes_and_invents_nothing():
    count = 3 * MOST_ROWS
    values = np.sin(np.arange(count) / 7) * 1e4 + np.arange(count)
    at = pl.Series(np.arange(count) * 900_000_000).cast(pl.Datetime("us", "UTC"))
    equity = pl.DataFrame({"at": at, "equity_usd": values, "drawdown_percent": np.zeros(count)}, schema=EQUITY_SCHEMA)
    thin = thinned(equity)
    assert thin.height <= MOST_ROWS
    assert thin["equity_usd"].max() == values.max()
    assert thin["equity_usd"].min() == values.min()
    assert thin.row(0) == equity.row(0)
    assert thin.row(-1) == equity.row(-1)
    assert thin["at"].is_sorted()
    assert set(thin.rows()) <= set(equity.rows())


def test_a_run_without_candles_has_nothing_to_hold(make_view):
    drawn = curves(make_view(candles={}))
    assert drawn["held_usd"].is_null().all()
    assert drawn["equity_usd"].to_list() == make_view().equity["equity_usd"].to_list()
