"""A sandbox of `make run`'s own, beside it: over the sample, at the end of its span, in a home of its own."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from ops import stack
from trading.errors import SetupFailed

PATTERN = "*_15.csv"
HISTORY_DAYS = 8  # of candles behind its clock: 768 of 15m, so more than one reply of the venue holds
DAY_S = 86_400
BEFORE_THE_END_S = 14 * 60  # its clock starts in the last candle of the sample, and is at an end when that is
START_WAIT_S = 60.0
END_WAIT_S = 10.0


@contextmanager
def sandbox(state: Path, sample: Path, environment: Mapping[str, str]) -> Iterator[Callable[[], Path]]:
    """Start it; what comes back waits until it is up, and says where its addresses are. It ends with the block.

    In real time, so all that it tells within some minutes happened within the sample's span: its spot candles are
    the sample's own.

    Raises (both): SetupFailed: there are no 15m candles, or it did not start.
    """
    ends_s = _end_of(sample)
    log = stack.log_path(state, "sandbox")
    with tempfile.TemporaryDirectory(dir=state, prefix="sandbox-") as home, log.open("wb") as sink:
        process = subprocess.Popen(
            _command(sample, ends_s),
            env={**environment, "SLIPWAY_HOME": home},
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield lambda: _addresses(process, Path(home) / ".slipway" / "sandbox.json", log)
        finally:
            _end(process)


def _command(sample: Path, ends_s: int) -> tuple[str, ...]:
    slipway = str(Path(sys.executable).with_name("slipway"))
    files = map(str, sorted(sample.glob(PATTERN)))
    starts_s = ends_s - BEFORE_THE_END_S
    return (slipway, "sandbox", *files, "--start", _text(starts_s), "--from", _text(ends_s - HISTORY_DAYS * DAY_S))


def _end_of(sample: Path) -> int:
    """When the last candle of the sample closes, in seconds; of several files that of the first to end."""
    last = [file.read_text(encoding="utf-8").splitlines()[-1] for file in sample.glob(PATTERN)]
    if not last:
        raise SetupFailed(f"There is no file like XBTUSD_15.csv at {sample}: the sandbox of `make run` needs one.")
    return min(int(line.partition(",")[0]) for line in last) + 900


def _addresses(process: "subprocess.Popen[bytes]", file: Path, log: Path) -> Path:
    deadline = time.monotonic() + START_WAIT_S
    while not file.is_file():
        if process.poll() is not None:
            raise SetupFailed(f"The sandbox ended while it started.\n{stack.tail(log)}")
        if time.monotonic() > deadline:
            raise SetupFailed(f"The sandbox did not start within {START_WAIT_S:.0f} s.\n{stack.tail(log)}")
        time.sleep(0.1)
    return file


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(END_WAIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _text(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"
