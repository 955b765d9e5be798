"""Fills to trades: what each entry became, to the last 1e-8 USD. Pure.

The books balance: the net results of all trades, those still open valued at the last price, add up to what equity
gained. So a trade that the data ends on is in the ledger as well, closed at the last price at no cost, and says `END`.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol

from trading.model import Role


class ExitReason(StrEnum):
    """Why a trade ended; of several exits, the last."""

    STOP = "stop"
    TARGET = "target"
    EXIT = "exit"  # an order of ours: a person's word, its time is over, or a stop that the venue does not hold
    LIQUIDATION = "liquidation"  # the venue closed what the account could no longer hold
    END = "end"  # it has not: the data ends here


class FillRow(Protocol):
    """One trade of one order. Prices in ticks, times in µs."""

    @property
    def at(self) -> int: ...
    @property
    def instrument(self) -> int: ...
    @property
    def role(self) -> int: ...
    @property
    def side(self) -> int: ...
    @property
    def lots(self) -> int: ...
    @property
    def price(self) -> int: ...
    @property
    def fee_e8(self) -> int: ...
    @property
    def slippage_e8(self) -> int: ...  # inside the price already, as is the spread
    @property
    def spread_e8(self) -> int: ...
    @property
    def signal_at(self) -> int: ...
    @property
    def ambiguous(self) -> int: ...
    @property
    def stop_price(self) -> int: ...  # of an entry: the level that protects it; 0 is none
    @property
    def target_price(self) -> int: ...


class PaymentRow(Protocol):
    """Money that one trade paid for holding, in 1e-8 USD; less than 0: received."""

    @property
    def instrument(self) -> int: ...
    @property
    def signal_at(self) -> int: ...
    @property
    def amount_e8(self) -> int: ...


class LastPrice(NamedTuple):
    """Where an instrument stood when the data ended."""

    at: int
    price: int


class Trade(NamedTuple):
    """One entry and its exits. Notionals, results and costs in 1e-8 USD, levels in ticks (0 is none)."""

    instrument: int
    side: int
    lots: int  # entered
    signal_at: int
    entered_at: int  # first fill
    entry_notional_e8: int
    stop_price: int
    target_price: int
    exited_at: int  # last fill, or the end of the data
    exit_notional_e8: int
    exit_reason: ExitReason
    fees_e8: int
    slippage_e8: int
    ambiguous: bool
    lowest_price: int  # of all its fills, and of the price it is valued at while it is open
    highest_price: int
    spread_e8: int = 0
    funding_e8: int = 0  # paid; less than 0: received

    @property
    def net_e8(self) -> int:
        """Result after all costs."""
        return self.side * (self.exit_notional_e8 - self.entry_notional_e8) - self.fees_e8 - self.funding_e8

    @property
    def gross_e8(self) -> int:
        """Result before slippage, spread, fees and funding."""
        return self.net_e8 + self.fees_e8 + self.slippage_e8 + self.spread_e8 + self.funding_e8


def trades_of(
    fills: Iterable[FillRow],
    last: Sequence[LastPrice],
    unit_e8: Sequence[int],
    payments: Iterable[PaymentRow] = (),
) -> tuple[Trade, ...]:
    """Trades in the order in which they were entered.

    `last` and `unit_e8` (value of one lot times one tick) are by instrument. An instrument's fills and payments belong
    to one trade if they share `signal_at`, the trade's identity.
    """
    by_trade: dict[tuple[int, int], list[FillRow]] = {}
    for fill in fills:
        by_trade.setdefault((fill.instrument, fill.signal_at), []).append(fill)
    paid: Counter[tuple[int, int]] = Counter()
    for payment in payments:
        paid[payment.instrument, payment.signal_at] += payment.amount_e8
    return tuple(_trade(rows, last[key[0]], unit_e8[key[0]], paid[key]) for key, rows in by_trade.items())


def _trade(fills: Sequence[FillRow], last: LastPrice, unit_e8: int, funding_e8: int) -> Trade:
    entries = [fill for fill in fills if fill.role == Role.ENTRY]
    exits = [fill for fill in fills if fill.role != Role.ENTRY]
    lots, closed = _lots(entries), _lots(exits)
    assert 0 < lots >= closed, "more closed than entered"
    first, protected = entries[0], entries[-1]
    is_open = closed < lots
    prices = [fill.price for fill in fills] + ([last.price] if is_open else [])
    return Trade(
        instrument=first.instrument,
        side=first.side,
        lots=lots,
        signal_at=first.signal_at,
        entered_at=first.at,
        entry_notional_e8=_notional_e8(entries, unit_e8),
        stop_price=protected.stop_price,
        target_price=protected.target_price,
        exited_at=last.at if is_open else exits[-1].at,
        exit_notional_e8=_notional_e8(exits, unit_e8) + (lots - closed) * last.price * unit_e8,
        exit_reason=ExitReason.END if is_open else _reason(exits[-1].role),
        fees_e8=sum(fill.fee_e8 for fill in fills),
        slippage_e8=sum(fill.slippage_e8 for fill in fills),
        ambiguous=any(fill.ambiguous for fill in fills),
        lowest_price=min(prices),
        highest_price=max(prices),
        spread_e8=sum(fill.spread_e8 for fill in fills),
        funding_e8=funding_e8,
    )


def _lots(fills: Sequence[FillRow]) -> int:
    return sum(fill.lots for fill in fills)


def _notional_e8(fills: Sequence[FillRow], unit_e8: int) -> int:
    return sum(fill.price * fill.lots * unit_e8 for fill in fills)


def _reason(role: int) -> ExitReason:
    if role == Role.STOP:
        return ExitReason.STOP
    if role == Role.LIQUIDATION:
        return ExitReason.LIQUIDATION
    return ExitReason.EXIT if role == Role.EXIT else ExitReason.TARGET
