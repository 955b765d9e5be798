"""Strategies run from any file over what is published, and their rows keep the contract."""

import datetime as dt
import shutil
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pytest

from trading.errors import CheckFailed, InputUnusable, SetupFailed
from trading.indicators.needs import Need
from warehouse.connection import reading
from warehouse.features.indicators import write_indicators
from warehouse.schema import SCHEMA_VERSION
from warehouse.strategies.contract import CONTRACT, OPTIONAL, read_signals
from warehouse.strategies.loading import load_strategy
from warehouse.strategies.running import publication, run_strategy
from warehouse.strategies.trials import look_ahead_offenders, lookback_offenders

ROOT = Path(__file__).resolve().parents[2]
CROSS = ROOT / "sql" / "marts" / "signals_ema_cross.sql"
BOTH = ("BTC/USD", "ETH/USD")
START = dt.datetime(2023, 1, 1, tzinfo=dt.UTC)
HOURLY = """
    asof join indicators on candles.instrument = indicators.instrument
        and indicators.timeframe = '1h' and candles.closed_at >= indicators.known_at
"""
STEPS = {"15m": dt.timedelta(minutes=15), "1h": dt.timedelta(hours=1)}


@pytest.fixture(scope="module")
def candles() -> pl.DataFrame:
    """Two instruments, 15m and 1h, 400 hours of a seeded walk with gaps."""
    chance = np.random.default_rng(7)
    return pl.concat(
        [
            series(chance, instrument, timeframe, count)
            for instrument in BOTH
            for timeframe, count in (("15m", 1600), ("1h", 400))
        ]
    )


def series(chance, instrument: str, timeframe: str, count: int) -> pl.DataFrame:
    close = 1000 + np.cumsum(chance.normal(0, 2, count))
    open_ = np.concatenate([[1000.0], close[:-1]])
    frame = pl.DataFrame(
        {
            "instrument": instrument,
            "timeframe": timeframe,
            "opened_at": [START + n * STEPS[timeframe] for n in range(count)],
            "closed_at": [START + (n + 1) * STEPS[timeframe] for n in range(count)],
            "open": open_,
            "high": np.maximum(open_, close) + 1,
            "low": np.minimum(open_, close) - 1,
            "close": close,
            "volume": 1.0,
        }
    )
    return frame.filter(pl.Series(chance.random(count) > 0.02))


