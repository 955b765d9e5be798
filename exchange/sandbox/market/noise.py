"""Chance that is a function: the same seed, place and time give the same draw, in any order and on any machine.

Not a generator with a state: whoever asks for one hour of last year gets it without the hours between. Functions come
for arrays and, where the wire asks for one value at every moment, for a single one: both give the same.
"""

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt

from exchange.sandbox.market.model import Integers

Keys = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float64]

GOLDEN = 0x9E3779B97F4A7C15
FIRST, SECOND = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
BITS_64 = (1 << 64) - 1
TO_UNIT = 2.0**-53


def key_of(seed: int, *names: str) -> int:
    """The key of a place: different for every seed and every name."""
    digest = hashlib.blake2b("\0".join([str(seed), *names]).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def draw(key: int, number: int) -> int:
    """The draw of one number, 64 bits. Draws serve as keys as well."""
    value = (key + number * GOLDEN) & BITS_64
    value = ((value ^ (value >> 30)) * FIRST) & BITS_64
    value = ((value ^ (value >> 27)) * SECOND) & BITS_64
    return value ^ (value >> 31)


def draws(keys: int | Keys, numbers: npt.NDArray[Any]) -> Keys:
    """One draw per key and number; the shapes broadcast."""
    values: Keys = keys + numbers.astype(np.uint64) * np.uint64(GOLDEN)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(FIRST)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(SECOND)
    return values ^ (values >> np.uint64(31))


def unit(value: int) -> float:
    """A draw as a float, 0 included, 1 not."""
    return (value >> 11) * TO_UNIT


def units(values: Keys) -> Floats:
    """Draws as floats, 0 included, 1 not."""
    return (values >> np.uint64(11)).astype(np.float64) * TO_UNIT


def wander_at(key: int, at_ns: int, period_ns: int) -> float:
    """Where `wander` is at one time."""
    place = at_ns // period_ns
    share = (at_ns - place * period_ns) / period_ns
    here, there = unit(draw(key, place)), unit(draw(key, place + 1))
    return 2 * (here + (there - here) * share) - 1


def wander(key: int, at_ns: Integers, period_ns: int) -> Floats:
    """A curve between -1 and 1 that is at a new place every `period_ns`, straight between."""
    place = at_ns // period_ns
    share = (at_ns - place * period_ns) / period_ns
    here, there = units(draws(key, place)), units(draws(key, place + 1))
    return 2 * (here + (there - here) * share) - 1
