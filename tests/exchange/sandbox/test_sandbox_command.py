"""`slipway sandbox`: where it writes its addresses, and what it refuses before it starts."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from exchange.sandbox.addresses import on_file
from exchange.sandbox.commands import FASTEST
from exchange.sandbox.market.sources import Row
from exchange.sandbox.serving import When, market_of_rows, market_of_scenario
from exchange.sandbox.units import DAY_NS
from ops.cli import main
from trading.errors import InputUnusable

FIRST = datetime(2023, 1, 1, tzinfo=UTC)
FIRST_NS = round(FIRST.timestamp()) * 10**9


def addresses(number):
    """Of the sandbox with this number."""
    return {f"{name}": f"http://127.0.0.1:{number}" for name in ("spot_rest", "futures_rest", "control")}


def kept(file):
    return json.loads(file.read_text())


def test_the_addresses_are_on_file_while_the_sandbox_runs(tmp_path):
    file = tmp_path / ".slipway" / "sandbox.json"

    with on_file(addresses(1), file) as place:
        assert place == (file, ())
        assert kept(file) == addresses(1)
    assert not file.exists()


def test_a_second_sandbox_says_that_one_runs_and_leaves_its_file_alone(tmp_path):
    file, second_file = tmp_path / "sandbox.json", tmp_path / "sandbox-2.json"

    with on_file(addresses(1), file), on_file(addresses(2), file) as second:
        assert (kept(file), kept(second_file)) == (addresses(1), addresses(2))
    assert second.file == second_file
    (sentence,) = second.others
    assert "has sandbox.json: process " in sentence
    assert "control http://127.0.0.1:1" in sentence


def test_the_first_sandbox_to_end_removes_its_own_file_only(tmp_path):
    file = tmp_path / "sandbox.json"
    first = on_file(addresses(1), file)
    first.__enter__()

    with on_file(addresses(2), file) as second:
        first.__exit__(None, None, None)
        assert not file.exists()
        assert kept(second.file) == addresses(2)


def test_what_a_killed_sandbox_has_left_behind_is_taken_over(tmp_path):
    file = tmp_path / "sandbox.json"
    file.write_text(json.dumps(addresses(1)))
    file.with_suffix(".lock").write_text("process 1, long gone")

    with on_file(addresses(2), file) as place:
        assert place == (file, ())
        assert kept(file) == addresses(2)


@pytest.mark.parametrize("speed", [f"{2 * FASTEST:g}x", "inf", "nan", "0", "-1x", "fast"])
def test_a_speed_that_no_machine_keeps_up_with_is_refused(speed, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["sandbox", f"--speed={speed}"])

    assert ended.value.code == 2
    assert "a factor like 60x, of at most 1,000,000x" in capsys.readouterr().err


@pytest.mark.parametrize("starts_ns", [-DAY_NS, 0, 30 * DAY_NS, 2**62, 2**63])
def test_a_start_that_no_market_can_have_is_refused(starts_ns):
    with pytest.raises(InputUnusable, match=r"can't start at .* 1970-02-01T00:00:00Z to 2116-02-20"):
        market_of_scenario("trend", ["BTC/USD"], seed=1, starts_ns=starts_ns)
    with pytest.raises(InputUnusable, match="can't start at"):
        market_of_rows(rows({"BTC/USD": 40}), ["BTC/USD"], seed=1, when=When(starts_ns=starts_ns))


def test_candles_that_end_before_the_start_are_refused():
    with pytest.raises(InputUnusable, match=r"have ended when .* at 2023-02-20T00:00:00Z .* those of BTC/USD, ETH/USD"):
        market_of_rows(rows({"BTC/USD": 40, "ETH/USD": 40}), ["ETH/USD", "BTC/USD"], seed=1, when=start_after(50))


def test_a_start_before_the_candles_is_refused():
    with pytest.raises(InputUnusable, match="can't start at 2022-12-31T00:00:00Z: its candles begin at 2023-01-01T00"):
        market_of_rows(rows({"BTC/USD": 40}), ["BTC/USD"], seed=1, when=start_after(-1))


def test_one_instrument_that_would_never_trade_is_named():
    with pytest.raises(InputUnusable, match=r"those of ETH/USD\. Start earlier, feed more, or leave these out"):
        market_of_rows(rows({"BTC/USD": 40, "ETH/USD": 20}), ["ETH/USD", "BTC/USD"], seed=1, when=start_after(30))


def test_no_candle_is_lost_to_the_look_ahead():
    market = market_of_rows(rows({"BTC/USD": 40, "ETH/USD": 36}), ["ETH/USD", "BTC/USD"], seed=1, when=start_after(30))
    moments = [moment for instant in market.advance(FIRST_NS + 50 * DAY_NS) for moment in instant.moments]

    traded = {name: sum(len(one.spot) for one in moments if one.instrument == name) for name in market.pairs}
    assert traded == {"BTC/USD": 10 * 24 * 9, "ETH/USD": 6 * 24 * 9}


def test_a_sandbox_over_files_does_not_wait_for_the_warehouse():
    program = (
        "import sys, ops.cli, exchange.sandbox.serving as serving\n"
        "serving.run = lambda *_: print(*{'duckdb', 'polars', 'pandas', 'prefect', 'numba'} & sys.modules.keys())\n"
        "sys.exit(ops.cli.main(['sandbox', '--ports', '0,0,0']))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")


def start_after(days):
    return When(starts_ns=FIRST_NS + days * DAY_NS)


def rows(days):
    """Hourly candles of nine trades from 2023-01-01 on, so many days of each instrument."""
    prices = (Decimal(100), Decimal(101), Decimal(99), Decimal(100))
    return [
        Row(name, "1h", FIRST + timedelta(hours=hour), *prices, Decimal(5), 9)
        for hour in range(24 * max(days.values()))
        for name in sorted(days)
        if hour < 24 * days[name]
    ]
