"""Kill -9 a running session at random closes: after a restart its journal is that of a session nobody disturbed."""

import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from exchange.simulator import Simulator
from ops.clock import SteppedClock
from ops.journal import Journal, JournalReader
from tasks.session import closes_after, trade

BARS = 300

# Recovers, goes on, and names each close before it is lived through.
SESSION = """
import sys
from pathlib import Path
import numpy as np
from exchange.rows import Costs, Funding
from exchange.simulator import Simulator
from ops.clock import SteppedClock
from ops.journal import Journal
from tasks.market import Market
from tasks.recording import Identity
from tasks.session import closes_after, recover, trade
from trading.model import Account, Rules

given = np.load(sys.argv[1])
rules = tuple(Rules(*row) for row in given["rules"].tolist())
costs, account = Costs(*given["costs"].tolist()), Account(*given["account"].tolist())
funding = Funding(given["rates"], int(given["first_hour"]))
market = Market(given["candles"], given["signals"], rules, costs, account, funding)
identity = Identity("signals_test", "0" * 64, ("BTC/USD", "ETH/USD"))

def told(closes):
    for close in closes:
        print(close.at, flush=True)
        yield close

with Journal(Path(sys.argv[2]), holder="victim", clock=SteppedClock()) as journal:
    simulator = Simulator(market.rules, market.costs, market.account, market.funding)
    last_close_at = recover(journal, simulator, identity).last_close_at
    trade(journal, simulator, identity, told(closes_after(market, last_close_at, 10**9)), last_close_at)
"""


@pytest.mark.deep
def test_a_session_killed_all_the_time_ends_as_if_undisturbed(random_market, identity, projection, tmp_path):
    assert_kills_change_nothing(random_market(12, BARS), identity, projection, tmp_path, kills=20)


def assert_kills_change_nothing(market, identity, projection, folder: Path, kills: int) -> None:
    with Journal(folder / "undisturbed.sqlite", holder="test", clock=SteppedClock()) as journal:
        simulator = Simulator(market.rules, market.costs, market.account, market.funding)
        trade(journal, simulator, identity, closes_after(market, 0, 10**9), 0)
        undisturbed = projection(journal)
    tables = {name: value for name, value in market._asdict().items() if name != "funding"}
    np.savez(folder / "market.npz", **tables, **market.funding._asdict())
    chance = random.Random(kills)
    for _ in range(kills):
        kill_after(folder, chance.randrange(1, BARS // (kills + 1)))
    assert run_to_the_end(folder) == 0
    with JournalReader(folder / "disturbed.sqlite") as journal:
        assert journal.verify().broken_at is None
        assert projection(journal) == undisturbed
        assert len(list(journal.rows(kinds=["lease"]))) == kills + 1


def started(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SESSION, str(folder / "market.npz"), str(folder / "disturbed.sqlite")]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def kill_after(folder: Path, closes: int) -> None:
    with started(folder) as session:
        for _ in range(closes):
            assert session.stdout.readline()
        session.kill()


def run_to_the_end(folder: Path) -> int:
    with started(folder) as session:
        session.stdout.read()
    return session.returncode
