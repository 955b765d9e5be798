"""The values of the core: frozen, flat, whole numbers.

Units, everywhere in `trading/` and `exchange/`: prices in ticks, quantities in lots, money in 1e-8 USD (`_e8`),
times in microseconds since 1970 UTC (`at`, `_at`, `_us`), shares in parts per million (`_ppm`). A side is +1 for
buy or long, -1 for sell or short, 0 for none. Every value is a NamedTuple of int64, so that numba compiles the very
source that Python interprets.

Stated extremes, inside which neither a product nor a sum overflows 64 bits (see `scaled`): equity to 1e9 USD, a price
to 1e9 ticks, a quantity to 1e9 lots, a notional to 4e10 USD, which is that of all positions on one side together.
"""

import hashlib
from enum import IntEnum
from typing import NamedTuple

from trading.compiled import rule

BUCKET_BASE = 64  # positions in a bucket are one digit of a number: 63 at most, and ten buckets in 64 bits
E8 = 100_000_000
PPM = 1_000_000
DAY_US = 86_400_000_000


class EventKind(IntEnum):
    """What happened."""

    CANDLE = 1  # a candle of the decision timeframe closed: price = close
    SIGNAL = 2  # a strategy proposes a trade: side, price, signal_at, due_at, score, entry_, stop_, target_*_distance
    PRICE = 3  # the futures market moved: price = mark, bid, ask, index_price
    FILL = 4  # an order traded: role, side, lots, price, fee_e8, signal_at
    PLACED = 5  # the venue confirmed an order: role, signal_at
    REFUSED = 6  # the venue said no: role, signal_at, reason
    CANCELLED = 7  # an order is gone without (further) fills: role, lots left, signal_at, reason
    FUNDING = 8  # money paid (+) or received (-) for holding: amount_e8, signal_at
    TRANSFER = 9  # deposits and withdrawals, kept out of results: amount_e8
    TIMER = 10  # nothing but the time
    COMMAND = 11  # a person's word: reason = Command


class Role(IntEnum):
    """What an order is for; with the instrument and the signal's close it is the order's identity."""

    NONE = 0
    ENTRY = 1
    STOP = 2
    TARGET_1 = 3
    TARGET_2 = 4
    TARGET_3 = 5
    TARGET_4 = 6
    EXIT = 7
    LIQUIDATION = 8  # no order of ours: the venue closes what the account can no longer hold


class IntentKind(IntEnum):
    """What to do with an order."""

    PLACE = 1
    CANCEL = 2
    EDIT = 3


class OrderType(IntEnum):
    """How an order trades."""

    MARKET = 1
    LIMIT = 2
    STOP = 3  # a market order once the mark touches `price`


class Phase(IntEnum):
    """Where one instrument's trade stands. In-flight phases are states of their own: nothing in flight is stale."""

    FLAT = 0
    ENTERING = 1
    OPEN = 2
    CLOSING = 3


class Command(IntEnum):
    """What a person can say to a session."""

    HALT = 1
    RESUME = 2
    FLATTEN = 3


class Decision(IntEnum):
    """Why a signal was taken or not; the number is stored, the name is shown."""

    NONE = 0
    ENTERED = 1
    IN_POSITION = 2
    HALTED = 3
    DAILY_LOSS = 4
    DRAWDOWN = 5
    MAX_POSITIONS = 6
    BELOW_MINIMUM = 7
    NO_STOP = 8
    COOLDOWN = 9
    STALE = 10
    BASIS = 11
    SPREAD = 12
    SHOCK = 13
    EXPOSURE = 14
    MARGIN = 15
    CORRELATION = 16
    INSTRUMENT_STATE = 17
    EXPIRED = 18  # no candle closed in time to decide it, or none opened in time for its entry
    LOSS_STREAK = 19  # a pause after so many losses in a row
    LIQUIDATION = 20  # the account would be liquidated before the stop is reached
    THIN = 21  # too little traded for the entry


