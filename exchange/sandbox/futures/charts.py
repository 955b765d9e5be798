"""The charts: candles of trades, mark and index. Asked for in seconds, answered in ms, refused in plain text."""

import re
from typing import NamedTuple

from aiohttp import web

from exchange.sandbox.futures import replies
from exchange.sandbox.futures.contracts import Row, find, listed, padded_size
from exchange.sandbox.futures.replies import answering
from exchange.sandbox.futures.requests import RESOLUTIONS
from exchange.sandbox.market.facts import Contract
from exchange.sandbox.market.model import Bar, MarkBar
from exchange.sandbox.units import MS_NS, SECOND_NS
from exchange.sandbox.venue import Venue
from exchange.sandbox.wire.numbers import decimal_text

PREFIX = "/api/charts/v1"
TRADE, MARK, SPOT = "trade", "mark", "spot"  # spot is the index that the contract follows
TICK_TYPES = (MARK, SPOT, TRADE)
PAGE = 2_000  # candles at most; the documents say 5000, the venue cuts here
VOLUME_DECIMALS = 11  # fractional digits of a volume of the trade chart
MARK_DECIMALS = 8  # fractional digits of mark and index at most
WHOLE_SECONDS = re.compile(r"-?\d{1,15}", re.ASCII)


class Window(NamedTuple):
    """Which candles: opened from one time to the other, both included; the oldest of them, or the newest."""

    from_ns: int
    to_ns: int
    limit: int
    newest: bool


def routes(venue: Venue) -> list[web.RouteDef]:
    """Every path of the charts. They cost no budget."""
    charts = _Charts(venue)
    return [
        web.get(f"{PREFIX}/", answering(charts.tick_types, venue)),
        web.get(PREFIX, answering(charts.tick_types, venue)),
        web.get(PREFIX + "/{tick}", answering(charts.symbols, venue)),
        web.get(PREFIX + "/{tick}/{symbol}", answering(charts.resolutions, venue)),
        web.get(PREFIX + "/{tick}/{symbol}/{resolution}", answering(charts.candles, venue)),
    ]


class _Charts:
    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    async def tick_types(self, _: web.Request) -> web.Response:
        return replies.plain(TICK_TYPES)

    async def symbols(self, request: web.Request) -> web.Response:
        _tick(request)
        return replies.plain([contract.symbol for contract in listed(self._venue)])

    async def resolutions(self, request: web.Request) -> web.Response:
        _tick(request)
        self._contract(request)
        return replies.plain(list(RESOLUTIONS))

    async def candles(self, request: web.Request) -> web.Response:
        tick, contract, minutes = _tick(request), self._contract(request), _minutes(request)
        rows, has_more = self._rows(tick, contract, minutes, self._window(request))
        return replies.plain({"candles": rows, "more_candles": has_more})

    def _contract(self, request: web.Request) -> Contract:
        contract = find(self._venue, request.match_info["symbol"])
        if contract is None:
            raise replies.Refusal(replies.text("Invalid instrument"))
        return contract

    def _window(self, request: web.Request) -> Window:
        from_s, to_s, count = (_whole(request, name) for name in ("from", "to", "count"))
        if count is not None and count < 1:
            raise replies.Refusal(replies.field("count"))
        now_ns = self._venue.market.now_ns
        return Window(
            from_ns=0 if from_s is None else max(0, from_s * SECOND_NS),
            to_ns=now_ns if to_s is None else min(now_ns, to_s * SECOND_NS),
            limit=PAGE if count is None else min(count, PAGE),
            newest=from_s is None,
        )

    def _rows(self, tick: str, contract: Contract, minutes: int, window: Window) -> tuple[list[Row], bool]:
        if window.from_ns > window.to_ns:
            return [], False
        if tick == TRADE:
            bars, has_more = self._venue.market.futures_bars(contract.symbol, minutes, *window)
            return [_traded(bar, contract) for bar in bars], has_more
        read = self._venue.market.mark_bars if tick == MARK else self._venue.market.index_bars
        marks, has_more = read(contract.symbol, minutes, *window)
        return [_marked(bar) for bar in marks], has_more


def _tick(request: web.Request) -> str:
    tick = request.match_info["tick"]
    if tick not in TICK_TYPES:
        raise replies.Refusal(replies.text("Invalid tick type"))
    return tick


def _minutes(request: web.Request) -> int:
    # The venue reads resolutions in any case: 1M is one minute.
    minutes = RESOLUTIONS.get(request.match_info["resolution"].lower())
    if minutes is None:
        raise replies.Refusal(replies.text("Invalid resolution"))
    return minutes


def _whole(request: web.Request, name: str) -> int | None:
    value = request.query.get(name)
    if value is None:
        return None
    if not WHOLE_SECONDS.fullmatch(value):
        raise replies.Refusal(replies.field(name))
    return int(value)


def _traded(bar: Bar, contract: Contract) -> Row:
    decimals = contract.price_decimals
    return {
        "time": bar.opened_ns // MS_NS,
        "open": decimal_text(bar.open, decimals),
        "high": decimal_text(bar.high, decimals),
        "low": decimal_text(bar.low, decimals),
        "close": decimal_text(bar.close, decimals),
        "volume": padded_size(bar.volume, contract, VOLUME_DECIMALS),
    }


def _marked(bar: MarkBar) -> Row:
    return {
        "time": bar.opened_ns // MS_NS,
        "open": _marked_text(bar.open),
        "high": _marked_text(bar.high),
        "low": _marked_text(bar.low),
        "close": _marked_text(bar.close),
        "volume": "0",
    }


def _marked_text(price_usd: float) -> str:
    return f"{price_usd:.{MARK_DECIMALS}f}".rstrip("0").rstrip(".")
