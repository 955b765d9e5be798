"""Each check and each expectation fails on the data it is there for, and a batch that fails goes nowhere."""

import datetime as dt
from pathlib import Path

import pytest

from trading.errors import CheckFailed, InputUnusable
from warehouse.gate.candle_suites import ARCHIVES, COMMON
from warehouse.gate.suites import open_gate
from warehouse.gate.validation import validate

pytestmark = pytest.mark.xdist_group("heavy")  # one process imports Great Expectations

CHECKS = Path(__file__).parents[2] / "sql" / "checks" / "batches"
NOW = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
THRESHOLDS = {
    "max_gap_candles": 10,
    "max_missing_share": 0.5,
    "max_jump_ratio": 3.0,
    "max_quarantined_share": 0.05,
}
FIRST = dt.datetime(2023, 1, 1, tzinfo=dt.UTC)
GOOD = ("100", "110", "90", "105", "1", 7)


def at(number):
    return FIRST + dt.timedelta(minutes=15 * number)


def series(**changed):
    """Twelve good candles, those at `n<number>` replaced."""
    return [(at(number), *changed.get(f"n{number}", GOOD)) for number in range(12)]


# Landing would not let most of these through; the gate must not rely on that.
FAILURES = {
    "twice the same candle": (
        [*series(), (at(11), *GOOD)],
        {"once_each"},
        {"fewest_candles_to_previous"},
    ),
    "no low": (series(n5=("100", "110", None, "105", "1", 7)), {"complete"}, {"values_missing"}),
    "a price of zero": (series(n5=("100", "110", "0", "105", "1", 7)), {"consistent"}, {"lowest_price"}),
    "a negative price": (series(n5=("100", "110", "-1", "105", "1", 7)), {"consistent"}, {"lowest_price"}),
    "high below the close": (series(n5=("100", "104", "90", "105", "1", 7)), {"consistent"}, {"least_high_above_body"}),
    "low above the open": (series(n5=("100", "110", "101", "105", "1", 7)), {"consistent"}, {"least_low_below_body"}),
    "negative volume": (series(n5=("100", "110", "90", "105", "-1", 7)), {"consistent"}, {"lowest_volume"}),
    "negative trades": (series(n5=("100", "110", "90", "105", "1", -7)), {"consistent"}, {"fewest_trades"}),
    "off the grid": (
        [*series(), (at(12) + dt.timedelta(seconds=1), *GOOD)],
        {"on_grid"},
        {"most_seconds_off_grid"},
    ),
    "not closed when it was fetched": (
        [(NOW, *GOOD)],
        {"on_grid"},
        {"seconds_from_last_close_to_fetch"},
    ),
    "a long gap": ([*series(), (at(22), *GOOD)], {"no_long_gap"}, {"most_candles_to_previous"}),
    "many gaps": ([(at(3 * number), *GOOD) for number in range(9)], {"few_missing"}, {"missing_share"}),
    "a jump up": (series(n5=("400", "410", "390", "400", "1", 7)), {"no_jump"}, {"highest_jump"}),
    "a jump down": (series(n5=("10", "11", "9", "10", "1", 7)), {"no_jump"}, {"highest_jump"}),
    "a wild high": (series(n5=("100", "100000", "90", "105", "1", 7)), {"no_jump"}, {"highest_jump"}),
    "a wild low": (series(n5=("100", "110", "0.1", "105", "1", 7)), {"no_jump"}, {"highest_jump"}),
    "a wild first candle": (series(n0=("100", "100000", "90", "105", "1", 7)), {"no_jump"}, {"highest_jump"}),
}


@pytest.fixture(scope="session")
def gate(tmp_path_factory):
    return open_gate(tmp_path_factory.mktemp("docs"))


@pytest.fixture
def batch(warehouse):
    """Puts rows into `raw` past the landing, as batch `b1`."""

    def put(rows, *, batch_id="b1", state="landed", read=None, quarantined=0, first_file=1, instrument="BTC/USD"):
        warehouse.execute(
            "insert into raw.batches values (?, 'kraken', 'x', ?, ?, ?, ?, ?, 0, 0, ?, '')",
            [batch_id, batch_id, NOW, state, read or len(rows), len(rows), quarantined],
        )
        warehouse.execute(
            "insert into raw.files values"
            " (?, ?, 'kraken', 'XBTUSD_15.csv', ?, '15m', 900000000, ?, ?, null, null, ?, ?)",
            [first_file, batch_id, instrument, NOW, state, read or len(rows), quarantined],
        )
        put_rows(warehouse, first_file, rows)

    return put


def put_rows(warehouse, file_id, rows):
    for row in rows:
        warehouse.execute("insert into raw.candle_rows values (?, ?, ?, ?, ?, ?, ?, ?, false)", [file_id, *row])