@pytest.fixture(scope="module")
def published(candles, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("published") / "slip'way.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("set timezone = 'UTC'")
        connection.execute("create schema marts")
        connection.execute("create schema features")
        connection.register("given", candles)
        connection.execute("create table marts.candles as from given")
        write_indicators(
            connection, "features.indicators", (Need("atr", (14,)), Need("ema", (20,)), Need("ema", (50,)))
        )
        connection.execute("create schema meta")
        connection.execute(f"create table meta.publication as select {SCHEMA_VERSION} as schema_version")
    path.chmod(0o444)
    return path


@pytest.fixture(scope="module")
def cuts(candles) -> list[dt.datetime]:
    closes = candles["closed_at"].unique().sort()
    return [closes[n] for n in (0, 30, 70, 71, 400, 1200, len(closes) - 2)]


def variant(tmp_path: Path, *replacements: tuple[str, str]) -> Path:
    text = CROSS.read_text(encoding="utf-8")
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "mine.sql"
    path.write_text(text, encoding="utf-8")
    return path


def run(path: Path, published: Path, params=None, **which) -> pl.DataFrame:
    chosen = {"timeframe": "15m", "instruments": BOTH, **which}
    with publication(published) as connection:
        return run_strategy(load_strategy(path, params), connection, **chosen)


def test_a_cross_gives_the_columns_and_values_of_the_contract(published):
    signals = run(CROSS, published)
    assert signals.columns == [*CONTRACT, *OPTIONAL]
    assert signals["entry_distance"].null_count() == len(signals)
    assert len(signals) > 20
    assert set(signals["side"]) == {"long", "short"}
    assert (signals["target_1_distance"] == 2 * signals["stop_distance"]).all()
    assert signals["target_2_distance"].is_null().all()
    assert signals["closed_at"].is_sorted()


def test_long_and_short_take_turns_in_each_series(published):
    for instrument in BOTH:
        sides = run(CROSS, published, instruments=(instrument,))["side"]
        assert (sides != sides.shift()).drop_nulls().all()


def test_the_same_rows_come_from_a_file_anywhere_under_any_name(published, tmp_path):
    shutil.copy(CROSS, tmp_path / "my strategy.sql")
    assert run(tmp_path / "my strategy.sql", published).equals(run(CROSS, published))


def test_what_is_not_asked_for_changes_nothing(published):
    everything = run(CROSS, published)
    assert run(CROSS, published, instruments=("ETH/USD",)).equals(everything.filter(pl.col("instrument") == "ETH/USD"))
    first, last = everything["closed_at"][3], everything["closed_at"][9]
    assert run(CROSS, published, first=first, last=last).equals(
        everything.filter(pl.col("closed_at").is_between(first, last))
    )


def test_another_timeframe_is_another_series(published):
    assert set(run(CROSS, published, timeframe="1h")["timeframe"]) == {"1h"}


def test_features_that_are_not_kept_are_computed_with_the_same_values(published, tmp_path):
    more = variant(tmp_path, ("-- needs: ema(20), ema(50), atr(14)", "-- needs: ema(20), ema(50), atr(14), rsi(9)"))
    assert run(more, published).equals(run(CROSS, published))


def test_parameters_replace_the_defaults(published):
    wide = run(CROSS, published, {"stop_atr": "3", "target_atr": 9.0})
    assert (wide["target_1_distance"] / wide["stop_distance"] - 3).abs().max() < 1e-12


@pytest.mark.parametrize("params", [{"stop": 1}, {"stop_atr": "wide"}])
def test_a_wrong_parameter_is_refused(params):
    with pytest.raises(InputUnusable, match="signals_ema_cross"):
        load_strategy(CROSS, params)


def test_the_hash_knows_text_and_parameters(tmp_path):
    hashes = {
        load_strategy(CROSS).hash,
        load_strategy(CROSS, {"stop_atr": 2.5}).hash,
        load_strategy(variant(tmp_path, ("select * from signals", "select * from signals "))).hash,
        load_strategy(variant(tmp_path, ("1.0::double as score", "2.0::double as score"))).hash,
    }
    assert len(hashes) == 3
    assert load_strategy(CROSS).hash == load_strategy(CROSS, {"stop_atr": "2"}).hash


def test_a_second_timeframe_as_of_reads_all_the_series_it_names(published, tmp_path):
    hourly = variant(
        tmp_path,
        ("    join indicators using (instrument, timeframe, closed_at)\n", HOURLY),
        ("        indicators.known_at,\n", "        candles.closed_at as known_at,\n"),
    )
    closes = run(hourly, published)["closed_at"]
    assert len(closes) > 5
    assert set(closes.dt.minute()) == {0}  # the hour's trend turns only at its close
    assert set(run(hourly, published)["timeframe"]) == {"15m"}


def test_the_shipped_strategy_never_looks_ahead_and_keeps_its_lookback(candles, cuts, published):
    cross = load_strategy(CROSS)
    assert len(look_ahead_offenders(cross, candles, cuts)) == 0
    crosses = run(CROSS, published)["closed_at"][:6]
    assert len(lookback_offenders(cross, candles, [*cuts, *crosses])) == 0


def test_a_missing_column_is_named(published, tmp_path):
    path = variant(tmp_path, ("        1.0::double as score\n", "        1.0::double as points\n"))
    with pytest.raises(InputUnusable, match=r"mine.sql gives no column score"):
        run(path, published)


def test_a_column_of_another_type_is_named(published, tmp_path):
    path = variant(tmp_path, ("1.0::double as score", "'high' as score"))
    with pytest.raises(InputUnusable, match="column score is VARCHAR; it must be DOUBLE"):
        run(path, published)


LAST_TARGET = "null::double as target_4_distance,"


def test_a_strategy_may_give_a_limit(published, tmp_path):
    path = variant(tmp_path, (LAST_TARGET, f"{LAST_TARGET} 5 as entry_distance,"))
    assert set(run(path, published)["entry_distance"]) == {5.0}


def test_a_limit_of_another_type_is_named_and_a_worse_one_refused(published, tmp_path):
    with pytest.raises(InputUnusable, match="column entry_distance is VARCHAR; it must be DOUBLE"):
        run(variant(tmp_path, (LAST_TARGET, f"{LAST_TARGET} 'far' as entry_distance,")), published)
    with pytest.raises(CheckFailed, match="entry_distance=-5"):
        run(variant(tmp_path, (LAST_TARGET, f"{LAST_TARGET} -5.0::double as entry_distance,")), published)


def test_numbers_of_any_kind_become_doubles(published, tmp_path):
    path = variant(tmp_path, ("1.0::double as score", "1 as score"), ("null::double", "null"))
    assert run(path, published).equals(run(CROSS, published))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("'long' else", "'up' else", "side=up"),
        ("* atr_14 as stop_distance", "* -atr_14 as stop_distance", "stop_distance=-"),
        ("* atr_14 as target_1_distance", "* atr_14 / 0 as target_1_distance", "target_1_distance=inf"),
        ("        close,\n        getvar", "        0 * close as close,\n        getvar", "close=0.0"),
    ],
)
def test_a_row_that_can_not_be_traded_is_refused_with_its_values(published, tmp_path, old, new, said):
    with pytest.raises(CheckFailed, match=said):
        run(variant(tmp_path, (old, new)), published)


