"""The kernel as machine code, and a series folded by it."""

from collections.abc import Callable

import numpy as np
import pytest

from exchange.compiling import ROOT, compiled
from trading.smc.fold import Fold, fold
from trading.smc.kernel import advance
from trading.smc.layout import Series
from trading.smc.parameters import Parameters
from trading.smc.state import begin

CANDLE_US = 4 * 3_600_000_000
DEFAULTS = Parameters()
NOTHING = Series(np.empty(0, np.int64), *(np.empty(0),) * 5)


@pytest.fixture(scope="session")
def kernel() -> Callable[..., int]:
    """Made here, so that no test is charged with it, and kept where the engine's machine code is."""
    function = compiled(advance, ROOT / ".slipway" / "compiled")
    function(begin(DEFAULTS, CANDLE_US), NOTHING, *fold(begin(DEFAULTS, CANDLE_US), NOTHING)[1:])
    return function


@pytest.fixture(scope="session")
def folded(kernel) -> Callable[..., Fold]:
    """From the first candle of a series."""

    def fold_all(series: Series, parameters: Parameters = DEFAULTS, candle_us: int = CANDLE_US) -> Fold:
        return fold(begin(parameters, candle_us), series, kernel)

    return fold_all
