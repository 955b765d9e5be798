"""An exchange in memory, at bar resolution: candles only, pessimistic, fast.

What it assumes, in every mode:

* A signal is acted on at the first close at which it is known. Its market entry fills at the next candle's open,
  `latency_us` after the later of that open and the moment it was sent, slipped. If that close or that open comes
  later than the rules allow, the signal has expired: it was about another market. Exits wait as long as it takes.
* Then stop and targets may trade in that very candle. A candle does not say when, so such a fill bears the candle's
  last microsecond; so does the end of an entry that found no open in time. When stop and target both lie inside a
  candle the stop comes first, and the fill is marked ambiguous; a target that the open has already passed is certain,
  and comes before. A stop that a target's fill has moved is met if any of that candle's range lies there, whichever
  came first: ambiguous, unless the close lies beyond it.
* An entry with a limit rests until it expires. It fills at its limit, for the maker's fee, in a candle that trades
  through it by a tick; or that opens beyond it, at that open's time: for the taker's fee if it was sent only then.
  Inside its candle it fills on the way to the low (of a short: to the high), so what lies beyond its stop is met after
  it; a target only by the close. It is taken back at its instrument's first close that knows that a limit on losses
  has stopped entries.
* Stops slip like market orders, and both cross half the spread; slippage grows with the candle's range and with the
  order's share of its volume. Targets fill at their limit, after a gap past it too: whether the better open was there
  for us, a candle does not say. All but limit entries pay the taker fee.
* Orders fill whole, but an entry takes at most so much of its candle's volume: the rest is called off, of one that
  rested too. What must out gets out, for its price.
* Stops wait for the mark price, and trade where the trades were: not outside the candle, and as much further than the
  mark as trades have gone in it. The close that equity is valued at is the mark's.
* Funding accrues at each hour's rate; it is paid before each fill, and at the first close since an hour has ended.
* A position is liquidated inside a candle whose mark goes to where equity is below the maintenance margin, the other
  instruments standing where they were: before the stop where that is further away. Where several have moved together,
  and the close finds the account below it, the next candle's open is the end.
* Instruments that close together move together: first all opens, then what happens inside the candles, then all
  closes, each in the order of the instruments, then all signals, in the order of their scores.

`advance` is that story once, over plain tuples and lists. `Simulator` steps it, interpreted, for a session; `fold`
compiles it and runs it over whole tables for a backtest. Prices in ticks, quantities in lots, money in 1e-8 USD.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from exchange.bars import (
    AT_OPEN,
    CLOSED,
    fill_event,
    fill_row,
    fillable_lots,
    fills_at,
    liquidated,
    next_role,
    order_of,
)
from exchange.book import NO_ORDER, NO_ORDERS, Book, Order, changed
from exchange.funding import HOUR_US, owed_e8, rates_behind, with_rates
from exchange.liquidation import liquidation_order
from exchange.rows import (
    NO_CANDLE,
    NO_ENDING,
    NO_FILL,
    NO_FUNDING,
    NO_PAYMENT,
    NO_VERDICT,
    NOBODY,
    Candle,
    Costs,
    Ending,
    Fill,
    Funding,
    Payment,
    Rate,
    Rows,
    Signal,
    Table,
    Verdict,
    candle_of,
    rules_of,
    signal_of,
    table_of,
)
from trading.compiled import routine, rule, story
from trading.model import (
    FLAT,
    NO_EVENT,
    NO_INTENTS,
    Account,
    Command,
    Decision,
    Event,
    EventKind,
    Intents,
    Phase,
    Role,
    Rules,
    Slot,
    State,
    equity_e8,
)
from trading.rules.accounting import roll_day
from trading.rules.guards import refusal, stopped
from trading.rules.sizing import lots_for
from trading.step import step


class World(NamedTuple):
    """All that changes while time goes by, but the account. Lists and an array, changed in place."""

    rules: list[Rules]  # by instrument, as are the next two
    slots: list[Slot]
    books: list[Book]
    fills: list[Fill]  # in the order in which they happened, as are the next two
    decisions: list[Verdict]
    taken: list[tuple[Event, Intents]]  # every event and its intents, if `journaling`
    journaling: bool
    equity: Table  # columns of `Valuation`, a row per close; long enough
    funding: Funding
    paid_until: list[int]  # by instrument: until when a position has paid for being held
    payments: list[Payment]
    endings: list[Ending]


class Moment(NamedTuple):
    """What happened in one `Simulator.advance`, in order."""

    taken: tuple[tuple[Event, Intents], ...]
    fills: tuple[Fill, ...]
    decisions: tuple[Verdict, ...]
    payments: tuple[Payment, ...]
    rates: tuple[Rate, ...]  # that the payments were made at
    endings: tuple[Ending, ...]
    account: Account


class Simulator:
    """The interpreted way: one close at a time, with all events and intents handed back for the journal."""

    def __init__(self, rules: Sequence[Rules], costs: Costs, account: Account, funding: Funding = NO_FUNDING) -> None:
        count = len(rules)
        self.account = account
        self._costs = costs
        valuations = np.empty((1, 2), np.int64)
        self._world = World(
            list(rules), [FLAT] * count, [NO_ORDERS] * count, [], [], [], True, valuations, funding, [0] * count, [], []
        )

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The trades as they stand, by instrument."""
        return tuple(self._world.slots)

    def advance(
        self,
        candles: Sequence[Candle],
        signals: Sequence[Signal] = (),
        commands: Sequence[Command] = (),
        rates: Sequence[Rate] = (),
    ) -> Moment:
        """Go on by the candles of one close, in the order of their instruments, and the signals known by then.

        A person's `commands` are heard at the close, after its signals, by every instrument. `rates` stand in for those
        that the simulator was made with: what was paid once stays what it was, whatever is told of it later.
        """
        closed_at = candles[0].closed_at
        assert all(candle.closed_at == closed_at for candle in candles), "candles of different closes"
        assert all(signal.known_at <= closed_at for signal in signals), "a signal that nobody can know yet"
        if rates:
            funding = with_rates(self._world.funding, rates, len(self._world.rules))
            self._world = self._world._replace(funding=funding)
        world = self._world
        self.account, _ = advance(self.account, world, self._costs, candles, signals)
        for command in commands:
            self.account = obeyed(self.account, world, command, closed_at)
        moment = Moment(
            tuple(world.taken),
            tuple(world.fills),
            tuple(world.decisions),
            tuple(world.payments),
            rates_behind(world.funding, world.payments),
            tuple(world.endings),
            self.account,
        )
        for done in (world.taken, world.fills, world.decisions, world.payments, world.endings):
            done.clear()
        return moment


