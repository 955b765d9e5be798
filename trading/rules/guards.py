"""What keeps us from trading: one small function per reason, each before the order, never after (I22)."""

from trading.compiled import routine, rule
from trading.model import BUCKET_BASE, PPM, Command, Decision, Event, EventKind, Phase, Rules, State, equity_e8, scaled
from trading.rules.accounting import margin_e8, notional_e8
from trading.rules.sizing import asked_price


@routine
def refusal(state: State, event: Event, lots: int, rules: Rules) -> int:
    """The first guard that says no to a signal that would trade so many lots, as a Decision; NONE when all agree.

    Compiled once and called: signals are rare.
    """
    return (
        in_position(state)
        or stale(state, event)
        or late(event, rules)
        or stopped(state, event, rules)
        or max_positions(state, rules)
        or correlation(state, event, rules)
        or cooldown(state, event)
        or no_stop(event)
        or below_minimum(lots, rules)
        or margin(state, event, lots, rules)
        or exposure(state, event, lots, rules)
        or collateral(state, event, lots, rules)
        or liquidation(state, event, lots, rules)
    )


@rule
def in_position(state: State) -> int:
    """One position per instrument; one in flight is one."""
    return 0 if state.slot.phase == Phase.FLAT else Decision.IN_POSITION.value


@rule
def stale(state: State, event: Event) -> int:
    """A signal trades once (I11), and none that is older than the last trade's."""
    return 0 if event.signal_at > state.slot.signal_at else Decision.STALE.value


@rule
def late(event: Event, rules: Rules) -> int:
    """A signal is about the market at its close: over a longer gap than an entry may wait, it has expired."""
    return 0 if event.at <= event.due_at + rules.max_entry_delay_us else Decision.EXPIRED.value


@rule
def halted(state: State) -> int:
    """A person, or the drawdown limit, stopped entries until a person resumes: the reason is the answer."""
    return state.account.halted


@rule
def daily_loss(state: State, rules: Rules) -> int:
    """Once the day's lowest equity was the limit below its first, entries wait for 00:00 UTC (I26)."""
    account = state.account
    limit = scaled(account.day_start_e8, rules.max_daily_loss_ppm, PPM)
    return 0 if account.day_start_e8 - account.day_low_e8 < limit else Decision.DAILY_LOSS.value


@rule
def loss_streak(state: State, event: Event, rules: Rules) -> int:
    """A pause of all instruments after so many losses in a row."""
    return Decision.LOSS_STREAK.value if rules.max_losses > 0 and event.at < state.account.paused_until else 0


@rule
def max_positions(state: State, rules: Rules) -> int:
    """Positions held and on their way, over all instruments."""
    return 0 if state.account.open_positions < rules.max_positions else Decision.MAX_POSITIONS.value


@rule
def correlation(state: State, event: Event, rules: Rules) -> int:
    """What moves together is one risk: so many positions on one side of a bucket, held and on their way."""
    if rules.max_bucket_positions == 0 or rules.bucket_unit == 0:
        return 0
    buckets = state.account.long_buckets if event.side > 0 else state.account.short_buckets
    taken = buckets // rules.bucket_unit % BUCKET_BASE
    return 0 if taken < rules.max_bucket_positions else Decision.CORRELATION.value


@rule
def cooldown(state: State, event: Event) -> int:
    """A pause after each exit, per instrument."""
    return 0 if event.at >= state.slot.cooldown_until else Decision.COOLDOWN.value


@rule
def no_stop(event: Event) -> int:
    """No trade without a stop, or with one that no price above zero could hold (I06, I49)."""
    return 0 if 0 < event.stop_distance < asked_price(event) else Decision.NO_STOP.value


@rule
def below_minimum(lots: int, rules: Rules) -> int:
    """Too small for the venue is no order, said once (I24)."""
    return 0 if lots >= rules.minimum_lots else Decision.BELOW_MINIMUM.value


