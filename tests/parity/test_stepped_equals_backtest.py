"""The session, stepped and journaled close by close, decides what the backtest decides, to the byte."""

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from doses import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.compiling import ROOT, compiled
from exchange.rows import Fill, Verdict
from exchange.simulator import Simulator, fold
from ops.clock import SteppedClock
from ops.journal import Journal, Kind, Row
from tasks.market import Market
from tasks.recording import Identity
from tasks.session import closes_after, known_of_all, recover, trade
from trading.errors import TradingHalted
from trading.model import Decision, Role

BAR_US = 900_000_000


@pytest.fixture(scope="module")
def engine(random_market) -> Callable[..., Any]:
    """`fold` as the backtest runs it: machine code, made here so that no test is charged with it, and kept."""
    function = compiled(fold, ROOT / ".slipway" / "compiled")
    folded(random_market(0, 1), function)
    return function


@examples(20)
@given(seed=st.integers(0, 2**32 - 1), bars=st.integers(1, 60))
def test_every_decision_fill_and_equity_is_that_of_the_backtest(random_market, identity, seed, bars):
    market = random_market(seed, bars)
    assert of_journal(stepped(market, identity)) == of_backtest(market, identity, fold)


@pytest.mark.xdist_group("heavy")
@examples(20)
@given(seed=st.integers(0, 2**32 - 1), bars=st.integers(1, 60))
def test_every_decision_fill_and_equity_is_that_of_the_compiled_backtest(random_market, identity, engine, seed, bars):
    market = random_market(seed, bars)
    assert of_journal(stepped(market, identity)) == of_backtest(market, identity, engine)


@pytest.mark.deep
@pytest.mark.xdist_group("heavy")
@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), bars=st.integers(1, 200))
def test_every_decision_of_many_markets_is_that_of_the_compiled_backtest(random_market, identity, engine, seed, bars):
    market = random_market(seed, bars)
    assert of_journal(stepped(market, identity)) == of_backtest(market, identity, engine)


def test_the_random_markets_do_trade(random_market, identity):
    lines = of_journal(stepped(random_market(3, 200), identity))
    assert sum('"fill"' in line for line in lines) > 20
    assert {"entered", "in_position", "no_stop", "daily_loss"} <= {json.loads(line)[-1] for line in lines}


@examples(8)
@given(seed=st.integers(0, 2**32 - 1), cut=st.integers(0, 40))
def test_a_session_in_two_runs_writes_what_one_run_writes(random_market, identity, projection, seed, cut):
    market = random_market(seed, 40)
    with tempfile.TemporaryDirectory() as folder:
        whole, parted = Path(folder) / "whole.sqlite", Path(folder) / "parted.sqlite"
        go_on(market, identity, whole, 10**9)
        if cut:
            go_on(before(market, cut), identity, parted, 10**9)
        go_on(market, identity, parted, 10**9)
        with opened(whole) as one, opened(parted) as other:
            assert projection(one) == projection(other)


@examples(8)
@given(seed=st.integers(0, 2**32 - 1), first=st.integers(1, 39), other=st.integers(1, 39))
def test_instruments_that_are_published_apart_are_traded_as_the_backtest_does(
    random_market, identity, projection, seed, first, other
):
    market = random_market(seed, 40)
    apart = before(market, max(first, other))
    slower = (apart.candles[:, 0] == 1) & (apart.candles[:, 2] > min(first, other) * BAR_US)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.sqlite"
        go_on(known_of_all(apart._replace(candles=apart.candles[~slower])), identity, path, 10**9)
        go_on(market, identity, path, 10**9)
        with opened(path) as journal:
            assert of_journal(list(journal.rows())) == of_backtest(market, identity, fold)


def test_a_journal_that_other_rules_wrote_is_not_built_upon(random_market, identity, tmp_path):
    market = random_market(3, 40)
    go_on(market, identity, tmp_path / "journal.sqlite", 10**9)
    riskier = market._replace(rules=tuple(rules._replace(risk_ppm=20_000) for rules in market.rules))
    with pytest.raises(TradingHalted, match=r"can't be replayed: row \d+ holds .*, the replay gives"):
        go_on(riskier, identity, tmp_path / "journal.sqlite", 10**9)


