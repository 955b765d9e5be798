"""The rules by example, continued: what all positions together may be, and the pause after losses.

The numbers are those of `test_step_golden`: 10,000 USD, a signal of 100 ticks stop is 100 lots of 100 USD, 10,000 USD.
"""

import pytest
from test_step_golden import (
    CENT,
    E8,
    HOUR,
    LONG,
    NOON,
    RULES,
    SHORT,
    START,
    account,
    entered,
    fill,
    happened,
    refused,
    signal,
)

from trading.model import BUCKET_BASE, FLAT, PPM, Decision, Role, Rules, State

USD_10_000 = 10_000 * E8
LEVERAGE = RULES._replace(max_leverage_ppm=2 * PPM)
SIDE = RULES._replace(max_side_ppm=3 * PPM // 2)
SECOND_BUCKET = RULES._replace(max_bucket_positions=2, bucket_unit=BUCKET_BASE)
STREAK = RULES._replace(max_losses=2, loss_pause_us=HOUR)


def holding(long_usd: int = 0, short_usd: int = 0) -> State:
    return account(long_notional_e8=long_usd * E8, short_notional_e8=short_usd * E8)


REFUSALS = {  # rules, before, side -> decision
    "twice the equity altogether": (LEVERAGE, holding(10_000), LONG, Decision.ENTERED),
    "a dollar more": (LEVERAGE, holding(10_001), LONG, Decision.MARGIN),
    "both sides count": (LEVERAGE, holding(5_000, 5_001), LONG, Decision.MARGIN),
    "both sides count for a short too": (LEVERAGE, holding(10_001), SHORT, Decision.MARGIN),
    "no cap, no refusal": (RULES, holding(99_000, 99_000), LONG, Decision.ENTERED),
    "one and a half times the equity on one side": (SIDE, holding(5_000, 15_000), LONG, Decision.ENTERED),
    "a dollar more on that side": (SIDE, holding(5_001), LONG, Decision.EXPOSURE),
    "the other side is another": (SIDE, holding(15_000, 5_000), SHORT, Decision.ENTERED),
    "… and has its own": (SIDE, holding(0, 5_001), SHORT, Decision.EXPOSURE),
    "one of two in the bucket": (SECOND_BUCKET, account(long_buckets=BUCKET_BASE), LONG, Decision.ENTERED),
    "two of two": (SECOND_BUCKET, account(long_buckets=2 * BUCKET_BASE), LONG, Decision.CORRELATION),
    "two of two shorts are no longs": (SECOND_BUCKET, account(short_buckets=2 * BUCKET_BASE), LONG, Decision.ENTERED),
    "two of two shorts": (SECOND_BUCKET, account(short_buckets=2 * BUCKET_BASE), SHORT, Decision.CORRELATION),
    "other buckets are full": (
        SECOND_BUCKET, account(long_buckets=63 + BUCKET_BASE + 63 * BUCKET_BASE**2), LONG, Decision.ENTERED,
    ),
    "an instrument in no bucket": (
        SECOND_BUCKET._replace(bucket_unit=0), account(long_buckets=63), LONG, Decision.ENTERED,
    ),
    "a microsecond before the pause ends": (STREAK, account(paused_until=NOON + 1), LONG, Decision.LOSS_STREAK),
    "the pause ends": (STREAK, account(paused_until=NOON), LONG, Decision.ENTERED),
}  # fmt: skip


@pytest.mark.parametrize(("rules", "before", "side", "decision"), REFUSALS.values(), ids=REFUSALS.keys())
def test_a_signal_is_answered_with_this_reason_and_a_refusal_with_no_order_i22(rules, before, side, decision):
    state, orders = happened(signal(side), start=before, rules=rules)
    assert Decision(state.slot.decision) == decision
    assert bool(orders) == (decision == Decision.ENTERED)


def test_what_is_on_its_way_counts_against_the_caps_i10():
    state, _ = happened(signal(), rules=LEVERAGE._replace(max_leverage_ppm=PPM))
    elsewhere = State(state.account, FLAT)
    state, _ = happened(signal(SHORT), start=elsewhere, rules=LEVERAGE._replace(max_leverage_ppm=2 * PPM - 1))
    assert state.slot.decision == Decision.MARGIN


def test_a_cap_refuses_what_the_rules_would_size_and_cuts_nothing_down():
    state, _ = happened(signal(), start=holding(10_001), rules=LEVERAGE._replace(maximum_lots=99))
    assert (state.slot.decision, state.slot.wanted_lots) == (Decision.ENTERED, 99)


class TestBuckets:
    """Positions of a bucket are counted while they are held or on their way, on their side."""

    @pytest.mark.parametrize(("side", "counts"), [(LONG, (BUCKET_BASE, 0)), (SHORT, (0, BUCKET_BASE))])
    def test_a_position_counts_from_its_entry_to_its_end(self, side, counts):
        assert counted(signal(side)) == counts
        assert counted(*entered(side=side)) == counts
        assert counted(*entered(side=side), fill(Role.STOP, 40, 9_900, side=side)) == counts
        assert counted(*entered(side=side), fill(Role.STOP, 100, 9_900, side=side)) == (0, 0)

    def test_an_entry_that_the_venue_refuses_is_no_position(self):
        assert counted(signal(), refused(Role.ENTRY)) == (0, 0)

    def test_the_last_bucket_of_ten_holds_as_many_as_the_first(self):
        full = account(long_buckets=62 * BUCKET_BASE**9)
        state, _ = happened(signal(), start=full, rules=RULES._replace(bucket_unit=BUCKET_BASE**9))
        assert state.account.long_buckets == 63 * BUCKET_BASE**9 < 2**63


def counted(*events) -> tuple[int, int]:
    after = happened(*events, rules=SECOND_BUCKET)[0].account
    return after.long_buckets, after.short_buckets


class TestStreaks:
    """Each time that two in a row have lost, nothing is entered for an hour."""

    @pytest.mark.parametrize(
        ("losses_before", "exit_price", "pause_ends"),
        [(0, 9_900, 0), (1, 9_900, NOON + 2 * HOUR), (1, 10_000, 0), (2, 9_900, 0), (3, 9_900, NOON + 2 * HOUR)],
    )
    def test_the_pause_begins_with_the_loss_that_completes_a_streak(self, losses_before, exit_price, pause_ends):
        before = account(losses_in_a_row=losses_before)
        out = fill(Role.STOP, 100, exit_price, at=NOON + HOUR)
        assert happened(*entered(), out, start=before, rules=STREAK)[0].account.paused_until == pause_ends

    def test_a_streak_is_that_of_all_instruments(self):
        out = fill(Role.STOP, 100, 9_900, at=NOON + HOUR)
        state, _ = happened(*entered(), out, start=account(losses_in_a_row=1), rules=STREAK)
        elsewhere = State(state.account, FLAT)
        early = signal(at=NOON + 2 * HOUR - 1, of=NOON + HOUR)
        assert happened(early, start=elsewhere, rules=STREAK)[0].slot.decision == Decision.LOSS_STREAK
        late = signal(at=NOON + 2 * HOUR, of=NOON + HOUR)
        assert happened(late, start=elsewhere, rules=STREAK)[0].slot.decision == Decision.ENTERED

    def test_nobody_pauses_who_was_not_asked_to(self):
        out = fill(Role.STOP, 100, 9_900, at=NOON + HOUR)
        state, _ = happened(*entered(), out, start=account(losses_in_a_row=9))
        assert (state.account.losses_in_a_row, state.account.paused_until) == (10, 0)


def test_with_everything_off_the_account_is_what_it_was():
    state, _ = happened(*entered(), fill(Role.STOP, 100, 9_900))
    assert (state.account.long_buckets, state.account.short_buckets, state.account.paused_until) == (0, 0, 0)
    assert Rules(*RULES[:11]) == RULES


def test_a_lot_is_worth_what_the_table_says():
    assert 100 * 10_000 * CENT == USD_10_000 == START.account.cash_e8
