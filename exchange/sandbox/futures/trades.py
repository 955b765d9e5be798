"""Public trades, as history, executions and the trade feed spell them. All three name a trade by the same uid."""

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import NamedTuple
from uuid import UUID

from exchange.sandbox.futures.contracts import Row, base_units, usd
from exchange.sandbox.market.facts import Contract
from exchange.sandbox.market.model import Trades
from exchange.sandbox.units import MS_NS
from exchange.sandbox.wire.numbers import decimal_text, rfc3339

MICROSECONDS = 6  # fractional digits of a trade's time on REST
COLLAR_PERCENT = 1  # a market order is an immediate one with its limit so far through the touch


class Trade(NamedTuple):
    """One row of `Trades`."""

    time_ns: int
    price: int
    lots: int
    is_buy: bool
    is_market: bool
    number: int


def rows(trades: Trades) -> Iterator[Trade]:
    """Each trade, in the order they happened."""
    columns = (trades.time_ns, trades.price, trades.volume, trades.is_buy, trades.is_market, trades.trade_id)
    return map(Trade._make, zip(*(column.tolist() for column in columns), strict=True))


def history(contract: Contract, trades: Sequence[Trade]) -> list[Row]:
    """Rows of /history, newest first, of trades in the order they happened.

    `trade_id` only counts the rows of the page; the uid is what names a trade.
    """
    return [
        {
            "time": rfc3339(trade.time_ns, MICROSECONDS),
            "trade_id": place,
            "price": usd(trade.price, contract),
            "size": base_units(trade.lots, contract),
            "side": _side(trade),
            "type": "fill",
            "uid": uid(contract, trade.number),
        }
        for place, trade in reversed(list(enumerate(trades, start=1)))
    ]


def feed_trade(contract: Contract, trade: Trade) -> Row:
    """A message of the trade feed, and an item of its snapshot."""
    return {
        "product_id": contract.symbol,
        "feed": "trade",
        "uid": uid(contract, trade.number),
        "side": _side(trade),
        "type": "fill",
        "time": trade.time_ns // MS_NS,
        "qty": base_units(trade.lots, contract),
        "price": usd(trade.price, contract),
        "seq": trade.number,
    }


def execution(contract: Contract, trade: Trade, mark_usd: float) -> Row:
    """An element of the market's executions. Prices and sizes are strings here, times ms."""
    price, quantity = _price(contract, trade.price), decimal_text(trade.lots, contract.size_decimals)
    at_ms = trade.time_ns // MS_NS
    maker = _order(contract, trade, "maker", not trade.is_buy, "Limit", price)
    taker = _order(
        contract, trade, "taker", trade.is_buy, "Market" if trade.is_market else "IoC", _limit(contract, trade)
    )
    return {
        "uid": uid(contract, trade.number, "event"),
        "timestamp": at_ms,
        "event": {
            "Execution": {
                "execution": {
                    "uid": uid(contract, trade.number),
                    "makerOrder": maker,
                    "takerOrder": taker,
                    "timestamp": at_ms,
                    "quantity": quantity,
                    "price": price,
                    "markPrice": repr(mark_usd),
                    "limitFilled": True,
                    "usdValue": f"{usd(trade.price, contract) * base_units(trade.lots, contract):.2f}",
                },
                "takerReducedQuantity": "",
            }
        },
    }


def uid(contract: Contract, number: int, role: str = "trade") -> str:
    """The same for the same trade of the same contract, always."""
    digest = blake2b(f"{contract.symbol}/{role}/{number}".encode(), digest_size=16).digest()
    return str(UUID(bytes=digest, version=4))


def _side(trade: Trade) -> str:
    return "buy" if trade.is_buy else "sell"


def _order(contract: Contract, trade: Trade, role: str, is_buy: bool, kind: str, limit: str) -> Row:
    at_ms = trade.time_ns // MS_NS
    return {
        "uid": uid(contract, trade.number, role),
        "tradeable": contract.symbol,
        "direction": "Buy" if is_buy else "Sell",
        "quantity": decimal_text(trade.lots, contract.size_decimals),
        "timestamp": at_ms,
        "limitPrice": limit,
        "orderType": kind,
        "reduceOnly": False,
        "lastUpdateTimestamp": at_ms,
    }


def _limit(contract: Contract, trade: Trade) -> str:
    if not trade.is_market:
        return _price(contract, trade.price)
    if trade.is_buy:
        return _price(contract, trade.price * (100 + COLLAR_PERCENT) // 100)
    return _price(contract, -(-trade.price * (100 - COLLAR_PERCENT) // 100))


def _price(contract: Contract, price: int) -> str:
    return decimal_text(price, contract.price_decimals)
