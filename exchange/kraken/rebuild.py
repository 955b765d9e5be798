"""Trades into closed candles, as Kraken makes them: by the floor of a trade's time, in the order of trade ids.

Only intervals with trades have a candle. Prices and volumes keep ten decimals, as the warehouse does, and sums are
exact. Memory is bounded by what a day holds of candles and by the batch that is added, however long the history.
"""

import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Self

import polars as pl

from exchange.kraken.payloads import Trade
from trading.errors import CheckFailed, InputUnusable

SECOND_NS = 1_000_000_000
SPANS_NS = {"15m": 900 * SECOND_NS, "1h": 3_600 * SECOND_NS, "4h": 14_400 * SECOND_NS, "1d": 86_400 * SECOND_NS}
GRACE_NS = 5 * SECOND_NS  # how far the times of trades may go back against the order of their ids
DECIMALS = 10
EXACT = pl.Decimal(38, DECIMALS)
HIGHEST = Decimal(10) ** 18  # of a price or a volume; sums of 1e10 such trades still fit
WHOLE = pl.Int64()
TRADES = pl.Schema({"trade_id": WHOLE, "traded_ns": WHOLE, "price": EXACT, "volume": EXACT})
BARS = pl.Schema(
    {"opened_ns": WHOLE, **dict.fromkeys(("open", "high", "low", "close", "volume"), EXACT), "trades": WHOLE}
)
FOLDED = (
    pl.col("open").first(),
    pl.col("high").max(),
    pl.col("low").min(),
    pl.col("close").last(),
    pl.col("volume").sum(),
    pl.col("trades").sum(),
)


