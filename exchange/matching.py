"""Whether and at what price an order fills, and what it costs. Numbers only: simulator and sandbox share it.

Prices in ticks, sides +1 buy and -1 sell, shares in ppm. All rounding is to the worse side of the one who trades.
"""

from trading.compiled import rule
from trading.model import PPM, scaled


@rule
def market_price(side: int, price: int, slippage_ppm: int, spread_ppm: int) -> int:
    """What a market order trades at when the middle of the market is at `price`: half the spread away, and slipped.

    Never below one tick.
    """
    return max(1, price + side * (half_spread_ticks(price, spread_ppm) + slippage_ticks(price, slippage_ppm)))


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
def half_spread_ticks(price: int, spread_ppm: int) -> int:
    """From the middle to the side that is taken, rounded up to whole ticks."""
    return -scaled(-price, spread_ppm, 2 * PPM)


@rule
def total_slippage_ppm(fixed_ppm: int, by_range_ppm: int, by_size_ppm: int) -> int:
    """What all parts of slippage come to, together at most all of the price."""
    return min(fixed_ppm + by_range_ppm + by_size_ppm, PPM)


@rule
def range_slippage_ppm(high: int, low: int, range_ppm: int) -> int:
    """Slippage of a lively market: a share of the candle's range, which is taken relative to its low."""
    return (high - low) * range_ppm // low


@rule
def size_slippage_ppm(lots: int, volume_lots: int, impact_ppm: int) -> int:
    """Slippage of an order's size: `impact_ppm` for all that the candle traded, in proportion below, no more above."""
    return impact_ppm if lots >= volume_lots else scaled(impact_ppm, lots, volume_lots)


@rule
def tradeable_lots(lots: int, volume_lots: int, participation_ppm: int) -> int:
    """What of an order the candle's volume lets trade: at most that share of it. 0 ppm: whatever is asked for."""
    return lots if participation_ppm == 0 else min(lots, scaled(volume_lots, participation_ppm, PPM))


@rule
def fee_e8(notional_e8: int, fee_ppm: int) -> int:
    """Fee on a notional, rounded up. A rebate (negative) is rounded towards less."""
    return -scaled(-notional_e8, fee_ppm, PPM)