def test_two_signals_at_one_close_are_refused(published, tmp_path):
    path = variant(tmp_path, ("select * from signals", "select * from signals union all by name select * from signals"))
    with pytest.raises(CheckFailed, match=r"mine.sql: the key \(instrument, timeframe, closed_at\) of the signals"):
        run(path, published)


def test_a_signal_without_a_stop_is_left_to_the_core(published, tmp_path):
    path = variant(tmp_path, ("getvariable('stop_atr') * atr_14 as", "null::double as"))
    assert run(path, published)["stop_distance"].is_null().all()


def test_sql_that_does_not_run_names_the_file(published, tmp_path):
    with pytest.raises(InputUnusable, match=r"mine.sql: .*no_such_column"):
        run(variant(tmp_path, ("select * from signals", "select *, no_such_column from signals")), published)


def test_a_cheat_is_refused_before_it_runs(tmp_path):
    with pytest.raises(InputUnusable, match="lead \\(look-ahead\\)"):
        load_strategy(variant(tmp_path, ("lag(trend)", "lead(trend)")))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputUnusable, match=r"nowhere.sql can't be read"):
        load_strategy(tmp_path / "nowhere.sql")


def test_nothing_published_says_what_to_do(tmp_path):
    with pytest.raises(SetupFailed, match="make run"):
        run(CROSS, tmp_path / "none.duckdb")


def test_stored_signals_are_read_as_they_were_made(published, tmp_path):
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        made = run(CROSS, published)
        connection.execute("create schema marts")
        connection.register("made", made)
        connection.execute("create table marts.signals_mine as from made")
        assert read_signals(connection, "marts.signals_mine", timeframe="15m").equals(made)
        assert len(read_signals(connection, "marts.signals_mine", timeframe="15m", instruments=())) == 0
        with pytest.raises(InputUnusable, match="signals_other"):
            read_signals(connection, "marts.signals_other", timeframe="15m")


def test_strategies_run_with_the_settings_of_every_connection(published):
    names = ("TimeZone", "python_enable_replacements", "preserve_insertion_order", "autoinstall_known_extensions")
    listed = ", ".join(f"current_setting('{name}')" for name in names)
    with publication(published) as here, reading(published) as there:
        assert here.execute(f"select {listed}").fetchone() == there.execute(f"select {listed}").fetchone()


def test_strategies_do_not_run_over_what_other_code_published(tmp_path):
    path = tmp_path / "slipway.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("create schema meta")
        connection.execute(f"create table meta.publication as select {SCHEMA_VERSION + 1} as schema_version")
    with pytest.raises(SetupFailed, match="newer than this code"):
        run(CROSS, path)


def test_strategies_do_not_run_over_what_is_no_database(tmp_path):
    (tmp_path / "slipway.duckdb").write_bytes(b"these are not the bytes you are looking for" * 100)
    with pytest.raises(SetupFailed, match="can't be opened"):
        run(CROSS, tmp_path / "slipway.duckdb")