class Event(NamedTuple):
    """One thing that happened, in the order of the venue's clock. Fields a kind does not use are 0."""

    kind: int
    at: int
    instrument: int = 0
    role: int = 0
    side: int = 0
    lots: int = 0
    price: int = 0
    bid: int = 0
    ask: int = 0
    index_price: int = 0
    fee_e8: int = 0
    amount_e8: int = 0
    signal_at: int = 0
    stop_distance: int = 0
    target_1_distance: int = 0
    target_2_distance: int = 0
    target_3_distance: int = 0
    target_4_distance: int = 0
    score: int = 0
    reason: int = 0
    due_at: int = 0  # of a signal: the first close of the timeframe at which it was known, with or without a candle
    entry_distance: int = 0  # of a signal: how much better than its price the entry's limit is; 0: at the market


NO_EVENT = Event(0, 0)


class Intent(NamedTuple):
    """What the core wants done at the venue. `signal_at` is the close of the candle that the trade comes from.

    `expires_at` is the latest open of a candle, by the venue's clock and inclusive, whose market an entry may take. It
    bounds neither the moment of sending nor that of the fill: an entry that expires at 12:00 may reach the venue later
    and trade at any time inside a candle that opened at or before 12:00. Only a candle that opens after 12:00 is too
    late. An entry's is never before the close at which it was decided; all other orders have 0. An entry with a limit
    is taken back then: whatever trades later is not its market.
    """

    kind: int
    instrument: int
    role: int
    order_type: int
    side: int
    lots: int
    price: int
    reduce_only: int
    signal_at: int
    revision: int
    expires_at: int  # the latest open of a candle that it takes, inclusive; 0: it never expires


NO_INTENT = Intent(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)


class Intents(NamedTuple):
    """What one event leads to, in the order in which it must reach the venue: one intent per role at most."""

    number: int
    items: tuple[Intent, Intent, Intent, Intent, Intent, Intent, Intent]


NO_INTENTS = Intents(0, (NO_INTENT,) * 7)


class Account(NamedTuple):
    """What all instruments of a session share."""

    cash_e8: int  # deposits, realised profit and loss, fees, funding
    unrealized_e8: int  # of all open positions, at their last price
    transferred_e8: int  # net deposits since the start, kept out of results
    peak_e8: int  # highest equity seen; moved by each transfer, so that money put in or taken out is no result
    day: int  # UTC day number of the last event
    day_start_e8: int  # equity at its 00:00 UTC; moved by each transfer
    day_low_e8: int  # lowest equity since; moved by each transfer
    losses_in_a_row: int
    halted: int  # a Decision that stops entries until a person resumes; 0 is none
    open_positions: int  # held, or on their way: what is in flight counts (I10)
    long_notional_e8: int  # held, at entry prices, and on its way, at the signal's
    short_notional_e8: int
    long_buckets: int = 0  # positions in each bucket, held or on their way: one number, see `Rules.bucket_unit`
    short_buckets: int = 0
    paused_until: int = 0  # after a streak of losses
    initial_e8: int = 0  # margin that the venue asks for, to enter what is held and on its way
    maintenance_e8: int = 0  # and to hold it: whoever has less equity is liquidated


class Slot(NamedTuple):
    """One instrument's trade, and its orders that rest at the venue or are on their way there."""

    phase: int
    side: int
    lots: int  # held now
    wanted_lots: int  # asked for by the entry and not filled yet
    cost_e8: int  # notional of the lots held, at their entry prices
    realized_e8: int  # of this trade, before fees
    fees_e8: int  # of this trade
    funding_e8: int  # of this trade
    unrealized_e8: int
    last_price: int  # close, mark or fill last seen
    signal_at: int  # identity of the trade; kept when it is over, so that no signal trades twice (I11)
    signal_price: int  # that the entry asked for: its limit, or the close at which the signal was given
    entered_at: int  # time of the first fill
    stop_distance: int
    target_1_distance: int
    target_2_distance: int
    target_3_distance: int
    target_4_distance: int
    stop_price: int
    secured_price: int  # where the stop was moved to since; from there it never goes back; 0: it was not moved
    stop_lots: int
    target_1_lots: int
    target_2_lots: int
    target_3_lots: int
    target_4_lots: int
    exit_lots: int
    revision: int  # how often this trade has sent orders: the next one's number
    cooldown_until: int
    decision: int  # a Decision: the answer to the last signal; EXPIRED once its entry was cancelled for that


