"""docs/sandbox.md: every example runs as it stands, every option exists, the table is current."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import ccxt.pro
import duckdb
import pytest

from config.settings import ROOT
from docs.coverage import DOCUMENT, document
from ops.cli import CCXT, main
from warehouse.schema import SCHEMA_VERSION

pytestmark = pytest.mark.xdist_group("sandbox_examples")  # the sandboxes of the document are started once

TEXT = DOCUMENT.read_text("utf-8")
SLIPWAY = Path(sys.executable).with_name("slipway")
EXAMPLES = re.findall(r"^```(python|bash)\n(.*?)^```", TEXT, flags=re.DOTALL | re.MULTILINE)
FIRST_DAY_S = 1_672_531_200
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


@pytest.mark.parametrize("shown", ["by the document", "by the command"])
def test_no_address_of_ccxt_is_left_at_production(shown, tmp_path, monkeypatch):
    home = "127.0.0.1:1"
    addresses = {key: f"{'ws' if key.endswith('ws') else 'http'}://{home}" for key in KEYS}
    (tmp_path / ".slipway").mkdir()
    (tmp_path / ".slipway" / "sandbox.json").write_text(json.dumps(addresses))
    monkeypatch.chdir(tmp_path)
    example = next(code for _, code in EXAMPLES if "krakenfutures" in code).partition("async def")[0]
    code = {"by the document": example, "by the command": textwrap.dedent(CCXT.format(**addresses))}[shown]

    names = {"ccxt": ccxt}
    exec(code, names)  # the example that people paste

    for client in (names["spot"], names["futures"]):
        assert [url for url in leaves(client.urls["api"]) if home not in url] == []
        assert client.urls["api"].keys() == type(client)().urls["api"].keys()


def leaves(urls):
    return [leaf for each in urls.values() for leaf in (leaves(each) if isinstance(each, dict) else [each])]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["XBTUSD_15.csv", "--instrument", "BTC/USD"], "--instrument can't be used with files"),
        (["--generate", "trend", "--from", "2023-01-01"], "--from can't be used with --generate"),
        (["--timeframe", "4h", str(ROOT / "data" / "sample" / "XBTUSD_60.csv")], "give files of 240 minutes"),
        (["--to", "2023-01-20"], "The candles have ended when the sandbox starts"),
        (["--moments", "0"], "moments_per_candle = 0"),
    ],
)
def test_an_option_that_would_say_nothing_is_refused(options, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SLIPWAY_HOME", str(tmp_path))

    assert main(["sandbox", *options]) == 1
    assert sentence in capsys.readouterr().err


def test_published_candles_are_traded_over_the_span_asked_for(tmp_path):
    publish(tmp_path / "warehouse")
    span = ("--from", "2023-01-02", "--to", "2023-02-11", "--start", "2023-02-01")
    with sandbox(tmp_path, "--warehouse", "--timeframe", "1h", *span, "--speed", "lockstep") as (_, file):
        address = json.loads(file.read_text())["spot_rest"]
        with urllib.request.urlopen(f"{address}/0/public/OHLC?pair=ETHUSD&interval=60") as reply:
            rows = json.loads(reply.read())["result"]["XETHZUSD"]

    assert [int(rows[0][0]), rows[0][1]] == [FIRST_DAY_S + 86_400, "100.10"]


def publish(folder):
    """A published warehouse with 50 days of hourly candles of two instruments, from 2023-01-01 on."""
    folder.mkdir()
    with duckdb.connect(folder / "slipway.duckdb") as connection:
        connection.execute("set timezone = 'UTC'")
        connection.execute("create schema marts; create schema meta")
        connection.execute(
            "create table meta.publication as select now() as published_at, ? as schema_version", [SCHEMA_VERSION]
        )
        connection.execute(
            f"""
            create table marts.candles as
            select
                instrument, '1h' as timeframe, to_timestamp({FIRST_DAY_S} + n * 3600) as opened_at,
                to_timestamp({FIRST_DAY_S} + (n + 1) * 3600) as closed_at,
                100.1::decimal(18, 10) as open, 101::decimal(18, 10) as high, 99::decimal(18, 10) as low,
                100::decimal(18, 10) as close, 1.00000001::decimal(28, 10) as volume, 5::bigint as trades,
                'kraken' as source, 'b1' as batch_id
            from range(1200) as t(n), unnest(['ETH/USD', 'BTC/USD']) as i(instrument)
            """
        )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--instrument", "SOL/USD"], "has no 1h candles of SOL/USD in that span"),
        (["--from", "2024-01-01"], "in that span"),
    ],
)
def test_what_is_not_published_is_named(options, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SLIPWAY_HOME", str(tmp_path))
    publish(tmp_path / "warehouse")

    assert main(["sandbox", "--warehouse", "--timeframe", "1h", *options]) == 1
    assert sentence in capsys.readouterr().err


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
