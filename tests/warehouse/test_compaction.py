"""The build file written anew: smaller, equal, and the old one until the new one is proven."""

import random
import subprocess
import sys
import time

import duckdb
import pytest

from trading.errors import WarehouseBusy
from warehouse.connection import unit_of_work
from warehouse.upkeep.compaction import compact
from warehouse.upkeep.copies import contents_of

LIMITS = {"lock_wait_s": 5.0, "memory_limit": "300MB", "threads": 1}
COMPACT = """
import sys
from pathlib import Path
from warehouse.upkeep.compaction import compact
print("ready", flush=True)
sys.stdin.readline()
compact(Path(sys.argv[1]), least_free_share=0.0, lock_wait_s=5.0, memory_limit="300MB", threads=1)
"""
ON_A_FULL_DISK = """
import resource, sys
from pathlib import Path
from trading.errors import SetupFailed
from warehouse.upkeep.compaction import compact
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
try:
    compact(Path(sys.argv[1]), least_free_share=0.0, lock_wait_s=5.0, memory_limit="300MB", threads=1)
except SetupFailed as error:
    print(error)
"""


@pytest.fixture
def build(tmp_path):
    """A build file of which much is free."""
    path = tmp_path / "build" / "warehouse.duckdb"
    with unit_of_work(path, **LIMITS) as connection:
        connection.execute("create table marts.kept as select n, hash(n) as value from range(300_000) as t(n)")
        connection.execute("create view marts.seen as select * from marts.kept where n > 10")
        connection.execute("create table marts.gone as select hash(n) as value from range(1_000_000) as t(n)")
    with unit_of_work(path, **LIMITS) as connection:
        connection.execute("drop table marts.gone")
    return path


def contents(path):
    with unit_of_work(path, **LIMITS) as connection:
        return contents_of(connection)


def files(build):
    return sorted(path.name for path in build.parent.iterdir())


def test_the_new_file_is_smaller_and_holds_the_same(build):
    before = contents(build)
    done = compact(build, least_free_share=0.25, **LIMITS)
    assert done.bytes_after < done.bytes_before / 2
    assert build.stat().st_size <= done.bytes_after
    assert contents(build) == before
    assert files(build) == ["warehouse.duckdb", "warehouse.duckdb.lock"]


def test_a_file_with_little_room_in_it_is_left_alone(build):
    compact(build, least_free_share=0.25, **LIMITS)
    inode = build.stat().st_ino
    done = compact(build, least_free_share=0.25, **LIMITS)
    assert done.bytes_after == done.bytes_before
    assert build.stat().st_ino == inode


def test_what_the_tables_refuse_they_refuse_afterwards_too(build):
    compact(build, least_free_share=0.0, **LIMITS)
    with unit_of_work(build, **LIMITS) as connection:
        columns = connection.execute("select count(*) from duckdb_constraints() where table_name = 'batches'")
        assert columns.fetchone() > (1,)
    row = "('b', 's', 'p', 'h', '2026-01-01', '{}', 0, 0, 0, 0, 0, '')"
    with unit_of_work(build, **LIMITS) as connection:
        connection.execute(f"insert into raw.batches values {row.format('landed')}")
    for state in ("landed", "nonsense"):
        with pytest.raises(duckdb.ConstraintException), unit_of_work(build, **LIMITS) as connection:
            connection.execute(f"insert into raw.batches values {row.format(state)}")


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.deep)])
def test_killed_it_leaves_the_old_file_or_the_new_one(build, kills):
    before = contents(build)
    chance = random.Random(11)
    for _ in range(kills):
        process = subprocess.Popen(
            [sys.executable, "-c", COMPACT, str(build)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout.readline() == "ready\n"
        process.stdin.write("go\n")
        process.stdin.flush()
        time.sleep(chance.uniform(0, 0.5))
        process.kill()
        process.communicate()
        assert contents(build) == before
    compact(build, least_free_share=0.0, **LIMITS)
    assert files(build) == ["warehouse.duckdb", "warehouse.duckdb.lock"]


def test_a_full_disk_leaves_the_old_file(build):
    before = contents(build)
    done = subprocess.run(
        [sys.executable, "-c", ON_A_FULL_DISK, str(build)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "can't be written anew" in done.stdout
    assert contents(build) == before
    assert files(build) == ["warehouse.duckdb", "warehouse.duckdb.lock"]


def test_nothing_is_compacted_while_a_unit_of_work_runs(build):
    with unit_of_work(build, **LIMITS), pytest.raises(WarehouseBusy):
        compact(build, least_free_share=0.0, **{**LIMITS, "lock_wait_s": 0.1})


def test_where_there_is_no_build_file_none_is_made(tmp_path):
    assert compact(tmp_path / "warehouse.duckdb", least_free_share=0.0, **LIMITS) == (0, 0)
    assert not list(tmp_path.iterdir())
