"""Spot REST: the methods under /0/public, by GET or POST. Errors come with HTTP 200, as a list of the venue's words."""

from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import web

from exchange.sandbox.spot import replies
from exchange.sandbox.spot.arguments import Arguments, read_arguments
from exchange.sandbox.spot.listing import (
    Asset,
    asset_entry,
    assets_of,
    fees_entry,
    leverage_entry,
    listed,
    margin_entry,
    pair_entry,
    status_of,
)
from exchange.sandbox.spot.names import Named, Names
from exchange.sandbox.spot.refusal import (
    INVALID_ARGUMENTS,
    INVALID_KEY,
    RATE_LIMIT_OF_CLIENT,
    RATE_LIMIT_OF_PAIR,
    UNAVAILABLE,
    UNKNOWN_ASSET,
    UNKNOWN_METHOD,
    Refused,
)
from exchange.sandbox.spot.requests import INTERVALS_MINUTES
from exchange.sandbox.venue import MAINTENANCE, Venue
from exchange.sandbox.wire.budget import Budget

COMMITTED_CANDLES = 720
HIGHEST_TRADES = 1000
HIGHEST_LEVELS, DEFAULT_LEVELS = 500, 100
ASSET_CLASSES = ("currency", "tokenized_asset")  # nothing is tokenized here
ASKED_BY = ("GET", "POST")
Result = dict[str, Any]


def routes(venue: Venue, budget: Budget) -> list[web.RouteDef]:
    """The paths of spot REST. `budget` counts a client's requests; those for candles and trades by pair."""
    rest = SpotRest(venue, budget)
    return [
        web.route("*", "/0/public/{method}", rest.public),
        web.route("*", "/0/private/{method}", private),
    ]


async def private(_: web.Request) -> web.Response:
    """Any private method. No account has a key here yet, so no key is valid."""
    return refusal(INVALID_KEY)


async def unknown(_: web.Request) -> web.Response:
    """Any other path."""
    return refusal(UNKNOWN_METHOD)


def refusal(error: str) -> web.Response:
    """An error in the venue's envelope."""
    return _json({"error": [error]})


