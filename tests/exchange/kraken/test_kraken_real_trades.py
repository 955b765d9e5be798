"""Two days of Kraken's real trades of BTC/USDT make the bars that another program made of them, to the last decimal.

Found with that program's bars (freqtrade's) in Kblack0610/freqtrade_trading_attempt@88762fc584f1; plain prices, with
the venue's own ids. Here as text, volumes of the bars rounded to the eight decimals that floats had blurred.
"""

import gzip
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from exchange.kraken.rebuild import TRADES, Rebuild

REAL = Path(__file__).parent / "real"


def trades() -> pl.DataFrame:
    lines = gzip.decompress((REAL / "trades.csv.gz").read_bytes()).decode().splitlines()
    rows = [line.split(",") for line in lines]
    return pl.DataFrame(
        [(int(number), int(ms) * 10**6, Decimal(price), Decimal(volume)) for number, ms, price, volume in rows],
        TRADES,
        orient="row",
    )


@pytest.mark.parametrize(("timeframe", "bars"), [("15m", 192), ("1h", 48)])
@pytest.mark.parametrize("page", [1_000, 100_000])
def test_real_trades_make_their_bars_exactly(timeframe: str, bars: int, page: int) -> None:
    rebuild, told = Rebuild(), trades()
    parts = [rebuild.add(told[begin : begin + page]) for begin in range(0, len(told), page)]
    made = pl.concat([*parts, rebuild.close(1_700_438_400 * 10**9)]).filter(pl.col("timeframe") == timeframe)
    lines = (REAL / f"bars_{timeframe}.csv").read_text().splitlines()
    expected = [tuple(map(Decimal, line.split(","))) for line in lines]
    assert len(expected) == bars
    columns = made.sort("opened_ns").select(pl.col("opened_ns") // 10**9, "open", "high", "low", "close", "volume")
    assert columns.rows() == expected
