"""What is expected of a day: each expectation of the marts, of funding rates and of the lists fails, and names who."""

import datetime as dt
from decimal import Decimal

import pytest
from stage_sets import without_strategies

from trading.errors import SetupFailed
from warehouse.builds import build
from warehouse.gate.daily_suites import CANDLES, DAILY_SUITES, FUTURES_CANDLES, TOLD, take_day
from warehouse.gate.reference_suites import ASSET_PAIRS, CONTRACTS, FUNDING_RATES
from warehouse.gate.suites import examine, measure, open_gate
from warehouse.reference.discoveries import Discovery, record
from warehouse.reference.funding import FundingHour, land_funding
from warehouse.reference.lists import ContractRow, PairRow

pytestmark = pytest.mark.xdist_group("heavy")  # one process imports Great Expectations

DAY = dt.date(2026, 11, 21)
BEGIN = dt.datetime(2026, 11, 21, tzinfo=dt.UTC)
FETCHED = BEGIN + dt.timedelta(days=2)
QUARTERS = range(-48, 192)  # of an hour: from noon of the day before until the end of the day after
THRESHOLDS = {
    "max_missing_funding_share": 0.05,
    "max_relative_funding_rate": 0.01,
    "max_daily_missing_share": 0.05,
    "max_hours_behind": 24.0,
    "max_derived_difference_bps": 50.0,
    "max_index_difference_bps": 300.0,
    "max_basis_bps": 500.0,
}
PERPETUALS = {"GOOD/USD": "PF_GOODUSD", "FAR/USD": "PF_FARUSD"}
LATE = range(-96, -9)
HOLE = [number for number in QUARTERS if not 10 <= number < 20]
LEVEL = '[{"schedule": "all", "unit": "notional", "from": "0", "initial": "0.02", "maintenance": "0.01"}]'


class Raw:
    """Rows of `raw`, past the landing."""

    def __init__(self, warehouse):
        self.warehouse = warehouse
        self.files = 0
        warehouse.execute(
            "insert into raw.batches values ('b1', 'x', 'x', 'x', ?, 'validated', 0, 0, 0, 0, 0, '')", [FETCHED]
        )

    def put(self, source, series, numbers=QUARTERS, *, close=100, minutes=15, covers=True, fetched_at=FETCHED):
        """A series whose candles all have one price; `covers`: what is missing of it was asked for."""
        self.files += 1
        span = dt.timedelta(minutes=minutes)
        asked = [BEGIN + numbers[0] * span, BEGIN + (numbers[-1] + 1) * span] if covers else [None, None]
        self.warehouse.execute(
            "insert into raw.files values (?, 'b1', ?, 'x.csv', ?, ?, ?, ?, 'validated', ?, ?, 1, 0)",
            [self.files, source, series, {15: "15m", 60: "1h"}[minutes], minutes * 60_000_000, fetched_at, *asked],
        )
        self.warehouse.execute(
            "insert into raw.candle_rows"
            " select ?, ?::timestamptz + to_minutes(unnest(?) * ?::bigint), ?, ?, ?, ?, 1, 1, false",
            [self.files, BEGIN, [*numbers], minutes, *[close] * 4],
        )

    def chart(self, contract, numbers=QUARTERS, *, mark=None, index=None, fetched_at=FETCHED, **closes):
        """Trades, mark price and index of a contract."""
        told = {
            contract: (numbers, closes.get("trade", 100)),
            f"{contract}.mark": (mark or numbers, closes.get("marked", 100)),
            f"{contract}.spot": (index or numbers, closes.get("indexed", 100)),
        }
        for series, (each, close) in told.items():
            self.put("kraken-charts", series, each, close=close, fetched_at=fetched_at)


def spot(raw):
    raw.put("kraken-rest", "GOOD/USD")
    raw.put("kraken-rest", "GOOD/USD", range(-12, 48), minutes=60)
    raw.put("kraken-rest", "QUIET/USD", HOLE)
    raw.put("kraken", "DEAD/USD", LATE)
    raw.put("kraken-rest", "NEW/USD", range(40, 192))
    raw.put("own", "HOLE/USD", HOLE, covers=False)
    raw.put("kraken-rest", "LATE/USD", LATE)
    raw.put("kraken-rest", "DIFF/USD")
    raw.put("kraken-rest", "DIFF/USD", range(-12, 48), minutes=60, close=101)
    raw.put("kraken-rest", "FAR/USD", close=104)