def fold(
    account: Account, rules: Table, costs: Costs, candles: Table, signals: Table, funding: Funding
) -> tuple[Account, Table, Table, Table, Table, Table]:
    """The compiled way: all candles (by close, then instrument) and all signals (by known, then instrument).

    `rules` has a row per instrument. Returns the account at the end, and the tables of fills, decisions, valuations,
    payments and endings. A position that the data ends on stays open in them.
    """
    assert candles.shape[1] == len(NO_CANDLE)  # machine code would read on in the next row
    assert covers(funding, candles)
    count = len(rules)
    world = World(
        [rules_of(rules[k]) for k in range(count)],
        [FLAT for _ in range(count)],
        [NO_ORDERS for _ in range(count)],
        [NO_FILL for _ in range(0)],
        [NO_VERDICT for _ in range(0)],
        [(NO_EVENT, NO_INTENTS) for _ in range(0)],
        False,
        np.empty((len(candles), 2), np.int64),
        funding,
        [0 for _ in range(count)],
        [NO_PAYMENT for _ in range(0)],
        [NO_ENDING for _ in range(0)],
    )
    account, closes = advance(account, world, costs, candles, signals)
    fills, decisions = table_of(world.fills, len(NO_FILL)), table_of(world.decisions, len(NO_VERDICT))
    payments, endings = table_of(world.payments, len(NO_PAYMENT)), table_of(world.endings, len(NO_ENDING))
    return account, fills, decisions, world.equity[:closes], payments, endings


