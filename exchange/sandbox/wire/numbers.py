"""Exact text for whole numbers: prices, volumes and times as the venue writes them."""

from datetime import UTC, datetime
from functools import lru_cache

from exchange.sandbox.units import SECOND_NS

SECONDS_KEPT = 4_096  # a message has many times of the same second


def decimal_text(points: int, decimals: int) -> str:
    """`points` times 10**-decimals, with all its decimals: (837295, 1) is "83729.5". Negative decimals append zeros."""
    if decimals <= 0:
        return str(points * 10**-decimals)
    if points < 0:
        return f"-{decimal_text(-points, decimals)}"
    digits = str(points)
    if len(digits) <= decimals:
        digits = digits.zfill(decimals + 1)
    return f"{digits[:-decimals]}.{digits[-decimals:]}"


def rfc3339(time_ns: int, digits: int) -> str:
    """A time as "2026-09-25T17:48:26.844359Z", with 0 to 9 digits of the second, cut, not rounded."""
    seconds, fraction = divmod(time_ns, SECOND_NS)
    if digits == 0:
        return f"{_whole(seconds)}Z"
    return f"{_whole(seconds)}.{f'{fraction:09d}'[:digits]}Z"


@lru_cache(SECONDS_KEPT)
def _whole(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
