"""Contracts and limits as people write them (Decimals, percent), in whole numbers of the core: exactly, or not at all.

It is here that values are kept inside the extremes for which 64 bits are enough (`trading.model`).
"""

from decimal import Decimal
from typing import NamedTuple

from trading.errors import InputUnusable
from trading.model import BUCKET_BASE, E8, PPM, Account, Rules, opening

HIGHEST_EQUITY_USD = 10**9
HIGHEST_LOTS = 10**9
HIGHEST_NOTIONAL_PERCENT = 4_000  # of the highest equity, all positions together: 4e10 USD
LONGEST_ENTRY_DELAY_MINUTES = 24 * 60
HIGHEST_TRAILING_R = 100
LONGEST_HOLDING_MINUTES = 365 * 24 * 60
MOST_BUCKETS = 10
MINUTE_US = 60_000_000


class Contract(NamedTuple):
    """The venue's facts about one instrument."""

    name: str
    tick_usd: Decimal
    lot_base: Decimal
    maximum_lots: int
    taker_fee_percent: Decimal
    maker_fee_percent: Decimal  # negative: a rebate
    initial_margin_percent: Decimal = Decimal(0)  # of a position's value at entry; 0: none is asked for
    maintenance_margin_percent: Decimal = Decimal(0)
    bucket: int = 0  # number of the bucket of instruments that move together, from 1 on; 0: in none


class Limits(NamedTuple):
    """What one session may risk; percents of equity."""

    risk_per_trade_percent: Decimal
    max_notional_percent: Decimal
    max_positions: int
    max_daily_loss_percent: Decimal
    max_drawdown_percent: Decimal
    cooldown_minutes: int
    max_entry_delay_minutes: int = 0  # after its signal, for an entry's market to open; 0: it waits over no gap
    break_even_after_target: bool = False
    trailing_stop_r: Decimal = Decimal(0)  # of the stop's first distance, behind each close; 0: the stop stays
    max_holding_minutes: int = 0  # 0: as long as it takes
    max_leverage_percent: Decimal = Decimal(0)  # of equity, all positions together; 0: no limit, as in the next three
    max_side_percent: Decimal = Decimal(0)  # of equity, all positions on one side
    max_bucket_positions: int = 0  # on one side, of the instruments in one bucket
    max_losses_in_a_row: int = 0  # then entries pause
    loss_pause_minutes: int = 0
    entry_limit_minutes: int = 0  # that an entry with a limit waits; 0: there are none
    liquidation_buffer_percent: Decimal = Decimal(0)  # of equity, above the margin to hold, once a stop is hit