def futures(raw):
    raw.chart("PF_GOODUSD", trade=104, marked=102)
    raw.chart("PF_NEWUSD", range(40, 192))
    raw.chart("PF_FARUSD")
    raw.chart("PF_UNMARKEDUSD", mark=HOLE)
    raw.chart("PF_UNINDEXEDUSD", index=HOLE)
    raw.chart("PF_LATEUSD", LATE)
    raw.chart("PF_MARKUSD", trade=106, marked=106)
    raw.chart("PF_TRADEUSD", trade=94)


def rates(warehouse):
    """Past the landing, which would not let most of them through; the gate must not rely on that."""
    good = [(hour * 3600, "0.5", "0.00001") for hour in range(24)]
    given = {
        "PF_GOODUSD": good,
        "PF_NEWUSD": good[20:],
        "PF_UNRATEDUSD": [*good[:-1], (23 * 3600, None, "0.1")],
        "PF_OFFUSD": [*good[:-1], (23 * 3600 + 1, "0.5", "0.00001")],
        "PF_TWICEUSD": [*good, good[-1]],
        "PF_THINUSD": [good[0], *good[3:]],
        "PF_WILDUSD": [*good[:-1], (23 * 3600, "-500", "-0.011")],
        "PF_SIGNUSD": [*good[:-1], (23 * 3600, "-0.5", "0.00001")],
    }
    rows = [(name, BEGIN + dt.timedelta(seconds=at_s), *told) for name, each in given.items() for at_s, *told in each]
    warehouse.executemany("insert into temp.judged_rates values (?, ?, ?, ?)", rows)


def fund(warehouse, contract, *hours, source="kraken-rest"):
    """Rates of hours of the day, as they land."""
    given = [FundingHour(contract, BEGIN + dt.timedelta(hours=n), Decimal(1), Decimal("0.00001")) for n in hours]
    land_funding(warehouse, given, source=source, fetched_at=FETCHED)


def pair(name, **changed):
    altname = name.replace("/", "")
    good = PairRow(
        altname, name, name, "B", "Q", 1, 8, 5, "online", Decimal("0.00005"), Decimal("0.5"), Decimal("0.1"),
        (2, 3), (), 350, None,
    )  # fmt: skip
    return good._replace(**changed)


def contract(symbol, **changed):
    good = ContractRow(
        symbol, "BTC/USD", "flexible_futures", "BTC", "USD", "BTC:USD", True, False, False, Decimal(1), Decimal(1),
        4, Decimal("0.08"), Decimal(1200), BEGIN, None, Decimal(8), Decimal("0.005"), LEVEL,
    )  # fmt: skip
    return good._replace(**changed)


PAIRS = [
    pair("GOOD/USD"),
    pair("OLD/USD", tick_size=None, ordermin=None),
    pair("OFF/USD", status="cancel_only", tick_size=Decimal(0)),
    pair("NAME/USD", base=""),
    pair("TICK/USD", tick_size=Decimal(0)),
    pair("LOT/USD", lot_decimals=-1),
    pair("LEAST/USD", ordermin=Decimal(0)),
]
LISTED = [
    contract("PF_GOODUSD"),
    contract("PF_ENDEDUSD", is_expired=True, tick_size=None),
    contract("PF_NAMEUSD", instrument=""),
    contract("PF_TICKUSD", tick_size=None),
    contract("PF_LOTUSD", contract_value_trade_precision=None),
    contract("PF_SIZEUSD", contract_size=Decimal(0)),
    contract("PF_FREEUSD", margin_levels=LEVEL.replace("0.01", "0")),
    contract("PF_NOLEVELUSD", margin_levels="[]"),
    contract("PF_MARGINUSD", margin_levels=LEVEL.replace("0.01", "0.03")),
]

