"""Where candles come from: files of Kraken's layout, and scenarios."""

from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path

import pytest
from doses import examples
from hypothesis import given
from hypothesis import strategies as st

from exchange.sandbox.futures.contracts import Standing, instrument
from exchange.sandbox.market.expansion import refuse_infeasible
from exchange.sandbox.market.facts import CONTRACTS, PAIRS, listed
from exchange.sandbox.market.generator import SCENARIOS, generated
from exchange.sandbox.market.model import SourceCandle
from exchange.sandbox.market.sources import Row, candles_of, candles_of_rows
from exchange.sandbox.units import HOUR_NS, MINUTE_NS
from trading.errors import InputUnusable

BTC, ETH = listed(["BTC/USD", "ETH/USD"])[0]
SPAN_NS = 15 * MINUTE_NS
FIRST_NS = 1_700_006_400_000_000_000
ROW = Row(
    "BTC/USD", "15m", datetime(2023, 1, 1, tzinfo=UTC), Decimal("16528.7000000000"), Decimal(16530), Decimal("16511.0"),
    Decimal("16514.9"), Decimal("10.3027681500"), 203,
)  # fmt: skip
LINE = "1672531200,16528.7,16530.0,16511.0,16514.9,10.30276815,203\n"


def scenario(name: str, seed: int = 1, number: int = 200) -> list[SourceCandle]:
    return list(generated(name, PAIRS, seed=seed, opened_ns=FIRST_NS, span_ns=SPAN_NS, candles=number))


def test_a_line_of_a_file_becomes_a_candle_in_whole_points(tmp_path: Path) -> None:
    file = tmp_path / "XBTUSD_15.csv"
    file.write_text(LINE)
    assert list(candles_of({file: BTC}, 15)) == [
        SourceCandle("BTC/USD", 1_672_531_200_000_000_000, SPAN_NS, 165287, 165300, 165110, 165149, 1_030_276_815, 203)
    ]


def test_a_row_of_a_table_becomes_the_candle_that_its_line_becomes(tmp_path: Path) -> None:
    file = tmp_path / "XBTUSD_15.csv"
    file.write_text(LINE)
    assert list(candles_of_rows([ROW, Row(*ROW)], [BTC, ETH])) == list(candles_of({file: BTC}, 15)) * 2


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"open": Decimal("16528.75")}, "opened at 2023-01-01.*16528.75 is finer than 1 decimals"),
        ({"close": Decimal("nan")}, "opened at 2023-01-01.*NaN is finer than 1 decimals or without end"),
        ({"timeframe": "7m"}, "one of 7m: known are 15m, 1h, 4h, 1d of BTC/USD, ETH/USD"),
        ({"instrument": "PEPE/USD"}, "candle of PEPE/USD .* known are"),
    ],
)
def test_a_row_that_is_no_candle_is_named(change: dict[str, object], reason: str) -> None:
    with pytest.raises(InputUnusable, match=reason):
        list(candles_of_rows([ROW._replace(**change)], [BTC, ETH]))  # type: ignore[arg-type]


