"""One unit of work at a time, all of it or nothing, and a wait that ends."""

import datetime as dt
import subprocess
import sys

import duckdb
import pytest

from trading.errors import SetupFailed, WarehouseBusy
from warehouse.connection import reading, unit_of_work

LIMITS = {"lock_wait_s": 5.0, "memory_limit": "200MB", "threads": 1}
HOLDER = """
import sys, time
from pathlib import Path
{open}
print("held", flush=True)
sys.stdin.read()
"""

ON_A_FULL_DISK = """
import resource, sys
from pathlib import Path
from trading.errors import SetupFailed
from warehouse.connection import unit_of_work
file = Path(sys.argv[1])
with unit_of_work(file, lock_wait_s=5.0, memory_limit="200MB", threads=1) as connection:
    connection.execute("create table marts.kept as select 1 as n")
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, resource.RLIM_INFINITY))
try:
    with unit_of_work(file, lock_wait_s=5.0, memory_limit="200MB", threads=1) as connection:
        connection.execute(sys.argv[2])
except SetupFailed as error:
    print(error)
"""


@pytest.fixture
def file(tmp_path):
    return tmp_path / "build" / "warehouse.duckdb"


@pytest.fixture
def held_by():
    """Starts a process that holds the file until the test ends."""
    processes = []

    def hold(opening):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER.format(open=opening)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        processes.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield hold
    for process in processes:
        process.kill()
        process.communicate()


def test_a_unit_of_work_is_kept_when_it_ends(file):
    with unit_of_work(file, **LIMITS) as connection:
        connection.execute("create table marts.kept as select 1 as one")
    with unit_of_work(file, **LIMITS) as connection:
        assert connection.execute("from marts.kept").fetchall() == [(1,)]


def test_a_unit_of_work_that_fails_leaves_nothing(file):
    def fail():
        with unit_of_work(file, **LIMITS) as connection:
            connection.execute("create table marts.lost as select 1 as one")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with unit_of_work(file, **LIMITS) as connection, pytest.raises(duckdb.CatalogException):
        connection.execute("from marts.lost")


def test_a_unit_of_work_whose_sql_failed_leaves_nothing(file):
    def fail():
        with unit_of_work(file, **LIMITS) as connection:
            connection.execute("create table marts.lost as select 1 as one")
            connection.execute("select 'x'::integer")

    with pytest.raises(duckdb.ConversionException):
        fail()
    with unit_of_work(file, **LIMITS) as connection:
        assert connection.execute("select count(*) from raw.batches").fetchall() == [(0,)]


def test_a_mistyped_table_reads_no_python_variable(file):
    nosuch = [1, 2, 3]
    with unit_of_work(file, **LIMITS) as connection, pytest.raises(duckdb.CatalogException):
        connection.execute("from nosuch")
    assert nosuch


def test_times_are_utc_whatever_the_machine_says(file, monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    with unit_of_work(file, **LIMITS) as connection:
        (at,) = connection.execute("select '2023-01-01 00:00:00'::timestamptz").fetchone()
    assert at == dt.datetime(2023, 1, 1, tzinfo=dt.UTC)


def test_a_busy_file_is_waited_for_and_then_its_holder_is_named(file, held_by):
    holder = held_by(
        f"from warehouse.connection import unit_of_work\n"
        f"unit = unit_of_work(Path({str(file)!r}), lock_wait_s=5, memory_limit='100MB', threads=1)\nunit.__enter__()"
    )
    with (
        pytest.raises(WarehouseBusy, match=f"process {holder.pid}"),
        unit_of_work(file, **{**LIMITS, "lock_wait_s": 0.2}),
    ):
        pass


def test_a_file_that_someone_opened_by_hand_is_busy_too(file, held_by):
    with unit_of_work(file, **LIMITS):
        pass
    holder = held_by(f"import duckdb\nconnection = duckdb.connect({str(file)!r}, read_only=True)")
    with pytest.raises(WarehouseBusy, match=str(holder.pid)), unit_of_work(file, **{**LIMITS, "lock_wait_s": 0.2}):
        pass


def test_a_holder_that_is_killed_holds_nothing(file, held_by):
    holder = held_by(
        f"from warehouse.connection import unit_of_work\n"
        f"unit = unit_of_work(Path({str(file)!r}), lock_wait_s=5, memory_limit='100MB', threads=1)\n"
        f"unit.__enter__().execute('create table marts.half as select 1 as one')"
    )
    holder.kill()
    holder.wait()
    with unit_of_work(file, **LIMITS) as connection, pytest.raises(duckdb.CatalogException):
        connection.execute("from marts.half")


def test_units_in_one_process_queue_as_well(file):
    with (
        unit_of_work(file, **LIMITS),
        pytest.raises(WarehouseBusy),
        unit_of_work(file, **{**LIMITS, "lock_wait_s": 0.1}),
    ):
        pass


def test_what_is_no_warehouse_is_not_opened(file):
    file.parent.mkdir()
    file.write_text("these are not the bytes you are looking for" * 100)
    with pytest.raises(SetupFailed, match="can't be opened"), unit_of_work(file, **LIMITS):
        pass


def test_a_folder_that_is_a_file_is_said(tmp_path):
    (tmp_path / "build").write_text("")
    with pytest.raises(SetupFailed, match="can't be written"), unit_of_work(tmp_path / "build" / "w.duckdb", **LIMITS):
        pass


@pytest.mark.parametrize(
    "work",
    [
        "create table marts.few as select hash(n)::varchar || hash(n + 1) as text from range(100_000) as t(n)",
        "create table marts.many as select hash(n) as value, hash(n + 1) as other from range(3_000_000) as t(n)",
    ],
    ids=["what goes to its log", "what goes to the file"],
)
def test_a_disk_without_room_is_a_sentence_and_what_was_there_stays(file, work):
    done = subprocess.run(
        [sys.executable, "-c", ON_A_FULL_DISK, str(file), work], capture_output=True, text=True, check=False
    )
    assert "can't be written: " in done.stdout, done.stderr
    assert "Make room, or mend what is named, and start again." in done.stdout
    with unit_of_work(file, **LIMITS) as connection:
        assert connection.execute("select count(*) from marts.kept").fetchone() == (1,)


def test_reading_before_anything_was_published_says_what_to_do(tmp_path):
    with pytest.raises(SetupFailed, match="make run"), reading(tmp_path / "slipway.duckdb"):
        pass


def test_a_file_that_goes_away_while_it_is_read_is_called_that(tmp_path):
    said = r"A file went away while it was read: .*gone\.csv"
    with pytest.raises(SetupFailed, match=said), unit_of_work(tmp_path / "w.duckdb", **LIMITS) as connection:
        connection.execute(f"from read_csv('{tmp_path}/gone.csv')")