def test_a_first_run_takes_the_last_closes_and_a_later_one_the_next(random_market, identity, tmp_path):
    market = random_market(3, 60)
    times = np.unique(market.candles[:, 2]).tolist()
    early = before(market, 40)
    assert [close.at for close in closes_after(early, 0, 10)] == [at for at in times if at in early.candles[:, 2]][-10:]
    assert [close.at for close in closes_after(market, times[29], 10)] == times[30:40]
    assert list(closes_after(market, times[-1], 10)) == []
    assert list(closes_after(before(market, 0), 0, 10)) == []


def test_a_signal_is_seen_at_the_first_close_that_knows_it_and_never_from_before_the_session(random_market):
    market = random_market(5, 60)
    times = np.unique(market.candles[:, 2])
    closes = list(closes_after(market, int(times[9]), 10**9))
    seen = [(signal, close.at) for close in closes for signal in close.signals]
    assert len(seen) == int((market.signals[:, 2] > times[9]).sum() - (market.signals[:, 2] > times[-1]).sum())
    for signal, at in seen:
        assert at == times[np.searchsorted(times, signal.known_at)]


def go_on(market: Market, identity: Identity, path: Path, limit: int) -> None:
    with opened(path) as journal:
        simulator = Simulator(market.rules, market.costs, market.account, market.funding)
        last_close_at = recover(journal, simulator, identity).last_close_at
        trade(journal, simulator, identity, closes_after(market, last_close_at, limit), last_close_at)


def before(market: Market, bars: int) -> Market:
    """What was known of the market after so many bars."""
    until = bars * BAR_US
    return market._replace(
        candles=market.candles[market.candles[:, 2] <= until], signals=market.signals[market.signals[:, 1] <= until]
    )


def opened(path: Path) -> Journal:
    return Journal(path, holder="parity", clock=SteppedClock())


def stepped(market: Market, identity: Identity) -> list[Row]:
    """The journal of one session over the whole market."""
    with tempfile.TemporaryDirectory() as folder:
        go_on(market, identity, Path(folder) / "journal.sqlite", 10**9)
        with opened(Path(folder) / "journal.sqlite") as journal:
            return list(journal.rows())


def of_journal(rows: list[Row]) -> list[str]:
    """Decisions, fills and equity of a journal, one canonical line each, in the journal's own order."""
    lines = []
    for row in rows:
        values = row.values
        if row.kind == Kind.DECISION:
            answer = (values[name] for name in ("signal_at", "side", "decision"))
            lines.append(line("decision", row.at, row.instrument, *answer))
        elif row.kind == Kind.SNAPSHOT:
            lines.append(line("equity", row.at, values["cash_e8"] + values["unrealized_e8"]))
        elif values.get("event") == "fill":
            lines.append(line("fill", row.at, row.instrument, *(values.get(name, 0) for name in Fill._fields[2:])))
    return lines


def of_backtest(market: Market, identity: Identity, engine: Callable[..., Any]) -> list[str]:
    """The same of a backtest, in the order that is the contract: close by close its fills, its decisions, its equity.

    Within a close fills and decisions keep the order of their tables.
    """
    fills, decisions, equity = folded(market, engine)
    names, lines = identity.instruments, []
    waiting_fills = [Fill(*row) for row in fills.tolist()]
    waiting_verdicts = [Verdict(*row) for row in decisions.tolist()]
    for at, worth in equity.tolist():
        lines += [fill_line(fill, names) for fill in taken_until(at, waiting_fills)]
        lines += [decision_line(verdict, names) for verdict in taken_until(at, waiting_verdicts)]
        lines.append(line("equity", at, worth))
    assert not waiting_fills
    assert not waiting_verdicts
    return lines


def folded(market: Market, engine: Callable[..., Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fills, decisions and valuations of a whole market, by `fold` or by what was compiled from it."""
    _, fills, decisions, equity, *_ = engine(
        market.account, np.array(market.rules), market.costs, market.candles, market.signals, market.funding
    )
    return fills, decisions, equity


def taken_until(at: int, waiting: list[Any]) -> Iterator[Any]:
    """Take from the front what happened at or before `at`."""
    while waiting and waiting[0].at <= at:
        yield waiting.pop(0)


def fill_line(fill: Fill, names: tuple[str, ...]) -> str:
    return line("fill", fill.at, names[fill.instrument], Role(fill.role).name.lower(), *fill[3:])


def decision_line(verdict: Verdict, names: tuple[str, ...]) -> str:
    word = Decision(verdict.decision).name.lower()
    return line("decision", verdict.at, names[verdict.instrument], verdict.signal_at, verdict.side, word)


def line(*values: object) -> str:
    return json.dumps(values)
