"""What keeps us from trading: one small function per reason, each before the order, never after (I22)."""

from trading.compiled import rule
from trading.model import PPM, Command, Decision, Event, EventKind, Phase, Rules, State, equity_e8, scaled
from trading.rules.sizing import lots_for


@rule
def refusal(state: State, event: Event, rules: Rules) -> int:
    """The first guard that says no to a signal, as a Decision; NONE when all agree."""
    return (
        in_position(state)
        or stale(state, event)
        or late(event, rules)
        or halted(state)
        or daily_loss(state, rules)
        or max_positions(state, rules)
        or cooldown(state, event)
        or no_stop(event)
        or below_minimum(state, event, rules)
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
def max_positions(state: State, rules: Rules) -> int:
    """Positions held and on their way, over all instruments."""
    return 0 if state.account.open_positions < rules.max_positions else Decision.MAX_POSITIONS.value


@rule
def cooldown(state: State, event: Event) -> int:
    """A pause after each exit, per instrument."""
    return 0 if event.at >= state.slot.cooldown_until else Decision.COOLDOWN.value


@rule
def no_stop(event: Event) -> int:
    """No trade without a stop, or with one that no price above zero could hold (I06, I49)."""
    return 0 if 0 < event.stop_distance < event.price else Decision.NO_STOP.value


@rule
def below_minimum(state: State, event: Event, rules: Rules) -> int:
    """Too small for the venue is no order, said once (I24)."""
    return 0 if lots_for(state, event, rules) >= rules.minimum_lots else Decision.BELOW_MINIMUM.value


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
