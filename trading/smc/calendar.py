"""Days, weeks and sessions, by the UTC open of a candle."""

from trading.compiled import on_records
from trading.model import DAY_US
from trading.smc.layout import ASIA, LONDON, NEW_YORK, Candle, Core, Row, Session, State

FIRST_MONDAY = 4  # 5 January 1970, in days
DAYS_OF_WEEK = 7


@on_records
def turn_pages(state: State, candle: Candle, row: Row) -> None:
    """Levels of the day and the week before, and of the sessions."""
    core: Core = state.core[0]
    day = candle.opened_at // DAY_US
    turn_day(core, day, candle)
    turn_week(core, (day - FIRST_MONDAY) // DAYS_OF_WEEK, candle)
    row.previous_day_high = core.previous_day_high
    row.previous_day_low = core.previous_day_low
    row.previous_week_high = core.previous_week_high
    row.previous_week_low = core.previous_week_low
    for which in range(3):
        if attend(state.sessions[which], candle):
            row.session |= 1 << which
    row.asia_high, row.asia_low = levels(state.sessions[ASIA])
    row.london_high, row.london_low = levels(state.sessions[LONDON])
    row.new_york_high, row.new_york_low = levels(state.sessions[NEW_YORK])


@on_records
def turn_day(core: Core, day: int, candle: Candle) -> None:
    """A day that is over becomes the previous one."""
    if day != core.day:
        core.previous_day_high = core.day_high
        core.previous_day_low = core.day_low
        core.day, core.day_high, core.day_low = day, candle.high, candle.low
    core.day_high = max(core.day_high, candle.high)
    core.day_low = min(core.day_low, candle.low)


@on_records
def turn_week(core: Core, week: int, candle: Candle) -> None:
    """A week that is over becomes the previous one."""
    if week != core.week:
        core.previous_week_high = core.week_high
        core.previous_week_low = core.week_low
        core.week, core.week_high, core.week_low = week, candle.high, candle.low
    core.week_high = max(core.week_high, candle.high)
    core.week_low = min(core.week_low, candle.low)


@on_records
def attend(session: Session, candle: Candle) -> bool:
    """Whether the candle opens inside the session; if so it counts for its high and low."""
    since_start = candle.opened_at - session.start_us
    if since_start % DAY_US >= session.length_us:
        return False
    if since_start // DAY_US != session.number:
        session.number = since_start // DAY_US
        session.high, session.low = candle.high, candle.low
    session.high = max(session.high, candle.high)
    session.low = min(session.low, candle.low)
    return True


@on_records
def levels(session: Session) -> tuple[float, float]:
    """High and low."""
    return session.high, session.low
