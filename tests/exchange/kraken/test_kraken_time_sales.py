"""Archives of trades: the same candles whatever the files; what can't be read is named, and nothing is made of it."""

import gzip
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.kraken.rebuild import SPANS_NS, TRADES, Rebuild
from exchange.kraken.time_sales import TradeFile, candles_of, covered_by, in_order, instrument_of_file
from trading.errors import InputUnusable

REAL = Path(__file__).parent / "real"
MIDNIGHT = 1_700_265_600  # 2023-11-18, at which the real trades begin
NS = 10**9


def candles(files: list[TradeFile], since: datetime | None = None, until: datetime | None = None) -> pl.DataFrame:
    ordered, first_ns, last_ns = in_order(files)
    made = pl.concat(candles_of(ordered, covered_by(first_ns, last_ns, since, until)))
    return made.sort("timeframe", "opened_ns")


def written(folder: Path, name: str, lines: list[str]) -> TradeFile:
    path = folder / name
    path.write_text("".join(f"{line}\n" for line in lines))
    return TradeFile(name, path)


def at(day: int) -> datetime:
    return datetime(2023, 11, day, tzinfo=UTC)


def test_real_trades_of_two_days_make_their_bars_exactly(tmp_path):
    rows = [line.split(",") for line in gzip.decompress((REAL / "trades.csv.gz").read_bytes()).decode().splitlines()]
    lines = [f"{Decimal(ms) / 1000},{price},{volume}" for _, ms, price, volume in rows]
    half = len(lines) // 2
    files = [written(tmp_path, "later.csv", lines[half:]), written(tmp_path, "earlier.csv", lines[:half])]
    made = candles(files, at(18), at(20))
    for timeframe, bars in (("15m", 192), ("1h", 48)):
        expected = [
            tuple(map(Decimal, line.split(","))) for line in (REAL / f"bars_{timeframe}.csv").read_text().splitlines()
        ]
        assert len(expected) == bars
        columns = made.filter(pl.col("timeframe") == timeframe)
        told = columns.select(pl.col("opened_ns") // NS, "open", "high", "low", "close", "volume").rows()
        assert told == expected


trades = st.lists(
    st.tuples(st.integers(0, 40_000), st.integers(1, 10**6), st.integers(1, 10**9)), min_size=1, max_size=60
)


@given(trades, st.data())
def test_however_the_trades_are_spread_over_files_they_make_the_same_candles(tmp_path_factory, given_trades, data):
    folder = tmp_path_factory.mktemp("trades")
    ordered = sorted(given_trades, key=lambda trade: trade[0])
    lines = [f"{MIDNIGHT + s},{Decimal(price) / 100},{Decimal(lots) / 10**8}" for s, price, lots in ordered]
    cuts = sorted(data.draw(st.sets(st.integers(1, len(lines) - 1), max_size=3))) if len(lines) > 1 else []
    parts = [lines[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(lines)], strict=True)]
    files = [written(folder, f"{number}.csv", part) for number, part in enumerate(parts)]
    frame = pl.DataFrame(
        [
            (number, (MIDNIGHT + s) * NS, Decimal(price) / 100, Decimal(lots) / 10**8)
            for number, (s, price, lots) in enumerate(ordered, 1)
        ],
        TRADES,
        orient="row",
    )
    rebuild = Rebuild()
    expected = pl.concat([rebuild.add(frame), rebuild.close((MIDNIGHT + 86_400) * NS)]).sort("timeframe", "opened_ns")
    assert candles(files, at(18), at(19)).equals(expected)