EXPECTED = {
    TOLD: {"rows": {"PF_FARUSD", "sandbox-rest"}},
    CANDLES: {
        "missing_share": {"HOLE/USD"},
        "hours_behind": {"LATE/USD"},
        "bps_between_own_and_derived": {"DIFF/USD"},
        "bps_between_spot_and_index": {"FAR/USD"},
    },
    FUTURES_CANDLES: {
        "missing_share_of_mark": {"PF_UNMARKEDUSD"},
        "missing_share_of_index": {"PF_UNINDEXEDUSD"},
        "hours_behind": {"PF_LATEUSD"},
        "bps_between_mark_and_index": {"PF_MARKUSD"},
        "bps_between_trade_and_mark": {"PF_TRADEUSD"},
    },
    FUNDING_RATES: {
        "rates_missing": {"PF_UNRATEDUSD"},
        "most_seconds_off_the_hour": {"PF_OFFUSD"},
        "fewest_hours_to_previous": {"PF_TWICEUSD"},
        "missing_share": {"PF_THINUSD"},
        "highest_relative_rate": {"PF_WILDUSD", "PF_UNRATEDUSD"},
        "rates_against_their_sign": {"PF_SIGNUSD"},
    },
    ASSET_PAIRS: {
        "names_missing": {"NAME/USD"},
        "tick_size": {"TICK/USD"},
        "lot_decimals": {"LOT/USD"},
        "least_order": {"LEAST/USD"},
    },
    CONTRACTS: {
        "names_missing": {"PF_NAMEUSD"},
        "tick_size": {"PF_TICKUSD"},
        "lot_size": {"PF_LOTUSD"},
        "contract_size": {"PF_SIZEUSD"},
        "least_maintenance_margin": {"PF_FREEUSD", "PF_NOLEVELUSD"},
        "least_initial_above_maintenance": {"PF_MARGINUSD"},
    },
}


@pytest.fixture(scope="module")
def gate(tmp_path_factory):
    return open_gate(tmp_path_factory.mktemp("docs"))


def take(warehouse, day=DAY, **routine):
    """Build what the day is made of, and take it."""
    build(warehouse, without_strategies())
    take_day(warehouse, day, PERPETUALS, **routine)


def judge(warehouse, gate):
    measured = [measure(warehouse, suite) for suite in DAILY_SUITES]
    examined, docs = examine(gate, f"day-{DAY}", measured, THRESHOLDS)
    return {
        each.suite: {r.name: set(r.instruments or ()) for r in each.results if not r.passed} for each in examined
    }, docs


def test_each_fault_is_found_by_its_expectation_which_names_the_instrument(warehouse, gate):
    raw = Raw(warehouse)
    spot(raw)
    futures(raw)
    record(warehouse, Discovery("kraken-rest", BEGIN, PAIRS, LISTED, [], ()))
    record(warehouse, Discovery("sandbox-rest", BEGIN, [], LISTED, [], ()))
    fund(warehouse, "PF_FARUSD", -1)
    take(warehouse)
    rates(warehouse)

    found, docs = judge(warehouse, gate)

    assert found == {suite.name: failing for suite, failing in EXPECTED.items()}
    assert all(suite.name in docs.read_text(encoding="utf-8") for suite in DAILY_SUITES)
    (page,) = (docs.parent / "validations" / CANDLES.name).rglob("*.html")
    assert "LATE/USD 15m" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("in_the_way", ["", "validations"], ids=["of all pages", "of one page"])
def test_data_docs_that_can_not_be_written_are_a_sentence(warehouse, tmp_path, in_the_way):
    spot(Raw(warehouse))
    take(warehouse)
    place = tmp_path / "docs" / "run" / in_the_way
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("not a folder")
    with pytest.raises(SetupFailed, match=r"The Data Docs can't be written to .*run: .* Make room, and start again"):
        examine(open_gate(tmp_path / "docs"), "run", [measure(warehouse, CANDLES)], THRESHOLDS)


def test_every_expectation_is_seen_to_fail_here():
    assert set(EXPECTED) == set(DAILY_SUITES)
    for suite, failing in EXPECTED.items():
        assert {each.name for each in suite.measures} == set(failing), suite.name


