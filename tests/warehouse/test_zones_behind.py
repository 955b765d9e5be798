"""Which zones a signal came back to: a market with an order block and a gap below it, and what if one thing differs."""

import datetime as dt

import duckdb
import polars as pl
import pytest

from warehouse.strategies.zones import SCHEMA, zones_behind

NOON = dt.datetime(2023, 6, 1, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
ENTRY_AT = NOON + HOUR
# The price stands above an order block from 100 to 104, comes into it, and closes in it.
BEFORE = {"high": 109.0, "low": 107.0, "close": 108.0}
ENTRY = {"high": 108.0, "low": 102.0, "close": 103.0}
BLOCK = {
    "instrument": "BTC/USD", "timeframe": "1h", "zone_id": 7, "kind": "order block", "side": "bullish",
    "born_at": NOON - 5 * HOUR, "known_at": NOON, "broken_at": None, "ended_at": None, "bottom": 100.0, "top": 104.0,
}  # fmt: skip
# Of this gap 105 to 107 has been filled before.
GAP = {**BLOCK, "zone_id": 6, "kind": "fair value gap", "bottom": 101.0, "top": 107.0}
TOLD = {"bull_block_bottom": 100.0, "bull_block_top": 104.0, "bull_gap_bottom": 101.0, "bull_gap_top": 105.0}
EDGES = tuple(
    f"{side}_{kind}_{edge}" for side in ("bull", "bear") for kind in ("block", "gap") for edge in ("bottom", "top")
)


def found(*, zones=(BLOCK,), before=BEFORE, entry=ENTRY, told=TOLD, side="long", timeframe="1h", instrument="BTC/USD"):
    """Zones behind one signal at the close of `entry`, as dictionaries."""
    signals = pl.DataFrame({"instrument": [instrument], "closed_at": [ENTRY_AT], "side": [side]})
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'; create schema marts; create schema features")
        candles = [("BTC/USD", "1h", at, *row.values()) for at, row in ((NOON, before), (ENTRY_AT, entry))]
        keys = "instrument varchar, timeframe varchar, closed_at timestamptz"
        connection.execute(
            f"create table marts.candles ({keys}, high decimal(28, 10), low decimal(28, 10), close double)"
        )
        connection.executemany("insert into marts.candles values (?, ?, ?, ?, ?, ?)", candles)
        connection.execute(f"create table features.smc ({keys}, {', '.join(f'{edge} double' for edge in EDGES)})")
        row = ["BTC/USD", "1h", NOON, *(told.get(edge) for edge in EDGES)]
        connection.execute(f"insert into features.smc values ({', '.join('?' * len(row))})", row)
        connection.execute(
            "create table marts.zones (instrument varchar, timeframe varchar, zone_id bigint, kind varchar,"
            " side varchar, born_at timestamptz, known_at timestamptz, broken_at timestamptz, ended_at timestamptz,"
            " bottom double, top double)"
        )
        connection.executemany(
            f"insert into marts.zones values ({', '.join('?' * len(BLOCK))})", [[*zone.values()] for zone in zones]
        )
        rows = zones_behind(connection, signals, timeframe)
    assert rows.schema == SCHEMA
    return rows.to_dicts()


def test_a_block_that_the_price_came_back_to_has_its_whole_life():
    life = {
        name: BLOCK[name] for name in ("instrument", "zone_id", "kind", "side", "born_at", "known_at", "bottom", "top")
    }
    assert found() == [{**life, "signal_at": ENTRY_AT, "ended_at": None}]


def test_a_signal_may_have_come_back_to_a_block_and_a_gap():
    assert [(zone["zone_id"], zone["kind"]) for zone in found(zones=(BLOCK, GAP))] == [
        (6, "fair value gap"),
        (7, "order block"),
    ]


def test_a_gap_that_was_filled_partly_is_told_whole():
    (gap,) = found(zones=(GAP,))
    assert (gap["bottom"], gap["top"]) == (101.0, 107.0)


def test_a_zone_may_end_on_the_candle_of_the_signal_and_a_block_ends_when_it_is_broken():
    (block,) = found(zones=({**BLOCK, "broken_at": ENTRY_AT, "ended_at": ENTRY_AT + HOUR},))
    assert block["ended_at"] == ENTRY_AT
    (gap,) = found(zones=({**GAP, "ended_at": ENTRY_AT + HOUR},))
    assert gap["ended_at"] == ENTRY_AT + HOUR


@pytest.mark.parametrize(
    "change",
    [
        {"side": "short"},
        {"timeframe": "4h"},
        {"instrument": "ETH/USD"},
        {"entry": {**ENTRY, "low": 104.5}},
        {"entry": {**ENTRY, "close": 99.0}},
        {"before": {**BEFORE, "close": 104.0}},
        {"zones": ({**BLOCK, "known_at": ENTRY_AT},)},
        {"zones": ({**BLOCK, "broken_at": NOON},)},
        {"zones": ({**BLOCK, "ended_at": NOON},)},
        {"zones": ({**BLOCK, "side": "bearish"},)},
        {"zones": ({**BLOCK, "kind": "liquidity pool"},)},
        {"zones": ({**BLOCK, "bottom": 90.0, "top": 94.0},)},
        {"told": {}},
    ],
    ids=[
        "the other side", "another timeframe", "another instrument", "not reached", "closed beyond it",
        "the price was in it before", "known with the signal", "broken before", "ended before", "bearish", "a pool",
        "not the nearest", "nothing was told",
    ],
)  # fmt: skip
def test_what_the_signal_did_not_come_back_to_is_left_out(change):
    assert found(**change) == []


def test_of_two_blocks_of_one_candle_it_is_the_younger_as_in_the_features():
    assert [zone["zone_id"] for zone in found(zones=(BLOCK, {**BLOCK, "zone_id": 9}))] == [9]


def test_a_short_is_the_same_upside_down():
    def turned(row):
        return {"high": 200 - row["low"], "low": 200 - row["high"], "close": 200 - row["close"]}

    zones = [
        {**zone, "side": "bearish", "bottom": 200 - zone["top"], "top": 200 - zone["bottom"]} for zone in (BLOCK, GAP)
    ]
    told = {
        "bear_block_bottom": 96.0, "bear_block_top": 100.0, "bear_gap_bottom": 95.0, "bear_gap_top": 99.0
    }  # fmt: skip
    upside_down = found(zones=zones, before=turned(BEFORE), entry=turned(ENTRY), told=told, side="short")
    assert [zone["zone_id"] for zone in upside_down] == [6, 7]
