"""The rules by example, continued: a stop that follows its trade, and a trade whose time is over.

The numbers are those of `test_step_golden`: 100 lots from 10,000, the stop 100 ticks away, a tick is 1 USD.
"""

import pytest
from test_step_golden import (
    HOUR,
    LONG,
    NOON,
    RULES,
    SHORT,
    START,
    cancelled,
    candle,
    command,
    entered,
    fill,
    happened,
    refused,
    signal,
)

from trading.model import Command, Phase, Role

OFF = RULES
BREAK_EVEN = RULES._replace(break_even=1)
TRAILING = RULES._replace(trailing_ppm=1_500_000)  # 150 ticks behind each close
TIMED = RULES._replace(max_holding_us=2 * HOUR)
LADDER = (200, 300, 400)

FOLLOWED = {
    # --- break-even
    "the stop stays when nobody asked": (
        OFF, [*entered(targets=LADDER), fill(Role.TARGET_1, 33, 10_200)], ["edit stop sell 67 at 9900"],
    ),
    "the first target brings the stop to the entry": (
        BREAK_EVEN, [*entered(targets=LADDER), fill(Role.TARGET_1, 33, 10_200)], ["edit stop sell 67 at 10000"],
    ),
    "… a short's too": (
        BREAK_EVEN, [*entered(side=SHORT, targets=LADDER), fill(Role.TARGET_1, 33, 9_800, side=SHORT)],
        ["edit stop buy 67 at 10000"],
    ),
    "half a target is no target": (
        BREAK_EVEN, [*entered(targets=LADDER), fill(Role.TARGET_1, 20, 10_200)], ["edit stop sell 80 at 9900"],
    ),
    "its other half is": (
        BREAK_EVEN,
        [*entered(targets=LADDER), fill(Role.TARGET_1, 20, 10_200), fill(Role.TARGET_1, 13, 10_200)],
        ["edit stop sell 67 at 10000"],
    ),
    "the second one changes its lots and nothing else": (
        BREAK_EVEN,
        [*entered(targets=LADDER), fill(Role.TARGET_1, 33, 10_200), fill(Role.TARGET_2, 33, 10_300)],
        ["edit stop sell 34 at 10000"],
    ),
    "the entry is the average, for a long up to the next tick (I25)": (
        BREAK_EVEN,
        [signal(targets=LADDER), fill(Role.ENTRY, 99, 10_000), fill(Role.ENTRY, 1, 10_001),
         fill(Role.TARGET_1, 33, 10_201)],
        ["edit stop sell 67 at 10001"],
    ),
    "… for a short down (I25)": (
        BREAK_EVEN,
        [signal(SHORT, targets=LADDER), fill(Role.ENTRY, 99, 10_000, side=SHORT),
         fill(Role.ENTRY, 1, 9_999, side=SHORT), fill(Role.TARGET_1, 33, 9_799, side=SHORT)],
        ["edit stop buy 67 at 9999"],
    ),
    "with the last target the trade is over": (
        BREAK_EVEN, [*entered(), fill(Role.TARGET_1, 100, 10_200)], ["cancel stop"],
    ),
    "what the entry has not filled by then is called off (I06)": (
        BREAK_EVEN, [signal(targets=(200, 300)), fill(Role.ENTRY, 40, 10_000), fill(Role.TARGET_1, 20, 10_200)],
        ["edit stop sell 20 at 10000", "cancel entry"],
    ),
    "… whether the stop moves or not": (
        OFF, [signal(targets=(200, 300)), fill(Role.ENTRY, 40, 10_000), fill(Role.TARGET_1, 20, 10_200)],
        ["edit stop sell 20 at 9900", "cancel entry"],
    ),
    "… not yet when half a target has filled": (
        OFF, [signal(targets=(200, 300)), fill(Role.ENTRY, 40, 10_000), fill(Role.TARGET_1, 10, 10_200)],
        ["edit stop sell 30 at 9900"],
    ),
    "… and lots that filled meanwhile at the venue are protected": (
        BREAK_EVEN,
        [signal(targets=(200, 300)), fill(Role.ENTRY, 40, 10_000), fill(Role.TARGET_1, 20, 10_200),
         fill(Role.ENTRY, 10, 10_000)],
        ["edit stop sell 30 at 10000", "place target_1 sell 15 at 10200", "edit target_2 sell 15 at 10300"],
    ),
    "on the way out the stop stays where it is": (
        BREAK_EVEN,
        [*entered(targets=LADDER), command(Command.FLATTEN), fill(Role.TARGET_1, 33, 10_200)], [],
    ),
    "a stop that the venue won't move closes the position at once": (
        BREAK_EVEN,
        [*entered(targets=(200, 300)), fill(Role.TARGET_1, 50, 10_200), refused(Role.STOP)],
        ["place exit sell 50", "cancel target_2"],
    ),
    # --- trailing
    "a close moves no stop when nobody asked": (OFF, [*entered(), candle(10_199)], []),
    "a close whose distance is behind the stop leaves it": (TRAILING, [*entered(), candle(10_050)], []),
    "a close a tick higher brings it a tick": (TRAILING, [*entered(), candle(10_051)], ["edit stop sell 100 at 9901"]),
    "… a short's down": (
        TRAILING, [*entered(side=SHORT), candle(9_949)], ["edit stop buy 100 at 10099"],
    ),
    "it never goes back": (TRAILING, [*entered(), candle(10_150), candle(10_060, at=NOON + 2 * HOUR)], []),
    "… and goes on from where it was": (
        TRAILING,
        [*entered(), candle(10_150), candle(10_060, at=NOON + 2 * HOUR), candle(10_151, at=NOON + 3 * HOUR)],
        ["edit stop sell 100 at 10001"],
    ),
    "a part of a tick is rounded to the nearer level (I25)": (
        RULES._replace(trailing_ppm=1_234_567), [*entered(), candle(10_150)], ["edit stop sell 100 at 10027"],
    ),
    "it is a tick behind the close at least": (
        RULES._replace(trailing_ppm=1), [*entered(), candle(10_000)], ["edit stop sell 100 at 9999"],
    ),
    "no close moves the stop of a position on its way out": (
        TRAILING, [*entered(), command(Command.FLATTEN), candle(10_199)], [],
    ),
    "lots that fill after a close keep the nearer stop": (
        TRAILING,
        [signal(), fill(Role.ENTRY, 40, 10_000), candle(10_150), fill(Role.ENTRY, 60, 10_010, at=NOON + 2 * HOUR)],
        ["edit stop sell 100 at 10000", "edit target_1 sell 100 at 10206"],
    ),
    "it follows from the entry on": (
        RULES._replace(break_even=1, trailing_ppm=1_500_000),
        [*entered(targets=LADDER), fill(Role.TARGET_1, 33, 10_200), candle(10_160)],
        ["edit stop sell 67 at 10010"],
    ),
    # --- time
    "nobody's time is over when nobody asked": (OFF, [*entered(), candle(10_000, at=NOON + 99 * HOUR)], []),
    "a microsecond before its time a trade stays": (TIMED, [*entered(), candle(10_000, at=NOON + 2 * HOUR)], []),
    "at its time it is left at the market, and the stop stays until that fills (I48)": (
        TIMED, [*entered(), candle(10_000, at=NOON + 2 * HOUR + 1)], ["place exit sell 100", "cancel target_1"],
    ),
    "… or at the first close after it": (
        TIMED, [*entered(side=SHORT), candle(10_000, at=NOON + 9 * HOUR)], ["place exit buy 100", "cancel target_1"],
    ),
    "it is said once": (
        TIMED, [*entered(), candle(10_000, at=NOON + 3 * HOUR), candle(10_000, at=NOON + 4 * HOUR)], [],
    ),
    "an exit that the venue refused is sent again at the next close": (
        TIMED,
        [*entered(), candle(10_000, at=NOON + 3 * HOUR), refused(Role.EXIT, at=NOON + 3 * HOUR + 1),
         candle(10_000, at=NOON + 4 * HOUR)],
        ["place exit sell 100"],
    ),
    "what the entry has not filled by then is called off": (
        TIMED, [signal(), fill(Role.ENTRY, 40, 10_000), candle(10_000, at=NOON + 3 * HOUR)],
        ["place exit sell 40", "cancel entry", "cancel target_1"],
    ),
    "time counts from the first fill": (
        TIMED,
        [signal(), fill(Role.ENTRY, 40, 10_000), fill(Role.ENTRY, 60, 10_000, at=NOON + HOUR),
         candle(10_000, at=NOON + 2 * HOUR + 1)],
        ["place exit sell 100", "cancel target_1"],
    ),
    "a close moves a stop and leaves nothing before its time": (
        TIMED._replace(trailing_ppm=1_500_000), [*entered(), candle(10_160)], ["edit stop sell 100 at 10010"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("rules", "events", "orders"), FOLLOWED.values(), ids=FOLLOWED.keys())
def test_a_trade_is_followed_and_left_by_these_orders(rules, events, orders):
    assert happened(*events, rules=rules)[1] == tuple(orders)


def test_a_trade_that_its_break_even_stop_ends_has_won_its_first_target():
    stopped = fill(Role.STOP, 67, 10_000)
    state, orders = happened(*entered(targets=LADDER), fill(Role.TARGET_1, 33, 10_200), stopped, rules=BREAK_EVEN)
    assert state.account.cash_e8 == START.account.cash_e8 + 33 * 200 * 10**6
    assert (state.slot.phase, orders) == (Phase.FLAT, ("cancel target_2", "cancel target_3"))


def test_the_next_trade_begins_with_its_own_stop():
    done = [*entered(), candle(10_190), fill(Role.STOP, 100, 10_040, at=NOON + HOUR)]
    state, _ = happened(*done, rules=TRAILING)
    assert state.slot.secured_price == 0
    later = NOON + 3 * HOUR
    bought = fill(Role.ENTRY, 100, 10_000, at=later + 1, of=later)
    _, orders = happened(signal(at=later, of=later), bought, start=state, rules=TRAILING)
    assert orders == ("place stop sell 100 at 9900", "place target_1 sell 100 at 10200")


@pytest.mark.parametrize("side", [LONG, SHORT])
def test_a_cancelled_stop_is_not_followed_but_the_position_left(side):
    _, orders = happened(*entered(side=side), cancelled(Role.STOP), rules=TRAILING)
    assert orders[0] == f"place exit {'sell' if side == LONG else 'buy'} 100"
