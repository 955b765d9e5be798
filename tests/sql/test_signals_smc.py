"""`signals_smc`, rule by rule: one market that gives a long, and what becomes of it when one thing is otherwise."""

import datetime as dt
from pathlib import Path

import duckdb
import pytest

from warehouse.grammar.parameters import parameters_set, values_of
from warehouse.strategies.loading import load_strategy
from warehouse.strategies.rejections import rejections_sql

STRATEGY = load_strategy(Path(__file__).resolve().parents[2] / "sql" / "marts" / "signals_smc.sql")
NOON = dt.datetime(2023, 6, 1, 12, tzinfo=dt.UTC)
QUARTER = dt.timedelta(minutes=15)
FEATURES = (
    "trend", "ote_bottom", "ote_top", "swept_highs", "swept_lows",
    *(f"{side}_{kind}_{edge}" for side in ("bull", "bear") for kind in ("block", "gap") for edge in ("bottom", "top")),
)  # fmt: skip
INDICATORS = ("ema_20", "ema_50", "ema_200", "atr_14", "volatility_14_96")

DAY = {"high": 112.0, "low": 99.0, "close": 110.0, "trend": 1, "ema_20": 100.0, "ema_50": 100.0, "ema_200": 100.0}
FOUR_HOURS = {"high": 112.0, "low": 99.0, "close": 108.0, "trend": 1, "ote_bottom": 95.0, "ote_top": 105.0}
# The price stands above an order block from 100 to 104 ...
BEFORE = {
    "high": 109.0, "low": 107.0, "close": 108.0, "trend": 1, "atr_14": 4.0, "volatility_14_96": 0.5,
    "bull_block_bottom": 100.0, "bull_block_top": 104.0,
}  # fmt: skip
# ... and comes back into it, without going through.
ENTRY = {**BEFORE, "high": 107.0, "low": 103.0, "close": 105.0}

# What is otherwise, in which row, and why there is no signal then.
REASONS = {
    "the day's structure is against it": ("1d", {"trend": -1, "close": 90.0}, "bias of the day"),
    "the day's close is on the other side of its average": ("1d", {"ema_50": 111.0}, "bias of the day"),
    "four hours go the other way": ("4h", {"trend": -1}, "structure of four hours"),
    "four hours have not broken anything yet": ("4h", {"trend": 0}, "structure of four hours"),
    "the market is wilder than it ever was": ("entry", {"volatility_14_96": 0.99}, "regime"),
    "the market is asleep": ("entry", {"volatility_14_96": 0.01}, "regime"),
    "the zone is dear": ("4h", {"ote_bottom": 80.0, "ote_top": 90.0}, "outside optimal entry"),
    "four hours have no range": ("4h", {"ote_bottom": None, "ote_top": None}, "outside optimal entry"),
    "the stop would be in the noise": ("entry", {"atr_14": 20.0}, "stop too narrow"),
    "the stop would be far away": ("before", {"bull_block_bottom": 80.0}, "stop too wide"),
    "little speaks for it": ("entry", {"trend": -1, "volatility_14_96": 0.9, "volume": 0.1}, "score"),
    "the day is of last week": ("1d", {"closed_at": NOON - dt.timedelta(days=7)}, "day or four hours out of date"),
    "four hours are of last night": (
        "4h",
        {"closed_at": NOON - dt.timedelta(hours=8)},
        "day or four hours out of date",
    ),
    "there is no width in which to stop": ("entry", {"atr_14": 0.0, "close": 100.0, "low": 100.0}, "stop too narrow"),
    "the volatility is not known yet": ("entry", {"volatility_14_96": None}, "warming up"),
    "the day's average is not known yet": ("1d", {"ema_50": None}, "warming up"),
}


def rows_of(**changes):
    """`1d`, `4h`, `before` and `entry`, each as it is above but for what is given."""
    day = {"timeframe": "1d", "closed_at": NOON.replace(hour=0), **DAY, **changes.get("1d", {})}
    frame = {"timeframe": "4h", "closed_at": NOON, **FOUR_HOURS, **changes.get("4h", {})}
    before = {"timeframe": "15m", "closed_at": NOON, **BEFORE, **changes.get("before", {})}
    entry = {"timeframe": "15m", "closed_at": NOON + QUARTER, **ENTRY, **changes.get("entry", {})}
    return [day, frame, before, entry]