@story
def advance(account: Account, world: World, costs: Costs, candles: Rows, signals: Rows) -> tuple[Account, int]:
    """Live through `candles` and `signals`, both in order of time, close by close; the account, and how many closes."""
    rules, slots, books, equity, paid_until = world.rules, world.slots, world.books, world.equity, world.paid_until
    candle_row, signal_row, closes, entering = 0, 0, 0, True
    while candle_row < len(candles):
        closed_at = candles[candle_row][2]
        candle_end, signal_end = candle_row + 1, signal_row
        while candle_end < len(candles) and candles[candle_end][2] == closed_at:
            candle_end += 1
        while signal_end < len(signals) and signals[signal_end][2] <= closed_at:
            signal_end += 1

        resting = account.open_positions > 0
        for stage in range(AT_OPEN if resting else CLOSED, CLOSED):
            for row in range(candle_row, candle_end):
                candle = candle_of(candles[row])
                k = candle.instrument
                liquidation = liquidation_order(account, slots[k], candle, rules[k])
                if next_role(books[k], candle, stage, liquidation) != 0:
                    account = traded(account, world, costs, candle, stage)
        if resting and entering:
            account, entering = expired(account, world, closed_at)

        for row in range(candle_row, candle_end):
            event = candle_event(candle_of(candles[row]))
            k = event.instrument
            if slots[k].phase == Phase.FLAT:
                continue  # nothing is held and nothing is on its way: there is nothing to mark
            if closed_at // HOUR_US > paid_until[k] // HOUR_US:
                account = funded(account, world, k, closed_at)
            state, intents = step(State(account, slots[k]), event, rules[k])
            account, slots[k] = state.account, state.slot
            entry = books[k][Role.ENTRY.value]
            if intents.number > 0:
                books[k] = changed(books[k], event, intents)
            if world.journaling:
                world.taken.append((event, intents))
            if entry.lots > 0 and books[k][Role.ENTRY.value].lots == 0:  # called off: nothing is on its way any more
                account = take(account, world, cancelled_event(entry, k, closed_at, stopped(state, event, rules[k])))

        if signal_end > signal_row:
            account = decided(account, world, signals, signal_row, signal_end, candle_of(candles[candle_row]))

        equity[closes, 0] = closed_at
        equity[closes, 1] = equity_e8(account)
        entering = entering or signal_end > signal_row
        candle_row, signal_row, closes = candle_end, signal_end, closes + 1
    return account, closes


@routine
def traded(account: Account, world: World, costs: Costs, candle: Candle, stage: int) -> Account:
    """Let trade what trades in this stage of a candle, one order after the other."""
    k = candle.instrument
    liquidation = liquidation_order(account, world.slots[k], candle, world.rules[k])
    role = next_role(world.books[k], candle, stage, liquidation)
    while role != 0:
        book, rules = world.books[k], world.rules[k]
        order = order_of(role, book, liquidation)
        at = fills_at(order, candle, stage, costs)
        account = funded(account, world, k, at)
        slot = world.slots[k]
        lots = fillable_lots(role, order, slot, candle, costs)
        if lots >= rules.minimum_lots or role != Role.ENTRY:
            event = fill_event(role, order, lots, candle, stage, costs, rules)
            if role == Role.LIQUIDATION:
                event = liquidated(event, account, slot, costs, rules)
            account = take(account, world, event)
            world.fills.append(fill_row(event, order, slot, book, world.books[k], candle, costs, rules))
        else:
            lots = 0
        if role == Role.ENTRY and lots < order.lots:
            rest = order._replace(lots=order.lots - lots)
            account = take(account, world, cancelled_event(rest, k, at, Decision.THIN.value))
        liquidation = liquidation_order(account, world.slots[k], candle, rules)
        role = next_role(world.books[k], candle, stage, liquidation)
    return account


@routine
def funded(account: Account, world: World, instrument: int, at: int) -> Account:
    """Pay for what has been held since it was paid for last."""
    since, slot = world.paid_until[instrument], world.slots[instrument]
    world.paid_until[instrument] = at
    if slot.lots == 0 or world.funding.rates.shape[1] == 0:
        return account
    owed = owed_e8(world.funding, instrument, slot, since, at)
    world.payments.append(
        Payment(at, since, instrument, slot.signal_at, owed)
    )  # of nothing too: its rate was asked for
    if owed == 0:
        return account
    event = NO_EVENT._replace(
        kind=EventKind.FUNDING, at=at, instrument=instrument, amount_e8=owed, signal_at=slot.signal_at
    )
    return take(account, world, event)


@story
def decided(account: Account, world: World, signals: Rows, first: int, end: int, candle: Candle) -> Account:
    """Answer the signals of one close, the best first: where there is no room for all, it is theirs.

    Whoever would have been taken but for those before says who had the last of the room.
    """
    before, last_entered = account, NOBODY
    for row in ranked(signals, first, end):
        event = signal_event(signal_of(signals[row]), candle)
        k = event.instrument
        slot = world.slots[k]
        account = take(account, world, event)
        answer = world.slots[k].decision
        outbid = last_entered != NOBODY and is_no_room(answer) and fits(State(before, slot), event, world.rules[k])
        lost_to = last_entered if outbid else NOBODY
        world.decisions.append(Verdict(candle.closed_at, k, event.signal_at, event.side, answer, lost_to))
        last_entered = k if answer == Decision.ENTERED else last_entered
    return account


@routine
def ranked(signals: Rows, first: int, end: int) -> list[int]:
    """The rows from `first` to `end` in the order in which they are decided, whatever order they are given in."""
    order = list(range(first, end))
    for n in range(1, len(order)):
        row, place = order[n], n
        while place > 0 and is_ahead(signal_of(signals[row]), signal_of(signals[order[place - 1]])):
            order[place] = order[place - 1]
            place -= 1
        order[place] = row
    return order


