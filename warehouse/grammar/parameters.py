"""Parameters of SQL files: declared in the header, checked by type, read by the text as `getvariable('name')`."""

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal

import duckdb

from trading.errors import InputUnusable

ParamType = Literal["double", "integer", "boolean", "varchar"]
Value = float | int | bool | str

_DECLARATION = re.compile(r"([a-z_][a-z0-9_]*)\s+(double|integer|boolean|varchar)\s*=\s*('[^']*'|.+?)(?:\s+in\s+(.+))?")


@dataclass(frozen=True)
class Param:
    """One `-- param:` line."""

    name: str
    type: ParamType
    default: Value
    choices: tuple[Value, ...] = ()  # the only values that make sense; empty: any
    between: tuple[float, float] | None = None  # the least and the most that does; both included
    says: str = ""  # what it is, for a person

    @property
    def allowed(self) -> str:
        """What it may be, as the header says it; empty: anything of its type."""
        if self.between:
            return " .. ".join(map(str, self.between))
        return ", ".join(map(str, self.choices))

    def allows(self, value: Value) -> bool:
        """Whether `value`, which has the type, is one of those that make sense."""
        if self.between:
            assert not isinstance(value, str)
            return self.between[0] <= value <= self.between[1]
        return not self.choices or value in self.choices


def parse_param(text: str, place: str) -> Param:
    """`stop_atr double = 2.0 in 0.5 .. 10.0 -- from the entry` as a value; `place` is file and line.

    Raises:
        InputUnusable: another form, an unknown type, or a default of another type or beyond what it says is allowed.
    """
    declaration, _, says = text.partition(" -- ")
    match = _DECLARATION.fullmatch(declaration.strip())
    if match is None:
        raise InputUnusable(
            f"{place}: a parameter reads `-- param: stop_atr double = 2.0`, of type double, integer, boolean or "
            f"varchar, and may go on with `in 0.5 .. 10.0` or `in 1.0, 2.0, 3.0`, and with ` -- what it is`; this is "
            f"`{text}`."
        )
    name, kind, default, allowed = match.groups()
    param_type: ParamType = kind  # type: ignore[assignment]  # the pattern lists the four
    param = Param(name, param_type, "", says=says.strip())
    if allowed:
        param = _with_allowed(param, allowed, f"{place}: what {name} may be")
    return replace(param, default=_checked(param, default, f"{place}: the default of {name}"))


def values_of(params: tuple[Param, ...], given: Mapping[str, object], file: str) -> dict[str, Value]:
    """Value of each declared parameter: the given one, checked against the declaration, or the default.

    Text is read as the type says, so that a command line can hand it over as it came.

    Raises:
        InputUnusable: `given` names an undeclared parameter, or has a value of another type or one that is not allowed.
    """
    declared = {param.name: param for param in params}
    unknown = sorted(set(given) - set(declared))
    if unknown:
        known = ", ".join(declared) or "none"
        raise InputUnusable(f"{file} declares no parameter {', '.join(unknown)}; it declares {known}.")
    values = {param.name: param.default for param in params}
    for name, value in given.items():
        values[name] = _checked(declared[name], value, f"{file}: parameter {name}")
    return values


@contextmanager
def parameters_set(connection: duckdb.DuckDBPyConnection, values: Mapping[str, Value]) -> Iterator[None]:
    """Let SQL on `connection` read `values` by `getvariable`, for the length of the block."""
    for name, value in values.items():
        connection.execute(f"set variable {name} = {_literal(value)}")
    try:
        yield
    finally:
        for name in values:
            connection.execute(f"reset variable {name}")


def _with_allowed(param: Param, text: str, place: str) -> Param:
    low, dots, high = text.partition("..")
    if not dots:
        return replace(param, choices=tuple(_value(param.type, each, place) for each in text.split(",")))
    if param.type not in ("double", "integer"):
        raise InputUnusable(f"{place}: only numbers have a least and a most; a {param.type} lists its values.")
    least, most = _value(param.type, low, place), _value(param.type, high, place)
    assert not isinstance(least, str)
    assert not isinstance(most, str)
    if least > most:
        raise InputUnusable(f"{place}: {least} is more than {most}; the least comes first.")
    return replace(param, between=(least, most))


def _checked(param: Param, given: object, place: str) -> Value:
    value = _value(param.type, given, place)
    if not param.allows(value):
        raise InputUnusable(f"{place} is {value}; it must be in {param.allowed}.")
    return value


def _value(kind: ParamType, given: object, place: str) -> Value:
    text = str(given).strip()
    value = _READERS[kind](text)
    if value is None:
        raise InputUnusable(f"{place} must be {_MEANING[kind]}, not {given!r}.")
    return value


def _double(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _integer(text: str) -> int | None:
    # A negative count of candles would turn `lag` into `lead`.
    return int(text) if re.fullmatch(r"\d{1,9}", text) else None


def _boolean(text: str) -> bool | None:
    return {"true": True, "false": False}.get(text.lower())


def _varchar(text: str) -> str:
    quoted = len(text) > 1 and text[0] == text[-1] == "'"
    return text[1:-1] if quoted else text


_READERS = {"double": _double, "integer": _integer, "boolean": _boolean, "varchar": _varchar}
_MEANING = {
    "double": "a finite number",
    "integer": "a whole number, not negative (it counts candles)",
    "boolean": "true or false",
    "varchar": "text",
}


def _literal(value: Value) -> str:
    # SET VARIABLE takes no bound values. Exact types, since a boolean is an integer to Python.
    if type(value) is bool:
        return str(value).lower()
    if type(value) is int:
        return f"{value}::bigint"
    if type(value) is float:
        return f"'{value!r}'::double"  # from text it is read exactly; a bare number would be a decimal first
    return "'" + str(value).replace("'", "''") + "'"