def rules_for(contract: Contract, limits: Limits) -> Rules:
    """Both in the core's units.

    Raises InputUnusable: a value is finer than the core's unit, or beyond its extremes; it names instrument and value.
    """
    name = contract.name
    unit_e8 = _whole(contract.tick_usd * contract.lot_base * E8, f"{name}: one lot times one tick, in 1e-8 USD,")
    _refuse(unit_e8 < 1, f"{name}: one lot times one tick is worth nothing ({contract.lot_base}, {contract.tick_usd}).")
    _refuse(
        not 1 <= contract.maximum_lots <= HIGHEST_LOTS,
        f"{name}: maximum_lots = {contract.maximum_lots} is not between 1 and {HIGHEST_LOTS:,}.",
    )
    _refuse(
        not 0 < limits.max_notional_percent <= HIGHEST_NOTIONAL_PERCENT,
        f"max_notional_percent = {limits.max_notional_percent} is not between 0 and {HIGHEST_NOTIONAL_PERCENT:,}.",
    )
    for what in ("max_leverage_percent", "max_side_percent"):
        _refuse(
            not 0 <= getattr(limits, what) <= HIGHEST_NOTIONAL_PERCENT,
            f"{what} = {getattr(limits, what)} is not between 0 and {HIGHEST_NOTIONAL_PERCENT:,}.",
        )
    _refuse(
        limits.max_positions * limits.max_notional_percent > HIGHEST_NOTIONAL_PERCENT,
        f"max_positions = {limits.max_positions} times max_notional_percent = {limits.max_notional_percent} is more "
        f"than {HIGHEST_NOTIONAL_PERCENT:,} percent of equity: lower one of them.",
    )
    _refuse(
        not 0 <= limits.max_entry_delay_minutes <= LONGEST_ENTRY_DELAY_MINUTES,
        f"max_entry_delay_minutes = {limits.max_entry_delay_minutes} is not between 0 and "
        f"{LONGEST_ENTRY_DELAY_MINUTES:,}.",
    )
    _refuse(
        not 0 <= limits.trailing_stop_r <= HIGHEST_TRAILING_R,
        f"trailing_stop_r = {limits.trailing_stop_r} is not between 0 and {HIGHEST_TRAILING_R}.",
    )
    _refuse(
        not 0 <= limits.max_holding_minutes <= LONGEST_HOLDING_MINUTES,
        f"max_holding_minutes = {limits.max_holding_minutes} is not between 0 and {LONGEST_HOLDING_MINUTES:,}.",
    )
    _refuse(
        not 0 <= contract.bucket <= MOST_BUCKETS,
        f"{name} is in bucket {contract.bucket} of instruments: a session has {MOST_BUCKETS} at most.",
    )
    _refuse(
        limits.max_bucket_positions > 0 and limits.max_positions >= BUCKET_BASE,
        f"max_positions = {limits.max_positions} is more than the {BUCKET_BASE - 1} that a bucket can hold.",
    )
    return Rules(
        unit_e8=unit_e8,
        minimum_lots=1,
        maximum_lots=contract.maximum_lots,
        taker_fee_ppm=_ppm(contract.taker_fee_percent, f"{name}: taker_fee_percent"),
        maker_fee_ppm=_ppm(contract.maker_fee_percent, f"{name}: maker_fee_percent"),
        risk_ppm=_ppm(limits.risk_per_trade_percent, "risk_per_trade_percent"),
        max_notional_ppm=_ppm(limits.max_notional_percent, "max_notional_percent"),
        max_positions=limits.max_positions,
        max_daily_loss_ppm=_ppm(limits.max_daily_loss_percent, "max_daily_loss_percent"),
        max_drawdown_ppm=_ppm(limits.max_drawdown_percent, "max_drawdown_percent"),
        cooldown_us=limits.cooldown_minutes * MINUTE_US,
        max_entry_delay_us=limits.max_entry_delay_minutes * MINUTE_US,
        break_even=int(limits.break_even_after_target),
        trailing_ppm=_whole(limits.trailing_stop_r * PPM, "trailing_stop_r, in parts per million,"),
        max_holding_us=limits.max_holding_minutes * MINUTE_US,
        max_leverage_ppm=_ppm(limits.max_leverage_percent, "max_leverage_percent"),
        max_side_ppm=_ppm(limits.max_side_percent, "max_side_percent"),
        max_bucket_positions=limits.max_bucket_positions,
        max_losses=limits.max_losses_in_a_row,
        loss_pause_us=limits.loss_pause_minutes * MINUTE_US,
        entry_life_us=limits.entry_limit_minutes * MINUTE_US,
        initial_ppm=_ppm(contract.initial_margin_percent, f"{name}: initial_margin_percent"),
        maintenance_ppm=_ppm(contract.maintenance_margin_percent, f"{name}: maintenance_margin_percent"),
        liquidation_buffer_ppm=_ppm(limits.liquidation_buffer_percent, "liquidation_buffer_percent"),
        bucket_unit=BUCKET_BASE ** (contract.bucket - 1) if contract.bucket and limits.max_bucket_positions else 0,
    )


def account_for(cash_usd: Decimal) -> Account:
    """The account of a session that starts with `cash_usd`.

    Raises InputUnusable: not between nothing and the highest equity, or finer than 1e-8 USD.
    """
    _refuse(
        not 0 < cash_usd <= HIGHEST_EQUITY_USD,
        f"A session can't start with {cash_usd} USD: more than 0 and at most {HIGHEST_EQUITY_USD:,} are possible.",
    )
    return opening(_whole(cash_usd * E8, "The starting cash, in 1e-8 USD,"))


def _ppm(percent: Decimal, what: str) -> int:
    return _whole(percent * 10_000, f"{what}, in parts per million,")


def _whole(value: Decimal, what: str) -> int:
    _refuse(not value.is_finite() or value != int(value), f"{what} is {value.normalize()}, not a whole number.")
    return int(value)


def _refuse(wrong: bool, sentence: str) -> None:
    if wrong:
        raise InputUnusable(sentence)
