"""The public side of Kraken: typed replies, under the rate budget, asked again when that may help."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from random import Random
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self, TypeVar

from exchange.kraken import parse, transport
from exchange.kraken.admission import Call
from exchange.kraken.budget import Budget
from exchange.kraken.costs import futures_call, spot_call
from exchange.kraken.payloads import (
    AssetPair,
    Candles,
    ChartPage,
    FundingRate,
    Instrument,
    ServerTime,
    SystemStatus,
    Ticker,
    TradePage,
)
from exchange.kraken.symbols import instrument_of
from trading.errors import ExchangeUnavailable, InputUnusable

T = TypeVar("T")
Timeframe = Literal["15m", "1h", "4h", "1d"]
Chart = Literal["trade", "mark", "spot"]
MINUTES: dict[Timeframe, int] = {"15m": 15, "1h": 60, "4h": 240, "1d": 1440}
TRADES_PER_PAGE = 1000


class Urls(NamedTuple):
    """Hosts without paths: `https://api.kraken.com`, `https://futures.kraken.com`, or a sandbox's."""

    spot: str
    futures: str


class Patience(NamedTuple):
    """How long to wait for an answer, how often to ask, and how long to wait in between: twice as long each time."""

    timeout_s: float = 10.0
    attempts: int = 4
    first_pause_s: float = 0.5
    longest_pause_s: float = 10.0


class PublicClient:
    """Kraken's public endpoints, as an async context manager. Spot names may come in any spelling.

    Every method raises ExchangeUnavailable when the venue gave no usable answer to any attempt, RequestRefused for
    what it will not answer, UnreadableReply for an answer that does not fit its protocol, and InputUnusable for a name
    that is no pair. `chance` is the jitter of the pauses.
    """

    _spot: Any
    _futures: Any

    def __init__(
        self,
        urls: Urls,
        budget: Budget,
        patience: Patience = Patience(),  # noqa: B008  # a value
        chance: Callable[[], float] | None = None,
    ) -> None:
        self._urls = urls
        self._budget = budget
        self._patience = patience
        self._chance = chance or Random().random  # noqa: S311  # not a secret
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._spot = transport.spot(self._urls.spot, self._patience.timeout_s)
        self._stack.push_async_callback(self._spot.close)
        self._futures = transport.futures(self._urls.futures, self._patience.timeout_s)
        self._stack.push_async_callback(self._futures.close)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    # --- spot

    async def system_status(self) -> SystemStatus:
        """Whether spot is open."""
        return await self._ask("SystemStatus", spot_call(), self._spot.public_get_systemstatus, parse.system_status)

    async def server_time(self) -> ServerTime:
        """The venue's clock."""
        return await self._ask("Time", spot_call(), self._spot.public_get_time, parse.server_time)

    async def asset_pairs(self) -> tuple[AssetPair, ...]:
        """Every spot pair that is listed."""
        return await self._ask("AssetPairs", spot_call(), self._spot.public_get_assetpairs, parse.asset_pairs)

    async def candles(self, pair: str, timeframe: Timeframe, after_s: int = 0) -> Candles:
        """The newest 720 closed candles at most, of those opened after `after_s`, and the one still forming."""
        instrument = _instrument(pair)
        return await self._ask(
            f"OHLC of {instrument} {timeframe}",
            spot_call(instrument),
            self._spot.public_get_ohlc,
            lambda reply: parse.candles(reply, instrument),
            {"pair": instrument, "interval": MINUTES[timeframe], "since": after_s},
        )

    async def trade_page(self, pair: str, after_ns: int) -> TradePage:
        """The first 1000 trades at most that happened after `after_ns`."""
        instrument = _instrument(pair)
        return await self._ask(
            f"Trades of {instrument} after {after_ns}",
            spot_call(instrument),
            self._spot.public_get_trades,
            lambda reply: parse.trade_page(reply, instrument),
            {"pair": instrument, "since": str(after_ns), "count": TRADES_PER_PAGE},
        )

    # --- futures

    async def instruments(self) -> tuple[Instrument, ...]:
        """Every contract that is listed."""
        return await self._ask("instruments", futures_call(), self._futures.public_get_instruments, parse.instruments)

    async def tickers(self) -> tuple[Ticker, ...]:
        """The state of every contract."""
        return await self._ask("tickers", futures_call(), self._futures.public_get_tickers, parse.tickers)

    async def funding_rates(self, symbol: str) -> tuple[FundingRate, ...]:
        """The hourly rates of a perpetual over about a year, oldest first. Hours may be missing."""
        return await self._ask(
            f"historicalfundingrates of {symbol}",
            futures_call(),
            self._futures.public_get_historicalfundingrates,
            parse.funding_rates,
            {"symbol": symbol.upper()},
        )

    async def chart_page(self, chart: Chart, symbol: str, timeframe: Timeframe, from_s: int, until_s: int) -> ChartPage:
        """The oldest 2000 candles at most that opened from one second to the other, both included."""
        return await self._ask(
            f"chart {chart} of {symbol} {timeframe}",
            futures_call(),
            self._futures.charts_get_price_type_symbol_interval,
            parse.chart_page,
            {"price_type": chart, "symbol": symbol.upper(), "interval": timeframe, "from": from_s, "to": until_s},
        )

    async def _ask(
        self,
        request: str,
        call: Call,
        method: transport.RawMethod,
        read: Callable[[Any], T],
        arguments: dict[str, Any] | None = None,
    ) -> T:
        """Reading may happen twice: what may come right by itself is asked again, after a jittered pause."""
        attempt = 1
        while True:
            try:
                async with self._budget.spent(call):
                    reply = await transport.ask(request, method, arguments or {})
                return read(reply)
            except ExchangeUnavailable:
                if attempt >= self._patience.attempts:
                    raise
            await asyncio.sleep(self._pause_s(attempt))
            attempt += 1

    def _pause_s(self, attempt: int) -> float:
        pause_s = min(self._patience.first_pause_s * float(2 ** (attempt - 1)), self._patience.longest_pause_s)
        return pause_s * (1 + self._chance()) / 2


def _instrument(pair: str) -> str:
    instrument = instrument_of(pair)
    if instrument is None:
        raise InputUnusable(f"{pair!r} is no spot pair of Kraken's: write it as BTC/USD.")
    return instrument
