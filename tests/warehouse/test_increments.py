"""Whatever is landed, in whatever order: building after each piece ends in the rows that building all at once has."""

import datetime as dt
from pathlib import Path

import duckdb
import pytest
from doses import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from stage_sets import ALL as STAGES
from stage_sets import without_strategies

from exchange.kraken.symbols import series_of_file
from trading.errors import InputUnusable
from warehouse.batches import judge_files
from warehouse.builds import build
from warehouse.changes import portions, sources
from warehouse.connection import configure
from warehouse.increments import content_of
from warehouse.intake.landing import land
from warehouse.schema import create_schema
from warehouse.upkeep import retention

FIRST_S = 1_672_531_200 + 7 * 900  # no midnight
FETCHED = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
BASE = 12 * 96  # 15m candles that are there from the beginning: 12 days

FILES = st.fixed_dictionaries(
    {
        "pair": st.sampled_from(["XBTUSD", "ETHUSD", "PF_XBTUSD"]),
        "minutes": st.sampled_from([15, 15, 15, 60, 240, 1440]),
        "first": st.one_of(st.integers(0, BASE + 500), st.integers(BASE, BASE + 96)),  # in candles of 15m
        "runs": st.lists(st.tuples(st.integers(1, 130), st.sampled_from([1, 3, 20, 95, 96, 97, 300])), max_size=4),
        "level": st.sampled_from([100, 100, 101]),
        "is_bad": st.booleans(),
    }
)
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("land"),
            st.lists(FILES, min_size=1, max_size=3),
            st.sampled_from(["kraken", "kraken-rest", "own"]),
            st.sampled_from(["validated", "validated", "validated", "refused", "landed"]),
        ),
        st.tuples(st.just("judge"), st.integers(0, 2), st.sampled_from(["validated", "refused"])),
        st.tuples(st.just("forget")),
    ),
    min_size=1,
    max_size=4,
)


def piece(pair: str, first: int, *runs: tuple[int, int], level: int = 100):
    file = {"pair": pair, "minutes": 15, "first": first, "runs": [*runs], "level": level, "is_bad": False}
    return ("land", [file], "kraken", "validated")


# A candle less than a day after the last one: the hour, the four hours and the day in which that lies are whole now.
COMPLETES = [piece("XBTUSD", BASE + 80, (1, 1))]
# A late row just after a short hole across midnight: what lies before the slice must not be taken for nothing at all.
BEHIND_A_HOLE = [piece("SOLUSD", 0, (453, 32), (300, 1)), piece("SOLUSD", 755, (1, 1), level=101)]


@given(STEPS)
@examples(4)
def test_building_piece_by_piece_ends_where_building_all_ends(tmp_path_factory, steps):
    compare_pieces_with_all(tmp_path_factory.mktemp("pieces"), steps, without_strategies())


@pytest.mark.parametrize("steps", [COMPLETES, BEHIND_A_HOLE], ids=["completes a day", "behind a hole"])
def test_so_it_does_with_features_and_strategies(tmp_path, steps):
    compare_pieces_with_all(tmp_path, steps, STAGES)


@pytest.mark.deep
@pytest.mark.timeout(3000)
@given(STEPS)
@settings(max_examples=30, deadline=None)
def test_building_many_pieces_ends_where_building_all_ends(tmp_path_factory, steps):
    compare_pieces_with_all(tmp_path_factory.mktemp("pieces"), steps, STAGES)


def compare_pieces_with_all(folder: Path, steps, stages) -> None:
    with pytest.MonkeyPatch.context() as patch, new_warehouse() as warehouse:
        patch.setattr(sources, "MOST_LATE", 1.0)  # slices however much they hold
        patch.setattr(portions, "ROWS_AT_ONCE", BASE)  # so that a full build takes several
        base = [
            {"pair": pair, "minutes": minutes, "first": 0, "runs": [(BASE, 1)], "level": 100, "is_bad": False}
            for pair in ("XBTUSD", "ETHUSD")
            for minutes in (15, 240)
        ]
        for number, step in enumerate([("land", base, "kraken", "validated"), *steps]):
            take(warehouse, step, folder / str(number), FETCHED + dt.timedelta(hours=number))
            build(warehouse, stages, "incremental")
        rows, contents = tables(warehouse, stages), ledger(warehouse, stages)
        assert contents == {name: content_of(warehouse, name) for name in contents}
        build(warehouse, stages, "full")
        assert tables(warehouse, stages) == rows
        assert ledger(warehouse, stages) == contents


def new_warehouse() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"threads": 2})
    configure(connection)
    create_schema(connection)
    return connection


def take(warehouse: duckdb.DuckDBPyConnection, step, folder: Path, now: dt.datetime) -> None:
    if step[0] == "land":
        land_files(warehouse, *step[1:], folder, now)
    elif step[0] == "judge":
        batches = warehouse.execute("select batch_id from raw.files group by all order by all").fetchall()
        for (batch_id,) in batches[step[1] % 3 :: 3]:
            judge_files(warehouse, batch_id, frozenset() if step[2] == "validated" else None, "")
    else:
        retention.forget(warehouse, refused_before=now, texts_before=now, checks_before=now)


def land_files(warehouse, files, source, state, folder: Path, now: dt.datetime) -> None:
    folder.mkdir()
    for number, file in enumerate(files):
        (folder / str(number)).mkdir()
        (folder / str(number) / f"{file['pair']}_{file['minutes']}.csv").write_text(lines(file), "utf-8")
    try:
        report = land(
            warehouse,
            folder,
            source=source,
            series_of=series_of_file,
            columns=None,
            fetched_at=now,
            scratch=folder / "scratch",
        )
    except InputUnusable:
        return  # nothing but refusals
    if state != "landed" and report.state == "landed":
        judge_files(warehouse, report.batch_id, frozenset() if state == "validated" else None, "")


def lines(file) -> str:
    """Runs of candles with holes behind them, and perhaps a line that is none."""
    said = []
    at = file["first"] * 900 // (file["minutes"] * 60)
    for length, hole in file["runs"] or [(1, 1)]:
        for number in range(at, at + length):
            price = file["level"] + number % 7
            said.append(f"{first_of(file) + number * file['minutes'] * 60},{price},{price + 2},{price - 2},{price},1,1")
        at += length + hole
    if file["is_bad"]:
        said.append(f"{first_of(file) + at * file['minutes'] * 60},100,90,110,100,1,1")
    return "\n".join(said) + "\n"


def first_of(file) -> int:
    return FIRST_S - FIRST_S % (file["minutes"] * 60)


def tables(warehouse, stages) -> dict[str, list[tuple]]:
    return {stage.name: warehouse.execute(f"select * from {stage.name} order by all").fetchall() for stage in stages}


def ledger(warehouse, stages) -> dict[str, str]:
    views = {stage.name for stage in stages if stage.header.materialized == "view"}
    rows = warehouse.execute("select stage, content from meta.stages order by stage").fetchall()
    return {stage: content for stage, content in rows if stage not in views}
