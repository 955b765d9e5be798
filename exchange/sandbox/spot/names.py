"""The spellings of a pair. REST knows several and answers under the one it was asked by; WebSocket v2 knows one."""

from collections.abc import Iterable
from typing import NamedTuple

from exchange.sandbox.market.facts import SpotPair
from exchange.sandbox.spot.refusal import UNKNOWN_PAIR, Refused


class Named(NamedTuple):
    """A pair, and the key under which this reply lists it."""

    pair: SpotPair
    key: str


class Names:
    """All spellings that REST accepts, in any case: `XXBTZUSD`, `XBTUSD`, `BTCUSD`, `BTC/USD`; not `XBT/USD`."""

    def __init__(self, pairs: Iterable[SpotPair]) -> None:
        self._named: dict[str, Named] = {}
        for pair in pairs:
            self._named[pair.instrument.replace("/", "")] = Named(pair, pair.key)
            self._named[pair.altname] = Named(pair, pair.key)
            self._named[pair.key] = Named(pair, pair.key)
            self._named[pair.instrument] = Named(pair, pair.instrument)

    def find(self, name: str, *, displayed: bool) -> Named:
        """`displayed`: answer under the display form whatever was asked. Raises Refused: no such spelling."""
        named = self._named.get(name.upper())
        if named is None:
            raise Refused(UNKNOWN_PAIR)
        return named._replace(key=named.pair.instrument) if displayed else named

    def spelled(self, name: str) -> str:
        """The instrument behind a spelling; nothing for what isn't one."""
        named = self._named.get(name.upper())
        return named.pair.instrument if named else ""
