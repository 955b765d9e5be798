"""Contracts and limits as people write them, in the core's units: exactly, or refused with a name."""

from decimal import Decimal

import pytest

from exchange.contracts import Contract, Limits, account_for, rules_for
from trading.errors import InputUnusable
from trading.model import E8, Rules, opening

BTC = Contract("BTC/USD", Decimal(1), Decimal("0.0001"), 12_000_000, Decimal("0.05"), Decimal("0.02"))
LIMITS = Limits(Decimal(1), Decimal(100), 2, Decimal(5), Decimal(60), 15)


def test_a_contract_and_limits_in_the_cores_units():
    assert rules_for(BTC, LIMITS) == Rules(
        unit_e8=10_000,
        minimum_lots=1,
        maximum_lots=12_000_000,
        taker_fee_ppm=500,
        maker_fee_ppm=200,
        risk_ppm=10_000,
        max_notional_ppm=1_000_000,
        max_positions=2,
        max_daily_loss_ppm=50_000,
        max_drawdown_ppm=600_000,
        cooldown_us=900_000_000,
        max_entry_delay_us=0,
    )


def test_the_ways_out_in_the_cores_units():
    limits = LIMITS._replace(break_even_after_target=True, trailing_stop_r=Decimal("1.5"), max_holding_minutes=90)
    rules = rules_for(BTC, limits)
    assert (rules.break_even, rules.trailing_ppm, rules.max_holding_us) == (1, 1_500_000, 5_400_000_000)


def test_an_entry_waits_as_long_as_the_limits_say():
    assert rules_for(BTC, LIMITS._replace(max_entry_delay_minutes=20)).max_entry_delay_us == 1_200_000_000


def test_the_limits_of_all_positions_in_the_cores_units():
    limits = LIMITS._replace(
        max_leverage_percent=Decimal(300), max_side_percent=Decimal(150), max_bucket_positions=2,
        max_losses_in_a_row=3, loss_pause_minutes=60, entry_limit_minutes=45,
    )  # fmt: skip
    rules = rules_for(BTC._replace(bucket=2), limits)
    assert (rules.max_leverage_ppm, rules.max_side_ppm) == (3_000_000, 1_500_000)
    assert (rules.max_bucket_positions, rules.bucket_unit) == (2, 64)
    assert (rules.max_losses, rules.loss_pause_us, rules.entry_life_us) == (3, 3_600_000_000, 2_700_000_000)
    assert rules_for(BTC, limits).bucket_unit == rules_for(BTC._replace(bucket=2), LIMITS).bucket_unit == 0


def test_more_buckets_or_positions_than_can_be_counted_are_refused():
    with pytest.raises(InputUnusable, match="BTC/USD is in bucket 11 of instruments: a session has 10 at most"):
        rules_for(BTC._replace(bucket=11), LIMITS)
    many = LIMITS._replace(max_positions=64, max_notional_percent=Decimal(10), max_bucket_positions=1)
    with pytest.raises(InputUnusable, match="max_positions = 64 is more than the 63 that a bucket can hold"):
        rules_for(BTC, many)


def test_a_maker_rebate_is_a_negative_fee():
    assert rules_for(BTC._replace(maker_fee_percent=Decimal("-0.01")), LIMITS).maker_fee_ppm == -100


@pytest.mark.parametrize(
    ("contract", "words"),
    [
        (BTC._replace(tick_usd=Decimal("0.00000001"), lot_base=Decimal("0.1")), "BTC/USD: one lot times one tick"),
        (BTC._replace(lot_base=Decimal("0.000000015")), "is 1.5, not a whole number"),
        (BTC._replace(lot_base=Decimal(0)), "worth nothing"),
        (BTC._replace(tick_usd=Decimal("NaN")), "not a whole number"),
        (BTC._replace(maximum_lots=0), "maximum_lots = 0 is not between 1 and 1,000,000,000"),
        (BTC._replace(maximum_lots=10**9 + 1), "maximum_lots = 1000000001"),
        (BTC._replace(taker_fee_percent=Decimal("0.00001")), "taker_fee_percent, in parts per million, is 0.1"),
    ],
)
def test_a_contract_that_the_core_cannot_hold_is_refused_by_name(contract, words):
    with pytest.raises(InputUnusable, match=words.replace("(", r"\(")):
        rules_for(contract, LIMITS)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (LIMITS._replace(max_notional_percent=Decimal("4000.01")), "max_notional_percent = 4000.01"),
        (LIMITS._replace(max_notional_percent=Decimal(0)), "max_notional_percent = 0"),
        (LIMITS._replace(max_entry_delay_minutes=-1), "max_entry_delay_minutes = -1 is not between 0 and 1,440"),
        (LIMITS._replace(max_entry_delay_minutes=1_441), "max_entry_delay_minutes = 1441"),
        (LIMITS._replace(risk_per_trade_percent=Decimal("0.33333")), "risk_per_trade_percent"),
        (LIMITS._replace(trailing_stop_r=Decimal(-1)), "trailing_stop_r = -1 is not between 0 and 100"),
        (LIMITS._replace(trailing_stop_r=Decimal("0.0000001")), "trailing_stop_r, in parts per million, is"),
        (
            LIMITS._replace(max_leverage_percent=Decimal(4_001)),
            "max_leverage_percent = 4001 is not between 0 and 4,000",
        ),
        (LIMITS._replace(max_side_percent=Decimal(-1)), "max_side_percent = -1 is not between 0"),
        (LIMITS._replace(max_holding_minutes=-1), "max_holding_minutes = -1 is not between 0 and 525,600"),
    ],
)
def test_limits_that_the_core_cannot_hold_are_refused_by_name(limits, words):
    with pytest.raises(InputUnusable, match=words):
        rules_for(BTC, limits)


def test_all_positions_together_stay_inside_the_extremes():
    at_the_limit = LIMITS._replace(max_positions=2, max_notional_percent=Decimal(2_000))
    assert rules_for(BTC, at_the_limit).max_notional_ppm == 20_000_000
    with pytest.raises(InputUnusable, match=r"max_positions = 3 times max_notional_percent = 2000 is more than 4,000"):
        rules_for(BTC, at_the_limit._replace(max_positions=3))


def test_a_session_opens_with_its_cash():
    assert account_for(Decimal("100000.00000001")) == opening(100_000 * E8 + 1)


@pytest.mark.parametrize("cash_usd", ["0", "-1", "1000000000.01", "0.000000001"])
def test_cash_beyond_the_extremes_is_refused(cash_usd):
    with pytest.raises(InputUnusable):
        account_for(Decimal(cash_usd))
