"""The exchange in memory, candle by candle. Prices in ticks of 1 cent a lot: a lot at 10,000 ticks is 100 USD.

A signal of 100 ticks stop on 10,000 USD at 1 % risk trades 100 lots, so a tick is 1 USD.
"""

from collections.abc import Sequence

import pytest
from doses import examples
from hypothesis import given
from hypothesis import strategies as st

from exchange.rows import Candle, Costs, Fill, Signal
from exchange.simulator import Moment, Simulator
from trading.model import E8, PPM, Command, Decision, EventKind, Phase, Role, Rules, equity_e8, opening

BAR_US = 3_600_000_000
START = 20_000 * 24 * BAR_US
LATENCY_US = 250_000
CENT = E8 // 100
CASH_E8 = 10_000 * E8
LONG, SHORT = 1, -1
RULES = Rules(
    unit_e8=CENT, minimum_lots=1, maximum_lots=10_000, taker_fee_ppm=0, maker_fee_ppm=0, risk_ppm=10_000,
    max_notional_ppm=2 * PPM, max_positions=2, max_daily_loss_ppm=PPM, max_drawdown_ppm=PPM, cooldown_us=0,
)  # fmt: skip
FREE = Costs(slippage_ppm=0, latency_us=LATENCY_US)
QUIET = (10_000, 10_000, 10_000, 10_000)


def close_of(bar: int) -> int:
    return START + (bar + 1) * BAR_US


def candle(bar: int, opened: int, high: int, low: int, close: int, *, instrument: int = 0) -> Candle:
    return Candle(instrument, START + bar * BAR_US, close_of(bar), opened, high, low, close)


def signal(
    side: int = LONG, *, bar: int = 0, stop=100, targets=(200,), known=None, instrument=0, price=10_000
) -> Signal:
    one, two, three, four = (*targets, 0, 0, 0, 0)[:4]
    at = close_of(bar)
    return Signal(instrument, at, at if known is None else known, side, price, stop, one, two, three, four, 0)


def simulator(*, costs: Costs = FREE, rules: Rules = RULES, instruments: int = 1) -> Simulator:
    return Simulator([rules] * instruments, costs, opening(CASH_E8))


def played(*bars: tuple[int, int, int, int], proposal: Signal | None = None, costs=FREE, rules=RULES) -> list[Fill]:
    """All fills of a signal at the close of a quiet first candle and the `bars` that follow it."""
    market = simulator(costs=costs, rules=rules)
    fills = list(market.advance([candle(0, *QUIET)], [proposal or signal()]).fills)
    for number, bar in enumerate(bars, start=1):
        fills += market.advance([candle(number, *bar)]).fills
    return fills


def told(fills: Sequence[Fill]) -> list[str]:
    words = [f"{Role(fill.role).name.lower()} {fill.lots} at {fill.price}" for fill in fills]
    return [text + (" ambiguous" if fill.ambiguous else "") for text, fill in zip(words, fills, strict=True)]


