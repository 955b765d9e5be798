"""Values of the sandbox's market. Times are nanoseconds since 1970 UTC; prices and volumes are whole numbers.

A spot price is in points, 10**-price_decimals of the pair's quote currency; a spot volume in 1e-8 of the base. A
futures price is in ticks of the contract, a futures size in lots, 10**-size_decimals of the base. So sums are exact.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]

END_OF_TIME_NS = 2**62  # in the year 2116; what is asked for later is asked for then
VOLUME_DECIMALS = 8


class SourceCandle(NamedTuple):
    """A closed candle as the sandbox is fed with it. Prices in points, volume in 1e-8."""

    instrument: str  # canonical, `BTC/USD`
    opened_ns: int
    span_ns: int
    open: int
    high: int
    low: int
    close: int
    volume: int
    trades: int


class Trades(NamedTuple):
    """Trades in the order they happened, as columns of one length. Times never fall; one taker's may share theirs."""

    time_ns: Integers
    price: Integers
    volume: Integers  # spot: 1e-8; futures: lots
    is_buy: Booleans  # side of the taker
    is_market: Booleans  # order type of the taker: market or limit
    trade_id: Integers  # from 1, without a gap, per instrument

    def __len__(self) -> int:  # trades, not columns
        return len(self.time_ns)


class Moment(NamedTuple):
    """What is printed at one instant on one instrument: one taker's trades on spot, and what follows on futures."""

    instrument: str
    at_ns: int  # time of the last of the trades
    spot: Trades
    futures: Trades


class Instant(NamedTuple):
    """All moments of one point in time, in the order of the instruments."""

    at_ns: int
    moments: tuple[Moment, ...]


class Bar(NamedTuple):
    """A candle that the venue reports, closed or running. `turnover` is the sum of price times volume: exact vwap."""

    opened_ns: int
    open: int
    high: int
    low: int
    close: int
    volume: int
    turnover: int
    trades: int  # 0: nothing traded, and all prices are the close before


class Level(NamedTuple):
    """One price of an order book and what rests there."""

    price: int
    quantity: int


class Book(NamedTuple):
    """An order book, best first on both sides."""

    at_ns: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]


class Day(NamedTuple):
    """What traded in a stretch of time."""

    open: int
    high: int
    low: int
    volume: int
    turnover: int
    trades: int


class SpotQuote(NamedTuple):
    """A pair as its ticker states it. `last_*` is None before the first trade."""

    instrument: str
    bid: Level
    ask: Level
    last: int
    last_volume: int
    last_ns: int
    today: Day  # since 00:00 UTC
    rolling: Day  # the last 24 hours


class FuturesQuote(NamedTuple):
    """A perpetual as its ticker states it. Index and mark are floats: the venue gives them more digits than a tick."""

    symbol: str
    bid: Level
    ask: Level
    last: int
    last_size: int
    last_ns: int
    rolling: Day
    index_usd: float
    mark_usd: float
    funding_rate: float  # absolute: USD for one base unit and hour, known and constant during its hour
    funding_rate_prediction: float
    relative_funding_rate: float  # a plain fraction per hour
    relative_funding_rate_prediction: float
    next_funding_ns: int
    open_interest: float  # base units


class FundingRate(NamedTuple):
    """One settled hour."""

    at_ns: int  # begin of the hour in which the rate applied
    absolute: float
    relative: float


class MarkBar(NamedTuple):
    """A candle of mark or index: prices only, in USD."""

    opened_ns: int
    open: float
    high: float
    low: float
    close: float
