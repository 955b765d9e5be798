"""The compiled backtest and the stepped session are the same program: every fill, answer and equity, to the byte."""

from typing import Any, NamedTuple

import numpy as np
import pytest
from doses import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.compiling import ROOT, compiled
from exchange.rows import (
    NO_FUNDING,
    NOBODY,
    Candle,
    Costs,
    Ending,
    Fill,
    Funding,
    Payment,
    Signal,
    Valuation,
    Verdict,
)
from exchange.simulator import Simulator, fold
from trading.model import E8, PPM, Account, Decision, Role, Rules, equity_e8, opening

# One worker compiles, in about 20 s, as it imports Great Expectations: such tests are the group `heavy`.
# The code is kept where the backtests keep theirs: it is the same.
pytestmark = pytest.mark.xdist_group("heavy")
MACHINE_CODE = ROOT / ".slipway" / "compiled"

BAR_US = 3_600_000_000
START = 20_000 * 24 * BAR_US
CASH_E8 = 10_000 * E8
RULES = Rules(
    unit_e8=E8 // 100, minimum_lots=1, maximum_lots=400, taker_fee_ppm=500, maker_fee_ppm=200, risk_ppm=10_000,
    max_notional_ppm=2 * PPM, max_positions=2, max_daily_loss_ppm=40_000, max_drawdown_ppm=150_000, cooldown_us=BAR_US,
)  # fmt: skip


class Market(NamedTuple):
    rules: list[Rules]
    costs: Costs
    candles: list[Candle]
    signals: list[Signal]
    cash_e8: int = CASH_E8
    funding: Funding = NO_FUNDING


NOTHING = Market([RULES], Costs(0, 1), [], [])


class Outcome(NamedTuple):
    account: Account
    fills: list[Fill]
    decisions: list[Verdict]
    equity: list[Valuation]
    payments: list[Payment]
    endings: list[Ending]

    def as_bytes(self) -> bytes:
        tables = [np.array(rows, np.int64).tobytes() for rows in self]
        return b"|".join(tables)


@pytest.fixture(scope="module")
def engine():
    """`fold` as machine code, made here, so that no test is charged with it."""
    function = compiled(fold, MACHINE_CODE)
    folded(function, NOTHING)
    return function


def stepped(market: Market) -> Outcome:
    """The market lived through close by close, interpreted; whatever happens, happens in the order of time."""
    simulator = Simulator(market.rules, market.costs, opening(market.cash_e8), market.funding)
    fills, decisions, equity, payments, endings, told, events_at = [], [], [], [], [], 0, []
    for closed_at in sorted({candle.closed_at for candle in market.candles}):
        known = sum(signal.known_at <= closed_at for signal in market.signals)
        candles = [candle for candle in market.candles if candle.closed_at == closed_at]
        moment = simulator.advance(candles, market.signals[told:known])
        told = known
        fills += moment.fills
        decisions += moment.decisions
        events_at += [event.at for event, _ in moment.taken]
        equity.append(Valuation(closed_at, equity_e8(moment.account)))
        payments += moment.payments
        endings += moment.endings
    assert events_at == sorted(events_at)
    return Outcome(simulator.account, fills, decisions, equity, payments, endings)


def folded(engine: Any, market: Market) -> Outcome:
    """The market as tables, through `engine`."""
    account, fills, decisions, equity, payments, endings = engine(
        opening(market.cash_e8), table(market.rules, Rules), market.costs, table(market.candles, Candle),
        table(market.signals, Signal), market.funding,
    )  # fmt: skip
    return Outcome(
        Account(*account),
        [Fill(*row) for row in fills.tolist()],
        [Verdict(*row) for row in decisions.tolist()],
        [Valuation(*row) for row in equity.tolist()],
        [Payment(*row) for row in payments.tolist()],
        [Ending(*row) for row in endings.tolist()],
    )


def table(rows: list[Any], of: type) -> np.ndarray:
    return np.array(rows, np.int64).reshape(len(rows), len(of._fields))


