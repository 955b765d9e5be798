"""How much of the venue is spoken here, as data: `spot/covered.py` and `futures/covered.py` hold it."""

from typing import Literal, NamedTuple


class Coverage(NamedTuple):
    """One method, endpoint, channel, feed or rule of the venue."""

    name: str
    standing: Literal["covered", "partly", "not"]
    remark: str = ""
