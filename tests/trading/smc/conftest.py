"""A series folded by the kernel as machine code."""

from collections.abc import Callable

import pytest

from trading.smc.fold import Fold, fold
from trading.smc.layout import Series
from trading.smc.parameters import Parameters
from trading.smc.state import begin

CANDLE_US = 4 * 3_600_000_000
DEFAULTS = Parameters()


@pytest.fixture(scope="session")
def folded(kernel) -> Callable[..., Fold]:
    """From the first candle of a series."""

    def fold_all(series: Series, parameters: Parameters = DEFAULTS, candle_us: int = CANDLE_US) -> Fold:
        return fold(begin(parameters, candle_us), series, kernel)

    return fold_all
