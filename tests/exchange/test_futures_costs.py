"""What holding and trading a perpetual costs: spread, slippage of a lively market and of size, funding, liquidation.

As in `test_simulator.py`: a lot at 10,000 ticks is 100 USD, and a signal with a stop of 100 ticks trades 100 lots.
"""

from fractions import Fraction
from math import ceil

import numpy as np
import pytest
from doses import examples
from hypothesis import given
from hypothesis import strategies as st

from exchange.funding import HOUR_US, accrued_e8, owed_e8
from exchange.matching import (
    half_spread_ticks,
    market_price,
    range_slippage_ppm,
    size_slippage_ppm,
    total_slippage_ppm,
    tradeable_lots,
)
from exchange.rows import NO_FUNDING, Candle, Costs, Fill, Funding, Rate, Signal
from exchange.simulator import Moment, Simulator
from trading.ledger import ExitReason, LastPrice, trades_of
from trading.model import E8, FLAT, PPM, Decision, EventKind, Phase, Role, Rules, equity_e8, opening

START = 20_000 * 24 * HOUR_US
CENT = E8 // 100
CASH_E8 = 10_000 * E8
LONG, SHORT = 1, -1
RULES = Rules(
    unit_e8=CENT, minimum_lots=1, maximum_lots=10_000, taker_fee_ppm=0, maker_fee_ppm=0, risk_ppm=10_000,
    max_notional_ppm=2 * PPM, max_positions=2, max_daily_loss_ppm=PPM, max_drawdown_ppm=PPM, cooldown_us=0,
)  # fmt: skip
FREE = Costs(slippage_ppm=0, latency_us=1)
QUIET = (10_000, 10_000, 10_000, 10_000)
RATE = 10**8  # 1e-12 USD: 0.0001 USD a lot and hour


def candle(bar: int, prices=QUIET, **fields: int) -> Candle:
    return Candle(0, START + bar * HOUR_US, START + (bar + 1) * HOUR_US, *prices, **fields)


def signal(side: int = LONG, stop: int = 100, target: int = 0) -> Signal:
    at = START + HOUR_US
    return Signal(0, at, at, side, 10_000, stop, target, 0, 0, 0, 0)


def lived(*candles: Candle, proposal: Signal | None = None, costs=FREE, rules=RULES, funding=NO_FUNDING):
    """The simulator after a signal at the close of a quiet first candle and what follows it, with all moments."""
    market = Simulator([rules], costs, opening(CASH_E8), funding)
    moments = [market.advance([candle(0)], [proposal or signal()])]
    moments += [market.advance([each]) for each in candles]
    return market, moments


def fills_of(moments: list[Moment]) -> list[Fill]:
    return [fill for moment in moments for fill in moment.fills]


class TestSpread:
    def test_half_of_it_is_paid_on_each_side_and_told_apart_from_slippage(self):
        costs = Costs(slippage_ppm=300, latency_us=1, spread_ppm=1_000)
        _, moments = lived(candle(1), candle(2, (10_000, 10_000, 9_850, 9_900)), costs=costs)
        entry, stop = fills_of(moments)
        assert (entry.price, entry.spread_e8, entry.slippage_e8) == (10_008, 100 * 5 * CENT, 100 * 3 * CENT)
        # The stop waits at 9,908, 100 below the entry.
        assert (stop.price, stop.spread_e8, stop.slippage_e8) == (9_908 - 5 - 3, 100 * 5 * CENT, 100 * 3 * CENT)

    def test_a_target_rests_at_its_price_and_crosses_nothing(self):
        costs = Costs(slippage_ppm=0, latency_us=1, spread_ppm=1_000)
        _, moments = lived(
            candle(1), candle(2, (10_000, 10_300, 9_990, 10_200)), proposal=signal(target=200), costs=costs
        )
        target = fills_of(moments)[-1]
        assert (target.role, target.price, target.spread_e8) == (Role.TARGET_1, 10_205, 0)

    @given(st.integers(1, 10**9), st.integers(0, PPM))
    def test_it_is_rounded_up_to_a_tick(self, price, spread_ppm):
        assert half_spread_ticks(price, spread_ppm) == ceil(Fraction(price * spread_ppm, 2 * PPM))

    @given(st.integers(1, 10**9), st.integers(0, PPM), st.integers(0, PPM))
    def test_what_is_bought_is_never_cheaper_for_a_wider_market(self, price, spread_ppm, slippage_ppm):
        assert market_price(1, price, slippage_ppm, spread_ppm) >= market_price(1, price, slippage_ppm, 0) >= price
        assert market_price(-1, price, slippage_ppm, spread_ppm) <= market_price(-1, price, slippage_ppm, 0) <= price