def judge(warehouse, gate=None, **thresholds):
    return validate(warehouse, "b1", checks=CHECKS, thresholds={**THRESHOLDS, **thresholds}, checked_at=NOW, gate=gate)


SQL_CHECKS = {path.stem for path in CHECKS.glob("*.sql")}
EXPECTATIONS = {measure.name for measure in COMMON}


def test_good_candles_pass_everything_and_the_evidence_is_stored(warehouse, batch, gate, ask):
    batch(series())
    verdict = judge(warehouse, gate)
    verdict.refuse_failed()
    assert verdict.passed
    assert ask("select state, detail from raw.batches") == [("validated", "")]
    assert ask("select suite, count(*), bool_and(passed) from checks.results group by suite order by suite") == [
        ("raw candles, archives", len(ARCHIVES.measures), True),
        ("sql", len(SQL_CHECKS), True),
    ]
    assert ARCHIVES.name in verdict.docs.read_text(encoding="utf-8")


@pytest.mark.parametrize("case", FAILURES, ids=str)
def test_each_fault_is_found_by_its_check_and_nothing_is_waved_through(case, warehouse, batch, ask):
    rows, checks, _ = FAILURES[case]
    batch(rows)
    verdict = judge(warehouse)
    assert {result.name for result in verdict.failed} == checks
    assert ask("select state from raw.batches") == [("refused",)]
    assert {name for (name,) in ask("select check_name from checks.results where not passed")} == checks
    with pytest.raises(CheckFailed, match=r"(?s)b1.*BTC/USD"):
        verdict.refuse_failed()


def test_each_fault_is_found_by_its_expectation_which_names_the_series(warehouse, batch, gate):
    batch(series())
    for number, (rows, _, _) in enumerate(FAILURES.values(), start=2):
        warehouse.execute(
            "insert into raw.files select ?, * exclude (file_id) from raw.files where file_id = 1", [number]
        )
        warehouse.execute("update raw.files set instrument = ? where file_id = ?", [f"F{number}/USD", number])
        put_rows(warehouse, number, rows)
    found = {result.name: result.detail for result in judge(warehouse, gate).failed if result.name in EXPECTATIONS}
    for name, detail in found.items():
        named = {line.split()[0] for line in detail.splitlines()}
        assert named == {
            f"F{number}/USD" for number, (_, _, expected) in enumerate(FAILURES.values(), start=2) if name in expected
        }, name
    assert set(found) == set.union(*(expected for _, _, expected in FAILURES.values()))


def test_many_bad_rows_make_the_good_ones_doubtful(warehouse, batch, gate):
    batch(series(), read=13, quarantined=1)
    verdict = judge(warehouse, gate)
    assert {result.name for result in verdict.failed} == {"few_quarantined", "quarantined_share"}


def test_a_batch_without_new_rows_passes(warehouse, batch, gate):
    batch(series(), batch_id="b0", state="validated", first_file=1)
    batch([], read=12, first_file=2)
    assert judge(warehouse, gate).passed


def test_every_check_and_every_expectation_is_seen_to_fail_here():
    quarantine = {"few_quarantined"}, {"quarantined_share"}
    assert set.union(*(checks for _, checks, _ in FAILURES.values())) | quarantine[0] == SQL_CHECKS
    # A series has a row or is none: `candles` is there for its number in the Data Docs.
    assert set.union(*(expected for _, _, expected in FAILURES.values())) | quarantine[1] | {"candles"} == EXPECTATIONS


def test_one_bad_series_is_named_among_good_ones(warehouse, batch, gate):
    batch(series(), first_file=1)
    warehouse.execute("insert into raw.files select * replace (2 as file_id, 'ETH/USD' as instrument) from raw.files")
    warehouse.execute(
        "insert into raw.candle_rows select * replace (2 as file_id, -volume as volume) from raw.candle_rows"
    )
    (result,) = [result for result in judge(warehouse, gate).failed if result.name == "lowest_volume"]
    assert (result.offenders, result.detail) == (1, "  ETH/USD 15m: lowest_volume=-1.0, at least 0")


def test_a_correction_is_judged_among_the_candles_it_corrects(warehouse, batch):
    batch(series(), batch_id="b0", state="validated", first_file=1)
    few = series(n0=("101", "110", "90", "105", "1", 7), n11=("101", "110", "90", "105", "1", 7))
    batch([few[0], few[11]], first_file=2)
    assert judge(warehouse, max_gap_candles=1, max_missing_share=0.0).passed


def test_a_correction_that_breaks_the_series_is_refused(warehouse, batch):
    batch(series(), batch_id="b0", state="validated", first_file=1)
    wrong = series(n5=("1000", "1010", "990", "1000", "1", 7))
    batch(wrong[4:7], first_file=2)
    assert {result.name for result in judge(warehouse).failed} == {"no_jump"}


