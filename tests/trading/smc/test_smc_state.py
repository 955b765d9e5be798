"""What the kernel refuses: parameters that make no sense, candles that are none, states of another kind."""

import numpy as np
import pytest

from trading.errors import InputUnusable
from trading.smc.fold import fold, step
from trading.smc.layout import Candle, Series
from trading.smc.parameters import Parameters
from trading.smc.state import begin, restore, save

CANDLE_US = 900_000_000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("swing_before", 0), ("swing_after", 61), ("atr_period", 0), ("equal_atr", -0.1), ("gap_atr", float("nan")),
        ("ote_shallow", 0.9), ("ote_deep", 1.1), ("open_zones", 17), ("restart_after", -1), ("asia", (9, 9)),
        ("london", (7, 25)),
    ],
)  # fmt: skip
def test_a_parameter_out_of_range_is_named(name, value):
    with pytest.raises(InputUnusable, match=name if name != "ote_shallow" else "ote"):
        Parameters(**{name: value})


def candles(count=3, **changes):
    flat = np.full(count, 10.0)
    columns = {"opened_at": np.arange(1, count + 1) * CANDLE_US, "open": flat, "high": flat + 1, "low": flat - 1}
    return Series(**{**columns, "close": flat, "volume": flat, **changes})


@pytest.mark.parametrize(
    "nonsense",
    [
        {"high": np.array([11, 9.5, 11])}, {"low": np.array([9, 9, 10.5])}, {"close": np.array([10, np.nan, 10])},
        {"high": np.array([11, np.inf, 11])}, {"volume": np.array([1, -1, 1])},
    ],
)  # fmt: skip
def test_a_candle_that_can_not_be_is_refused_and_named(nonsense):
    with pytest.raises(InputUnusable, match="opened at"):
        fold(begin(Parameters(), CANDLE_US), candles(**nonsense))


def test_candles_out_of_order_twice_or_before_the_state_are_refused():
    state = begin(Parameters(), CANDLE_US)
    for opened_at in (np.array([1, 3, 2]), np.array([1, 2, 2])):
        with pytest.raises(InputUnusable, match="order"):
            fold(state, candles(opened_at=opened_at * CANDLE_US))
    seen = fold(state, candles())
    with pytest.raises(InputUnusable, match="after those"):
        fold(seen.state, candles())


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(InputUnusable, match="lengths"):
        fold(begin(Parameters(), CANDLE_US), candles(close=np.array([10.0])))


def test_a_state_of_other_parameters_or_other_bytes_is_refused():
    saved = save(fold(begin(Parameters(), CANDLE_US), candles()).state)
    assert save(restore(saved, Parameters(), CANDLE_US)) == saved
    for wrong, parameters, candle_us in (
        (saved, Parameters(equal_atr=0.2), CANDLE_US),
        (saved, Parameters(asia=(1, 9)), CANDLE_US),
        (saved, Parameters(), 2 * CANDLE_US),
        (saved[:-1], Parameters(), CANDLE_US),
        (b"", Parameters(), CANDLE_US),
    ):
        with pytest.raises(InputUnusable, match="first candle"):
            restore(wrong, parameters, candle_us)


def test_a_candle_lasts_some_time():
    with pytest.raises(InputUnusable, match="last"):
        begin(Parameters(), 0)


def test_a_fold_leaves_the_state_it_began_with_as_it_is():
    state = begin(Parameters(), CANDLE_US)
    before = save(state)
    fold(state, candles())
    assert save(state) == before


def test_a_step_is_a_fold_over_one_candle():
    state = begin(Parameters(), CANDLE_US)
    whole = fold(state, candles())
    rows = b""
    for values in zip(*candles(), strict=True):
        opened_at, *prices = (value.item() for value in values)
        stepped = step(state, Candle(opened_at, opened_at + CANDLE_US, *prices))
        state, rows = stepped.state, rows + stepped.rows.tobytes()
    assert rows == whole.rows.tobytes()
    assert save(state) == save(whole.state)


def test_no_candles_change_nothing():
    nothing = fold(begin(Parameters(), CANDLE_US), candles(0))
    assert (len(nothing.rows), len(nothing.ended)) == (0, 0)
    assert save(nothing.state) == save(begin(Parameters(), CANDLE_US))