def answers(rows, **params):
    """Signals and rejections of a market."""
    with duckdb.connect() as connection, parameters_set(connection, values_of(STRATEGY.header.params, params, "")):
        connection.execute("set timezone = 'UTC'; create schema marts; create schema features")
        keys = "instrument varchar, timeframe varchar, closed_at timestamptz"
        for table, names in {
            "marts.candles": ("high", "low", "close", "volume"),
            "features.smc": FEATURES,
            "features.indicators": INDICATORS,
        }.items():
            listed = "".join(f", {name} {'tinyint' if name == 'trend' else 'double'}" for name in names)
            connection.execute(f"create table {table} ({keys}{listed}, known_at timestamptz)")
            for row in rows:
                found = [row.get(name, 1.0 if name == "volume" else None) for name in names]
                values = ["BTC/USD", row["timeframe"], row["closed_at"], *found, row["closed_at"]]
                connection.execute(f"insert into {table} values ({', '.join('?' * len(values))})", values)
        rejected = rejections_sql(STRATEGY.sql, STRATEGY.header.rejections, STRATEGY.file)
        return (
            connection.execute(STRATEGY.sql).pl().to_dicts(),
            [(row["side"], row["rejection"]) for row in connection.execute(rejected).pl().to_dicts()],
        )


def mirrored(rows):
    """The same market upside down, around 200."""
    turned = []
    for row in rows:
        other = {**row, "high": 200 - row["low"], "low": 200 - row["high"], "close": 200 - row["close"]}
        other["trend"] = -row["trend"]
        for name in ("ema_20", "ema_50", "ema_200"):
            other[name] = 200 - row[name] if row.get(name) is not None else None
        for low, high in (("ote_bottom", "ote_top"), *((f"{k}_bottom", f"{k}_top") for k in ("block", "gap"))):
            for here, there in (("", ""),) if low.startswith("ote") else (("bull_", "bear_"), ("bear_", "bull_")):
                for one, two in ((low, high), (high, low)):
                    value = row.get(here + two)
                    other[there + one] = 200 - value if value is not None else None
        other["swept_highs"], other["swept_lows"] = row.get("swept_lows"), row.get("swept_highs")
        turned.append(other)
    return turned


def test_a_price_that_comes_back_into_a_block_in_the_optimal_entry_is_bought():
    (signal,), rejected = answers(rows_of())
    assert rejected == []
    assert (signal["side"], signal["close"], signal["closed_at"]) == ("long", 105.0, NOON + QUARTER)
    risk = 105.0 - 100.0 + 0.25 * 4.0  # to below the block, and a quarter of an ATR more
    assert signal["stop_distance"] == risk
    assert [signal[f"target_{n}_distance"] for n in (1, 2, 3, 4)] == [risk, 2 * risk, 4 * risk, None]
    assert signal["score"] == pytest.approx(0.30 + 0.20 + 0.15 + 0.15)  # all but a second zone or a sweep


@pytest.mark.parametrize(("row", "change", "reason"), REASONS.values(), ids=REASONS)
def test_a_candidate_that_is_no_signal_says_why(row, change, reason):
    assert answers(rows_of(**{row: change})) == ([], [("long", reason)])


@pytest.mark.parametrize("reason", [None, *REASONS])
def test_a_chart_upside_down_gives_the_same_as_a_short(reason):
    row, change, _ = REASONS[reason] if reason else ("entry", {}, "")
    rows = rows_of(**{row: change})
    signals, rejected = answers(rows)
    others, other_rejected = answers(mirrored(rows))
    assert [("short", why) for _, why in rejected] == other_rejected
    for one, other in zip(signals, others, strict=True):
        assert (other["side"], other["close"]) == ("short", 200 - one["close"])
        assert other["stop_distance"] == pytest.approx(one["stop_distance"])
        assert other["score"] == one["score"]


@pytest.mark.parametrize(
    "change",
    [
        ("entry", {"low": 104.5}),  # it does not reach the block
        ("entry", {"low": 99.0, "close": 99.5}),  # it closes beyond it
        ("before", {"close": 103.0, "low": 102.0}),  # it was inside before
        ("before", {"closed_at": NOON - dt.timedelta(days=3)}),  # nobody knows from where it comes
        ("before", {"bull_block_bottom": None, "bull_block_top": None}),  # there was none when it came
    ],
)
def test_what_is_no_return_to_a_zone_is_no_candidate(change):
    assert answers(rows_of(**dict([change]))) == ([], [])


