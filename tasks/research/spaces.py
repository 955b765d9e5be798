"""Which values of a strategy's parameters to try: all combinations of them, or some drawn at random.

A space is said as `stop_atr=1,2,3` (these), `stop_atr=1:3:0.5` (from, to, step; both ends) or `stop_atr` alone: what
the header of the strategy allows, its list or its range.
"""

import itertools
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

from trading.errors import InputUnusable
from warehouse.grammar.parameters import Param, Value, values_of

STEPS = 5  # of a range, in a grid
DIGITS = 6  # of a number drawn from a range: a person has to type it again
MOST_SETS = 100_000

Set = Mapping[str, Value]  # of the varied parameters alone


class Space(NamedTuple):
    """One parameter, and the values to try: a list of them, or any number in a range."""

    param: Param
    listed: tuple[Value, ...]  # empty: any between
    between: tuple[float, float] | None


def parse_space(text: str, params: tuple[Param, ...], file: str) -> Space:
    """A space as it was said, for a parameter that `file` declares.

    Raises:
        InputUnusable: no such parameter, a value that it can't be, or neither values nor a range to take them from.
    """
    name, has_values, said = text.partition("=")
    declared = {param.name: param for param in params}
    if name not in declared:
        known = ", ".join(declared) or "none"
        raise InputUnusable(f"{file} declares no parameter {name}; it declares {known}.")
    param = declared[name]
    if has_values:
        texts = _stepped(said, name) if ":" in said else said.split(",")
        listed = tuple(dict.fromkeys(values_of((param,), {name: each}, file)[name] for each in texts))
        return Space(param, listed, None)
    listed = (True, False) if param.type == "boolean" else param.choices
    if not listed and param.between is None:
        raise InputUnusable(f"{file} says no range for {name}: say which values to try, as `{name}=1,2,3`.")
    return Space(param, listed, param.between)


def grid(spaces: Sequence[Space]) -> tuple[Set, ...]:
    """Every combination, the last parameter changing fastest; five even steps of a range.

    Raises:
        InputUnusable: more than 100,000 of them.
    """
    columns = [space.listed or _even(space) for space in spaces]
    count = math.prod(map(len, columns))
    if count > MOST_SETS:
        raise InputUnusable(f"{count:,} combinations are too many to try: take fewer values, or draw some of them.")
    names = [space.param.name for space in spaces]
    return tuple(dict(zip(names, values, strict=True)) for values in itertools.product(*columns))


def drawn(spaces: Sequence[Space], count: int, seed: int) -> tuple[Set, ...]:
    """`count` different combinations at random, or as many as there are; the same ones for the same seed.

    Raises:
        InputUnusable: more than 100,000 of them are asked for.
    """
    if count > MOST_SETS:
        raise InputUnusable(f"{count:,} combinations are too many to try: draw fewer.")
    found: dict[tuple[Value, ...], Set] = {}
    in_vain = 0
    for values in _draws(spaces, seed):
        in_vain = in_vain + 1 if values in found else 0
        found.setdefault(values, dict(zip((space.param.name for space in spaces), values, strict=True)))
        if len(found) >= count or in_vain > MOST_SETS:
            break
    return tuple(found.values())


def _draws(spaces: Sequence[Space], seed: int) -> Iterator[tuple[Value, ...]]:
    chance = random.Random(seed)  # noqa: S311  # nobody gains by guessing it
    while True:
        yield tuple(chance.choice(space.listed) if space.listed else _any(space, chance) for space in spaces)


def _any(space: Space, chance: random.Random) -> Value:
    assert space.between is not None
    low, high = space.between
    if space.param.type == "integer":
        return chance.randint(round(low), round(high))
    return min(max(float(f"{chance.uniform(low, high):.{DIGITS}g}"), low), high)


def _even(space: Space) -> tuple[Value, ...]:
    assert space.between is not None
    low, high = space.between
    steps = [low + (high - low) * step / (STEPS - 1) for step in range(STEPS)]
    if space.param.type == "integer":
        return tuple(dict.fromkeys(round(step) for step in steps))
    return tuple(dict.fromkeys(float(f"{step:.{DIGITS}g}") for step in steps))


def _stepped(said: str, name: str) -> list[str]:
    """`1:3:0.5` as texts, in decimals: a sum of floats would miss the end."""
    try:
        low, high, step = (Decimal(part) for part in said.split(":"))
    except (ValueError, InvalidOperation):
        raise InputUnusable(f"{name}={said}: a range is from:to:step, as {name}=1:3:0.5.") from None
    if not (low.is_finite() and high.is_finite() and step.is_finite()) or step <= 0 or low > high:
        raise InputUnusable(f"{name}={said}: from is at most to, and the step is more than nothing.")
    count = int((high - low) / step) + 1
    if count > MOST_SETS:
        raise InputUnusable(f"{name}={said}: {count:,} values are too many to try; take longer steps.")
    return [f"{(low + number * step).normalize():f}" for number in range(count)]
