"""Whether and at what price an order fills, and what it costs. Numbers only: simulator and sandbox share it.

Prices in ticks, sides +1 buy and -1 sell, shares in ppm. All rounding is to the worse side of the one who trades.
"""

from trading.compiled import rule
from trading.model import PPM, scaled


@rule
def market_price(side: int, price: int, slippage_ppm: int) -> int:
    """What a market order trades at when the market stands at `price`: slipped, never below one tick."""
    return max(1, price + side * slippage_ticks(price, slippage_ppm))


@rule
def stop_reference(side: int, trigger: int, opened: int) -> int:
    """The worse of trigger and open: where the market stood when the stop became a market order."""
    return max(trigger, opened) if side > 0 else min(trigger, opened)


@rule
def stop_touched(side: int, trigger: int, high: int, low: int) -> bool:
    """Whether a range of prices reaches a stop: a buy stop from below, a sell stop from above."""
    return high >= trigger if side > 0 else low <= trigger


@rule
def limit_touched(side: int, limit: int, high: int, low: int) -> bool:
    """Whether a range of prices reaches a limit: a buy limit from above, a sell limit from below."""
    return low <= limit if side > 0 else high >= limit


@rule
def limit_passed(side: int, limit: int, high: int, low: int) -> bool:
    """Whether a range of prices goes through a limit by a tick at least: whoever waited there before us has traded."""
    return low < limit if side > 0 else high > limit


@rule
def slippage_ticks(price: int, slippage_ppm: int) -> int:
    """Slippage at `price`, rounded up to whole ticks."""
    return -scaled(-price, slippage_ppm, PPM)


@rule
def fee_e8(notional_e8: int, fee_ppm: int) -> int:
    """Fee on a notional, rounded up. A rebate (negative) is rounded towards less."""
    return -scaled(-notional_e8, fee_ppm, PPM)
