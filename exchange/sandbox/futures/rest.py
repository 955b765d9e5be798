"""Futures REST v3 and v4, the public side: markets, tickers, book, trades, funding.

Symbols are read in any case. Parameters come in the query or as a form, whatever the method.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from aiohttp import web

from exchange.sandbox.futures import executions, replies
from exchange.sandbox.futures.contracts import (
    Row,
    base_units,
    fee_schedules,
    find,
    instrument,
    listed,
    standing,
    status,
    usd,
)
from exchange.sandbox.futures.replies import answering, success
from exchange.sandbox.futures.tickers import rest_row
from exchange.sandbox.futures.trades import history, rows
from exchange.sandbox.market.facts import Contract
from exchange.sandbox.market.model import END_OF_TIME_NS, Level
from exchange.sandbox.units import DAY_NS, MS_NS, SECOND_NS
from exchange.sandbox.venue import Venue
from exchange.sandbox.wire.numbers import rfc3339

V3, V4 = "/derivatives/api/v3", "/derivatives/api/v4"
HISTORY_TRADES = 100
HISTORY_NS = 7 * DAY_NS  # how far /history reaches back
RFC3339 = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z", re.ASCII)
MILLISECONDS = re.compile(r"\d{1,15}", re.ASCII)

# Signed endpoints. Until accounts exist here there is no key that they could know, and that is what they answer.
PRIVATE = (
    "accounts",
    "assignmentprogram/add",
    "assignmentprogram/current",
    "assignmentprogram/delete",
    "assignmentprogram/history",
    "batchorder",
    "cancelallorders",
    "cancelallordersafter",
    "cancelorder",
    "editorder",
    "feeschedules/volumes",
    "fills",
    "leveragepreferences",
    "notifications",
    "openorders",
    "openpositions",
    "orders/status",
    "pnlpreferences",
    "self-trade-strategy",
    "sendorder",
    "subaccounts",
    "transfer",
    "transfer/subaccount",
    "transfers",
    "unwindqueue",
    "withdrawal",
)


def routes(venue: Venue) -> list[web.RouteDef]:
    """Every path that the sandbox knows, but for the charts. Public ones cost no budget."""
    rest = _Rest(venue)
    public = {
        f"{V3}/instruments": rest.instruments,
        f"{V3}/instruments/status": rest.statuses,
        f"{V3}/instruments/{{symbol}}/status": rest.status,
        f"{V3}/tickers": rest.tickers,
        f"{V3}/tickers/{{symbol}}": rest.ticker,
        f"{V3}/orderbook": rest.orderbook,
        f"{V3}/history": rest.history,
        f"{V3}/feeschedules": rest.fee_schedules,
        f"{V3}/historical-funding-rates": rest.funding_rates,
        f"{V4}/historical-funding-rates": rest.funding_rates,
        f"{V4}/historicalfundingrates": rest.funding_rates,  # without hyphens in v4 only: in v3 that is a 404
    }
    return [
        *(web.get(path, answering(handler, venue)) for path, handler in public.items()),
        *(web.route("*", f"{V3}/{path}", answering(rest.private, venue)) for path in PRIVATE),
        *executions.routes(venue),
    ]


class _Rest:
    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    async def instruments(self, _: web.Request) -> web.Response:
        return self._success(
            {"instruments": [instrument(each, standing(self._venue, each)) for each in listed(self._venue)]}
        )

    async def statuses(self, _: web.Request) -> web.Response:
        return self._success({"instrumentStatus": [status(contract) for contract in listed(self._venue)]})

    async def status(self, request: web.Request) -> web.Response:
        return self._success(status(self._contract(request.match_info["symbol"])))

    async def tickers(self, _: web.Request) -> web.Response:
        return self._success({"tickers": [self._ticker(contract) for contract in listed(self._venue)]})

    async def ticker(self, request: web.Request) -> web.Response:
        return self._success({"ticker": self._ticker(self._contract(request.match_info["symbol"]))})

    async def orderbook(self, request: web.Request) -> web.Response:
        contract = self._asked_contract(await self._arguments(request))
        book = self._venue.market.futures_book(contract.symbol)
        sides = {"bids": _levels(contract, book.bids), "asks": _levels(contract, book.asks)}
        return self._success({"orderBook": sides})

    async def history(self, request: web.Request) -> web.Response:
        asked = await self._arguments(request)
        contract = self._asked_contract(asked)
        market = self._venue.market
        before_ns = min(self._time(asked, "lastTime"), market.now_ns + 1)
        trades = rows(market.futures_trades(contract.symbol, before_ns, HISTORY_TRADES))
        recent = [trade for trade in trades if trade.time_ns >= market.now_ns - HISTORY_NS]
        return self._success({"history": history(contract, recent)})

    async def funding_rates(self, request: web.Request) -> web.Response:
        contract = self._asked_contract(await self._arguments(request))
        rates = [
            {
                "timestamp": rfc3339(rate.at_ns, 0),
                "fundingRate": rate.absolute,
                "relativeFundingRate": rate.relative,
            }
            for rate in self._venue.market.funding_rates(contract.symbol)
        ]
        return self._success({"rates": rates})

    async def fee_schedules(self, _: web.Request) -> web.Response:
        return self._success({"feeSchedules": fee_schedules()})

    async def private(self, _: web.Request) -> web.Response:
        return replies.word(self._venue.now_ns(), "authenticationError")

    def _success(self, body: Row) -> web.Response:
        return success(self._venue.now_ns(), body)

    def _ticker(self, contract: Contract) -> Row:
        quote = self._venue.market.futures_quote(contract.symbol)
        return rest_row(contract, quote, standing(self._venue, contract))

    async def _arguments(self, request: web.Request) -> Mapping[str, str]:
        return await replies.arguments(request, self._venue.now_ns())

    def _asked_contract(self, asked: Mapping[str, str]) -> Contract:
        symbol = asked.get("symbol")
        if symbol is None:
            raise replies.Refusal(replies.word(self._venue.now_ns(), "requiredArgumentMissing: symbol"))
        return self._contract(symbol)

    def _contract(self, symbol: str) -> Contract:
        contract = find(self._venue, symbol)
        if contract is None:
            raise replies.Refusal(replies.invalid(self._venue.now_ns(), "symbol"))
        return contract

    def _time(self, asked: Mapping[str, str], name: str) -> int:
        """A time in ns, of an argument in RFC3339 or, as some clients send it, ms. Absent: the end of time."""
        value = asked.get(name)
        if value is None:
            return END_OF_TIME_NS
        if MILLISECONDS.fullmatch(value):
            return int(value) * MS_NS
        parts = RFC3339.fullmatch(value)
        seconds = _seconds(parts[1]) if parts else None
        if parts is None or seconds is None:
            raise replies.Refusal(replies.word(self._venue.now_ns(), f"invalidArgument: {name}"))
        return seconds * SECOND_NS + int((parts[2] or "").ljust(9, "0"))


def _levels(contract: Contract, levels: tuple[Level, ...]) -> list[list[float]]:
    return [[usd(level.price, contract), base_units(level.quantity, contract)] for level in levels]


def _seconds(text: str) -> int | None:
    try:
        return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())
    except ValueError:  # the thirteenth month, the 31st of June
        return None
