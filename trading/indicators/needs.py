"""What a strategy's header asks for, `ema(20)` or `macd(12, 26, 9)`, as a value with its columns."""

import re
from typing import NamedTuple

from trading.errors import InputUnusable
from trading.indicators.families import FAMILIES, Number

_NEED = re.compile(r"([a-z_]+)\s*\(([^()]*)\)")
_NUMBER = re.compile(r"\d{1,9}(\.\d{1,4})?")
_IN_A_NAME = r"\d+(?:p\d+)?"
_COLUMN = re.compile(
    "|".join(
        "_".join([output, *([_IN_A_NAME] * len(family.numbers))])
        for family in FAMILIES.values()
        for output in family.outputs
    )
)


class Need(NamedTuple):
    """One indicator with its numbers, in the order of its family."""

    name: str
    numbers: tuple[float, ...]  # whole ones are int

    @property
    def columns(self) -> tuple[str, ...]:
        """One for each output: `ema_20`; a fraction is written with a p, `bollinger_upper_20_2p5`."""
        told = [_told(number).replace(".", "p") for number in self.numbers]
        return tuple("_".join([output, *told]) for output in FAMILIES[self.name].outputs)

    @property
    def warm_up(self) -> int:
        """Candles at the start of a series for which it says nothing."""
        return FAMILIES[self.name].warm_up(*self.numbers)

    def __str__(self) -> str:
        return f"{self.name}({', '.join(map(_told, self.numbers))})"


def parse_need(text: str) -> Need:
    """`ema(20)` as a value.

    Raises:
        InputUnusable: not of that form, an unknown indicator, or a number out of range; the text lists what is known.
    """
    match = _NEED.fullmatch(text.strip().lower())
    family = FAMILIES.get(match.group(1)) if match else None
    parts = [part.strip() for part in match.group(2).split(",") if part.strip()] if match else []
    if match is None or family is None or len(parts) != len(family.numbers) or not all(map(_NUMBER.fullmatch, parts)):
        known = ", ".join(f"{name}({', '.join(n.name for n in each.numbers)})" for name, each in FAMILIES.items())
        raise InputUnusable(f"There is no indicator `{text}`; known are {known}.")
    numbers = tuple(_number(part, kind, text) for part, kind in zip(parts, family.numbers, strict=True))
    refusal = family.refusal(*numbers)
    if refusal:
        raise InputUnusable(f"`{text}` makes no sense: {refusal}.")
    return Need(match.group(1), numbers)


def is_indicator_column(column: str) -> bool:
    """Whether `column` carries a name that only an indicator has, such as `ema_20` or `vwap`."""
    return _COLUMN.fullmatch(column) is not None


def _number(text: str, kind: Number, need: str) -> float:
    number = float(text)
    if not kind.least <= number <= kind.most or (kind.is_whole and not number.is_integer()):
        unit = " candles" if kind.is_whole else ""
        raise InputUnusable(f"The {kind.name} of `{need}` must lie between {kind.least} and {kind.most}{unit}.")
    return int(number) if number.is_integer() else number


def _told(number: float) -> str:
    return f"{number:g}" if isinstance(number, float) else str(number)
