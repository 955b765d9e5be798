"""A series' state: begun, kept as bytes, taken up again."""

import hashlib
from functools import lru_cache

import numpy as np

from trading.errors import InputUnusable
from trading.smc.layout import WINDOW, ZONE, Bar, Core, Kind, Records, Session, State, Swing, Zone, dtype
from trading.smc.parameters import MOST_OPEN_ZONES, Parameters
from trading.smc.series import clear

SEAL = 32  # bytes
_GIVEN = ("candle_us", *Parameters().numbers())
_LAYOUTS = [dtype(record).descr for record in (Core, Bar, Swing, Session, Zone)]
VERSION = 1  # of what the numbers mean; a change of the layout alone is noticed by itself
HOUR_US = 3_600_000_000


def begin(parameters: Parameters, candle_us: int) -> State:
    """State of a series before its first candle; a candle lasts `candle_us`.

    Raises:
        InputUnusable: a candle that lasts no time.
    """
    if candle_us <= 0:
        raise InputUnusable(f"A candle can't last {candle_us} µs.")
    state = State(
        core=np.zeros(1, dtype(Core)),
        window=np.zeros(WINDOW, dtype(Bar)),
        swings=np.zeros(2, dtype(Swing)),
        sessions=np.zeros(3, dtype(Session)),
        zones=np.zeros((2 * len(Kind), MOST_OPEN_ZONES), ZONE),
        counts=np.zeros(2 * len(Kind), np.int64),
    )
    core = state.core[0]
    core.candle_us, core.opened_at = candle_us, -1
    for name, value in parameters.numbers().items():
        core[name] = value
    for session, (start, end) in zip(state.sessions, parameters.sessions().values(), strict=True):
        session.start_us, session.length_us = start * HOUR_US, ((end - start) % 24 or 24) * HOUR_US
    state.sessions["number"] = state.core["day"] = state.core["week"] = -1
    for records, names in (
        (state.sessions, ("high", "low")),
        (state.core, [name for name in core.dtype.names if name.startswith(("day_", "week_", "previous_"))]),
    ):
        for name in names:
            records[name] = np.nan
    clear(core, state.swings)
    return state


def save(state: State) -> bytes:
    """`state` as bytes, of the same length whatever happened before."""
    return _seal(state) + b"".join(part.tobytes() for part in state)


def restore(saved: bytes, parameters: Parameters, candle_us: int) -> State:
    """What `save` made bytes of.

    Raises:
        InputUnusable: other bytes, or those of another version, other parameters or another length of candles; the
            series has to be folded from its first candle.
    """
    fresh, expected = _fresh(parameters, candle_us)
    if saved[:SEAL] != expected or len(saved) != SEAL + sum(part.nbytes for part in fresh):
        raise InputUnusable(
            "A saved state is of another version of the code or measured by other parameters:"
            " fold its series again from the first candle."
        )
    parts, at = [], SEAL
    for part in fresh:
        parts.append(np.frombuffer(saved, part.dtype, part.size, at).reshape(part.shape).copy())
        at += part.nbytes
    return State._make(parts)


def open_zones(state: State) -> Records:
    """The zones that have not ended, in the order in which they became known."""
    found = np.concatenate([places[:count] for places, count in zip(state.zones, state.counts, strict=True)])
    return found[np.argsort(found["id"])].view(np.recarray)


def _seal(state: State) -> bytes:
    """32 bytes that differ where numbers would be mistaken for others."""
    core = state.core[0]
    given = [core[name].item() for name in _GIVEN]
    hours = state.sessions[["start_us", "length_us"]].tolist()
    return hashlib.sha256(repr((VERSION, given, hours, _LAYOUTS)).encode()).digest()


@lru_cache(maxsize=64)  # a build takes up thousands of states, measured alike
def _fresh(parameters: Parameters, candle_us: int) -> tuple[State, bytes]:
    fresh = begin(parameters, candle_us)
    return fresh, _seal(fresh)
