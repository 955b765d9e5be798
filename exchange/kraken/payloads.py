"""What Kraken's public replies say, as frozen values: exact decimals, aware times, fields that we use.

Fields that the venue adds are let through unread. Whether a number makes sense (a price of zero, a high below the low)
is not judged here: such rows are for quarantine, and must get there.
"""

import re
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from exchange.kraken.symbols import instrument_of

NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")


def exact(value: Any) -> Decimal:
    """A number out of text, a whole number or an exact JSON number. Never a float: its digits may be another number's.

    Raises ValueError: something else, or not finite.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError(f"is no exact number but {type(value).__name__}")  # noqa: TRY004  # pydantic reads this one
    if isinstance(value, str) and not NUMBER.fullmatch(value):
        raise ValueError("is no number")
    number = Decimal(value)
    if not number.is_finite():
        raise ValueError("is not finite")
    return number


Exact = Annotated[Decimal, BeforeValidator(exact)]
Name = Annotated[str, StringConstraints(min_length=1)]


class Reply(BaseModel):
    """A value out of a reply."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class FuturesReply(Reply):
    """The same, where the venue writes names inCamels."""

    model_config = ConfigDict(alias_generator=to_camel)


# --- spot


class SystemStatus(Reply):
    """Whether spot is open."""

    status: Literal["online", "maintenance", "cancel_only", "post_only", "limit_only"]
    timestamp: AwareDatetime


class ServerTime(Reply):
    """The venue's clock, in seconds since 1970."""

    unixtime: int


class AssetPair(Reply):
    """A spot pair as AssetPairs lists it. Minimums: `ordermin` in base, `costmin` in quote units."""

    altname: Name
    wsname: Name | None = None
    base: Name
    quote: Name
    pair_decimals: int
    lot_decimals: int
    cost_decimals: int
    status: Name
    ordermin: Exact | None = None
    costmin: Exact | None = None
    tick_size: Exact | None = None
    leverage_buy: tuple[int, ...] = ()
    leverage_sell: tuple[int, ...] = ()
    long_position_limit: int | None = None
    short_position_limit: int | None = None

    @property
    def instrument(self) -> str | None:
        """Our name, `BTC/USD`; None for what is no pair in our sense."""
        return instrument_of(self.wsname or self.altname)


class Candle(NamedTuple):
    """One row of OHLC. Times in seconds since 1970; volume in base units; without trades count and volume are 0."""

    opened_s: int
    open: Exact
    high: Exact
    low: Exact
    close: Exact
    vwap: Exact
    volume: Exact
    trades: int


class Candles(NamedTuple):
    """A reply of OHLC. `forming` is not data yet, and never among the closed ones."""

    instrument: str
    closed: tuple[Candle, ...]
    forming: Candle | None
    last_closed_s: int  # opening time of the newest committed candle, whether listed or not


class Trade(NamedTuple):
    """One row of Trades. `traded_s` has the digits that the venue sent, fewer than its cursor."""

    price: Exact
    volume: Exact
    traded_s: Exact
    side: Literal["b", "s"]
    order_type: Literal["l", "m"]
    misc: str
    trade_id: int


class TradePage(NamedTuple):
    """A reply of Trades. `last_ns` is the time of its last row in nanoseconds, without rows the cursor asked with."""

    instrument: str
    trades: tuple[Trade, ...]
    last_ns: int


# --- futures


class MarginLevel(FuturesReply):
    """From this size on (linear: notional in quote units; inverse: contracts) these shares of it."""

    initial_margin: Exact
    maintenance_margin: Exact
    num_non_contract_units: Exact | None = None
    contracts: Exact | None = None


class MarginSchedule(FuturesReply):
    """Margin levels of one region, by kind of client."""

    retail: tuple[MarginLevel, ...] = ()
    professional: tuple[MarginLevel, ...] = ()


class Instrument(FuturesReply):
    """A contract as /instruments lists it."""

    symbol: Name
    type: Name
    tradeable: bool
    tick_size: Exact | None = None
    contract_size: Exact | None = None
    contract_value_trade_precision: int | None = None  # digits of a size; may be negative
    impact_mid_size: Exact | None = None
    max_position_size: Exact | None = None
    opening_date: AwareDatetime | None = None
    last_trading_time: AwareDatetime | None = None  # of dated contracts only
    margin_levels: tuple[MarginLevel, ...] = ()
    margin_schedules: dict[str, MarginSchedule] = Field(default_factory=dict)
    funding_rate_coefficient: Exact | None = None
    max_relative_funding_rate: Exact | None = None
    base: str | None = None
    quote: str | None = None
    pair: str | None = None  # `BTC:USD`, where tickers write `XBT:USD`
    post_only: bool = False
    is_expired: bool = False


class Ticker(FuturesReply):
    """A row of /tickers. Halted contracts lack last, bid and ask; index rows lack nearly all."""

    symbol: Name
    last: Exact | None = None
    last_time: AwareDatetime | None = None
    tag: str | None = None
    pair: str | None = None
    mark_price: Exact | None = None
    index_price: Exact | None = None
    bid: Exact | None = None
    bid_size: Exact | None = None
    ask: Exact | None = None
    ask_size: Exact | None = None
    vol24h: Exact | None = Field(None, alias="vol24h")  # base units
    volume_quote: Exact | None = None
    open_interest: Exact | None = None
    funding_rate: Exact | None = None  # absolute: quote units for one base unit and hour
    funding_rate_prediction: Exact | None = None
    suspended: bool | None = None
    post_only: bool | None = None


class FundingRate(FuturesReply):
    """One hour's rate: `funding_rate` in quote units for one base unit, and relative to the index."""

    timestamp: AwareDatetime  # begin of the hour
    funding_rate: Exact
    relative_funding_rate: Exact


class ChartCandle(Reply):
    """A candle of the charts; `time` is its opening in ms since 1970. Mark and spot have no volume."""

    time: int
    open: Exact
    high: Exact
    low: Exact
    close: Exact
    volume: Exact


class ChartPage(NamedTuple):
    """A reply of the charts. The newest candle may still be forming: only the clock tells, the reply does not."""

    candles: tuple[ChartCandle, ...]
    has_more: bool
