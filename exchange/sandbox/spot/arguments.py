"""What a REST request asks for: the query, or the body of a POST as a form or as JSON."""

import re
from collections.abc import Mapping
from decimal import Decimal
from urllib.parse import parse_qsl

import orjson

from exchange.sandbox.spot.refusal import INVALID_ARGUMENTS, Refused
from exchange.sandbox.units import SECOND_NS

LATEST_NS = 2**63 - 1
FIRST_NS_AS_SINCE = 10**12  # below it `since` of Trades counts seconds, from it on nanoseconds
NUMBER = re.compile(r"-?[0-9]{1,19}(\.[0-9]{1,12})?")


class Arguments:
    """The arguments of one request by name. What can't be read is refused in the venue's words."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str, default: str = "") -> str:
        return self._values.get(name, default)

    def names(self, name: str) -> list[str]:
        """A list with commas."""
        return self._values[name].split(",")

    def whole(self, name: str, default: int, lowest: int, highest: int) -> int:
        """Raises Refused: not a whole number between the two."""
        text = self._values.get(name)
        if text is None:
            return default
        number = _number(text)
        if number != int(number) or not lowest <= number <= highest:
            raise Refused(INVALID_ARGUMENTS)
        return int(number)

    def since_seconds_ns(self, name: str) -> int:
        """Seconds since 1970, in nanoseconds; 0 without the argument. Raises Refused: not a number."""
        return _bounded(_number(self._values.get(name, "0")) * SECOND_NS)

    def since_ns(self, name: str) -> int | None:
        """Seconds or nanoseconds since 1970, in nanoseconds; None without the argument. Raises Refused: no number."""
        if name not in self._values:
            return None
        number = _number(self._values[name])
        return _bounded(number if number >= FIRST_NS_AS_SINCE else number * SECOND_NS)


def read_arguments(query: Mapping[str, str], content_type: str, body: bytes) -> Arguments:
    """Raises Refused: the body is neither a form nor a flat JSON object."""
    return Arguments({**query, **(_of_json(body) if content_type == "application/json" else _of_form(body))})


def _of_json(body: bytes) -> dict[str, str]:
    try:
        values = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError:
        raise Refused(INVALID_ARGUMENTS) from None
    if not isinstance(values, dict) or not all(isinstance(value, str | int | float) for value in values.values()):
        raise Refused(INVALID_ARGUMENTS)
    return {name: str(value) for name, value in values.items()}


def _of_form(body: bytes) -> dict[str, str]:
    try:
        return dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True, max_num_fields=100))
    except ValueError:
        raise Refused(INVALID_ARGUMENTS) from None


def _number(text: str) -> Decimal:
    if not NUMBER.fullmatch(text):
        raise Refused(INVALID_ARGUMENTS)
    return Decimal(text)


def _bounded(ns: Decimal) -> int:
    return max(0, min(int(ns), LATEST_NS))