def test_files_are_merged_by_time_and_a_hole_stays_a_hole(tmp_path: Path) -> None:
    one, other = tmp_path / "XBTUSD_1.csv", tmp_path / "ETHUSD_1.csv"
    one.write_text("60,5,5,5,5,1,1\n180,5,5,5,5,1,1\n")
    other.write_text("0,2.5,2.50,2.5,2.5,1e-8,1\n60,2.5,2.5,2.5,2.5,1,1\n180,2.5,2.5,2.5,2.5,1,1\n")
    merged = [(candle.opened_ns // MINUTE_NS, candle.instrument) for candle in candles_of({one: BTC, other: ETH}, 1)]
    assert merged == [(0, "ETH/USD"), (1, "BTC/USD"), (1, "ETH/USD"), (3, "BTC/USD"), (3, "ETH/USD")]


def test_lines_before_the_first_that_is_wanted_are_not_judged(tmp_path: Path) -> None:
    file = tmp_path / "ETHUSD_1440.csv"
    file.write_text("0,3.00001,3.00001,3.00001,3.00001,1,1\n86400,3,3,3,3,1,1\n")
    (candle,) = candles_of({file: ETH}, 1440, from_ns=1)
    assert candle.opened_ns == 86400 * 10**9
    with pytest.raises(InputUnusable, match=r"line 1: 3\.00001 is finer than 2 decimals .* begin later: --from"):
        list(candles_of({file: ETH}, 1440))


def test_volumes_finer_than_any_trade_are_rounded(tmp_path: Path) -> None:
    file = tmp_path / "XBTUSD_15.csv"
    file.write_text("0,5,5,5,5,133948.1474276896,9\n900,5,5,5,5,1e-8,1\n")
    assert [candle.volume for candle in candles_of({file: BTC}, 15)] == [13394814742769, 1]
    (candle,) = candles_of_rows([ROW._replace(volume=Decimal("0.123456785001"))], [BTC])
    assert candle.volume == 12345679


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (LINE + LINE, "line 2: 1672531200 is off the grid of 15 minutes, or not after the line before"),
        (LINE.replace("1200", "1201"), "line 1: 1672531201 is off the grid"),
        (LINE.replace("203", ""), "line 1"),
        (LINE.replace(",203", ""), "line 1: 6 fields instead of"),
        (LINE.replace("16528.7", "16528.75"), "line 1: .*16528.75 is finer than 1 decimals"),
        (LINE.replace("16528.7", "nan"), "line 1"),
        (LINE.replace("16528.7", "inf"), "line 1"),
        (LINE.replace("16528.7", "abc"), "line 1: 'abc' is not a number"),
        ("time,open,high,low,close,volume,trades\n", "line 1"),
    ],
)
def test_a_line_that_is_no_candle_is_named(text: str, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "XBTUSD_15.csv"
    file.write_text(text)
    with pytest.raises(InputUnusable, match=reason):
        list(candles_of({file: BTC}, 15))


def test_a_line_that_is_no_text_is_named(tmp_path: Path) -> None:
    file = tmp_path / "XBTUSD_15.csv"
    file.write_bytes(LINE.encode() + b"\xff\xfe\x00\n")
    with pytest.raises(InputUnusable, match="line 2"):
        list(candles_of({file: BTC}, 15))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputUnusable, match=r"XBTUSD_15\.csv is not a file"):
        list(candles_of({tmp_path / "XBTUSD_15.csv": BTC}, 15))


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_repeats_with_its_seed_and_can_be_traded(name: str) -> None:
    fed = scenario(name)
    assert fed == scenario(name) != scenario(name, seed=2)
    assert fed == sorted(fed, key=lambda candle: (candle.opened_ns, candle.instrument))
    assert {candle.instrument for candle in fed if candle.opened_ns == FIRST_NS} == {pair.instrument for pair in PAIRS}
    for candle in fed:
        refuse_infeasible(candle, 16)


@given(st.sampled_from(sorted(SCENARIOS)), st.integers(0, 2**32), st.sampled_from([MINUTE_NS, HOUR_NS, 24 * HOUR_NS]))
@examples(30)
def test_any_seed_makes_candles_that_can_be_traded(name: str, seed: int, span_ns: int) -> None:
    opened_ns = FIRST_NS // span_ns * span_ns
    for candle in generated(name, PAIRS[-2:], seed=seed, opened_ns=opened_ns, span_ns=span_ns, candles=150):
        refuse_infeasible(candle, 16)


def test_scenarios_are_what_they_are_called() -> None:
    of_btc = {name: [c for c in scenario(name) if c.instrument == "BTC/USD"] for name in SCENARIOS}
    first, last = of_btc["trend"][0].open, of_btc["trend"][-1].close
    assert last > 1.05 * first
    assert all(abs(candle.close / of_btc["range"][0].open - 1) < 0.1 for candle in of_btc["range"])
    assert len(of_btc["gap"]) < 190
    assert max(candle.trades for candle in of_btc["thin"]) <= 4
    assert len(of_btc["thin"]) < 100


