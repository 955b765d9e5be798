"""The published file: replaced in one rename, read-only, and nobody who has it open notices."""

import datetime as dt
import os
import signal
import stat
import subprocess
import sys

import duckdb
import pytest

from trading.errors import CheckFailed, SetupFailed
from warehouse import ledger
from warehouse.connection import publish, reading, unit_of_work
from warehouse.gate.clearance import clear
from warehouse.schema import SCHEMA_VERSION

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
        ledger.create_table(connection)
        clear(connection)


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
    write(build, 1)
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


def test_a_change_that_its_checks_have_not_seen_is_not_published(places):
    write(places[0], 1)
    published(places)
    with unit_of_work(places[0], **LIMITS) as connection:
        connection.execute("insert into meta.stages values ('marts.numbers', 'r', '{}', 'c', 1)")
        connection.execute("update marts.numbers set one = 2")
    with pytest.raises(CheckFailed, match="Not published"):
        published(places)
    with reading(places[1]) as connection:
        assert connection.execute("from marts.numbers").fetchall() == [(1,)]
        assert connection.execute("select count(*) from meta.publication").fetchall() == [(1,)]


def test_a_build_that_was_never_checked_is_not_published(places):
    with unit_of_work(places[0], **LIMITS):
        pass
    with pytest.raises(CheckFailed, match="Not published"):
        published(places)
    assert not places[1].exists()


@pytest.mark.parametrize(
    ("version", "said"),
    [
        (SCHEMA_VERSION - 1, r"older than this code .* run `make run` to publish it anew\.$"),
        (SCHEMA_VERSION + 1, r"newer than this code .* bring this checkout up to date\.$"),
    ],
    ids=["older", "newer"],
)
def test_a_file_of_another_schema_is_refused_in_one_sentence(version, said, tmp_path):
    path = tmp_path / "slipway.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("create schema meta")
        connection.execute("create table meta.publication (schema_version integer)")
        connection.execute("insert into meta.publication values (?)", [version])
    with pytest.raises(SetupFailed, match=said), reading(path):
        pass


def test_a_file_that_nobody_published_is_refused(tmp_path):
    duckdb.connect(str(tmp_path / "other.duckdb")).close()
    with pytest.raises(SetupFailed, match="no published warehouse"), reading(tmp_path / "other.duckdb"):
        pass


def test_a_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "slipway.duckdb").write_bytes(b"these are not the bytes you are looking for" * 100)
    with pytest.raises(SetupFailed, match="can't be opened"), reading(tmp_path / "slipway.duckdb"):
        pass


def test_a_system_without_a_way_past_its_cache_publishes_too(places, monkeypatch):
    monkeypatch.delattr(os, "O_DIRECT")
    write(places[0], 1)
    published(places)
    assert places[1].read_bytes() == places[0].read_bytes()


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
