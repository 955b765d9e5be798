"""A job on disk: page by page, whole or not at all, and one process at a time."""

import subprocess
import sys
from pathlib import Path

import pytest

from exchange.kraken.spool import Job, Rate, Row, Spool
from trading.errors import InputUnusable, SetupFailed, WarehouseBusy

JOB = Job("ohlc", "BTC/USD", {"BTC/USD 15m": 0, "BTC/USD 1h": 3600}, 7200, ("BTC/USD 1h",), "asked")
HOLDER = """
import sys
from pathlib import Path
from exchange.kraken.spool import Spool

with Spool(Path(sys.argv[1]), None):
    print("open", flush=True)
    sys.stdin.read()
"""


def row(opened_s: int, timeframe: str = "15m", series: str = "BTC/USD") -> Row:
    return Row(series, timeframe, opened_s, "1.10", "2", "0.5", "1.5", "12345678901234.12345678", 7)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool" / "job.sqlite"


def test_goes_on_with_the_job_that_was_begun_whatever_it_is_asked_for(path: Path) -> None:
    with Spool(path, JOB) as spool:
        spool.keep([row(0)], {"page": 1})
    with Spool(path, JOB._replace(until_s=9000, increments=(), asked_by="asked again")) as spool:
        assert spool.job == JOB
        assert (spool.progress, spool.rows, spool.is_complete) == ({"page": 1}, 1, False)


def test_gives_back_what_it_was_given_in_the_order_of_time(path: Path) -> None:
    with Spool(path, JOB) as spool:
        spool.keep([row(900), row(0), row(0, "1h"), row(0, series="PF_XBTUSD.mark")], {})
        spool.keep([Rate(3600, "-0.1", "1e-9"), Rate(0, "0", "0")], {}, is_complete=True)
    with Spool(path, None) as spool:
        assert spool.is_complete
        assert spool.rows == 6
        assert spool.series() == [("BTC/USD", "15m"), ("BTC/USD", "1h"), ("PF_XBTUSD.mark", "15m")]
        assert list(spool.candles("BTC/USD", "15m")) == [row(0), row(900)]
        assert list(spool.candles("BTC/USD", "15m", 1)) == [row(900)]
        assert [rate.began_s for rate in spool.rates()] == [0, 3600]


def test_a_page_is_kept_whole_or_not_at_all(path: Path) -> None:
    with Spool(path, JOB) as spool:
        spool.keep([row(0)], {"page": 1})

        def breaks_off():
            yield row(900)
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            spool.keep(breaks_off(), {"page": 2})
    with Spool(path, None) as spool:
        assert (spool.progress, spool.rows) == ({"page": 1}, 1)


def test_a_second_process_is_told_that_it_is_in_use_until_the_first_is_killed(path: Path) -> None:
    with Spool(path, JOB) as spool:
        spool.keep([row(0)], {"page": 1})
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(WarehouseBusy, match=r"job\.sqlite is in use by another backfill"):
            Spool(path, JOB)
    finally:
        holder.kill()
        holder.communicate()
    with Spool(path, JOB) as spool:
        assert spool.rows == 1


def test_leaves_nothing_when_it_is_removed(path: Path) -> None:
    with Spool(path, JOB) as spool:
        spool.keep([row(0)], {})
        spool.remove()
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"this is no database", b"x" * 5000])
def test_a_file_that_is_no_spool_is_named_and_left_alone(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(InputUnusable, match=r"job\.sqlite is no spool.* Remove it"):
        Spool(path, None)


def test_a_file_that_can_not_be_opened_is_named_and_is_not_said_to_be_in_use(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(SetupFailed, match=r"job\.sqlite can't be used: unable to open database file\. Look at room"):
        Spool(path, JOB)


FILLS_THE_DISK = """
import resource, signal, sys
from pathlib import Path
from exchange.kraken.spool import Job, Row, Spool
from trading.errors import SetupFailed

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # writing past the limit is an error then, as on a full disk
with Spool(Path(sys.argv[1]), Job("ohlc", "BTC/USD", {"BTC/USD 15m": 0}, 7200)) as spool:
    spool.keep([Row("BTC/USD", "15m", 0, "1", "1", "1", "1", "1", 1)], {"page": 1})
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, resource.RLIM_INFINITY))
    try:
        spool.keep((Row("BTC/USD", "15m", 900 * n, "1" * 200, "1", "1", "1", "1", 1) for n in range(1, 2000)), {})
    except SetupFailed as error:
        print(type(error).__name__, error)
"""


def test_a_page_for_which_there_is_no_room_is_an_error_that_names_the_file_and_costs_no_page_before(path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FILLS_THE_DISK, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"SetupFailed The spool {path} can't be used: ")
    with Spool(path, None) as spool:
        assert (spool.progress, spool.rows) == ({"page": 1}, 1)
