"""Discoveries kept as rows: what changed, nothing twice, a refused one without effect; and the history made of them."""

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pytest
from doses import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trading.errors import InputUnusable
from warehouse.builds import build
from warehouse.reference.discoveries import Discovery, Names, Refusal, in_force, newest_refusal, record
from warehouse.reference.lists import CandidateRow, ContractRow, PairRow
from warehouse.stages import load_stages

SQL = Path(__file__).parents[2] / "sql"
MADE = {"staging.stg_kraken__list_spans", "marts.listings", "marts.contracts", "marts.margin_levels", "marts.universe"}
START = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
TABLES = ("raw.discoveries", "raw.market_lists", "raw.asset_pairs", "raw.contracts", "raw.universe")
LEVELS = '[{"schedule": "all", "unit": "notional", "from": "0", "initial": "0.01", "maintenance": "0.005"}]'


def at(number):
    return START + number * dt.timedelta(hours=4)


def pair(name):
    altname = name.replace("/", "")
    return PairRow(
        altname, name, name, "B", "Q", 1, 8, 5, "online", Decimal("0.00005"), Decimal("0.5"), Decimal("0.1"),
        (2, 3), (), 350, None,
    )  # fmt: skip


def contract(symbol, tick="1", levels=LEVELS):
    return ContractRow(
        symbol, "BTC/USD", "flexible_futures", "BTC", "USD", "BTC:USD", True, False, False, Decimal(tick), Decimal(1),
        4, Decimal("0.08"), Decimal(1200), START, None, Decimal(8), Decimal("0.005"), levels,
    )  # fmt: skip


def look(number, pairs=("BTC/USD",), contracts=("PF_XBTUSD",), *, source="kraken-rest", doubts=(), candidates=()):
    ticks = contracts if isinstance(contracts, dict) else dict.fromkeys(contracts, "1")
    rows = [contract(symbol, tick) for symbol, tick in ticks.items()]
    return Discovery(source, at(number), [pair(name) for name in pairs], rows, candidates, tuple(doubts))


def rows_in_all(ask):
    return [ask(f"select count(*) from {table}")[0][0] for table in TABLES]


@pytest.fixture(scope="module")
def stages():
    return tuple(stage for stage in load_stages(SQL) if stage.name in MADE)


def listings(warehouse, stages):
    build(warehouse, stages)
    query = "select market, instrument, listed_at, delisted_at from marts.listings order by all"
    return warehouse.execute(query).fetchall()


# --- rows


def test_keeps_exact_decimals_and_provenance(warehouse, ask):
    record(warehouse, look(0))
    assert ask("select ordermin, tick_size, leverage_buy, leverage_sell from raw.asset_pairs") == [
        (Decimal("0.00005"), Decimal("0.1"), [2, 3], [])
    ]
    assert ask("select tick_size, max_relative_funding_rate from raw.contracts") == [(Decimal(1), Decimal("0.005"))]
    assert ask("select source, fetched_at, members from raw.market_lists where kind = 'contracts'") == [
        ("kraken-rest", START, 1)
    ]


def test_a_look_that_says_the_same_adds_nothing(warehouse, ask):
    assert record(warehouse, look(0))
    before = rows_in_all(ask)
    assert not record(warehouse, look(1))
    assert not record(warehouse, look(0))
    assert rows_in_all(ask) == before


def test_the_order_of_a_list_and_the_spelling_of_a_number_are_no_change(warehouse):
    record(warehouse, look(0, contracts={"PF_XBTUSD": "1", "PF_ETHUSD": "0.1"}))
    assert not record(warehouse, look(1, contracts={"PF_ETHUSD": "0.10", "PF_XBTUSD": "1.0"}))


def test_a_list_that_returns_is_stored_once(warehouse, ask):
    for number, pairs in enumerate([("BTC/USD",), ("BTC/USD", "ETH/USD"), ("BTC/USD",)]):
        record(warehouse, look(number, pairs))
    assert ask("select asset_pairs_list, contracts_list from raw.discoveries order by discovery_id") == [
        (1, 2), (4, 2), (1, 2),
    ]  # fmt: skip


def test_a_refused_look_is_kept_and_changes_nothing_in_force(warehouse, ask):
    candidate = CandidateRow("BTC/USD", "PF_XBTUSD", True, "", Decimal(1), Decimal(1) / 3)
    record(warehouse, look(0, candidates=[candidate]))
    record(warehouse, look(1, pairs=(), doubts=("Empty.", "Position.")))
    expected = Names(START, frozenset({"BTC/USD"}), frozenset({"PF_XBTUSD"}), frozenset({"BTC/USD"}))
    assert in_force(warehouse, "kraken-rest") == expected
    assert newest_refusal(warehouse, "kraken-rest") == Refusal(at(1), ("Empty.", "Position."))
    assert ask("select state, doubts, universe_list from raw.discoveries order by 1") == [
        ("accepted", "", 3), ("refused", "Empty.\nPosition.", None),
    ]  # fmt: skip


def test_refusals_in_a_row_are_one(warehouse):
    for number, doubts in enumerate([(), ("a",), ("b",), (), ("c",), ("d",), ()]):
        record(warehouse, look(number, doubts=doubts))
    assert newest_refusal(warehouse, "kraken-rest") == Refusal(at(4), ("d",))


def test_each_source_is_a_venue_of_its_own(warehouse):
    record(warehouse, look(0))
    assert in_force(warehouse, "sandbox-rest") is None
    record(warehouse, look(0, pairs=("ETH/USD",), source="sandbox-rest", doubts=("x",)))
    assert newest_refusal(warehouse, "kraken-rest") is None
    assert record(warehouse, look(1, pairs=("ETH/USD",), source="sandbox-rest"))


