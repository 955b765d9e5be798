"""What is expected of the candles of one kind of source only: each expectation fails, and names the series."""

import datetime as dt
from pathlib import Path

import pytest

from warehouse.gate.candle_suites import ARCHIVES, CANDLE_SUITES, CHARTS, COMMON, OWN, REST, TRADES, suite_of
from warehouse.gate.suites import open_gate
from warehouse.gate.validation import validate

pytestmark = pytest.mark.xdist_group("heavy")  # one process imports Great Expectations

CHECKS = Path(__file__).parents[2] / "sql" / "checks" / "batches"
NOW = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
FIRST = dt.datetime(2023, 1, 1, tzinfo=dt.UTC)
THRESHOLDS = {
    "max_gap_candles": 100,
    "max_missing_share": 0.9,
    "max_jump_ratio": 3.0,
    "max_quarantined_share": 0.05,
    "max_reply_candles": 12,
    "max_price_gap_hours": 2.0,
}
HOUR = 4  # candles


def candles(volume="1", trades=7, numbers=range(12)):
    """Candles of 15 minutes; `volume` and `trades` are those of the sixth."""
    return [
        (
            FIRST + dt.timedelta(minutes=15 * number),
            "100",
            "110",
            "90",
            "105",
            *((volume, trades) if place == 5 else own),
        )
        for place, number in enumerate(numbers)
        for own in [("1", 7)]
    ]


def prices(volume="0", numbers=range(12)):
    """The same of a mark price or an index."""
    return [(*row[:5], volume, None) for row in candles(numbers=numbers)]


# By suite: a source, good series, and series with a fault each, with the expectations that find it.
UNCOUNTED, UNTRADED, EMPTY = candles(trades=None), candles(trades=0), candles(volume="0")
AFTER_A_HOLE = [*range(6), *range(6 + 2 * HOUR + 1, 20 + 2 * HOUR)]
CASES = {
    ARCHIVES: (
        "kraken",
        {"GOOD/USD": candles(), "THIN/USD": EMPTY, "NONE/USD": UNTRADED},
        {"F1/USD": (UNCOUNTED, {"trades_not_counted"})},
    ),
    REST: (
        "sandbox-rest",
        {"GOOD/USD": candles()},
        {
            "F1/USD": (UNCOUNTED, {"trades_not_counted"}),
            "F2/USD": (UNTRADED, {"fewest_trades"}),
            "F3/USD": (EMPTY, {"lowest_volume"}),
            "F4/USD": (candles(numbers=range(13)), {"rows_of_one_reply"}),
        },
    ),
    TRADES: (
        "kraken-trades",
        {"GOOD/USD": candles(), "LONG/USD": candles(numbers=range(13))},
        {
            "F1/USD": (UNCOUNTED, {"trades_not_counted"}),
            "F2/USD": (UNTRADED, {"fewest_trades"}),
            "F3/USD": (EMPTY, {"lowest_volume"}),
        },
    ),
    CHARTS: (
        "kraken-charts",
        {
            "PF_GOODUSD": [(*row[:6], None) for row in candles(numbers=AFTER_A_HOLE)],
            "PF_GOODUSD.mark": prices(),
            "PF_GOODUSD.spot": prices(numbers=[*range(6), *range(6 + 2 * HOUR, 20)]),
        },
        {
            "PF_F1USD.mark": (prices(volume="1"), {"volume_of_a_price"}),
            "PF_F2USD.mark": (prices(numbers=AFTER_A_HOLE), {"hours_without_a_price"}),
            "PF_F3USD.spot": (prices(numbers=AFTER_A_HOLE), {"hours_without_a_price"}),
        },
    ),
    OWN: ("own", {"GOOD/USD": UNCOUNTED, "THIN/USD": EMPTY, "NONE/USD": UNTRADED}, {}),
}


@pytest.fixture(scope="module")
def gate(tmp_path_factory):
    return open_gate(tmp_path_factory.mktemp("docs"))


def put(warehouse, source, series):
    """One batch of a source, past the landing, with a file for each series."""
    warehouse.execute(
        "insert into raw.batches values ('b1', ?, 'x', 'x', ?, 'landed', 0, 0, 0, 0, 0, '')", [source, NOW]
    )
    for number, (instrument, rows) in enumerate(series.items()):
        warehouse.execute(
            "insert into raw.files values (?, 'b1', ?, 'x.csv', ?, '15m', 900000000, ?, 'landed', null, null, ?, 0)",
            [number, source, instrument, NOW, len(rows)],
        )
        warehouse.executemany(
            "insert into raw.candle_rows values (?, ?, ?, ?, ?, ?, ?, ?, false)", [(number, *row) for row in rows]
        )


@pytest.mark.parametrize("suite", CASES, ids=lambda suite: suite.name)
def test_each_fault_is_found_and_holds_back_its_own_instrument_only(suite, warehouse, gate, ask):
    source, good, faults = CASES[suite]
    put(warehouse, source, {**good, **{name: rows for name, (rows, _) in faults.items()}})

    verdict = validate(warehouse, "b1", checks=CHECKS, thresholds=THRESHOLDS, checked_at=NOW, gate=gate)

    expected = {}
    for name, (_, measures) in faults.items():
        for measure in measures:
            expected.setdefault(measure, set()).add(name)
    assert {result.name: set(result.instruments) for result in verdict.failed} == expected
    assert set(ask("select instrument from raw.files where state = 'validated'")) == {(name,) for name in good}
    assert ask("select distinct suite from checks.results where suite <> 'sql'") == [(suite.name,)]


def test_every_expectation_of_one_source_only_is_seen_to_fail_here():
    assert set(CASES) == set(CANDLE_SUITES)
    for suite, (_, _, faults) in CASES.items():
        own = {measure.name for measure in set(suite.measures) - set(COMMON)}
        assert own == set().union(*(measures for _, measures in faults.values())), suite.name
        assert {measure.name for measure in COMMON} <= {measure.name for measure in suite.measures}


@pytest.mark.parametrize(
    ("source", "suite"),
    [
        ("kraken", ARCHIVES),
        ("kraken-rest", REST),
        ("sandbox-rest", REST),
        ("sandbox-trades", TRADES),
        ("kraken-charts", CHARTS),
        ("kraken-websocket", OWN),
        ("own", OWN),
        ("somebody", OWN),
    ],
)
def test_every_source_has_a_suite(source, suite):
    assert suite_of(source) is suite