class Rebuild:
    """Candles of 15m, 1h, 4h and 1d out of one pair's trades, batch by batch.

    `from_ns`: trades are complete from here on, so candles that opened before it are left out.
    """

    def __init__(self, from_ns: int = 0) -> None:
        self._from_ns = from_ns
        self._open = {timeframe: BARS.to_frame() for timeframe in SPANS_NS}
        self._closed_until_ns = 0
        self._newest_ns = 0
        self._last_id: int | None = None

    @classmethod
    def from_state(cls, state: str) -> Self:
        """A rebuild that goes on where another one stood when it told its `state`."""
        told = json.loads(state)
        rebuild = cls(told["from_ns"])
        rebuild._open = {
            timeframe: pl.DataFrame(rows, dict.fromkeys(BARS, pl.String), orient="row").cast(BARS)
            for timeframe, rows in told["open"].items()
        }
        rebuild._closed_until_ns, rebuild._newest_ns = told["closed_until_ns"], told["newest_ns"]
        rebuild._last_id = told["last_id"]
        return rebuild

    def state(self) -> str:
        """All that the next batch depends on: the bars that are open, and where the trades ended."""
        return json.dumps(
            {
                "from_ns": self._from_ns,
                "open": {timeframe: bars.cast(pl.String).rows() for timeframe, bars in self._open.items()},
                "closed_until_ns": self._closed_until_ns,
                "newest_ns": self._newest_ns,
                "last_id": self._last_id,
            }
        )

    def add(self, trades: pl.DataFrame) -> pl.DataFrame:
        """The candles that these trades close, of all timeframes. `trades` has the columns of TRADES.

        Trades that were added before (ids up to the last one) are passed over. Raises CheckFailed: a trade belongs to
        a candle that is closed already, or its id is an old one at a new time.
        """
        fresh = self._fresh(trades)
        if fresh.is_empty():
            return self._candles([])
        oldest_ns, newest_ns = _extremes(fresh)
        if oldest_ns < self._closed_until_ns:
            raise CheckFailed(
                f"A trade at {oldest_ns} ns belongs to a candle that closed before {self._closed_until_ns} ns. "
                "Fetch the trades again from before it."
            )
        self._last_id = _highest_id(fresh)
        self._newest_ns = max(self._newest_ns, newest_ns)
        return self._advance(_bars_of(fresh), self._newest_ns - GRACE_NS)

    def close(self, at_ns: int) -> pl.DataFrame:
        """The candles whose interval ends at `at_ns` or before, by the venue's clock. All trades until then are in."""
        return self._advance(BARS.to_frame(), at_ns)

    def _fresh(self, trades: pl.DataFrame) -> pl.DataFrame:
        ordered = _ordered(trades.select(TRADES.names()))
        if self._last_id is None or ordered.is_empty() or ordered["trade_id"].item(0) > self._last_id:
            return ordered
        known = ordered.filter(pl.col("trade_id") <= self._last_id)
        if not known.is_empty() and _extremes(known)[1] > self._newest_ns:
            raise CheckFailed(
                f"A trade at {_extremes(known)[1]} ns has an id below {self._last_id}, which came before it. "
                "Look at the venue's ids before these trades are used."
            )
        return ordered.filter(pl.col("trade_id") > self._last_id)

    def _advance(self, bars: pl.DataFrame, until_ns: int) -> pl.DataFrame:
        """Pass bars of 15m up through the timeframes: what closes in one goes into the next."""
        candles = []
        for timeframe, span_ns in SPANS_NS.items():
            folded = _folded(pl.concat([self._open[timeframe], bars]), span_ns)
            is_closed = pl.col("opened_ns") + span_ns <= until_ns
            bars = folded.filter(is_closed)
            self._open[timeframe] = folded.filter(~is_closed)
            candles.append(bars.with_columns(timeframe=pl.lit(timeframe)))
        shortest_ns = SPANS_NS["15m"]
        self._closed_until_ns = max(self._closed_until_ns, until_ns // shortest_ns * shortest_ns)
        return self._candles(candles)

    def _candles(self, parts: list[pl.DataFrame]) -> pl.DataFrame:
        none = BARS.to_frame().with_columns(timeframe=pl.lit("", pl.String))
        return pl.concat([none, *parts]).filter(pl.col("opened_ns") >= self._from_ns)


def as_columns(trades: Iterable[Trade]) -> pl.DataFrame:
    """Trades as `Rebuild.add` takes them. Raises InputUnusable: a number with more digits than are kept."""
    rows = [
        (trade.trade_id, int(trade.traded_s * SECOND_NS), _kept(trade, "price"), _kept(trade, "volume"))
        for trade in trades
    ]
    return pl.DataFrame(rows, TRADES, orient="row")


def _kept(trade: Trade, field: str) -> Decimal:
    number: Decimal = getattr(trade, field)
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int), "parsed numbers are finite"
    if exponent < -DECIMALS or abs(number) >= HIGHEST:
        raise InputUnusable(
            f"Trade {trade.trade_id}: {field} {number} does not fit into {DECIMALS} decimals below {HIGHEST:.0e}. "
            "Look at the trade at the venue; it was not used."
        )
    return number


def _ordered(trades: pl.DataFrame) -> pl.DataFrame:
    """By id, each once. Nearly all come so, and to see that takes a fraction of the time that sorting does."""
    if (trades["trade_id"].diff().drop_nulls() > 0).all():
        return trades
    return trades.unique("trade_id", keep="first").sort("trade_id")


def _bars_of(trades: pl.DataFrame) -> pl.DataFrame:
    """Every trade as a bar of its own, opened when it happened."""
    price = pl.col("price")
    return trades.select(
        opened_ns="traded_ns", open=price, high=price, low=price, close=price, volume="volume", trades=1
    ).cast(BARS)


def _folded(bars: pl.DataFrame, span_ns: int) -> pl.DataFrame:
    """Bars, in their order, into bars of a longer span."""
    bucket = (pl.col("opened_ns") // span_ns * span_ns).alias("opened_ns")
    return bars.group_by(bucket, maintain_order=True).agg(FOLDED).cast(BARS).sort("opened_ns")


def _extremes(trades: pl.DataFrame) -> tuple[int, int]:
    """The oldest and the newest time."""
    oldest_ns, newest_ns = trades.select(oldest=pl.col("traded_ns").min(), newest=pl.col("traded_ns").max()).row(0)
    return oldest_ns, newest_ns


def _highest_id(trades: pl.DataFrame) -> int:
    highest: int = trades["trade_id"].item(-1)
    return highest