class TestSlippage:
    def test_a_lively_candle_adds_a_share_of_its_range(self):
        costs = Costs(slippage_ppm=0, latency_us=1, range_ppm=100_000)
        _, moments = lived(candle(1, (10_000, 10_100, 10_000, 10_000)), costs=costs)
        assert [fill.price for fill in fills_of(moments)] == [10_010]

    @pytest.mark.parametrize(("volume", "price"), [(1_000, 10_010), (100, 10_100), (10, 10_100), (0, 10_100)])
    def test_a_large_order_slips_by_its_share_of_what_is_traded(self, volume, price):
        costs = Costs(slippage_ppm=0, latency_us=1, impact_ppm=10_000)
        _, moments = lived(candle(1, volume_lots=volume), costs=costs)
        assert fills_of(moments)[0].price == price

    @given(st.integers(1, 10**9), st.integers(0, 10**9), st.integers(0, PPM))
    def test_size_counts_in_proportion_and_at_most_once(self, lots, volume, impact_ppm):
        expected = impact_ppm if lots >= volume else impact_ppm * lots // volume
        assert size_slippage_ppm(lots, volume, impact_ppm) == expected

    @given(st.integers(1, 10**9), st.integers(0, 10**9), st.integers(0, PPM))
    def test_all_of_it_is_at_most_all_of_the_price(self, low, wider, range_ppm):
        by_range = range_slippage_ppm(low + wider, low, range_ppm)
        assert by_range == Fraction(wider * range_ppm, low) // 1
        assert 0 <= total_slippage_ppm(PPM // 2, by_range, PPM // 2) <= PPM


class TestVolume:
    COSTS = Costs(slippage_ppm=0, latency_us=1, participation_ppm=100_000)

    def test_an_entry_takes_its_share_of_the_volume_and_the_rest_is_called_off(self):
        market, moments = lived(candle(1, volume_lots=600), candle(2, volume_lots=600), costs=self.COSTS)
        assert [fill.lots for fill in fills_of(moments)] == [60]
        assert (market.slots[0].lots, market.slots[0].wanted_lots, market.slots[0].stop_lots) == (60, 0, 60)
        ends = [event for event, _ in moments[1].taken if event.kind == EventKind.CANCELLED]
        assert [(end.lots, end.reason) for end in ends] == [(40, Decision.THIN)]

    def test_where_hardly_anything_trades_there_is_no_trade(self):
        market, moments = lived(candle(1, volume_lots=9), costs=self.COSTS)
        assert fills_of(moments) == []
        assert (market.slots[0].phase, market.slots[0].decision) == (Phase.FLAT, Decision.THIN)
        assert market.account.long_notional_e8 == 0

    def test_what_must_out_gets_out_whole(self):
        _, moments = lived(
            candle(1, volume_lots=10_000), candle(2, (9_950, 9_950, 9_850, 9_900), volume_lots=1), costs=self.COSTS
        )
        assert [(fill.role, fill.lots) for fill in fills_of(moments)] == [(Role.ENTRY, 100), (Role.STOP, 100)]

    @given(st.integers(1, 10**9), st.integers(0, 10**9), st.integers(0, PPM))
    def test_the_share_is_never_exceeded(self, lots, volume, share):
        taken = tradeable_lots(lots, volume, share)
        assert taken == (lots if share == 0 else min(lots, volume * share // PPM))


class TestMark:
    def test_a_stop_waits_for_the_mark_and_not_for_a_trade(self):
        spike = candle(2, (10_000, 10_000, 9_800, 10_000), mark_high=10_000, mark_low=9_950, mark_close=10_000)
        assert len(fills_of(lived(candle(1), spike)[1])) == 1

    def test_a_stop_trades_as_much_further_than_the_mark_as_trades_have_gone(self):
        crash = candle(2, (10_000, 10_000, 9_500, 9_500), mark_high=10_000, mark_low=9_890, mark_close=9_895)
        stop = fills_of(lived(candle(1), crash)[1])[-1]
        assert (stop.role, stop.price) == (Role.STOP, 9_900 - (9_890 - 9_500))

    def test_a_stop_that_only_the_mark_has_met_trades_where_something_traded(self):
        dip = candle(2, (10_000, 10_000, 9_920, 9_950), mark_high=10_000, mark_low=9_890, mark_close=9_950)
        stop = fills_of(lived(candle(1), dip)[1])[-1]
        assert (stop.role, stop.price) == (Role.STOP, 9_920)

    def test_equity_is_valued_at_the_mark(self):
        market, _ = lived(candle(1, mark_high=10_030, mark_low=10_000, mark_close=10_020))
        assert equity_e8(market.account) - CASH_E8 == 100 * 20 * CENT

    def test_a_target_waits_for_a_trade_and_not_for_the_mark(self):
        high = candle(2, (10_000, 10_199, 10_000, 10_000), mark_high=10_300, mark_low=10_000, mark_close=10_000)
        assert len(fills_of(lived(candle(1), high, proposal=signal(target=200))[1])) == 1


class TestFunding:
    """100 lots at 0.0001 USD a lot and hour: 0.01 USD an hour."""

    RATES = Funding(np.full((1, 8), RATE), START // HOUR_US)

    def test_a_long_pays_for_each_hour_that_it_holds(self):
        market, moments = lived(candle(1), candle(2), candle(3), funding=self.RATES)
        paid = [payment for moment in moments for payment in moment.payments]
        assert [payment.at for payment in paid] == [START + bar * HOUR_US for bar in (2, 3, 4)]
        assert [payment.amount_e8 for payment in paid] == [E8 // 100] * 3
        assert market.account.cash_e8 == CASH_E8 - 3 * E8 // 100

    def test_a_short_receives_it(self):
        market, _ = lived(candle(1), candle(2), proposal=signal(SHORT), funding=self.RATES)
        assert market.account.cash_e8 == CASH_E8 + 2 * E8 // 100

    def test_each_hour_has_its_own_rate(self):
        rates = Funding(np.array([[0, RATE, -3 * RATE, 0, 0]]), START // HOUR_US)
        market, _ = lived(candle(1), candle(2), candle(3), funding=rates)
        assert market.account.cash_e8 == CASH_E8 + 2 * E8 // 100

    def test_what_has_accrued_is_paid_before_the_position_changes(self):
        stopped = candle(2, (9_950, 9_950, 9_850, 9_900))
        _, moments = lived(candle(1), stopped, funding=self.RATES)
        kinds = [event.kind for event, _ in moments[2].taken]
        assert kinds[:2] == [EventKind.FUNDING, EventKind.FILL]
        (trade,) = trades_of(fills_of(moments), [LastPrice(0, 0)], [CENT], [p for m in moments for p in m.payments])
        assert trade.funding_e8 == 2 * E8 // 100
        assert trade.net_e8 == trade.gross_e8 - trade.funding_e8

    def test_a_long_candle_pays_for_all_its_hours(self):
        rates = Funding(np.arange(1, 50).reshape(1, -1) * RATE, START // HOUR_US)
        market = Simulator([RULES], FREE, opening(CASH_E8), rates)
        day = 24 * HOUR_US
        first = Candle(0, START, START + day, *QUIET)
        market.advance([first], [signal()._replace(signal_at=START + day, known_at=START + day)])
        market.advance([Candle(0, START + day, START + 2 * day, *QUIET)])
        assert CASH_E8 - market.account.cash_e8 == pytest.approx(sum(range(25, 49)) * E8 // 100, abs=100)

    def test_half_an_hour_costs_half(self):
        slot = FLAT._replace(side=LONG, lots=100)
        assert owed_e8(self.RATES, 0, slot, START + HOUR_US // 2, START + 2 * HOUR_US) == 3 * E8 // 200

    def test_without_rates_nothing_is_paid_and_nothing_is_told(self):
        _, moments = lived(candle(1), candle(2))
        assert all(moment.payments == () for moment in moments)

    @given(st.integers(-(5 * 10**10), 5 * 10**10), st.integers(1, 10**9), st.integers(0, 3_600_000))
    def test_it_is_exact_to_the_last_cent_and_never_in_our_favour(self, rate, lots, elapsed_ms):
        exact = Fraction(rate * lots, 10_000) * Fraction(elapsed_ms, 3_600_000)
        assert exact <= accrued_e8(rate, lots, elapsed_ms) < exact + 2

    @examples(50)
    @given(st.lists(st.integers(-(10**9), 10**9), min_size=6, max_size=6), st.sampled_from([LONG, SHORT]))
    def test_the_account_is_the_sum_of_its_trades_and_their_funding(self, rates, side):
        funding = Funding(np.array([rates]), START // HOUR_US)
        market, moments = lived(candle(1), candle(2), candle(3), proposal=signal(side), funding=funding)
        payments = [payment for moment in moments for payment in moment.payments]
        trades = trades_of(fills_of(moments), [LastPrice(START + 4 * HOUR_US, 10_000)], [CENT], payments)
        assert sum(trade.net_e8 for trade in trades) == equity_e8(market.account) - CASH_E8


class TestLiquidation:
    """At the cap of 20 times 10,000 USD a position is 2,000 lots, and a tick is 20 USD.

    Entered at 10,000 they are worth 200,000 USD and need 2,000 to hold: 8,000 USD, or 400 ticks, may go.
    """

    RULES = RULES._replace(risk_ppm=PPM, max_notional_ppm=20 * PPM, initial_ppm=20_000, maintenance_ppm=10_000)
    FAR = signal(stop=450)

    def leveraged(self, **limits: int) -> Decision:
        market, _ = lived(proposal=self.FAR, rules=self.RULES._replace(risk_ppm=900_000, **limits))
        return Decision(market.slots[0].decision)

    def test_a_stop_that_the_account_would_not_live_to_see_is_refused(self):
        assert self.leveraged() == Decision.LIQUIDATION

    def test_a_nearer_stop_is_not(self):
        market, _ = lived(proposal=signal(stop=399), rules=self.RULES._replace(risk_ppm=900_000))
        assert market.slots[0].decision == Decision.ENTERED

    def test_with_something_to_spare_it_has_to_be_nearer_still(self):
        rules = self.RULES._replace(risk_ppm=900_000, liquidation_buffer_ppm=100_000)
        market, _ = lived(proposal=signal(stop=399), rules=rules)
        assert market.slots[0].decision == Decision.LIQUIDATION

    def test_margin_that_is_not_there_is_not_asked_for(self):
        market, _ = lived(proposal=signal(stop=1), rules=self.RULES._replace(initial_ppm=60_000))
        assert market.slots[0].decision == Decision.MARGIN

    def test_the_position_is_gone_where_equity_falls_below_the_margin_to_hold_it(self):
        _, moments = self.gapped(9_500)
        liquidation = fills_of(moments)[-1]
        assert (liquidation.role, liquidation.lots, liquidation.side) == (Role.LIQUIDATION, 2_000, SHORT)

    def gapped(self, opened: int, costs=FREE, stop: int = 390):
        """A stop 390 ticks away, which a gap jumps over."""
        bar = candle(2, (opened, opened, opened, opened))
        rules = self.RULES._replace(risk_ppm=900_000)
        return lived(candle(1), bar, costs=costs, proposal=signal(stop=stop), rules=rules)

    def test_a_gap_beyond_all_money_leaves_nothing_and_owes_nothing(self):
        market, moments = self.gapped(9_000)
        assert fills_of(moments)[-1].price == 9_500  # where nothing is left; what the market says below is others' loss
        assert equity_e8(market.account) == 0
        assert market.slots[0].phase == Phase.FLAT

    def test_its_fee_takes_no_more_than_is_left(self):
        market, moments = self.gapped(9_501, costs=FREE._replace(liquidation_fee_ppm=5_000))
        assert fills_of(moments)[-1].fee_e8 == 20 * E8
        assert equity_e8(market.account) == 0

    def test_a_market_that_jumps_over_the_stop_too_is_a_liquidation(self):
        assert fills_of(self.gapped(9_550)[1])[-1].role == Role.LIQUIDATION
        assert fills_of(self.gapped(9_605)[1])[-1].role == Role.STOP

    def test_a_stop_that_is_nearer_comes_first(self):
        _, moments = lived(
            candle(1), candle(2, (10_000, 10_000, 9_000, 9_000)),
            proposal=signal(stop=390), rules=self.RULES._replace(risk_ppm=900_000),
        )  # fmt: skip
        assert fills_of(moments)[-1].role == Role.STOP

    def test_what_falls_together_is_gone_at_the_next_open(self):
        """Two longs of 100 lots, each bearable alone: at the close 1,800 USD are missing."""
        rules = RULES._replace(risk_ppm=600_000, max_notional_ppm=2 * PPM, initial_ppm=20_000, maintenance_ppm=10_000)
        market = Simulator([rules] * 2, FREE, opening(CASH_E8))
        both = [candle(0), candle(0)._replace(instrument=1)]
        far = signal(stop=6_000)
        market.advance(both, [far, far._replace(instrument=1)])
        market.advance([candle(1), candle(1)._replace(instrument=1)])
        low = candle(2, (10_000, 10_000, 4_100, 4_100))
        market.advance([low, low._replace(instrument=1)])
        assert equity_e8(market.account) < 0
        moment = market.advance([candle(3), candle(3)._replace(instrument=1)])
        assert moment.fills[0][2:6] == (Role.LIQUIDATION, SHORT, 100, 10_000)

    def test_an_instrument_without_margin_is_not_liquidated(self):
        free = RULES._replace(risk_ppm=PPM, max_notional_ppm=20 * PPM)
        _, moments = lived(candle(1), candle(2, (9_000,) * 4), proposal=signal(stop=390), rules=free)
        assert fills_of(moments)[-1].role == Role.STOP

    def test_the_ledger_says_so(self):
        _, moments = self.gapped(9_550)
        (trade,) = trades_of(fills_of(moments), [LastPrice(0, 0)], [CENT])
        assert trade.exit_reason == ExitReason.LIQUIDATION

    def test_its_orders_are_gone_with_it(self):
        market, moments = self.gapped(9_000)
        assert market._world.books[0][Role.STOP].lots == 0
        assert moments[-1].account.maintenance_e8 == 0

    @examples(60)
    @given(st.integers(1, 12_000), st.integers(1, 12_000), st.sampled_from([LONG, SHORT]), st.integers(0, 20_000))
    def test_no_account_ever_owes(self, opened, low, side, fee_ppm):
        low = min(opened, low)
        bar = candle(2, (opened, opened + 500, low, low))
        market, _ = lived(
            candle(1), bar, proposal=signal(side, stop=390), rules=self.RULES._replace(risk_ppm=900_000),
            costs=FREE._replace(liquidation_fee_ppm=fee_ppm),
        )  # fmt: skip
        assert equity_e8(market.account) >= 0


class TestRatesThatWereTold:
    def test_they_are_handed_back_with_what_was_paid_and_replay_to_the_same(self):
        told = Funding(np.array([[0, RATE, 3 * RATE, 0]]), START // HOUR_US)
        _, moments = lived(candle(1), candle(2), funding=told)
        assert [rate.rate_e12 for moment in moments for rate in moment.rates] == [RATE, 3 * RATE]
        otherwise = Funding(np.array([[9, 9, 9, 9]]) * RATE, START // HOUR_US)
        again = Simulator([RULES], FREE, opening(CASH_E8), otherwise)
        replayed = [again.advance([candle(0)], [signal()])]
        replayed += [again.advance([candle(bar)], rates=moments[bar].rates) for bar in (1, 2)]
        assert replayed == moments

    def test_an_hour_that_cost_nothing_replays_to_that_though_its_rate_is_told_later(self):
        nothing = Funding(np.zeros((1, 4), np.int64), START // HOUR_US)
        _, moments = lived(candle(1), candle(2), funding=nothing)
        again = Simulator([RULES], FREE, opening(CASH_E8), Funding(np.full((1, 4), RATE), START // HOUR_US))
        replayed = [again.advance([candle(0)], [signal()])]
        replayed += [again.advance([candle(bar)], rates=moments[bar].rates) for bar in (1, 2)]
        assert replayed == moments

    def test_hours_that_are_not_in_the_table_any_more_are_added(self):
        old = Funding(np.array([[RATE]]), START // HOUR_US + 3)
        market = Simulator([RULES], FREE, opening(CASH_E8), old)
        market.advance([candle(0)], [signal()])
        market.advance([candle(1)], rates=[Rate(0, START // HOUR_US + 1, 2 * RATE)])
        market.advance([candle(2)], rates=[Rate(0, START // HOUR_US + 2, 5 * RATE)])
        market.advance([candle(3)])
        assert market.account.cash_e8 == CASH_E8 - (2 + 5 + 1) * E8 // 100