class SpotRest:
    """The public methods over one venue."""

    def __init__(self, venue: Venue, budget: Budget) -> None:
        self._venue = venue
        self._budget = budget
        self._names = Names(venue.market.pairs.values())
        self._assets = assets_of(venue.market.pairs.values())
        self._methods: dict[str, Callable[[Arguments], Result]] = {
            "SystemStatus": self._system_status,
            "Time": self._time,
            "Assets": self._list_assets,
            "AssetPairs": self._list_pairs,
            "Ticker": self._ticker,
            "OHLC": self._candles,
            "Trades": self._trades,
            "Depth": self._depth,
        }

    async def public(self, request: web.Request) -> web.Response:
        """Answer one request; whatever is wrong with it, the answer is the venue's error."""
        try:
            return _json({"error": [], "result": self._answer(request, await request.read())})
        except web.RequestPayloadError:  # its encoding is none
            return refusal(INVALID_ARGUMENTS)
        except Refused as refused:
            return refusal(str(refused))

    def _answer(self, request: web.Request, body: bytes) -> Result:
        method = request.match_info["method"]
        if method not in self._methods or request.method not in ASKED_BY:
            raise Refused(UNKNOWN_METHOD)
        if self._venue.status == MAINTENANCE and method not in ("SystemStatus", "Time"):
            raise Refused(UNAVAILABLE)
        arguments = read_arguments(request.query, request.content_type, body)
        self._spend(request.remote or "", method, arguments)
        return self._methods[method](arguments)

    def _spend(self, client: str, method: str, arguments: Arguments) -> None:
        """Count the request, also when it turns out to be a wrong one."""
        by_pair = method in ("OHLC", "Trades")
        # What isn't a pair shares one counter: otherwise a client could have as many as it can think of.
        name = self._names.spelled(arguments.text("pair")) if by_pair else ""
        if not self._budget.take(f"spot {client} {name}", 1.0, self._venue.now_ns()):
            raise Refused(RATE_LIMIT_OF_PAIR if by_pair else RATE_LIMIT_OF_CLIENT)

    def _system_status(self, _: Arguments) -> Result:
        return replies.system_status(self._venue.status, self._venue.now_ns())

    def _time(self, _: Arguments) -> Result:
        return replies.server_time(self._venue.now_ns())

    def _list_assets(self, arguments: Arguments) -> Result:
        displayed = _is_displayed(arguments)
        if _choice(arguments, "aclass", ASSET_CLASSES) != ASSET_CLASSES[0]:
            return {}
        chosen = [self._asset(name) for name in arguments.names("asset")] if "asset" in arguments else None
        entries = self._assets.values() if chosen is None else chosen
        return {asset.display if displayed else asset.key: asset_entry(asset, displayed=displayed) for asset in entries}

    def _asset(self, name: str) -> Asset:
        for asset in self._assets.values():
            if name in (asset.key, asset.altname, asset.display):
                return asset
        raise Refused(UNKNOWN_ASSET)

    def _list_pairs(self, arguments: Arguments) -> Result:
        info = _choice(arguments, "info", ("info", "leverage", "fees", "margin"))
        if _choice(arguments, "aclass_base", ASSET_CLASSES) != ASSET_CLASSES[0]:
            return {}
        return {named.key: self._pair_entry(named, info) for named in self._chosen(arguments)}

    def _pair_entry(self, named: Named, info: str) -> Result:
        displayed = named.key == named.pair.instrument
        if info == "leverage":
            return leverage_entry(named.pair)
        if info == "fees":
            return fees_entry(named.pair.quote)
        if info == "margin":
            return margin_entry()
        return pair_entry(named.pair, status_of(self._venue, named.pair), displayed=displayed)

    def _ticker(self, arguments: Arguments) -> Result:
        market = self._venue.market
        return {
            named.key: replies.ticker(named.pair, market.spot_quote(named.pair.instrument))
            for named in self._chosen(arguments)
        }

    def _candles(self, arguments: Arguments) -> Result:
        named = self._one(arguments)
        minutes = arguments.whole("interval", 1, 1, INTERVALS_MINUTES[-1])
        if minutes not in INTERVALS_MINUTES:
            raise Refused(INVALID_ARGUMENTS)
        since_ns = arguments.since_seconds_ns("since")
        bars = self._venue.market.spot_bars(named.pair.instrument, minutes, COMMITTED_CANDLES, since_ns)
        return replies.candles(named.pair, named.key, bars, minutes)

    def _trades(self, arguments: Arguments) -> Result:
        named = self._one(arguments)
        count = arguments.whole("count", HIGHEST_TRADES, 1, HIGHEST_TRADES)
        from_ns = arguments.since_ns("since")
        market, instrument = self._venue.market, named.pair.instrument
        if from_ns is None:
            return replies.trades(named.pair, named.key, market.last_spot_trades(instrument, count), 0)
        return replies.trades(named.pair, named.key, market.spot_trades(instrument, from_ns, count), from_ns)

    def _depth(self, arguments: Arguments) -> Result:
        named = self._one(arguments)
        count = arguments.whole("count", DEFAULT_LEVELS, 1, HIGHEST_LEVELS)
        return replies.depth(named.pair, named.key, self._venue.market.spot_book(named.pair.instrument, count))

    def _one(self, arguments: Arguments) -> Named:
        if "pair" not in arguments:
            raise Refused(INVALID_ARGUMENTS)
        return self._names.find(arguments.text("pair"), displayed=_is_displayed(arguments))

    def _chosen(self, arguments: Arguments) -> list[Named]:
        """The pairs that were asked for, or all. A list may lack some of them, but they are all there."""
        names = arguments.names("pair") if "pair" in arguments else [pair.key for pair in listed(self._venue)]
        return [self._names.find(name, displayed=_is_displayed(arguments)) for name in names]


def _is_displayed(arguments: Arguments) -> bool:
    return _choice(arguments, "assetVersion", ("0", "1")) == "1"


def _choice(arguments: Arguments, name: str, allowed: tuple[str, ...]) -> str:
    """The first one is the default. Raises Refused: none of them."""
    choice = arguments.text(name, allowed[0])
    if choice not in allowed:
        raise Refused(INVALID_ARGUMENTS)
    return choice


def _json(content: dict[str, Any]) -> web.Response:
    return web.Response(body=orjson.dumps(content), content_type="application/json", charset="utf-8")
