"""The published file: replaced in one rename, read-only, and nobody who has it open notices."""

import datetime as dt
import signal
import stat
import subprocess
import sys

import duckdb
import pytest

from trading.errors import SetupFailed
from warehouse.connection import publish, reading, unit_of_work

LIMITS = {"lock_wait_s": 5.0, "memory_limit": "200MB", "threads": 1}
NOW = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
READER = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1], read_only=True)
for _ in sys.stdin:
    print(connection.execute("select max(one) from marts.numbers").fetchone()[0], flush=True)
"""
PUBLISHER = """
import sys
from datetime import datetime, UTC
from pathlib import Path
from warehouse.connection import publish
print("ready", flush=True)
while True:
    publish(Path(sys.argv[1]), Path(sys.argv[2]), published_at=datetime.now(UTC), code_version="killed",
            lock_wait_s=5, memory_limit="200MB", threads=1)
"""


@pytest.fixture
def places(tmp_path):
    return tmp_path / "build" / "warehouse.duckdb", tmp_path / "warehouse" / "slipway.duckdb"


def write(build, number):
    with unit_of_work(build, **LIMITS) as connection:
        connection.execute("create or replace table marts.numbers as select ?::integer as one", [number])


def published(places, at=NOW):
    return publish(*places, published_at=at, code_version="abc", **LIMITS)


def test_the_published_file_holds_what_was_built_and_says_when(places):
    write(places[0], 1)
    report = published(places)
    with reading(places[1]) as connection:
        assert connection.execute("from marts.numbers").fetchall() == [(1,)]
        assert connection.execute("select published_at, code_version from meta.publication").fetchall() == [
            (NOW, "abc")
        ]
    assert (report.path, report.published_at) == (places[1], NOW)
    assert report.size_bytes == places[1].stat().st_size


def test_the_published_file_can_not_be_written(places):
    write(places[0], 1)
    published(places)
    assert stat.S_IMODE(places[1].stat().st_mode) == 0o444
    with reading(places[1]) as connection, pytest.raises(duckdb.InvalidInputException):
        connection.execute("create table t as select 1")


def test_a_reader_keeps_what_it_opened_while_others_write_and_publish(places):
    write(places[0], 1)
    published(places)
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, str(places[1])], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def answer():
        reader.stdin.write("?\n")
        reader.stdin.flush()
        return int(reader.stdout.readline())

    try:
        assert answer() == 1
        write(places[0], 2)
        assert answer() == 1
        published(places, NOW + dt.timedelta(hours=1))
        assert answer() == 1
    finally:
        reader.communicate()
    with reading(places[1]) as connection:
        assert connection.execute("from marts.numbers").fetchall() == [(2,)]


@pytest.mark.parametrize("kills", [3, pytest.param(40, marks=pytest.mark.deep)])
def test_a_publish_that_is_killed_leaves_a_whole_file_and_no_rubbish_after_the_next(kills, places):
    build, target = places
    with unit_of_work(build, **LIMITS) as connection:
        connection.execute("create table marts.many as select hash(n) as value from range(2_000_000) as t(n)")
    published(places)
    for number in range(kills):
        process = subprocess.Popen(
            [sys.executable, "-c", PUBLISHER, *map(str, places)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout.readline() == "ready\n"
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.05 + 0.013 * number)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        with reading(target) as connection:
            assert connection.execute("select count(*) from marts.many").fetchall() == [(2_000_000,)]
    published(places)
    assert [path.name for path in target.parent.iterdir()] == [target.name]


def test_there_must_be_something_to_publish(places):
    with pytest.raises(SetupFailed, match="land candles first"):
        published(places)


def test_a_place_that_can_not_be_written_is_named(places):
    write(places[0], 1)
    places[1].parent.mkdir()
    places[1].mkdir()
    with pytest.raises(SetupFailed, match=r"can't be published to .*slipway\.duckdb"):
        published(places)
    assert [path.name for path in places[1].parent.iterdir()] == ["slipway.duckdb"]