@st.composite
def markets(draw: st.DrawFn, most: int = 40) -> Market:
    """One to three instruments; gaps, missing candles, signals with one to four targets, without stop, known late."""
    count = draw(st.integers(1, 3))
    rules = [
        RULES._replace(
            unit_e8=draw(st.sampled_from([1, 10_000, E8 // 100])),
            minimum_lots=draw(st.sampled_from([1, 1, 30])),
            cooldown_us=draw(st.sampled_from([0, 1, 2 * BAR_US])),
            max_entry_delay_us=draw(st.sampled_from([0, BAR_US // 2, BAR_US, 10 * BAR_US])),
            break_even=draw(st.sampled_from([0, 1])),
            trailing_ppm=draw(st.sampled_from([0, 0, 500_000, 1_234_567])),
            max_holding_us=draw(st.sampled_from([0, 0, 1, 3 * BAR_US])),
            max_leverage_ppm=draw(st.sampled_from([0, 0, PPM, 3 * PPM])),
            max_side_ppm=draw(st.sampled_from([0, 0, PPM, 3 * PPM])),
            max_bucket_positions=draw(st.sampled_from([0, 1])),
            bucket_unit=draw(st.sampled_from([0, 1, 64])),
            max_losses=draw(st.sampled_from([0, 0, 1, 2])),
            loss_pause_us=draw(st.sampled_from([1, 5 * BAR_US])),
            entry_life_us=draw(st.sampled_from([0, BAR_US, 5 * BAR_US // 2])),
            max_notional_ppm=draw(st.sampled_from([2 * PPM, 2 * PPM, 30 * PPM])),
            initial_ppm=draw(st.sampled_from([0, 20_000, 500_000])),
            maintenance_ppm=draw(st.sampled_from([0, 10_000, 250_000])),
            liquidation_buffer_ppm=draw(st.sampled_from([0, 100_000])),
        )
        for _ in range(count)
    ]
    costs = Costs(
        slippage_ppm=draw(st.sampled_from([0, 1, 100, 5_000])),
        latency_us=draw(st.sampled_from([1, 250_000])),
        spread_ppm=draw(st.sampled_from([0, 1, 900])),
        range_ppm=draw(st.sampled_from([0, 50_000])),
        impact_ppm=draw(st.sampled_from([0, 10_000])),
        participation_ppm=draw(st.sampled_from([0, 0, 50_000])),
        liquidation_fee_ppm=draw(st.sampled_from([0, 5_000])),
    )
    prices = [draw(st.sampled_from([40, 10_000, 1_000_003])) for _ in range(count)]
    candles, signals = [], []
    for bar in range(draw(st.integers(1, most))):
        opened_at = START + bar * BAR_US
        for k in range(count):
            if draw(st.integers(0, 9)) == 0:
                continue  # nothing traded
            candle = draw(candles_from(k, opened_at, prices[k]))
            candles.append(candle)
            prices[k] = candle.close
            if draw(st.booleans()):
                signals.append(draw(signals_from(candle)))
    signals.sort(key=lambda signal: (signal.known_at, signal.instrument, signal.signal_at))
    return Market(rules, costs, candles, signals, funding=draw(st.sampled_from([NO_FUNDING, rates_of(count, most)])))


@st.composite
def candles_from(draw: st.DrawFn, instrument: int, opened_at: int, price: int) -> Candle:
    def away(per_mille: int) -> int:
        return draw(st.integers(-per_mille, per_mille)) * price // 1000

    opened = max(1, price + away(10))
    close = max(1, opened + away(30))
    high = max(opened, close) + abs(away(15))
    low = max(1, min(opened, close) - abs(away(15)))
    candle = Candle(instrument, opened_at, opened_at + BAR_US, opened, high, low, close)
    if draw(st.booleans()):
        return candle  # nobody told a mark
    mark_close = max(1, close + away(3))
    mark_high, mark_low = (max(mark_close, high + away(5)), max(1, min(mark_close, low + away(5))))
    volume = draw(st.sampled_from([0, 20, 10**6]))
    return candle._replace(mark_high=mark_high, mark_low=mark_low, mark_close=mark_close, volume_lots=volume)


def rates_of(instruments: int, hours: int, seed: int = 1) -> Funding:
    """A rate for every hour of a market, up to 0.1 % of 100 USD a lot."""
    highest = 10**11
    rates = np.random.default_rng(seed).integers(-highest, highest, (instruments, hours))
    return Funding(rates, START // BAR_US)


@st.composite
def signals_from(draw: st.DrawFn, candle: Candle) -> Signal:
    stop = draw(st.integers(0, 30)) * candle.close // 1000
    targets = [draw(st.sampled_from([0, 1, 10, 20, 40, 1100])) * candle.close // 1000 for _ in range(4)]
    late = draw(st.sampled_from([0, 0, 0, 1, BAR_US]))
    side = draw(st.sampled_from([1, -1]))
    score = draw(st.sampled_from([-1, 7, 7, PPM]))
    limit = draw(st.sampled_from([0, 0, 5, 20])) * candle.close // 1000
    known_at = candle.closed_at + late
    return Signal(candle.instrument, candle.closed_at, known_at, side, candle.close, stop, *targets, score, limit)


def random_market(seed: int, bars: int) -> Market:
    """Like `markets`, from a seed: long ones, at no cost of drawing."""
    chance = np.random.default_rng(seed)
    prices, candles, signals = [10_000, 300_000, 900], [], []
    for bar in range(bars):
        for k in range(3):
            opened, close = (max(50, int(prices[k] * (1 + chance.normal(0, size)))) for size in (0.001, 0.01))
            wick = 1 + int(prices[k] * 0.012 * chance.random())
            opened_at = START + bar * BAR_US
            high, low = max(opened, close) + wick, min(opened, close) - wick
            candles.append(Candle(k, opened_at, opened_at + BAR_US, opened, high, low, close))
            prices[k] = close
            if chance.random() < 0.2:
                stop = 1 + int(close * 0.01)
                targets = [stop * n if n <= chance.integers(1, 5) else 0 for n in range(1, 5)]
                at = opened_at + BAR_US
                signals.append(
                    Signal(k, at, at, int(chance.choice([1, -1])), close, stop, *targets, int(chance.integers(3)))
                )
    return Market([RULES] * 3, Costs(100, 250_000), candles, signals)


def extreme_market(seed: int) -> Market:
    """The limits that `trading.model` states: 1e9 USD, prices to 1e9 ticks, 1e9 lots, 4e10 USD of notional."""
    chance = np.random.default_rng(seed)
    rules = Rules(4, 1, 10**9, 500, 200, PPM, 40 * PPM, 1, PPM, PPM, 0)
    candles, signals, price = [], [], 990_000_000
    for bar in range(100):
        opened_at = START + bar * BAR_US
        close = min(price + int(chance.integers(-400_000, 420_000)), 999_000_000)
        wick = int(chance.integers(0, 900_000))
        candles.append(
            Candle(0, opened_at, opened_at + BAR_US, price, max(price, close) + wick, min(price, close) - wick, close)
        )
        price, at = close, opened_at + BAR_US
        signals.append(Signal(0, at, at, int(chance.choice([1, -1])), close, 500_000, 300_000, 600_000, 0, 0, 0))
    return Market([rules], Costs(0, 1), candles, signals, cash_e8=10**9 * E8)


@pytest.mark.parametrize("seed", range(2))
def test_a_long_market_with_every_way_out_is_the_same_to_the_byte(engine, seed):
    rules = RULES._replace(max_drawdown_ppm=PPM, break_even=1, trailing_ppm=2 * PPM, max_holding_us=2 * BAR_US)
    market = random_market(seed, 600)._replace(rules=[rules] * 3)
    ours = folded(engine, market)
    assert ours.as_bytes() == stepped(market).as_bytes()
    assert {fill.role for fill in ours.fills} >= {Role.ENTRY, Role.STOP, Role.TARGET_1, Role.EXIT}


def test_a_long_market_of_limit_entries_is_the_same_to_the_byte(engine):
    rules = RULES._replace(max_daily_loss_ppm=PPM, max_drawdown_ppm=PPM, break_even=1, entry_life_us=3 * BAR_US)
    market = random_market(5, 600)
    signals = [one._replace(entry_distance=1 + one.price // 200) for one in market.signals]
    market = market._replace(rules=[rules] * 3, signals=signals)
    ours = folded(engine, market)
    assert ours.as_bytes() == stepped(market).as_bytes()
    entered = sum(verdict.decision == Decision.ENTERED for verdict in ours.decisions)
    assert 20 < sum(fill.role == Role.ENTRY for fill in ours.fills) < entered, "some fill, and some expire"


def test_limit_entries_that_losses_call_off_are_the_same_to_the_byte(engine):
    patient = RULES._replace(max_daily_loss_ppm=PPM, max_drawdown_ppm=PPM, entry_life_us=9 * BAR_US)
    pausing = patient._replace(max_losses=1, loss_pause_us=5 * BAR_US)
    market = random_market(5, 600)
    signals = [one._replace(entry_distance=1 + one.price // 200) for one in market.signals]
    market = market._replace(rules=[pausing] * 3, signals=signals)
    ours = folded(engine, market)
    assert ours.as_bytes() == stepped(market).as_bytes()
    entered = {(one.instrument, one.signal_at): one.at for one in ours.decisions if one.decision == Decision.ENTERED}
    filled = {(fill.instrument, fill.signal_at) for fill in ours.fills}
    ended = {(one.instrument, one.signal_at): one.reason for one in ours.endings}
    assert ended.keys() <= entered.keys() - filled
    assert set(ended.values()) == {Decision.LOSS_STREAK, Decision.EXPIRED}


def test_a_long_market_under_every_limit_is_the_same_to_the_byte(engine):
    limits = {"max_positions": 3, "max_daily_loss_ppm": PPM, "max_drawdown_ppm": PPM, "max_losses": 3}
    caps = {"max_leverage_ppm": 2 * PPM, "max_side_ppm": PPM, "loss_pause_us": 5 * BAR_US, "max_bucket_positions": 1}
    one = RULES._replace(**limits, **caps)
    market = random_market(3, 900)._replace(rules=[one._replace(bucket_unit=unit) for unit in (1, 1, 64)])
    ours = folded(engine, market)
    assert ours.as_bytes() == stepped(market).as_bytes()
    assert {verdict.lost_to for verdict in ours.decisions} == {NOBODY, 0, 1, 2}
    assert {Decision.LOSS_STREAK, Decision.CORRELATION, Decision.MARGIN, Decision.EXPOSURE} <= {
        verdict.decision for verdict in ours.decisions
    }


@examples(40)
@given(market=markets())
def test_compiled_and_stepped_are_the_same_to_the_byte(engine, market):
    assert folded(engine, market).as_bytes() == stepped(market).as_bytes()
    assert folded(engine, market) == stepped(market)


@pytest.mark.parametrize("seed", range(3))
def test_a_long_market_with_every_kind_of_trade_is_the_same_to_the_byte(engine, seed):
    market = random_market(seed, 600)
    market = market._replace(rules=[RULES._replace(max_drawdown_ppm=PPM)] * 3)
    ours = folded(engine, market)
    assert ours.as_bytes() == stepped(market).as_bytes()
    assert {fill.role for fill in ours.fills} == {Role.ENTRY, Role.STOP, *range(Role.TARGET_1, Role.TARGET_4 + 1)}
    assert any(fill.ambiguous for fill in ours.fills)
    assert {Decision.ENTERED, Decision.IN_POSITION, Decision.MAX_POSITIONS, Decision.DAILY_LOSS} <= {
        verdict.decision for verdict in ours.decisions
    }


@pytest.mark.parametrize("seed", range(5))
def test_at_the_stated_extremes_64_bits_are_as_good_as_any_number(engine, seed):
    """Stepped, the numbers are Python's, which know no end."""
    market = extreme_market(seed)
    ours = folded(engine, market)
    assert ours.as_bytes() == stepped(market).as_bytes()
    assert max(fill.lots * fill.price * 4 for fill in ours.fills) > 39 * 10**17


def test_uncompiled_it_is_the_same_to_the_byte_too(engine):
    market = random_market(7, 60)
    assert folded(fold, market).as_bytes() == folded(engine, market).as_bytes()


@examples(25)
@given(seed=st.integers(0, 2**32 - 1), share=st.floats(0, 1))
def test_what_comes_later_changes_nothing_that_was(engine, seed, share):
    whole = random_market(seed, 100)
    cut = START + int(100 * share) * BAR_US
    part = whole._replace(
        candles=[candle for candle in whole.candles if candle.closed_at <= cut],
        signals=[signal for signal in whole.signals if signal.known_at <= cut],
    )
    early, all_of_it = folded(engine, part), folded(engine, whole)
    assert early.fills == [fill for fill in all_of_it.fills if fill.at < cut]
    assert early.decisions == all_of_it.decisions[: len(early.decisions)]
    assert early.equity == all_of_it.equity[: len(early.equity)]


def test_twice_the_same_is_the_same(engine):
    market = random_market(1, 300)
    assert folded(engine, market).as_bytes() == folded(engine, market).as_bytes()


def test_one_instrument_alone_trades_as_it_does_beside_a_silent_one(engine):
    market = random_market(2, 200)
    alone = market._replace(
        rules=market.rules[:1],
        candles=[candle for candle in market.candles if candle.instrument == 0],
        signals=[signal for signal in market.signals if signal.instrument == 0],
    )
    beside = alone._replace(rules=market.rules, candles=market.candles)
    assert folded(engine, alone).as_bytes() == folded(engine, beside).as_bytes()


def test_without_candles_there_is_only_the_money(engine):
    assert folded(engine, NOTHING) == Outcome(opening(CASH_E8), [], [], [], [], [])


def test_every_equity_has_its_close_and_the_last_is_the_accounts(engine):
    outcome = folded(engine, random_market(4, 50))
    assert [at for at, _ in outcome.equity] == [START + (bar + 1) * BAR_US for bar in range(50)]
    assert outcome.equity[-1][1] == equity_e8(outcome.account)


@pytest.mark.deep
@settings(max_examples=500, deadline=None)
@given(market=markets(most=120))
def test_compiled_and_stepped_are_the_same_in_many_markets(engine, market):
    assert folded(engine, market).as_bytes() == stepped(market).as_bytes()