MONTH = 30 * 96
WILD = ("100000", "110000", "90000", "105000", "1", 7)


@pytest.mark.parametrize(
    "number",
    [0, 11, 12, 32, 11 + MONTH, -1, -21, -MONTH],
    ids=["first", "last", "after", "later", "a month after", "before", "earlier", "a month before"],
)
def test_one_wild_candle_is_refused_by_the_candles_beside_it(number, warehouse, batch):
    batch(series(), batch_id="b0", state="validated", first_file=1)
    batch([(at(number), *WILD)], first_file=2)
    assert {result.name for result in judge(warehouse).failed} == {"no_jump"}


def test_a_wild_candle_before_the_first_fails_its_expectation_too(warehouse, batch, gate):
    batch(series(), batch_id="b0", state="validated", first_file=1)
    batch([(at(-1), *WILD)], first_file=2)
    assert {result.name for result in judge(warehouse, gate).failed} == {"no_jump", "highest_jump"}


@pytest.mark.parametrize("number", [12, 20, 32, 500, 5000, -1, -15, -500, -5000])
def test_one_good_candle_passes_wherever_it_lies_and_counts_alone(number, warehouse, batch):
    batch(series(), batch_id="b0", state="validated", first_file=1)
    batch([(at(number), *GOOD)], first_file=2)
    assert judge(warehouse, max_gap_candles=1, max_missing_share=0.0).passed


def test_a_hole_beside_a_good_candle_is_no_fault_to_great_expectations_either(warehouse, batch, gate):
    batch(series(), batch_id="b0", state="validated", first_file=1)
    batch([(at(-15), *GOOD)], first_file=2)
    assert judge(warehouse, gate, max_gap_candles=1, max_missing_share=0.0).passed


def test_a_wild_close_of_the_last_candle_is_refused(warehouse, batch, gate):
    batch(series(n11=("100", "400", "90", "400", "1", 7)))
    assert {result.name for result in judge(warehouse, gate).failed} == {"no_jump", "highest_jump"}


def test_a_low_beside_a_low_close_is_believed(warehouse, batch, gate):
    batch(series(n5=("100", "110", "15", "40", "1", 7)))
    assert judge(warehouse, gate).passed


@pytest.mark.parametrize("number", [12 + MONTH, -MONTH - 1])
def test_a_candle_more_than_a_month_from_all_others_is_judged_by_its_own_open(number, warehouse, batch, gate):
    batch(series(), batch_id="b0", state="validated", first_file=1)
    batch([(at(number), *WILD)], first_file=2)
    assert judge(warehouse, gate).passed


def test_only_the_newest_of_a_revised_neighbour_speaks(warehouse, batch):
    batch(series(), batch_id="b0", state="validated", first_file=1)
    batch([(at(11), *WILD)], batch_id="b2", state="validated", first_file=2)
    batch([(at(12), *WILD)], first_file=3)
    assert judge(warehouse).passed


def test_candles_of_a_refused_batch_are_no_neighbours(warehouse, batch):
    batch(series(), batch_id="b0", state="refused", first_file=1)
    batch([(at(12), *WILD)], first_file=2)
    assert judge(warehouse).passed


def test_a_batch_does_not_answer_for_what_was_validated_before_it(warehouse, batch, gate):
    wild = [*series(n3=("100", "100000", "90", "105", "1", 7), n9=WILD), (at(30), *GOOD)]
    batch(wild, batch_id="b0", state="validated", first_file=1)
    batch([(at(1), *GOOD), (at(31), *GOOD)], first_file=2)
    assert judge(warehouse, gate, max_gap_candles=2, max_missing_share=0.9).passed


def test_a_neighbour_that_came_later_may_close_after_the_batch_was_fetched(warehouse, batch, gate):
    hour = dt.timedelta(hours=1)
    batch([(NOW - hour, *GOOD)], first_file=2)
    batch([(NOW, *GOOD)], batch_id="b0", state="validated", first_file=1)
    assert judge(warehouse, gate).passed


def test_rows_in_no_order_are_judged_in_the_order_of_time(warehouse, batch):
    batch(series()[::-1])
    assert judge(warehouse, max_gap_candles=1).passed


def test_two_files_of_one_series_are_judged_as_one(warehouse, batch):
    batch(series()[6:], first_file=1)
    warehouse.execute("insert into raw.files select 2, * exclude (file_id) from raw.files")
    warehouse.executemany("insert into raw.candle_rows values (2, ?, ?, ?, ?, ?, ?, ?, false)", series()[:7])
    (result,) = judge(warehouse).failed
    assert (result.name, result.offenders) == ("once_each", 1)


def test_a_batch_that_does_not_exist_is_named(warehouse):
    with pytest.raises(InputUnusable, match="no batch 'b1'"):
        judge(warehouse)
