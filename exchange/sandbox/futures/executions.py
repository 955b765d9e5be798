"""Market history: every trade of a contract since its first, with the two orders behind it, in pages."""

import re
from base64 import b64decode, b64encode
from binascii import Error as NoBase64
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from aiohttp import web

from exchange.sandbox.futures import replies
from exchange.sandbox.futures.contracts import Row, find
from exchange.sandbox.futures.replies import answering
from exchange.sandbox.futures.trades import Trade, execution, rows
from exchange.sandbox.market.facts import Contract
from exchange.sandbox.market.model import END_OF_TIME_NS
from exchange.sandbox.units import MS_NS
from exchange.sandbox.venue import Venue

PAGE = 1_000  # at most: a higher `count` is a wish, "the upper bound is determined by a global limit"
NEXT_PAGE_HEADER = "Next-Continuation-Token"  # where the documents have it; recorded replies have it in the body
WHOLE = re.compile(r"\d{1,15}", re.ASCII)
TOKEN = re.compile(rb"\d{1,16}/(\d{1,19})", re.ASCII)


class Span(NamedTuple):
    """Trades from one time up to, but not including, another; the oldest of them first, or the newest."""

    since_ns: int
    before_ns: int
    limit: int
    oldest_first: bool


def routes(venue: Venue) -> list[web.RouteDef]:
    """The public part of /api/history, and the signed part, which knows no key yet."""
    history = _History(venue)
    return [
        *(
            web.get(f"/api/history/{version}/market/{{symbol}}/executions", answering(history.executions, venue))
            for version in ("v2", "v3")
        ),
        *(
            web.get(f"/api/history/{version}/{path}", history.private)
            for version in ("v2", "v3")
            for path in ("orders", "executions", "triggers", "positions", "account-log", "accountlogcsv")
        ),
    ]


class _History:
    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    async def executions(self, request: web.Request) -> web.Response:
        contract = find(self._venue, request.match_info["symbol"])
        if contract is None:
            raise self._invalid("symbol")
        span = self._span(await replies.arguments(request, self._venue.now_ns()))
        trades = self._page(contract, span)
        elements = self._elements(contract, trades)
        page = replies.plain({"elements": elements, "len": len(elements), **_more(trades, span, "continuationToken")})
        page.headers.update(_more(trades, span, NEXT_PAGE_HEADER))
        return page

    async def private(self, _: web.Request) -> web.Response:
        return replies.word(self._venue.now_ns(), "authenticationError")

    def _span(self, asked: Mapping[str, str]) -> Span:
        sort = asked.get("sort", "desc")
        if sort not in {"asc", "desc"}:
            raise self._invalid("sort")
        count = self._whole(asked, "count", PAGE)
        if count == 0:
            raise self._invalid("count")
        since_ns = self._whole(asked, "since", 0) * MS_NS
        before_ns = min(self._whole(asked, "before", END_OF_TIME_NS // MS_NS) * MS_NS, self._venue.market.now_ns + 1)
        if "continuation_token" in asked:
            at_ns = self._continued(asked["continuation_token"])
            since_ns = max(since_ns, at_ns + 1) if sort == "asc" else since_ns
            before_ns = min(before_ns, at_ns) if sort == "desc" else before_ns
        return Span(since_ns, before_ns, min(count, PAGE), sort == "asc")

    def _page(self, contract: Contract, span: Span) -> list[Trade]:
        if span.since_ns >= span.before_ns:
            return []
        market, symbol = self._venue.market, contract.symbol
        if span.oldest_first:
            oldest = rows(market.futures_trades_since(symbol, span.since_ns, span.limit))
            return [trade for trade in oldest if trade.time_ns < span.before_ns]
        newest = rows(market.futures_trades(symbol, span.before_ns, span.limit))
        return [trade for trade in newest if trade.time_ns >= span.since_ns][::-1]

    def _elements(self, contract: Contract, trades: Sequence[Trade]) -> list[Row]:
        times_ns = np.array([trade.time_ns for trade in trades], np.int64)
        marks_usd = self._venue.market.marks_at(contract.symbol, times_ns).tolist()
        return [execution(contract, trade, mark_usd) for trade, mark_usd in zip(trades, marks_usd, strict=True)]

    def _whole(self, asked: Mapping[str, str], name: str, default: int) -> int:
        value = asked.get(name)
        if value is None:
            return default
        if not WHOLE.fullmatch(value):
            raise self._invalid(name)
        return int(value)

    def _continued(self, token: str) -> int:
        try:
            parts = TOKEN.fullmatch(b64decode(token.encode(), validate=True))
        except NoBase64:
            parts = None
        if parts is None:
            raise self._invalid("continuation_token")
        return int(parts[1])

    def _invalid(self, argument: str) -> replies.Refusal:
        return replies.Refusal(replies.invalid(self._venue.now_ns(), argument))


def _more(trades: Sequence[Trade], span: Span, name: str) -> dict[str, str]:
    """The token of the next page by its name, if there may be one."""
    return {name: _token(trades[-1])} if len(trades) == span.limit else {}


def _token(last: Trade) -> str:
    # The venue's is ms and a sequence number; ours counts on by the trade's own time.
    return b64encode(f"{last.time_ns // MS_NS}/{last.time_ns}".encode()).decode()