def test_every_week_has_one_crash_of_all_pairs_at_a_time_that_the_seed_decides() -> None:
    week, weeks = 672, range(6)
    begins = {seed: crashes(scenario("crash", seed=seed, number=week * len(weeks))) for seed in (1, 2)}
    for of_pair in begins.values():
        assert [begin // week for begin in of_pair["BTC/USD"]] == list(weeks)
        assert all(other == of_pair["BTC/USD"] for other in of_pair.values())
        assert len({begin % week for begin in of_pair["BTC/USD"]}) == len(weeks)
    assert begins[1] != begins[2]


def crashes(fed: list[SourceCandle]) -> dict[str, list[int]]:
    """Of each pair the candles, counted from the first, with which a fall by a fifth within eight of them began."""
    begins: dict[str, list[int]] = {}
    for pair in PAIRS:
        closes = [candle.close for candle in fed if candle.instrument == pair.instrument]
        falls = [number for number, close in enumerate(closes[8:]) if close < 0.8 * closes[number]]
        begins[pair.instrument] = [
            max(falling, key=lambda number: closes[number] / closes[number + 8]) + 1 for falling in apart(falls)
        ]
    return begins


def apart(numbers: list[int]) -> list[list[int]]:
    """Stretches of numbers without a gap."""
    stretches: list[list[int]] = []
    for number in numbers:
        if stretches and number == stretches[-1][-1] + 1:
            stretches[-1].append(number)
        else:
            stretches.append([number])
    return stretches


def test_a_scenario_without_an_end_goes_on() -> None:
    endless = generated("range", [BTC], seed=1, opened_ns=FIRST_NS, span_ns=SPAN_NS)
    assert len(list(islice(endless, 1000))) == 1000


@pytest.mark.parametrize("number", [10_000, pytest.param(100_000, marks=pytest.mark.deep)])
@pytest.mark.parametrize("name", SCENARIOS)
def test_an_endless_scenario_stays_within_what_a_venue_can_state(name: str, number: int) -> None:
    doge = PAIRS[-1]  # its prices have the most points
    first = last = None
    for last in generated(name, [doge], seed=0, opened_ns=FIRST_NS, span_ns=SPAN_NS, candles=number):
        first = first or last
        assert first.open / 10 < last.low <= last.high < first.open * 10
        refuse_infeasible(last, 90)
    assert last.opened_ns > FIRST_NS + (number - 100) * SPAN_NS


def test_a_trend_turns() -> None:
    closes = [c.close for c in scenario("trend", number=4_000) if c.instrument == "BTC/USD"]
    assert closes[1_999] > 1.3 * closes[0]
    assert closes[3_999] < 0.8 * closes[1_999]


def test_an_unknown_scenario_or_instrument_is_refused_with_those_there_are() -> None:
    with pytest.raises(InputUnusable, match="There are: trend, range, crash, gap, thin"):
        list(generated("storm", PAIRS, seed=1, opened_ns=FIRST_NS, span_ns=SPAN_NS))
    with pytest.raises(InputUnusable, match="No facts are known of PEPE/USD"):
        listed(["BTC/USD", "PEPE/USD"])


def test_each_pair_has_its_perpetual_and_levels_of_rising_margin() -> None:
    assert [contract.instrument for contract in CONTRACTS] == [pair.instrument for pair in PAIRS]
    for contract in CONTRACTS:
        assert contract.symbol == f"PF_{contract.pair.replace(':', '')}"
        assert list(contract.margin_levels) == sorted(contract.margin_levels)
        assert all(level.maintenance == level.initial / 2 for level in contract.margin_levels)


@pytest.mark.parametrize(
    ("symbol", "begins_usd"),
    [
        ("PF_ETHUSD", [0, 1_000_000, 2_000_000, 5_000_000, 10_000_000, 20_000_000, 60_000_000]),  # class A
        ("PF_SOLUSD", [0, 250_000, 750_000, 1_000_000, 5_000_000, 10_000_000, 30_000_000]),  # class B
    ],
)
def test_margin_levels_are_those_of_the_published_class(symbol: str, begins_usd: list[int]) -> None:
    levels = next(contract.margin_levels for contract in CONTRACTS if contract.symbol == symbol)
    assert [level.from_usd for level in levels] == begins_usd
    assert [level.initial for level in levels] == [0.02, 0.04, 0.05, 0.1, 0.2, 0.3, 0.5]


def test_a_row_of_instruments_has_an_isin_only_where_it_is_known() -> None:
    known = [instrument(contract, Standing(suspended=False, post_only=False)).get("isin") for contract in CONTRACTS]
    assert known == ["GB00BQ84JX13", None, None, None, "GB00BQ84K163"]