@rule
def is_ahead(signal: Signal, other: Signal) -> bool:
    """The higher score; of equals the first instrument, of its signals the older."""
    if signal.score != other.score:
        return signal.score > other.score
    if signal.instrument != other.instrument:
        return signal.instrument < other.instrument
    return signal.signal_at < other.signal_at


@rule
def is_no_room(decision: int) -> bool:
    """Whether a signal was refused for what is held or on its way elsewhere."""
    return (
        decision == Decision.MAX_POSITIONS
        or decision == Decision.CORRELATION
        or decision == Decision.MARGIN
        or decision == Decision.EXPOSURE
        or decision == Decision.LIQUIDATION
    )


@routine
def fits(state: State, event: Event, rules: Rules) -> bool:
    """Whether a signal would be taken in this state."""
    state = roll_day(state, event)
    return refusal(state, event, lots_for(state, event, rules), rules) == 0


@routine
def expired(account: Account, world: World, closed_at: int) -> tuple[Account, bool]:
    """Cancel the entries that no candle up to this close opened early enough for; and whether one still waits."""
    waiting = False
    for k in range(len(world.books)):
        entry = world.books[k][Role.ENTRY.value]
        if entry.lots == 0:
            continue
        if 0 < entry.expires_at < closed_at:
            account = take(account, world, cancelled_event(entry, k, closed_at - 1, Decision.EXPIRED.value))
        else:
            waiting = True
    return account, waiting


def obeyed(account: Account, world: World, command: Command, at: int) -> Account:
    """Tell every instrument a person's word; an entry that is called off is gone at once."""
    for k in range(len(world.books)):
        entry = world.books[k][Role.ENTRY]
        account = take(account, world, NO_EVENT._replace(kind=EventKind.COMMAND, at=at, instrument=k, reason=command))
        if entry.lots > 0 and world.books[k][Role.ENTRY] == NO_ORDER:
            account = take(account, world, cancelled_event(entry, k, at, Decision.NONE.value))
    return account


@rule
def covers(funding: Funding, candles: Table) -> bool:
    """Whether there is a rate for every hour of the candles, or no rate at all."""
    hours = funding.rates.shape[1]
    if hours == 0 or len(candles) == 0:
        return True
    first, last = candles[0, 1] // HOUR_US, (candles[-1, 2] - 1) // HOUR_US
    return bool(funding.first_hour <= first and last < funding.first_hour + hours)


@rule
def cancelled_event(entry: Order, instrument: int, at: int, reason: int) -> Event:
    """The end of an entry that has not filled."""
    return NO_EVENT._replace(
        kind=EventKind.CANCELLED,
        at=at,
        instrument=instrument,
        role=Role.ENTRY,
        lots=entry.lots,
        signal_at=entry.signal_at,
        reason=reason,
    )


@routine
def take(account: Account, world: World, event: Event) -> Account:
    """Show the rules an event, and the venue their intents."""
    k = event.instrument
    state, intents = step(State(account, world.slots[k]), event, world.rules[k])
    world.slots[k] = state.slot
    world.books[k] = changed(world.books[k], event, intents)
    if event.kind == EventKind.CANCELLED:
        world.endings.append(Ending(event.at, k, event.signal_at, event.reason))
    if world.journaling:
        world.taken.append((event, intents))
    return state.account


@rule
def candle_event(candle: Candle) -> Event:
    """The candle as the rules see it: positions are valued at the mark."""
    return NO_EVENT._replace(
        kind=EventKind.CANDLE, at=candle.closed_at, instrument=candle.instrument, price=candle.mark_close
    )


@rule
def signal_event(signal: Signal, candle: Candle) -> Event:
    """The signal as the rules see it at the close of `candle`, when it is acted on.

    It was due at the first close of the candles' grid since it was known: as long before as whole candles fit between.
    """
    width = candle.closed_at - candle.opened_at
    missing = (candle.closed_at - signal.known_at) // width
    return NO_EVENT._replace(
        kind=EventKind.SIGNAL,
        at=candle.closed_at,
        instrument=signal.instrument,
        side=signal.side,
        price=signal.price,
        signal_at=signal.signal_at,
        stop_distance=signal.stop_distance,
        target_1_distance=signal.target_1_distance,
        target_2_distance=signal.target_2_distance,
        target_3_distance=signal.target_3_distance,
        target_4_distance=signal.target_4_distance,
        score=signal.score,
        entry_distance=signal.entry_distance,
        due_at=candle.closed_at - missing * width,
    )