# Long from 10,000, stop at 9,900, target at 10,200, unless said otherwise.
STORIES = {
    "nothing is touched": (signal(), [QUIET], ["entry 100 at 10000"]),
    "the entry takes the next open": (signal(), [(10_050, 10_060, 10_040, 10_050)], ["entry 100 at 10050"]),
    "the stop": (signal(), [QUIET, (9_950, 9_960, 9_900, 9_950)], ["entry 100 at 10000", "stop 100 at 9900"]),
    "one tick above the stop": (signal(), [QUIET, (9_950, 9_960, 9_901, 9_950)], ["entry 100 at 10000"]),
    "the target": (
        signal(), [QUIET, (10_100, 10_200, 10_100, 10_150)], ["entry 100 at 10000", "target_1 100 at 10200"],
    ),
    "one tick below the target": (signal(), [QUIET, (10_100, 10_199, 10_100, 10_150)], ["entry 100 at 10000"]),
    "both in one candle: the stop, and it is said": (
        signal(), [QUIET, (10_000, 10_250, 9_850, 10_000)], ["entry 100 at 10000", "stop 100 at 9900 ambiguous"],
    ),
    "a gap through the stop trades at the open, with certainty": (
        signal(), [QUIET, (9_700, 10_250, 9_650, 9_700)], ["entry 100 at 10000", "stop 100 at 9700"],
    ),
    "a gap past the target trades before the stop, and not at the better open": (
        signal(), [QUIET, (10_300, 10_310, 9_850, 10_000)], ["entry 100 at 10000", "target_1 100 at 10200"],
    ),
    "stopped in the candle of the entry, after it (I50)": (
        signal(), [(10_000, 10_050, 9_890, 9_950)], ["entry 100 at 10000", "stop 100 at 9900"],
    ),
    "at its target in the candle of the entry": (
        signal(), [(10_000, 10_220, 9_950, 10_210)], ["entry 100 at 10000", "target_1 100 at 10200"],
    ),
    "both in the candle of the entry": (
        signal(), [(10_000, 10_220, 9_890, 10_000)], ["entry 100 at 10000", "stop 100 at 9900 ambiguous"],
    ),
    "levels follow the entry's open, not the signal's price (I06)": (
        signal(), [(10_050, 10_060, 9_951, 10_000), (10_000, 10_000, 9_950, 9_990)],
        ["entry 100 at 10050", "stop 100 at 9950"],
    ),
    "a ladder, rung by rung": (
        signal(targets=(100, 200)), [QUIET, (10_000, 10_150, 10_000, 10_100), (10_100, 10_210, 10_100, 10_200)],
        ["entry 100 at 10000", "target_1 50 at 10100", "target_2 50 at 10200"],
    ),
    "a ladder in one candle": (
        signal(targets=(100, 200)), [QUIET, (10_000, 10_210, 9_990, 10_200)],
        ["entry 100 at 10000", "target_1 50 at 10100", "target_2 50 at 10200"],
    ),
    "the rest of a ladder is stopped": (
        signal(targets=(100, 200)), [QUIET, (10_000, 10_150, 9_990, 10_000), (9_950, 9_960, 9_890, 9_900)],
        ["entry 100 at 10000", "target_1 50 at 10100", "stop 50 at 9900"],
    ),
    "the open is past one rung, the stop comes before the other": (
        signal(targets=(100, 200)), [QUIET, (10_120, 10_250, 9_850, 10_000)],
        ["entry 100 at 10000", "target_1 50 at 10100", "stop 50 at 9900 ambiguous"],
    ),
    "a short, stopped": (
        signal(SHORT), [QUIET, (10_050, 10_100, 10_000, 10_050)], ["entry 100 at 10000", "stop 100 at 10100"],
    ),
    "a short, a gap through the stop": (
        signal(SHORT), [QUIET, (10_300, 10_300, 10_300, 10_300)], ["entry 100 at 10000", "stop 100 at 10300"],
    ),
    "a short at its target": (
        signal(SHORT), [QUIET, (9_900, 9_900, 9_790, 9_850)], ["entry 100 at 10000", "target_1 100 at 9800"],
    ),
    "after its exit nothing is left to trade": (
        signal(), [QUIET, (9_950, 9_960, 9_890, 9_950), (10_000, 10_500, 9_000, 10_000)],
        ["entry 100 at 10000", "stop 100 at 9900"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("proposal", "bars", "expected"), STORIES.values(), ids=STORIES.keys())
def test_a_signal_and_these_candles_make_these_fills(proposal, bars, expected):
    assert told(played(*bars, proposal=proposal)) == expected


class TestTime:
    """Nothing trades before it can (I50)."""

    def test_the_entry_fills_a_latency_after_the_next_open(self):
        entry, stop = played((10_000, 10_050, 9_890, 9_950))
        assert entry.at == close_of(0) + LATENCY_US
        assert stop.at == close_of(1) - 1

    def test_a_fill_is_later_than_what_was_known(self):
        (entry,) = played(QUIET, costs=FREE._replace(latency_us=1))
        assert entry.at > entry.signal_at == close_of(0)

    def test_an_entry_sent_inside_a_candle_fills_after_it_was_sent(self):
        market = simulator(instruments=2)
        market.advance([candle(0, *QUIET)], [signal(instrument=1)])
        long_candle = candle(1, *QUIET, instrument=1)._replace(opened_at=START)
        (entry,) = market.advance([long_candle]).fills
        assert entry.at == close_of(0) + LATENCY_US

    def test_a_signal_known_late_is_acted_on_late(self):
        market = simulator()
        late = signal(known=close_of(1))
        assert market.advance([candle(0, *QUIET)]).decisions == ()
        (verdict,) = market.advance([candle(1, *QUIET)], [late]).decisions
        assert (verdict.at, verdict.signal_at, verdict.decision) == (close_of(1), close_of(0), Decision.ENTERED)
        (entry,) = market.advance([candle(2, 10_070, 10_070, 10_070, 10_070)]).fills
        assert (entry.price, entry.at) == (10_070, close_of(1) + LATENCY_US)

    def test_a_signal_that_nobody_can_know_yet_is_refused(self):
        with pytest.raises(AssertionError, match="nobody can know"):
            simulator().advance([candle(0, *QUIET)], [signal(known=close_of(0) + 1)])

    def test_candles_of_different_closes_are_refused(self):
        with pytest.raises(AssertionError, match="different closes"):
            simulator(instruments=2).advance([candle(0, *QUIET), candle(1, *QUIET, instrument=1)])


class TestGaps:
    """An entry is for the market that its signal saw; an exit is for whatever market there is."""

    PATIENT = RULES._replace(max_entry_delay_us=BAR_US)

    def test_within_its_delay_the_entry_fills_at_the_next_open_there_is(self):
        market = simulator(rules=self.PATIENT)
        market.advance([candle(0, *QUIET)], [signal()])
        (entry,) = market.advance([candle(2, 10_300, 10_300, 10_300, 10_300)]).fills
        assert (entry.price, entry.at) == (10_300, START + 2 * BAR_US + LATENCY_US)

    @pytest.mark.parametrize(("rules", "bar"), [(RULES, 2), (PATIENT, 3), (PATIENT, 400)])
    def test_an_entry_that_the_market_opens_too_late_for_expires_and_is_forgotten(self, rules, bar):
        market = simulator(rules=rules)
        market.advance([candle(0, *QUIET)], [signal()])
        moment = market.advance([candle(bar, *QUIET)])
        ((event, intents),) = moment.taken
        assert (EventKind(event.kind), event.role, event.reason) == (
            EventKind.CANCELLED, Role.ENTRY, Decision.EXPIRED,
        )  # fmt: skip
        assert (event.lots, event.at, intents.number) == (100, close_of(bar) - 1, 0)
        assert (moment.fills, moment.account.open_positions, moment.account.cash_e8) == ((), 0, CASH_E8)
        assert (market.slots[0].phase, market.slots[0].decision) == (Phase.FLAT, Decision.EXPIRED)
        assert market.advance([candle(bar + 1, *QUIET)]).fills == ()

    def test_what_expired_makes_room_for_another_instrument_before_its_own_next_candle(self):
        market = simulator(instruments=2, rules=RULES._replace(max_positions=1))
        market.advance([candle(0, *QUIET), candle(0, *QUIET, instrument=1)], [signal()])
        moment = market.advance([candle(1, *QUIET, instrument=1)], [signal(bar=1, instrument=1)])
        assert [verdict.decision for verdict in moment.decisions] == [Decision.ENTERED]

    def test_the_signal_that_expired_never_trades_and_a_new_one_does(self):
        market = simulator()
        market.advance([candle(0, *QUIET)], [signal()])
        moment = market.advance([candle(2, *QUIET)], [signal(), signal(bar=2)])
        assert [verdict.decision for verdict in moment.decisions] == [Decision.STALE, Decision.ENTERED]

    @pytest.mark.parametrize(("rules", "bar"), [(RULES, 2), (PATIENT, 3), (PATIENT, 500)])
    def test_a_signal_known_just_after_its_close_expires_over_the_gap_that_follows(self, rules, bar):
        market = simulator(rules=rules)
        market.advance([candle(0, *QUIET)])
        moment = market.advance([candle(bar, *QUIET)], [signal(known=close_of(0) + 1)])
        assert [verdict.decision for verdict in moment.decisions] == [Decision.EXPIRED]
        assert (moment.account.open_positions, market.advance([candle(bar + 1, *QUIET)]).fills) == (0, ())

    def test_the_delay_is_counted_from_the_close_at_which_the_signal_was_due(self):
        market = simulator(rules=self.PATIENT)
        market.advance([candle(0, *QUIET)])
        decided = market.advance([candle(2, *QUIET)], [signal(known=close_of(0) + 1)])
        assert [intents.items[0].expires_at for _, intents in decided.taken] == [close_of(2)]
        assert told(market.advance([candle(3, *QUIET)]).fills) == ["entry 100 at 10000"]
        market.advance([candle(4, *QUIET)], commands=[Command.FLATTEN])
        market.advance([candle(5, *QUIET)])
        market.advance([candle(7, *QUIET)], [signal(bar=5, known=close_of(5) + 1)])
        assert market.advance([candle(9, *QUIET)]).fills == ()

    def test_an_entry_that_expires_inside_a_candle_ends_after_what_fills_before(self):
        market = simulator(instruments=2, rules=RULES._replace(max_entry_delay_us=BAR_US // 2))
        both = [candle(0, *QUIET), candle(0, *QUIET, instrument=1)]
        market.advance(both, [signal(), signal(instrument=1)])
        moment = market.advance([candle(1, 10_000, 10_050, 9_890, 9_950, instrument=1)])
        assert kinds(moment) == [("FILL", 2), ("FILL", 1), ("CANCELLED", 0)]
        assert [event.at for event, _ in moment.taken] == [close_of(0) + LATENCY_US, close_of(1) - 1, close_of(1) - 1]

    def test_stop_and_exit_wait_for_the_next_candle_however_late(self):
        fallen = (9_000, 9_000, 9_000, 9_000)
        market = simulator()
        market.advance([candle(0, *QUIET)], [signal()])
        market.advance([candle(1, *QUIET)])
        (stop,) = market.advance([candle(400, *fallen)]).fills
        assert (Role(stop.role), stop.price) == (Role.STOP, 9_000)
        market = simulator()
        market.advance([candle(0, *QUIET)], [signal()])
        market.advance([candle(1, *QUIET)], commands=[Command.FLATTEN])
        (out,) = market.advance([candle(400, *fallen)]).fills
        assert (Role(out.role), out.price) == (Role.EXIT, 9_000)


class TestCommands:
    """A person's word is an event like any other: journaled, answered by the rules, and their orders are matched."""

    def test_flatten_sells_at_the_next_open_and_takes_the_other_orders_back(self):
        market = simulator()
        market.advance([candle(0, *QUIET)], [signal()])
        said = market.advance([candle(1, *QUIET)], commands=[Command.FLATTEN])
        assert kinds(said)[-1] == ("COMMAND", 2)
        assert said.taken[-1][0].at == close_of(1)
        moment = market.advance([candle(2, 10_050, 10_500, 9_000, 10_000)])
        assert told(moment.fills) == ["exit 100 at 10050"]
        assert (market.slots[0].phase, moment.account.open_positions) == (Phase.FLAT, 0)
        assert market.advance([candle(3, 10_050, 10_500, 9_000, 10_000)]).fills == ()

    @pytest.mark.parametrize("word", [Command.FLATTEN, Command.HALT])
    def test_an_entry_that_is_called_off_never_fills_and_its_place_is_free(self, word):
        market = simulator()
        said = market.advance([candle(0, *QUIET)], [signal()], [word])
        assert kinds(said)[-2:] == [("COMMAND", 1), ("CANCELLED", 0)]
        assert (market.slots[0].phase, said.account.open_positions) == (Phase.FLAT, 0)
        assert market.advance([candle(1, *QUIET)]).fills == ()

    def test_a_halt_keeps_the_stop_and_answers_signals_until_a_person_resumes(self):
        market = simulator(instruments=2)
        market.advance([candle(0, *QUIET), candle(0, *QUIET, instrument=1)], [signal()])
        market.advance([candle(1, *QUIET), candle(1, *QUIET, instrument=1)], commands=[Command.HALT])
        past_target_then_down = candle(2, 10_000, 10_300, 9_950, 10_000)
        moment = market.advance([past_target_then_down], [signal(bar=2, instrument=1)])
        assert (moment.fills, moment.decisions[0].decision) == ((), Decision.HALTED)
        (stop,) = market.advance([candle(3, 9_950, 9_960, 9_890, 9_900)], commands=[Command.RESUME]).fills
        assert stop.role == Role.STOP
        assert market.advance([candle(4, *QUIET)], [signal(bar=4)]).decisions[0].decision == Decision.ENTERED


class TestCosts:
    """Fees and slippage to the cent, always to our worse side."""

    COSTS = Costs(slippage_ppm=1_000, latency_us=LATENCY_US)
    FEES = RULES._replace(taker_fee_ppm=500)

    def test_entry_and_stop_slip_and_pay_the_taker_fee(self):
        entry, stop = played(QUIET, (9_950, 9_960, 9_890, 9_950), costs=self.COSTS, rules=self.FEES)
        # 0.1 % of 10,000 ticks are 10; the stop lies 100 below 10,010 and slips by 9.91, rounded up.
        assert (entry.price, entry.slippage_e8, entry.fee_e8) == (10_010, 100 * 10 * CENT, 10_010 * E8 * 500 // PPM)
        assert (stop.price, stop.slippage_e8, stop.fee_e8) == (9_900, 100 * 10 * CENT, 9_900 * E8 * 500 // PPM)

    def test_the_account_has_paid_what_the_fills_say(self):
        market = simulator(costs=self.COSTS, rules=self.FEES)
        market.advance([candle(0, *QUIET)], [signal()])
        fills = market.advance([candle(1, 10_000, 10_050, 9_890, 9_950)]).fills
        moved = sum(-fill.side * fill.lots * fill.price * CENT - fill.fee_e8 for fill in fills)
        assert market.account.cash_e8 == CASH_E8 + moved
        assert moved == -110 * E8 - 5_005 * E8 // 1_000 - 4_950 * E8 // 1_000

    def test_a_target_does_not_slip_but_pays(self):
        _, target = played(QUIET, (10_100, 10_250, 10_100, 10_200), costs=self.COSTS, rules=self.FEES)
        assert (target.price, target.slippage_e8, target.fee_e8) == (10_210, 0, 10_210 * E8 * 500 // PPM)

    def test_a_gapped_stop_slips_from_the_open(self):
        _, stop = played(QUIET, (9_500, 9_500, 9_500, 9_500), costs=self.COSTS)
        assert (stop.price, stop.slippage_e8) == (9_490, 100 * 10 * CENT)

    def test_a_short_slips_down_and_back_up(self):
        entry, stop = played(QUIET, (10_050, 10_200, 10_000, 10_050), proposal=signal(SHORT), costs=self.COSTS)
        assert (entry.price, stop.price) == (9_990, 10_090 + 11)

    def test_the_entry_records_the_levels_that_protect_it(self):
        (entry,) = played((10_050, 10_060, 10_040, 10_050), proposal=signal(targets=(200, 300)))
        assert (entry.stop_price, entry.target_price) == (9_950, 10_250)


class TestInstruments:
    """What closes together moves together: opens, insides, closes, signals."""

    def test_all_opens_come_before_what_happens_inside(self):
        market = simulator(instruments=2)
        market.advance(
            [candle(0, *QUIET), candle(0, *QUIET, instrument=1)], [signal(), signal(instrument=1, targets=())]
        )
        fast, slow = candle(1, 10_000, 10_050, 9_890, 9_950), candle(1, *QUIET, instrument=1)
        fills = market.advance([fast, slow]).fills
        assert [(fill.instrument, Role(fill.role).name) for fill in fills] == [(0, "ENTRY"), (1, "ENTRY"), (0, "STOP")]
        assert [fill.at for fill in fills] == sorted(fill.at for fill in fills)

    def test_all_closes_are_known_before_a_signal_is_answered(self):
        market = simulator(instruments=2, rules=RULES._replace(max_drawdown_ppm=9_900))
        market.advance([candle(0, *QUIET), candle(0, *QUIET, instrument=1)], [signal(instrument=1, stop=200)])
        falling = candle(1, 10_000, 10_000, 9_801, 9_801, instrument=1)  # 50 lots lose 99.50 of 99 USD
        (verdict,) = market.advance([candle(1, *QUIET), falling], [signal(bar=1)]).decisions
        assert verdict.decision == Decision.DRAWDOWN

    def test_the_first_instrument_takes_the_last_place(self):
        market = simulator(instruments=2, rules=RULES._replace(max_positions=1))
        moment = market.advance([candle(0, *QUIET), candle(0, *QUIET, instrument=1)], [signal(), signal(instrument=1)])
        assert [verdict.decision for verdict in moment.decisions] == [Decision.ENTERED, Decision.MAX_POSITIONS]

    def test_a_missing_candle_leaves_its_position_alone(self):
        market = simulator(instruments=2)
        market.advance([candle(0, *QUIET), candle(0, *QUIET, instrument=1)], [signal(instrument=1)])
        market.advance([candle(1, *QUIET), candle(1, *QUIET, instrument=1)])
        assert market.advance([candle(2, *QUIET)]).fills == ()
        assert market.slots[1].lots == 100

    def test_equity_is_that_of_all_closes(self):
        market = simulator(instruments=2)
        market.advance([candle(0, *QUIET), candle(0, *QUIET, instrument=1)], [signal(), signal(SHORT, instrument=1)])
        up = (10_000, 10_050, 10_000, 10_050)
        moment = market.advance([candle(1, *up), candle(1, *up, instrument=1)])
        assert equity_e8(moment.account) == CASH_E8
        assert [slot.unrealized_e8 for slot in market.slots] == [50 * E8, -50 * E8]


class TestMoments:
    """What one close hands back for the journal."""

    def test_every_event_comes_with_its_intents_in_order(self):
        market = simulator()
        first = market.advance([candle(0, *QUIET)], [signal()])
        second = market.advance([candle(1, 10_000, 10_050, 9_890, 9_950)])
        third = market.advance([candle(2, *QUIET)])
        assert kinds(first) == [("SIGNAL", 1)]
        assert kinds(second) == [("FILL", 2), ("FILL", 1)]
        assert kinds(third) == [], "nothing is held and nothing is on its way: a close is no event"
        assert first.fills == ()
        assert [event.at for event, _ in second.taken] == sorted(event.at for event, _ in second.taken)

    def test_a_moment_keeps_nothing_of_the_one_before(self):
        market = simulator()
        market.advance([candle(0, *QUIET)], [signal()])
        market.advance([candle(1, *QUIET)])
        quiet = market.advance([candle(2, *QUIET)])
        assert (quiet.fills, quiet.decisions, kinds(quiet)) == ((), (), [("CANDLE", 0)])

    def test_every_signal_has_its_verdict(self):
        market = simulator()
        moment = market.advance([candle(0, *QUIET)], [signal(stop=0)])
        assert [(verdict.decision, verdict.side) for verdict in moment.decisions] == [(Decision.NO_STOP, LONG)]
        moment = market.advance([candle(1, *QUIET)], [signal(bar=1), signal(SHORT, bar=1)])
        assert [verdict.decision for verdict in moment.decisions] == [Decision.ENTERED, Decision.IN_POSITION]


def kinds(moment: Moment) -> list[tuple[str, int]]:
    return [(EventKind(event.kind).name, intents.number) for event, intents in moment.taken]


MIDDLE = 10_000
STEPS = st.tuples(
    st.integers(-60, 60), st.integers(-150, 150), st.integers(0, 80), st.integers(0, 80), st.integers(0, 9)
)


@examples(60)
@given(steps=st.lists(STEPS, min_size=2, max_size=40), side=st.sampled_from([LONG, SHORT]))
def test_mirrored_prices_make_mirrored_trades(steps, side):
    """Turned upside down around 10,000, longs are shorts. Sizes are the venue's maximum, and there is no slippage:
    both would depend on the price."""
    candles = walked(steps)
    ours = traded(candles, side)
    theirs = traded([upside_down(one) for one in candles], -side)
    assert [mirrored(fill) for fill in ours[0]] == theirs[0]
    assert ours[1] == theirs[1]


@examples(60)
@given(steps=st.lists(STEPS, min_size=2, max_size=40), side=st.sampled_from([LONG, SHORT]))
def test_every_fill_is_inside_its_candle_after_its_signal_and_in_order(steps, side):
    candles = walked(steps)
    fills, equity = traded(candles, side)
    assert [fill.at for fill in fills] == sorted(fill.at for fill in fills)
    for fill in fills:
        (around,) = [one for one in candles if one.opened_at < fill.at < one.closed_at]
        assert around.low <= fill.price <= around.high or gapped_past(fill, around)
        assert fill.at > fill.signal_at
    money = sum(-fill.side * fill.lots * fill.price for fill in fills) * CENT
    held = sum(fill.side * fill.lots for fill in fills)
    assert equity == CASH_E8 + money + held * candles[-1].close * CENT


def gapped_past(fill: Fill, around: Candle) -> bool:
    """Whether it is a target that the open had passed: it trades at its limit, which is worse for us."""
    return fill.role >= Role.TARGET_1 and fill.side * fill.price > fill.side * around.open


def walked(steps: Sequence[tuple[int, int, int, int, int]]) -> list[Candle]:
    candles, price = [], MIDDLE
    for bar, (gap, body, above, below, _) in enumerate(steps):
        opened = min(max(price + gap, 5_000), 15_000)
        price = min(max(opened + body, 5_000), 15_000)
        candles.append(candle(bar, opened, max(opened, price) + above, min(opened, price) - below, price))
    return candles


def traded(candles: Sequence[Candle], side: int) -> tuple[list[Fill], int]:
    """A signal at every close, on alternating sides: all fills, and the equity at the end."""
    market = simulator(rules=RULES._replace(maximum_lots=7))
    fills: list[Fill] = []
    for bar, one in enumerate(candles):
        towards = side if bar % 3 else -side
        proposal = signal(towards, bar=bar, stop=50 + bar % 5 * 20, targets=(60, 130), price=one.close)
        fills += market.advance([one], [proposal]).fills
    return fills, equity_e8(market.account)


def upside_down(one: Candle) -> Candle:
    turned = {"open": one.open, "high": one.low, "low": one.high, "close": one.close}
    return one._replace(**{name: 2 * MIDDLE - price for name, price in turned.items()})


def mirrored(fill: Fill) -> Fill:
    entered = fill.role == Role.ENTRY
    return fill._replace(
        side=-fill.side,
        price=2 * MIDDLE - fill.price,
        stop_price=2 * MIDDLE - fill.stop_price if entered else 0,
        target_price=2 * MIDDLE - fill.target_price if entered else 0,
    )
