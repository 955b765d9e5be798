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
* Orders fill whole. Stops slip like market orders. Targets fill at their limit, after a gap past it too: whether the
  better open was there for us, a candle does not say. All but limit entries pay the taker fee; there is no funding.
* Instruments that close together move together: first all opens, then what happens inside the candles, then all
  closes, each in the order of the instruments, then all signals, in the order of their scores.

`advance` is that story once, over plain tuples and lists. `Simulator` steps it, interpreted, for a session; `fold`
compiles it and runs it over whole tables for a backtest. Prices in ticks, quantities in lots, money in 1e-8 USD.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from exchange.bars import AT_OPEN, CLOSED, fill_event, fill_row, next_role
from exchange.book import NO_ORDER, NO_ORDERS, Book, Order, changed
from exchange.rows import (
    NO_FILL,
    NO_VERDICT,
    NOBODY,
    Candle,
    Costs,
    Fill,
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


class Moment(NamedTuple):
    """What happened in one `Simulator.advance`, in order."""

    taken: tuple[tuple[Event, Intents], ...]
    fills: tuple[Fill, ...]
    decisions: tuple[Verdict, ...]
    account: Account


class Simulator:
    """The interpreted way: one close at a time, with all events and intents handed back for the journal."""

    def __init__(self, rules: Sequence[Rules], costs: Costs, account: Account) -> None:
        count = len(rules)
        self.account = account
        self._costs = costs
        self._world = World(
            list(rules), [FLAT] * count, [NO_ORDERS] * count, [], [], [], True, np.empty((1, 2), np.int64)
        )

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The trades as they stand, by instrument."""
        return tuple(self._world.slots)

    def advance(
        self, candles: Sequence[Candle], signals: Sequence[Signal] = (), commands: Sequence[Command] = ()
    ) -> Moment:
        """Go on by the candles of one close, in the order of their instruments, and the signals known by then.

        A person's `commands` are heard at the close, after its signals, by every instrument.
        """
        closed_at = candles[0].closed_at
        assert all(candle.closed_at == closed_at for candle in candles), "candles of different closes"
        assert all(signal.known_at <= closed_at for signal in signals), "a signal that nobody can know yet"
        world = self._world
        self.account, _ = advance(self.account, world, self._costs, candles, signals)
        for command in commands:
            self.account = obeyed(self.account, world, command, closed_at)
        moment = Moment(tuple(world.taken), tuple(world.fills), tuple(world.decisions), self.account)
        for done in (world.taken, world.fills, world.decisions):
            done.clear()
        return moment


def fold(
    account: Account, rules: Table, costs: Costs, candles: Table, signals: Table
) -> tuple[Account, Table, Table, Table]:
    """The compiled way: all candles (by close, then instrument) and all signals (by known, then instrument).

    `rules` has a row per instrument. Returns the account at the end, and the tables of fills, decisions and
    valuations. A position that the data ends on stays open in them.
    """
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
    )
    account, closes = advance(account, world, costs, candles, signals)
    fills = table_of(world.fills, len(NO_FILL))
    return account, fills, table_of(world.decisions, len(NO_VERDICT)), world.equity[:closes]


@story
def advance(account: Account, world: World, costs: Costs, candles: Rows, signals: Rows) -> tuple[Account, int]:
    """Live through `candles` and `signals`, both in order of time, close by close; the account, and how many closes."""
    rules, slots, books, equity = world.rules, world.slots, world.books, world.equity
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
                role = next_role(books[k], candle, stage)
                while role != 0:
                    book = books[k]
                    event = fill_event(role, book[role], slots[k], candle, stage, costs, rules[k])
                    slot = slots[k]
                    account = take(account, world, event)
                    world.fills.append(fill_row(event, slot, book, books[k], candle, rules[k]))
                    role = next_role(books[k], candle, stage)
        if resting and entering:
            account, entering = expired(account, world, closed_at)

        for row in range(candle_row, candle_end):
            event = candle_event(candle_of(candles[row]))
            k = event.instrument
            if slots[k].phase == Phase.FLAT:
                continue  # nothing is held and nothing is on its way: there is nothing to mark
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
        expires_at = world.books[k][Role.ENTRY.value].expires_at if answer == Decision.ENTERED else 0
        world.decisions.append(Verdict(candle.closed_at, k, event.signal_at, event.side, answer, lost_to, expires_at))
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
    )


@routine
def fits(state: State, event: Event, rules: Rules) -> bool:
    """Whether a signal would be taken in this state."""
    return refusal(roll_day(state, event), event, rules) == 0


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
    if world.journaling:
        world.taken.append((event, intents))
    return state.account


@rule
def candle_event(candle: Candle) -> Event:
    """The candle as the rules see it."""
    return NO_EVENT._replace(
        kind=EventKind.CANDLE, at=candle.closed_at, instrument=candle.instrument, price=candle.close
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