@rule
def margin(state: State, event: Event, lots: int, rules: Rules) -> int:
    """All positions, held and on their way (I10), and this one, are worth at most so much of equity."""
    held = state.account.long_notional_e8 + state.account.short_notional_e8
    return 0 if affords(held, asked_e8(event, lots, rules), rules.max_leverage_ppm, state) else Decision.MARGIN.value


@rule
def exposure(state: State, event: Event, lots: int, rules: Rules) -> int:
    """The same of one side by itself."""
    account = state.account
    held = account.long_notional_e8 if event.side > 0 else account.short_notional_e8
    return 0 if affords(held, asked_e8(event, lots, rules), rules.max_side_ppm, state) else Decision.EXPOSURE.value


@rule
def collateral(state: State, event: Event, lots: int, rules: Rules) -> int:
    """The venue asks for margin to enter: what it would refuse is not sent."""
    needed = state.account.initial_e8 + margin_e8(asked_e8(event, lots, rules), rules.initial_ppm)
    return 0 if rules.initial_ppm == 0 or needed <= equity_e8(state.account) else Decision.MARGIN.value


@rule
def liquidation(state: State, event: Event, lots: int, rules: Rules) -> int:
    """A stop that the account does not live to see protects nothing: after its loss, equity must still hold all
    positions, and this one, with something to spare."""
    if rules.maintenance_ppm == 0:
        return 0
    equity = equity_e8(state.account)
    left = equity - notional_e8(event.stop_distance, lots, rules)
    held = state.account.maintenance_e8 + margin_e8(asked_e8(event, lots, rules), rules.maintenance_ppm)
    return 0 if left - held >= scaled(equity, rules.liquidation_buffer_ppm, PPM) else Decision.LIQUIDATION.value


@rule
def asked_e8(event: Event, lots: int, rules: Rules) -> int:
    """Value of an entry at the price that it asks for."""
    return notional_e8(asked_price(event), lots, rules)


@rule
def affords(held_e8: int, asked: int, limit_ppm: int, state: State) -> bool:
    """Whether what is held, with this entry as it would be sized, is within a share of equity; 0 is no limit.

    Refused rather than cut down: a smaller position than the rules size is another trade.
    """
    if limit_ppm == 0:
        return True
    return held_e8 + asked <= scaled(equity_e8(state.account), limit_ppm, PPM)


@rule
def watch_limits(state: State, rules: Rules) -> State:
    """Follow the equity's highest and the day's lowest point; halt entries at the drawdown limit."""
    equity = equity_e8(state.account)
    peak = max(state.account.peak_e8, equity)
    account = state.account._replace(peak_e8=peak, day_low_e8=min(state.account.day_low_e8, equity))
    if account.halted == 0 and peak - equity >= scaled(peak, rules.max_drawdown_ppm, PPM):
        account = account._replace(halted=Decision.DRAWDOWN)
    return state._replace(account=account)


@rule
def call_off(state: State, event: Event, rules: Rules) -> State:
    """Take back, at a close, what has not filled of an entry once entries have stopped: its market may come long after
    the guards that let it pass (I22)."""
    if event.kind != EventKind.CANDLE or state.slot.phase != Phase.ENTERING:
        return state
    if stopped(state, event, rules) == 0:
        return state
    return state._replace(slot=state.slot._replace(phase=Phase.OPEN))


@rule
def stopped(state: State, event: Event, rules: Rules) -> int:
    """Why nobody may enter at all, as a Decision; NONE while entries go on."""
    return halted(state) or daily_loss(state, rules) or loss_streak(state, event, rules)


@rule
def obey(state: State, event: Event) -> State:
    """Halt or resume at a person's word. Resuming after a drawdown measures the next one from here."""
    if event.kind != EventKind.COMMAND:
        return state
    account = state.account
    if event.reason == Command.HALT:
        return state._replace(account=account._replace(halted=Decision.HALTED))
    if event.reason != Command.RESUME:
        return state
    peak = equity_e8(account) if account.halted == Decision.DRAWDOWN else account.peak_e8
    return state._replace(account=account._replace(halted=0, peak_e8=peak))