def test_the_intervals_of_the_first_and_the_last_trade_are_taken_for_cut(tmp_path):
    lines = [f"{MIDNIGHT + s},100,1" for s in (3, 900, 1_800, 2_000)]
    made = candles([written(tmp_path, "XBTUSD.csv", lines)])
    assert made.select("timeframe", pl.col("opened_ns") // NS - MIDNIGHT).rows() == [("15m", 900)]


def test_whoever_says_that_nothing_is_cut_gets_every_candle(tmp_path):
    lines = [f"{MIDNIGHT + s},100,1" for s in (3, 900, 1_800, 2_000)]
    made = candles([written(tmp_path, "XBTUSD.csv", lines)], at(18), at(19))
    assert made.group_by("timeframe").len().sort("timeframe").rows() == [("15m", 3), ("1d", 1), ("1h", 1), ("4h", 1)]
    assert made["trades"].sum() == 4 * len(SPANS_NS)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "1700265700,100",
        "1700265700,100,1,b",
        "1700265700,100,x",
        "1700265700,nan,1",
        "1700265700,0,1",
        "1700265700,-1,1",
        "1700265700,100,0.00000000001",
        "1700265700,1e30,1",
        '1700265700,"100",1',
        "time,price,volume",
    ],
)
def test_a_line_that_is_no_trade_is_named(tmp_path, line):
    file = written(tmp_path, "XBTUSD.csv", [f"{MIDNIGHT},100,1", line, f"{MIDNIGHT + 9_000},100,1"])
    with pytest.raises(InputUnusable, match=r"XBTUSD\.csv, line 2: .* is no trade"):
        candles([file])


def test_numbers_may_be_written_with_an_exponent(tmp_path):
    lines = [f"{seconds},1e2,1E-8" for seconds in ("1.7002656e9", MIDNIGHT + 900, MIDNIGHT + 1_800)]
    made = candles([written(tmp_path, "XBTUSD.csv", lines)])
    assert made.select("open", "volume").rows() == [(Decimal(100), Decimal("1e-8"))] * 2


def test_files_that_overlap_or_leave_a_day_out_are_refused(tmp_path):
    first = written(tmp_path, "first.csv", [f"{MIDNIGHT},100,1", f"{MIDNIGHT + 900},100,1"])
    second = written(tmp_path, "second.csv", [f"{MIDNIGHT + 800},100,1", f"{MIDNIGHT + 1_800},100,1"])
    late = written(tmp_path, "late.csv", [f"{MIDNIGHT + 90_000},100,1", f"{MIDNIGHT + 99_000},100,1"])
    with pytest.raises(InputUnusable, match=r"second\.csv begins at .* before first\.csv ends at"):
        candles([second, first])
    with pytest.raises(InputUnusable, match=r"may be in a file that is missing"):
        candles([late, first])


def test_an_empty_file_is_named(tmp_path):
    with pytest.raises(InputUnusable, match=r"XBTUSD\.csv is empty"):
        candles([written(tmp_path, "XBTUSD.csv", [])])


@pytest.mark.parametrize(
    ("since", "until", "said"),
    [
        (datetime(2023, 11, 18, 0, 7, tzinfo=UTC), None, "since.* bound of a 15m candle"),
        (datetime(2023, 11, 18), None, "since.* bound of a 15m candle"),  # a person forgot the zone
        (at(19), None, "before `since`"),
        (None, at(18), "not before `until`"),
    ],
)
def test_a_span_that_cannot_be_is_refused(tmp_path, since, until, said):
    file = written(tmp_path, "XBTUSD.csv", [f"{MIDNIGHT},100,1", f"{MIDNIGHT + 9_000},100,1"])
    with pytest.raises(InputUnusable, match=said):
        candles([file], since, until)


def test_trades_within_one_interval_make_no_candle(tmp_path):
    file = written(tmp_path, "XBTUSD.csv", [f"{MIDNIGHT + 1},100,1", f"{MIDNIGHT + 800},100,1"])
    with pytest.raises(InputUnusable, match="no interval of 15 minutes is complete"):
        candles([file])


@pytest.mark.parametrize(
    ("name", "instrument"),
    [("a/XBTUSD.csv", "BTC/USD"), ("ETHEUR.CSV", "ETH/EUR"), ("XBTUSD_15.csv", None), ("XBTUSD.txt", None)],
)
def test_a_name_states_the_pair(name, instrument):
    assert instrument_of_file(name) == instrument
