"""What calls the kernel: folded over history, or stepped at a close.

`advance` is the kernel's source. It runs as it is, interpreted, or as machine code: whoever has a compiler and a place
to keep what it makes hands in the compiled one, as with the engine. Both do the same to the bit.
"""

from typing import NamedTuple

import numpy as np

from trading.errors import InputUnusable
from trading.smc.kernel import advance
from trading.smc.layout import ROW, ZONE, Candle, Kernel, Records, Series, State, copied

AT_ONCE = 65_536  # candles between two looks at how many zones have ended
MOST_ENDED = 4  # zones that can open, and so end, for each candle: a gap, a block, a pool of highs and one of lows


class Fold(NamedTuple):
    """What a span of candles came to. `rows.trend` is a column, `rows[0].trend` a number of one row."""

    state: State
    rows: Records  # one Row for each candle
    ended: Records  # every Zone that ended in the span, in the order of their ends


def fold(state: State, series: Series, kernel: Kernel = advance) -> Fold:
    """The rows of a span of candles that follows what `state` has seen, and the zones that ended in it.

    `kernel` is `advance` or machine code made of it. `state` stays as it is; the new one goes on from here, and a
    series folded in pieces comes to the same, bit for bit, as in one.

    Raises:
        InputUnusable: candles that are no candles, or not in the order of time, or not after those before.
    """
    state = State._make(copied(part) for part in state)
    series = Series._make(np.ascontiguousarray(column) for column in series)
    if any(column.size != series.opened_at.size for column in series):
        raise InputUnusable("The columns of a series are of different lengths.")
    rows = np.empty(series.close.size, ROW)
    ended = []
    for start in range(0, max(series.close.size, 1), AT_ONCE):
        span = slice(start, start + AT_ONCE)
        piece = Series._make(column[span] for column in series)
        room = np.empty(state.zones.size + MOST_ENDED * piece.close.size, ZONE)
        number = kernel(state, piece, rows[span], room)
        if number < 0:
            refuse(series, start - number - 1, state)
        ended.append(copied(room[:number]))
    whole = ended[0] if len(ended) == 1 else np.concatenate(ended)
    return Fold(state, rows.view(np.recarray), whole.view(np.recarray))


def step(state: State, candle: Candle, kernel: Kernel = advance) -> Fold:
    """One candle at its close: a fold over it alone. `candle.closed_at` must be what the state's length makes it.

    Raises:
        InputUnusable: as `fold`.
    """
    assert candle.closed_at - candle.opened_at == state.core["candle_us"][0]
    opened_at, _, *prices = candle
    return fold(state, Series(np.array([opened_at]), *np.array(prices).reshape(-1, 1)), kernel)


def refuse(series: Series, number: int, state: State) -> None:
    """Raise InputUnusable for the candle at which the kernel stopped."""
    at = series.opened_at[number]
    if at <= state.core["opened_at"][0]:
        raise InputUnusable(
            f"The candle that opened at {at} µs comes too late: candles must be in the order of their opens, each once,"
            " and after those folded before."
        )
    raise InputUnusable(
        f"The candle that opened at {at} µs has prices or a volume that can't be: mend or leave it out."
    )
