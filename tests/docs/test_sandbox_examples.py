"""docs/sandbox.md: every example runs as it stands, every option exists, the table is current."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from config.settings import ROOT
from docs.coverage import DOCUMENT, document

TEXT = DOCUMENT.read_text("utf-8")
SLIPWAY = Path(sys.executable).with_name("slipway")
EXAMPLES = re.findall(r"^```(python|bash)\n(.*?)^```", TEXT, flags=re.DOTALL | re.MULTILINE)
IN_LOCKSTEP = "open_session"  # an example with a session is about lockstep
KEYS = {
    "spot_rest", "spot_ws", "futures_rest", "futures_ws", "control",
    "futures_key", "futures_secret", "spot_key", "spot_secret",
}  # fmt: skip


@contextmanager
def sandbox(home, *options):
    """A sandbox as a user starts it, in a home of its own; the process and its file of addresses."""
    environment = {**os.environ, "SLIPWAY_HOME": str(home), "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([SLIPWAY, "sandbox", *options], env=environment, stdout=subprocess.PIPE, text=True)
    file = home / ".slipway" / "sandbox.json"
    try:
        for _ in range(3_000):
            if file.exists() or process.poll() is not None:
                break
            time.sleep(0.01)
        assert file.exists()
        yield process, file
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        process.stdout.close()


@pytest.fixture(scope="module")
def home_of(tmp_path_factory):
    """Homes in which a sandbox runs, in real time and in lockstep."""
    homes = {name: tmp_path_factory.mktemp(name) for name in ("real", "lockstep")}
    with sandbox(homes["real"]), sandbox(homes["lockstep"], "--speed", "lockstep"):
        yield homes


@pytest.mark.parametrize(("language", "code"), EXAMPLES, ids=[f"{n}-{kind}" for n, (kind, _) in enumerate(EXAMPLES)])
def test_every_example_runs(language, code, home_of):
    home = home_of["lockstep" if IN_LOCKSTEP in code else "real"]
    command = {"python": [sys.executable, "-c", code], "bash": [shutil.which("bash"), "-ec", code]}[language]

    done = subprocess.run(
        command, cwd=home, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert '"error":"' not in done.stdout
    assert not re.search(r'"error":\[".', done.stdout)


def test_the_three_ways_to_connect_are_shown():
    together = "".join(code for _, code in EXAMPLES)

    assert all(way in together for way in ("ccxt.pro.kraken(", "ccxt.pro.krakenfutures(", "ws_connect(", "curl "))


def test_every_option_that_is_named_exists():
    offered = subprocess.run(
        [SLIPWAY, "sandbox", "--help"], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout

    assert set(re.findall(r"`(--[a-z-]+)`", TEXT)) == set(re.findall(r"(--[a-z-]+)", offered)) - {"--help"}


def test_the_table_of_what_is_spoken_is_current():
    assert document(TEXT) == TEXT, "run `make docs`"


def test_addresses_are_on_file_as_long_as_it_runs(tmp_path):
    with sandbox(tmp_path) as (process, file):
        addresses = json.loads(file.read_text())
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=30)

        assert process.returncode == 0
        assert addresses.keys() == KEYS
        assert not file.exists()
        assert all(addresses[key] in said for key in addresses if not key.endswith(("key", "secret")))


def test_a_file_that_another_sandbox_has_written_is_left_alone(tmp_path):
    with sandbox(tmp_path) as (process, file):
        file.write_text('{"control": "of another"}')
        process.send_signal(signal.SIGTERM)
        process.wait(30)

        assert json.loads(file.read_text()) == {"control": "of another"}


def test_a_port_that_is_taken_is_named(tmp_path):
    with sandbox(tmp_path) as (_, file):
        port = json.loads(file.read_text())["control"].rpartition(":")[2]
        second = subprocess.run(
            [SLIPWAY, "sandbox", "--ports", f"0,0,{port}"],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={**os.environ, "SLIPWAY_HOME": str(tmp_path / "other")},
            timeout=60,
        )

    assert second.returncode == 1
    assert f"Port {port}" in second.stderr