def test_an_empty_warehouse_has_nothing_to_judge(warehouse):
    take(warehouse)
    assert all(measure(warehouse, suite).worst.empty for suite in DAILY_SUITES)


def test_only_rates_of_the_day_are_judged(warehouse):
    fund(warehouse, "PF_GOODUSD", -1, 0, 23, 24)
    take(warehouse)
    judged = warehouse.execute("select began_at from temp.judged_rates order by all").fetchall()
    assert judged == [(BEGIN,), (BEGIN + dt.timedelta(hours=23),)]


def test_a_day_before_the_data_began_shows_no_series(warehouse):
    spot(Raw(warehouse))
    take(warehouse, DAY - dt.timedelta(days=30))
    assert measure(warehouse, CANDLES).worst.empty


def test_a_day_after_the_data_ended_lacks_nothing(warehouse):
    raw = Raw(warehouse)
    raw.put("kraken", "DEAD/USD", LATE)
    take(warehouse, DAY + dt.timedelta(days=30))
    worst = measure(warehouse, CANDLES).worst
    assert set(worst["series"]) >= {"DEAD/USD 15m"}
    assert not worst[["missing_share", "hours_behind"]].any(axis=None)


def dead(warehouse, *more, fetched_at=FETCHED):
    """A feed that stopped 31.5 hours before the day's end: spot, futures and funding."""
    raw, numbers = Raw(warehouse), range(-200, -30)
    for name in ("GOOD/USD", "FAR/USD", *more):
        raw.put("kraken-rest", name, numbers, fetched_at=fetched_at)
    raw.chart("PF_GOODUSD", numbers, fetched_at=fetched_at)
    fund(warehouse, "PF_GOODUSD", -9, -8)


def behind(warehouse, suite):
    worst = measure(warehouse, suite).worst
    return {series for series, hours in zip(worst["series"], worst["hours_behind"], strict=True) if hours > 24}


def lacking(warehouse):
    worst = measure(warehouse, TOLD).worst
    return set(worst["series"][worst["rows"] < 1])


@pytest.mark.parametrize("fetched_at", [BEGIN - dt.timedelta(hours=6), FETCHED], ids=["not fetched", "frozen"])
def test_a_feed_that_is_dead_as_a_whole_is_behind_the_day(warehouse, fetched_at):
    dead(warehouse, fetched_at=fetched_at)
    take(warehouse)
    assert behind(warehouse, CANDLES) >= {"GOOD/USD 15m", "GOOD/USD 1h", "FAR/USD 15m"}
    assert behind(warehouse, FUTURES_CANDLES) == {"PF_GOODUSD 15m"}
    assert lacking(warehouse) == {"FAR/USD spot", "GOOD/USD spot", "PF_GOODUSD funding", "PF_GOODUSD futures"}


def test_what_is_no_more_asked_for_is_not_missed(warehouse):
    dead(warehouse, "ONCE/USD", fetched_at=BEGIN - dt.timedelta(hours=6))
    take(warehouse, datasets=("ohlc",))
    assert {name.partition(" ")[0] for name in behind(warehouse, CANDLES)} == {"FAR/USD", "GOOD/USD"}
    assert behind(warehouse, FUTURES_CANDLES) == set()
    assert lacking(warehouse) == {"FAR/USD spot", "GOOD/USD spot"}


def test_a_simulated_venue_need_not_reach_a_day_of_the_calendar(warehouse):
    raw = Raw(warehouse)
    raw.put("sandbox-rest", "GOOD/USD", range(-200, -30))
    raw.put("sandbox-rest", "FAR/USD", range(-400, -150))
    fund(warehouse, "PF_GOODUSD", -9, source="sandbox-rest")
    take(warehouse, simulated=("sandbox",))
    assert "GOOD/USD 15m" not in behind(warehouse, CANDLES)
    assert "FAR/USD 15m" in behind(warehouse, CANDLES)
    assert lacking(warehouse) == set()


def test_data_that_began_after_the_day_is_not_missed(warehouse):
    spot(Raw(warehouse))
    fund(warehouse, "PF_GOODUSD", 1)
    take(warehouse, DAY - dt.timedelta(days=30))
    assert lacking(warehouse) == set()