def test_nothing_is_in_force_before_the_first_look(warehouse):
    assert in_force(warehouse, "kraken-rest") is None
    assert newest_refusal(warehouse, "kraken-rest") is None


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (look(1)._replace(pairs=[pair("BTC/USD"), pair("BTC/USD")]), "asset_pairs has BTCUSD twice"),
        (look(1, contracts={"PF_XBTUSD": "0.1234567890123456789"}), "tick_size of PF_XBTUSD is 0.12345"),
        (look(1, contracts={"PF_XBTUSD": "1e20"}), "tick_size of PF_XBTUSD is 1E\\+20"),
        (look(-1, pairs=("ETH/USD",)), "is stored: another run was faster"),
    ],
    ids=["a member twice", "too fine", "too large", "a clock set back"],
)
def test_what_can_not_be_kept_is_an_error_that_says_why(warehouse, bad, said):
    record(warehouse, look(0))
    with pytest.raises(InputUnusable, match=said):
        record(warehouse, bad)


# --- history


def test_a_listing_appears_disappears_and_returns(warehouse, stages):
    both, one = ("BTC/USD", "ETH/USD"), ("BTC/USD",)
    for number, pairs in enumerate([one, both, both, one, one, both]):
        record(warehouse, look(number, pairs))
        listings(warehouse, stages)  # by increments
    assert listings(warehouse, stages) == [
        ("futures", "PF_XBTUSD", at(0), None),
        ("spot", "BTC/USD", at(0), None),
        ("spot", "ETH/USD", at(1), at(3)),
        ("spot", "ETH/USD", at(5), None),
    ]


def test_a_refused_look_delists_nothing(warehouse, stages):
    record(warehouse, look(0))
    before = listings(warehouse, stages)
    record(warehouse, look(1, pairs=(), contracts=(), doubts=("Empty.",)))
    assert listings(warehouse, stages) == before


def test_a_changed_fact_ends_a_contract_s_row_and_begins_the_next(warehouse, stages, ask):
    for number, tick in enumerate(["1", "0.5", "0.5", "1"]):
        record(warehouse, look(number, contracts={"PF_XBTUSD": tick, "PF_ETHUSD": "0.1"}))
    build(warehouse, stages)
    assert ask("select contract, tick_size, valid_from, valid_to from marts.contracts order by 1, 3") == [
        ("PF_ETHUSD", Decimal("0.1"), at(0), None),
        ("PF_XBTUSD", Decimal(1), at(0), at(1)),
        ("PF_XBTUSD", Decimal("0.5"), at(1), at(3)),
        ("PF_XBTUSD", Decimal(1), at(3), None),
    ]


sources = st.sampled_from(["kraken-rest", "sandbox-rest"])
pair_names = st.frozensets(st.sampled_from(["A/USD", "B/USD", "C/USD"]))
ticks = st.dictionaries(st.sampled_from(["PF_A", "PF_B", "PF_C"]), st.sampled_from(["1", "0.5"]))
looks = st.lists(st.tuples(sources, st.booleans(), pair_names, ticks), max_size=8)


@pytest.fixture
def history(warehouse, stages):
    """The warehouse with its history as views, which costs less than building it over and over."""
    for stage in stages:
        warehouse.execute(f"create view {stage.name} as {stage.sql}")
    return warehouse


def replays_to_what_was_believed(warehouse, looks):
    believed = {"kraken-rest": {}, "sandbox-rest": {}}
    warehouse.begin()
    try:
        for number, (source, is_believed, pairs, contracts) in enumerate(looks):
            record(warehouse, look(number, pairs, contracts, source=source, doubts=() if is_believed else ("no",)))
            if is_believed:
                believed[source][at(number)] = (set(pairs), {name: Decimal(tick) for name, tick in contracts.items()})
        for source, said in believed.items():
            listings = rows_of(warehouse, "market, instrument, listed_at, delisted_at from marts.listings", source)
            contracts = rows_of(warehouse, "contract, tick_size, valid_from, valid_to from marts.contracts", source)
            assert {moment: stated_at(moment, listings, contracts) for moment in said} == said
            changed = {now for now, before in zip(said, [None, *said], strict=False) if said[now] != said.get(before)}
            assert {moment for row in (*listings, *contracts) for moment in row[2:] if moment is not None} <= changed
    finally:
        warehouse.rollback()


def rows_of(warehouse, columns, source):
    return warehouse.execute(f"select {columns} where source = ?", [source]).fetchall()


def stated_at(moment, listings, contracts):
    """What the history says was listed at a moment."""

    def during(rows):
        return [row for row in rows if row[2] <= moment and (row[3] is None or moment < row[3])]

    names, known = during(listings), during(contracts)
    assert sorted(name for market, name, *_ in names if market == "futures") == sorted(row[0] for row in known)
    return {name for market, name, *_ in names if market == "spot"}, {row[0]: row[1] for row in known}


quietly = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@examples(10, suppress_health_check=quietly)
@given(looks=looks)
def test_the_history_replays_to_exactly_the_looks_that_were_believed(history, looks):
    replays_to_what_was_believed(history, looks)


@pytest.mark.deep
@pytest.mark.timeout(1200)
@settings(max_examples=300, deadline=None, suppress_health_check=quietly)
@given(looks=looks)
def test_the_history_replays_to_exactly_the_looks_that_were_believed_many_times(history, looks):
    replays_to_what_was_believed(history, looks)