def test_a_gap_is_as_good_as_a_block_and_both_are_better():
    gap = {"bull_gap_bottom": 101.0, "bull_gap_top": 104.5}
    nothing = {"bull_block_bottom": None, "bull_block_top": None}
    (alone,), _ = answers(rows_of(before={**nothing, **gap}))
    (both,), _ = answers(rows_of(before=gap))
    assert alone["stop_distance"] == 105.0 - 101.0 + 1.0
    assert both["stop_distance"] == 105.0 - 100.0 + 1.0  # to below the lower one
    assert both["score"] == pytest.approx(alone["score"] + 0.20)


def test_a_block_and_a_gap_on_both_sides_of_optimal_entry_are_not_in_it():
    around = {"bull_block_bottom": 100.0, "bull_block_top": 101.0, "bull_gap_bottom": 106.0, "bull_gap_top": 107.0}
    frame = {"ote_bottom": 102.0, "ote_top": 105.0}
    entry = {"low": 100.5, "close": 106.5}
    assert answers(rows_of(**{"4h": frame}, before=around, entry=entry)) == ([], [("long", "outside optimal entry")])


def test_a_sweep_of_lows_shortly_before_counts_as_confluence():
    (plain,), _ = answers(rows_of())
    (swept,), _ = answers(rows_of(before={"swept_lows": 106.5}))
    assert swept["score"] == pytest.approx(plain["score"] + 0.20)


def test_the_same_move_is_not_entered_again_before_the_cooldown_is_over():
    again = [
        {**BEFORE, "timeframe": "15m", "closed_at": NOON + 2 * QUARTER},
        {**ENTRY, "timeframe": "15m", "closed_at": NOON + 3 * QUARTER},
    ]
    signals, rejected = answers([*rows_of(), *again])
    assert [signal["closed_at"] for signal in signals] == [NOON + QUARTER]
    assert rejected == [("long", "cooldown")]
    for candles, expected in ((2, 1), (1, 2), (0, 2)):
        signals, _ = answers([*rows_of(), *again], cooldown_candles=candles)
        assert len(signals) == expected


def test_what_comes_too_soon_begins_the_cooldown_anew():
    moves = [
        {**row, "timeframe": "15m", "closed_at": NOON + number * QUARTER}
        for number, row in enumerate([BEFORE, ENTRY] * 4)
    ]
    signals, rejected = answers([*rows_of()[:2], *moves], cooldown_candles=3)
    assert len(signals) == 1
    assert rejected == [("long", "cooldown")] * 3


def test_the_average_of_the_day_is_the_one_that_is_asked_for():
    against = rows_of(**{"1d": {"ema_200": 120.0}})
    assert len(answers(against)[0]) == 1
    assert answers(against, bias_period=200) == ([], [("long", "bias of the day")])


def test_a_day_that_closes_later_is_not_looked_at():
    tomorrow = {**DAY, "timeframe": "1d", "closed_at": NOON + dt.timedelta(hours=12), "trend": -1, "close": 80.0}
    assert answers([*rows_of(), tomorrow]) == answers(rows_of())


@pytest.mark.parametrize(
    ("changes", "params", "more"),
    [
        ({"entry": {"volatility_14_96": 0.85}}, {"middle_high": 0.9}, 0.15),
        ({"entry": {"volatility_14_96": 0.15}}, {"middle_low": 0.1}, 0.15),
        ({"entry": {"volume": 0.4}}, {"volume_share": 0.4}, 0.15),
        ({"earlier": {"volume": 10.0}}, {"volume_candles": 1}, 0.15),
        ({"earlier": {"swept_lows": 106.5}}, {"swept_candles": 1}, -0.20),
    ],
)
def test_what_earns_points_can_be_set(changes, params, more):
    earlier = {"timeframe": "15m", "closed_at": NOON - QUARTER, **BEFORE, **changes.get("earlier", {})}
    rows = [earlier, *rows_of(**changes)]
    (by_default,), _ = answers(rows)
    (as_set,), _ = answers(rows, **params)
    assert as_set["score"] == pytest.approx(by_default["score"] + more)
