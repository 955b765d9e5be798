"""A copy of the build file is proven equal, table by table, and a difference is named."""

import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from trading.errors import CheckFailed, SetupFailed, WarehouseBusy
from warehouse.connection import unit_of_work, whole_file
from warehouse.schema import SCHEMA_VERSION
from warehouse.upkeep.copies import contents_of, copy_build, refuse_opened, refuse_other_contents

LIMITS = {"lock_wait_s": 5.0, "memory_limit": "200MB", "threads": 1}
OPENING = {"memory_limit": "200MB", "threads": 1}


@pytest.fixture
def build(tmp_path):
    path = tmp_path / "build" / "warehouse.duckdb"
    with unit_of_work(path, **LIMITS) as connection:
        connection.execute("create table marts.numbers as select n, n / 7.0 as share from range(1000) as t(n)")
        connection.execute("create view marts.large as select * from marts.numbers where n > 900")
    return path


def test_the_copy_holds_what_the_build_file_held(build, tmp_path):
    copy = copy_build(build, tmp_path / "copy.duckdb", **LIMITS)
    assert copy.schema_version == SCHEMA_VERSION
    assert {"marts.numbers", "marts.large", "raw.batches"} <= set(copy.contents)
    with duckdb.connect(str(copy.path), read_only=True) as connection:
        assert connection.execute("select count(*), sum(n) from marts.numbers").fetchone() == (1000, 499500)


def test_what_a_killed_unit_of_work_had_committed_is_in_the_copy(build, tmp_path):
    """It is in the log beside the file only, until somebody opens the file."""
    code = (
        "import duckdb, os, sys\n"
        "connection = duckdb.connect(sys.argv[1])\n"
        "connection.execute('insert into marts.numbers values (1000, 0)')\n"
        "os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(build)], check=False).returncode == 9
    assert build.with_name("warehouse.duckdb.wal").stat().st_size
    copy = copy_build(build, tmp_path / "copy.duckdb", **LIMITS)
    with duckdb.connect(str(copy.path), read_only=True) as connection:
        assert connection.execute("select count(*) from marts.numbers").fetchone() == (1001,)


@pytest.mark.parametrize(
    "change",
    [
        "update marts.numbers set share = share + 3e-14 where n = 500",
        "delete from marts.numbers where n = 3",
        "alter table marts.numbers rename share to part",
        "alter table marts.numbers alter n set not null",
        "create table marts.more as select 1 as one",
        "create or replace view marts.large as select * from marts.numbers where n > 901",
        "drop view marts.large",
    ],
)
def test_whatever_differs_is_named(build, tmp_path, change):
    copy = copy_build(build, tmp_path / "copy.duckdb", **LIMITS)
    with duckdb.connect(str(copy.path)) as connection:
        if "alter table" in change:
            connection.execute("drop view marts.large")
        connection.execute(change)
    with pytest.raises(CheckFailed, match=r"marts\.\w+"):
        refuse_other_contents(copy.path, copy.contents, **OPENING)


def test_a_copy_that_is_cut_is_told(build, tmp_path):
    copy = copy_build(build, tmp_path / "copy.duckdb", **LIMITS)
    copy.path.write_bytes(copy.path.read_bytes()[:-300_000])
    with pytest.raises(CheckFailed, match=r"can't be read back|does not hold"):
        refuse_other_contents(copy.path, copy.contents, **OPENING)


def test_the_order_of_rows_makes_no_difference(build):
    with unit_of_work(build, **LIMITS) as connection:
        before = contents_of(connection)["marts.numbers"]
        connection.execute("create or replace table marts.numbers as from marts.numbers order by n desc")
        assert contents_of(connection)["marts.numbers"] == before


def test_a_copy_never_replaces_a_file(build, tmp_path):
    (tmp_path / "copy.duckdb").write_text("mine")
    with pytest.raises(FileExistsError):
        copy_build(build, tmp_path / "copy.duckdb", **LIMITS)
    assert (tmp_path / "copy.duckdb").read_text() == "mine"


def test_units_of_work_wait_while_the_whole_file_is_in_hand(build):
    with (
        whole_file(build, **LIMITS),
        pytest.raises(WarehouseBusy),
        unit_of_work(build, **{**LIMITS, "lock_wait_s": 0.1}),
    ):
        pass


def test_the_file_may_be_replaced_between_two_openings(build, tmp_path):
    other = tmp_path / "other.duckdb"
    with duckdb.connect(str(other)) as connection:
        connection.execute("create table t as select 42 as n")
    with whole_file(build, **LIMITS) as opened:
        with opened() as connection:
            assert connection.execute("select count(*) from marts.numbers").fetchone() == (1000,)
        shutil.copyfile(other, build)
        with opened() as connection:
            assert connection.execute("from t").fetchone() == (42,)


def test_a_prompt_on_the_build_file_holds_it(build):
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import duckdb, sys; c = duckdb.connect({str(build)!r}); print(1, flush=True); input()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout.readline() == "1\n"
        with whole_file(build, **{**LIMITS, "lock_wait_s": 0.2}) as opened, pytest.raises(WarehouseBusy):
            refuse_opened(build, opened)
    finally:
        holder.communicate("\n")


def test_a_file_that_is_damaged_or_gone_is_held_by_nobody(build):
    build.write_bytes(b"nothing of value" * 1000)
    with whole_file(build, **LIMITS) as opened:
        refuse_opened(build, opened)
    build.unlink()
    with whole_file(build, **LIMITS) as opened:
        refuse_opened(build, opened)
    assert not build.exists()


def test_a_build_file_that_is_none_is_not_copied(tmp_path):
    path = tmp_path / "warehouse.duckdb"
    path.write_bytes(b"nothing of value" * 1000)
    with pytest.raises(SetupFailed, match="can't be opened"):
        copy_build(path, tmp_path / "copy.duckdb", **LIMITS)
    assert not Path(tmp_path / "copy.duckdb").exists()