class State(NamedTuple):
    """All that `step` knows: the account, and the slot of the event's instrument."""

    account: Account
    slot: Slot


class Rules(NamedTuple):
    """The venue's facts about one instrument, and the limits of the session. Data, never a mode."""

    unit_e8: int  # value of one lot times one tick
    minimum_lots: int
    maximum_lots: int
    taker_fee_ppm: int
    maker_fee_ppm: int
    risk_ppm: int  # of equity, lost when the stop is hit at its price
    max_notional_ppm: int  # of equity, for one position
    max_positions: int
    max_daily_loss_ppm: int  # of the day's first equity; entries stop until 00:00 UTC
    max_drawdown_ppm: int  # of peak equity; entries stop until a person resumes
    cooldown_us: int  # after an exit, per instrument
    max_entry_delay_us: int = 0  # from a signal's `due_at` to the open that its entry takes; 0: over no gap
    break_even: int = 0  # 1: once a target has filled, the stop moves to the entry
    trailing_ppm: int = 0  # of the stop's distance: how far behind each close the stop follows; 0: it stays
    max_holding_us: int = 0  # from the first fill to the close at which the trade is left; 0: as long as it takes
    max_leverage_ppm: int = 0  # of equity, for all positions together; 0: no limit, as in the next three
    max_side_ppm: int = 0  # of equity, for all positions on one side
    max_bucket_positions: int = 0  # on one side, of the instruments in one bucket
    max_losses: int = 0  # in a row; then entries pause
    loss_pause_us: int = 0
    bucket_unit: int = 0  # 1, 64, 64**2 …: what one position adds to the account's counts of its bucket; 0: in none
    entry_life_us: int = 0  # from its decision until an entry with a limit is taken back
    initial_ppm: int = 0  # margin to enter, of a position's value at its entry; 0: none is asked for
    maintenance_ppm: int = 0  # margin to hold it
    liquidation_buffer_ppm: int = 0  # of equity: left above the margin to hold, when a new trade's stop is hit


FLAT = Slot(*(0,) * len(Slot._fields))


def opening(cash_e8: int) -> Account:
    """Account of a session that starts with `cash_e8` and no position."""
    return Account(cash_e8, 0, 0, cash_e8, -1, cash_e8, cash_e8, 0, 0, 0, 0, 0)


@rule
def equity_e8(account: Account) -> int:
    """Cash and open profit, in 1e-8 USD."""
    return account.cash_e8 + account.unrealized_e8


@rule
def scaled(value: int, numerator: int, denominator: int) -> int:
    """`value * numerator // denominator` without forming the product, for 64-bit numbers.

    Exact while `denominator * numerator` and `value // denominator * numerator` fit 63 bits.
    """
    return value // denominator * numerator + value % denominator * numerator // denominator


@rule
def with_intent(intents: Intents, intent: Intent) -> Intents:
    """`intents` with one more at the end. An eighth is a broken invariant."""
    assert intents.number < 7
    n = intents.number
    items = intents.items
    return Intents(
        n + 1,
        (
            intent if n == 0 else items[0],
            intent if n == 1 else items[1],
            intent if n == 2 else items[2],
            intent if n == 3 else items[3],
            intent if n == 4 else items[4],
            intent if n == 5 else items[5],
            intent if n == 6 else items[6],
        ),
    )


def client_order_id(strategy: str, instrument: str, signal_at: int, role: int, revision: int = 0) -> str:
    """The one id an intent has, for ever: a restarted process proposes the same intent, not a similar one (I11).

    `slw-` and 96 bits of SHA-256 in hex, 28 characters: inside the venue's 100, and a prefix to know our own by.
    """
    text = f"{strategy}|{instrument}|{signal_at}|{Role(role).name}|{revision}"
    return "slw-" + hashlib.sha256(text.encode()).hexdigest()[:24]
