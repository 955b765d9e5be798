"""Entries with a limit: the order, the candle that fills it, what follows inside that candle, and its end.

The numbers are those of `test_simulator`: a long from a close of 10,000, a limit 50 ticks better, its stop 100 below.
"""

import pytest
from doses import examples
from hypothesis import given
from hypothesis import strategies as st
from test_simulator import (
    BAR_US,
    CASH_E8,
    CENT,
    LATENCY_US,
    LONG,
    QUIET,
    RULES,
    SHORT,
    STEPS,
    candle,
    close_of,
    kinds,
    mirrored,
    played,
    signal,
    simulator,
    told,
    upside_down,
    walked,
)

from exchange.rows import Candle, Costs, Fill, Signal
from exchange.simulator import Simulator
from trading.model import FLAT, Decision, EventKind, OrderType, Phase, Role, Rules, State, equity_e8, opening
from trading.rules.sizing import asked_price, lots_for
from trading.step import step

PATIENT = RULES._replace(entry_life_us=3 * BAR_US)
WITH_FEES = PATIENT._replace(taker_fee_ppm=500, maker_fee_ppm=200)


def limited(side: int = LONG, **others) -> Signal:
    return signal(side, **others)._replace(entry_distance=50)


STORIES = {
    "prices that only touch the limit leave it": (limited(), [(10_000, 10_010, 9_950, 10_000)], []),
    "a tick through it fills, at the limit": (limited(), [(10_000, 10_010, 9_949, 10_000)], ["entry 100 at 9950"]),
    "an open beyond it fills at the limit too": (limited(), [(9_940, 10_010, 9_930, 10_000)], ["entry 100 at 9950"]),
    "an open at it is no fill": (limited(), [(9_950, 10_010, 9_950, 10_000)], []),
    "it waits for a later candle": (limited(), [QUIET, (10_000, 10_010, 9_949, 10_000)], ["entry 100 at 9950"]),
    "in its last one too": (limited(), [QUIET, QUIET, (10_000, 10_010, 9_949, 10_000)], ["entry 100 at 9950"]),
    "after that it is gone": (limited(), [QUIET, QUIET, QUIET, (10_000, 10_010, 9_900, 10_000)], []),
    "a short waits above": (limited(SHORT), [(10_000, 10_051, 9_990, 10_000)], ["entry 100 at 10050"]),
    "the stop behind it is met on the same way down, for certain": (
        limited(), [(10_000, 10_010, 9_840, 9_900)], ["entry 100 at 9950", "stop 100 at 9850"],
    ),
    "a target that the candle reached before or after, nobody knows, waits for the next one": (
        limited(), [(10_000, 10_200, 9_940, 10_000), (10_000, 10_160, 10_000, 10_000)],
        ["entry 100 at 9950", "target_1 100 at 10150"],
    ),
    "a target that the open lay beyond is no target yet": (
        limited(targets=(20,)), [(10_000, 10_010, 9_940, 9_960)], ["entry 100 at 9950"],
    ),
    "a close at the target is after it": (
        limited(targets=(20,)), [(10_000, 10_010, 9_940, 9_970)], ["entry 100 at 9950", "target_1 100 at 9970"],
    ),
    "stop and target of the entry's own candle: the stop, and it is said": (
        limited(targets=(20,)), [(10_000, 10_010, 9_840, 9_970)], ["entry 100 at 9950", "stop 100 at 9850 ambiguous"],
    ),
    "filled at the open, the whole candle comes after": (
        limited(targets=(20,)), [(9_940, 9_975, 9_930, 9_940)], ["entry 100 at 9950", "target_1 100 at 9970"],
    ),
    "a short's stop above": (
        limited(SHORT), [(10_000, 10_160, 9_990, 10_100)], ["entry 100 at 10050", "stop 100 at 10150"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("proposal", "bars", "expected"), STORIES.values(), ids=STORIES.keys())
def test_a_limit_and_these_candles_make_these_fills(proposal, bars, expected):
    assert told(played(*bars, proposal=proposal, rules=PATIENT)) == expected


def test_break_even_in_the_entrys_own_candle_is_not_certain():
    rules = PATIENT._replace(break_even=1)
    fills = played((10_000, 10_010, 9_940, 9_975), proposal=limited(targets=(20, 90)), rules=rules)
    assert told(fills) == ["entry 100 at 9950", "target_1 50 at 9970", "stop 50 at 9950 ambiguous"]


class TestTheOrder:
    """One limit order, which says for how long."""

    @pytest.mark.parametrize(("side", "limit"), [(LONG, 9_950), (SHORT, 10_050)])
    def test_it_is_a_limit_so_much_better_than_the_close(self, side, limit):
        market = simulator(rules=PATIENT)
        ((event, intents),) = market.advance([candle(0, *QUIET)], [limited(side)]).taken
        order = intents.items[0]
        assert (order.order_type, order.price, order.side) == (OrderType.LIMIT, limit, side)
        assert (order.expires_at, event.entry_distance) == (close_of(3) - 1, 50)
        assert market.slots[0].signal_price == limit

    def test_its_notional_is_that_at_the_limit(self):
        market = simulator(rules=PATIENT)
        account = market.advance([candle(0, *QUIET)], [limited()]).account
        assert account.long_notional_e8 == 100 * 9_950 * CENT

    def test_without_a_distance_it_takes_the_market(self):
        ((_, intents),) = simulator(rules=PATIENT).advance([candle(0, *QUIET)], [signal()]).taken
        assert (intents.items[0].order_type, intents.items[0].price) == (OrderType.MARKET, 0)

    @pytest.mark.parametrize(("distance", "answer"), [(9_899, Decision.ENTERED), (9_900, Decision.NO_STOP)])
    def test_a_limit_that_leaves_no_room_for_its_stop_is_refused_i49(self, distance, answer):
        proposal = signal()._replace(entry_distance=distance)
        (verdict,) = simulator(rules=PATIENT).advance([candle(0, *QUIET)], [proposal]).decisions
        assert verdict.decision == answer

    def test_the_cap_of_one_position_counts_the_price_that_is_asked(self):
        rules = PATIENT._replace(max_notional_ppm=100_000)
        market = simulator(rules=rules)
        ((event, _),) = market.advance([candle(0, *QUIET)], [limited(SHORT)]).taken
        lots = lots_for(State(opening(CASH_E8), FLAT), event, rules)
        assert lots * asked_price(event) * CENT <= CASH_E8 // 10 < (lots + 1) * asked_price(event) * CENT


class TestItsEnd:
    """What has not filled in time is taken back, and its place is free."""

    def test_it_ends_with_its_last_candle_unfilled(self):
        market = simulator(rules=PATIENT)
        market.advance([candle(0, *QUIET)], [limited()])
        market.advance([candle(1, *QUIET)])
        market.advance([candle(2, *QUIET)])
        moment = market.advance([candle(3, *QUIET)], [limited(bar=3)])
        assert kinds(moment) == [("CANCELLED", 0), ("SIGNAL", 1)]
        ended = moment.taken[0][0]
        assert (ended.at, ended.reason, ended.role) == (close_of(3) - 1, Decision.EXPIRED, Role.ENTRY)
        assert moment.decisions[0].decision == Decision.ENTERED

    def test_while_it_waits_its_instrument_has_a_position(self):
        market = simulator(rules=PATIENT)
        market.advance([candle(0, *QUIET)], [limited()])
        moment = market.advance([candle(1, *QUIET)], [limited(bar=1)])
        assert (moment.decisions[0].decision, moment.account.open_positions) == (Decision.IN_POSITION, 1)

    def test_a_candle_that_it_does_not_outlive_may_not_fill_it(self):
        market = simulator(rules=PATIENT._replace(entry_life_us=3 * BAR_US // 2))
        market.advance([candle(0, *QUIET)], [limited()])
        market.advance([candle(1, *QUIET)])
        moment = market.advance([candle(2, 10_000, 10_010, 9_900, 10_000)])
        assert (moment.fills, market.slots[0].phase, market.slots[0].decision) == ((), Phase.FLAT, Decision.EXPIRED)

    def test_it_lives_over_a_gap_but_not_longer(self):
        for bar, filled in ((3, 1), (4, 0)):
            market = simulator(rules=PATIENT)
            market.advance([candle(0, *QUIET)], [limited()])
            assert len(market.advance([candle(bar, 10_000, 10_010, 9_949, 10_000)]).fills) == filled


BETWEEN = {
    Decision.DRAWDOWN: PATIENT._replace(max_drawdown_ppm=5_000),
    Decision.DAILY_LOSS: PATIENT._replace(max_daily_loss_ppm=5_000),
    Decision.LOSS_STREAK: PATIENT._replace(max_losses=1, loss_pause_us=100 * BAR_US),
}


class TestOnceEntriesHaveStopped:
    """The guards let an entry pass at its signal. What happens until its market comes calls it off (I22)."""

    LOSING = candle(1, 10_000, 10_000, 9_800, 9_850)  # of the first instrument: stopped, 100 USD lost

    @pytest.mark.parametrize(("reason", "rules"), BETWEEN.items())
    def test_a_limit_that_rests_is_taken_back_at_the_close(self, reason, rules):
        market = self.with_a_limit_of_the_second(rules)
        moment = market.advance([self.LOSING, candle(1, *QUIET, instrument=1)])
        gone, intents = moment.taken[-1]
        assert (EventKind(gone.kind), gone.instrument, gone.reason) == (EventKind.CANCELLED, 1, reason)
        assert (gone.at, intents.number, moment.account.open_positions) == (close_of(1), 0, 0)
        assert market.advance([candle(2, 10_000, 10_000, 9_900, 9_950, instrument=1)]).fills == ()

    def test_it_stays_while_nothing_has_stopped_them(self):
        market = self.with_a_limit_of_the_second(PATIENT)
        market.advance([self.LOSING, candle(1, *QUIET, instrument=1)])
        moment = market.advance([candle(2, 10_000, 10_000, 9_900, 9_950, instrument=1)])
        assert told(moment.fills) == ["entry 100 at 9950"]

    @staticmethod
    def with_a_limit_of_the_second(rules: Rules) -> Simulator:
        market = simulator(rules=rules, instruments=2)
        both = [candle(0, *QUIET), candle(0, *QUIET, instrument=1)]
        market.advance(both, [signal(), limited(instrument=1)])
        return market


class TestCosts:
    """A resting order pays the maker's fee, and does not slip."""

    def test_the_entry_pays_the_makers_fee_and_what_ends_it_the_takers(self):
        costs = Costs(slippage_ppm=1_000, latency_us=LATENCY_US)
        entry, stop = played((10_000, 10_010, 9_840, 9_900), proposal=limited(), rules=WITH_FEES, costs=costs)
        assert (entry.price, entry.slippage_e8, entry.fee_e8) == (9_950, 0, 100 * 9_950 * CENT * 200 // 10**6)
        assert (stop.price, stop.slippage_e8) == (9_840, 100 * 10 * CENT)
        assert stop.fee_e8 == 100 * 9_840 * CENT * 500 // 10**6

    @pytest.mark.parametrize(("side", "beyond"), [(LONG, 9_940), (SHORT, 10_060)])
    def test_a_limit_that_the_market_is_beyond_when_it_is_sent_takes_it(self, side, beyond):
        bar = (beyond, beyond, beyond, beyond)
        (sent_into_it,) = played(bar, proposal=limited(side), rules=WITH_FEES)
        (rested,) = played(QUIET, bar, proposal=limited(side), rules=WITH_FEES)
        assert sent_into_it.price == rested.price == 10_000 - side * 50
        assert [one.fee_e8 * 10**6 // (100 * one.price * CENT) for one in (sent_into_it, rested)] == [500, 200]

    def test_it_fills_inside_its_candle_or_a_latency_after_the_open_beyond_it(self):
        (inside,) = played((10_000, 10_010, 9_949, 10_000), proposal=limited(), rules=PATIENT)
        (beyond,) = played((9_940, 10_010, 9_930, 10_000), proposal=limited(), rules=PATIENT)
        assert (inside.at, beyond.at) == (close_of(1) - 1, close_of(0) + LATENCY_US)


def test_what_a_limit_has_filled_is_protected_by_the_same_event_i02():
    market = simulator(rules=PATIENT)
    market.advance([candle(0, *QUIET)], [limited()])
    moment = market.advance([candle(1, 10_000, 10_010, 9_949, 10_000)])
    assert kinds(moment)[0] == ("FILL", 2)
    assert (moment.fills[0].stop_price, moment.fills[0].target_price) == (9_850, 10_150)


def test_the_rules_take_a_part_of_it_too():
    state = State(opening(CASH_E8), FLAT)
    ((event, _),) = simulator(rules=PATIENT).advance([candle(0, *QUIET)], [limited()]).taken
    state, _ = step(state, event, PATIENT)
    bought = event._replace(kind=EventKind.FILL, at=event.at + 1, role=Role.ENTRY, lots=40, price=9_950)
    state, intents = step(state, bought, PATIENT)
    assert (state.slot.lots, state.slot.wanted_lots, intents.items[0].lots) == (40, 60, 40)
    assert state.account.long_notional_e8 == 100 * 9_950 * CENT


@examples(60)
@given(
    steps=st.lists(STEPS, min_size=2, max_size=40),
    side=st.sampled_from([LONG, SHORT]),
    distance=st.integers(0, 80),
    rules=st.sampled_from([PATIENT, PATIENT._replace(break_even=1, trailing_ppm=2_000_000)]),
)
def test_mirrored_prices_make_mirrored_trades(steps, side, distance, rules):
    candles = walked(steps)
    ours = traded(candles, side, distance, rules)
    theirs = traded([upside_down(one) for one in candles], -side, distance, rules)
    assert [mirrored(fill) for fill in ours[0]] == theirs[0]
    assert ours[1] == theirs[1]


@examples(60)
@given(steps=st.lists(STEPS, min_size=2, max_size=40), side=st.sampled_from([LONG, SHORT]), distance=st.integers(1, 80))
def test_a_limit_never_fills_worse_and_only_inside_what_was_traded(steps, side, distance):
    candles = walked(steps)
    fills, equity = traded(candles, side, distance, PATIENT)
    closes = {one.closed_at: one.close for one in candles}
    for fill in fills:
        assert fill.at > fill.signal_at
        if fill.role == Role.ENTRY:
            (around,) = [one for one in candles if one.opened_at < fill.at < one.closed_at]
            assert fill.price == closes[fill.signal_at] - fill.side * distance
            reached = around.low if fill.side > 0 else around.high
            assert fill.side * (fill.price - reached) >= 1
    money = sum(-fill.side * fill.lots * fill.price for fill in fills) * CENT
    assert equity == CASH_E8 + money + sum(fill.side * fill.lots for fill in fills) * candles[-1].close * CENT


def traded(candles: list[Candle], side: int, distance: int, rules: Rules) -> tuple[list[Fill], int]:
    """A signal with a limit at every close, on alternating sides: all fills, and the equity at the end."""
    market = simulator(rules=rules._replace(maximum_lots=7))
    fills: list[Fill] = []
    for bar, one in enumerate(candles):
        towards = side if bar % 3 else -side
        proposal = signal(towards, bar=bar, stop=50 + bar % 5 * 20, targets=(60, 130), price=one.close)
        fills += market.advance([one], [proposal._replace(entry_distance=distance)]).fills
    return fills, equity_e8(market.account)
