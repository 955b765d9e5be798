"""What the figures of a backtest rest on, and what of a run they hide, as sentences of its report."""

from collections.abc import Iterator
from itertools import groupby

import polars as pl

from config.settings import Risk, Settings
from exchange.contracts import MINUTE_US
from exchange.rows import Candle
from tasks.futures.perpetuals import hours_held
from tasks.market import History, IntTable, candles_of
from trading.model import Decision

COARSE_TICK = 0.001  # of the price: beyond that, rounding to ticks weighs as much as the costs that are modelled


def doubts(history: History, decisions: pl.DataFrame) -> tuple[str, ...]:
    """What of this very run its figures hide, one sentence each; `decisions` are `tasks.results.DECISION_SCHEMA`."""
    halted = decisions.filter(decision=Decision.DRAWDOWN.name.lower())
    said = []
    if len(halted):
        said.append(
            "Entries stopped at the drawdown limit, and no person was there to resume: from "
            f"{halted['at'][0]:%Y-%m-%d} on {len(halted):,} signals were refused, and the rest of the time dilutes "
            "every figure a year."
        )
    for number, name in enumerate(history.instruments):
        closes = candles_of(history, number)[:, Candle._fields.index("close")]
        if len(closes) and closes.min() * COARSE_TICK < 1:
            lowest = int(closes.min())
            said.append(
                f"{name} traded at {lowest:,} ticks of today's contract: one tick was {1 / lowest:.1%} of "
                "the price, and what is rounded to it costs as much, whatever slippage is assumed."
            )
    return tuple(said)


def prices_and_funding(settings: Settings, history: History, payments: IntTable) -> tuple[str, ...]:
    """Where prices and rates come from, counted; `payments` has the columns of `exchange.rows.Payment`."""
    costs = settings.costs
    basis = "the spot price" if costs.basis_bps == 0 else f"the spot price and {costs.basis_bps} bps of basis"
    if history.charted == 0:
        prices = f"No candles of the perpetuals are known: they trade at {basis}, and their mark price is that too."
    else:
        prices = (
            f"{history.charted:,} candles have prices at which the perpetuals traded, and their mark where it is "
            f"known; without them they trade at {basis}."
        )
    if costs.funding == "none":
        return prices, "No funding is paid or received."
    held, assumed = hours_held(history.rates, payments)
    paid = (
        f"Funding is paid by the hour: {held:,} hours of positions, each at its rate. Of a candle in which a trade "
        "ends it is that of the whole candle; of one in which an entry filled at its limit, none."
    )
    if not assumed:
        return prices, paid
    doubt = (
        f"{assumed:,} of {held:,} hours in a position have no known funding rate: they cost "
        f"{costs.assumed_funding_percent} % of the price, which longs pay and shorts receive."
    )
    return doubt, prices


def assumptions(settings: Settings, max_entry_delay_us: int) -> tuple[str, ...]:
    """What the simulation takes for granted, one sentence each."""
    costs, risk = settings.costs, settings.risk
    has_limits = risk.entry_limit_minutes > 0
    at_the_market = " at the market" if has_limits else ""
    entry = (
        f"A signal{' without a limit' if has_limits else ''} is entered at the open of the next candle, never in the "
        "candle that it comes from."
    )
    fees = (
        f"Every fill{' but that of an entry that rested' if has_limits else ''} pays the taker fee of "
        f"{costs.taker_fee_percent} %; {_sizes(settings)}"
    )
    gaps = (
        f"A signal waits at most {max_entry_delay_us // MINUTE_US} minutes over missing candles, from the close at "
        f"which it was due to the open that its entry{at_the_market} takes; then it has expired."
        if max_entry_delay_us
        else "A signal waits over no missing candle: it expires, whether before it was decided or before its "
        f"entry{at_the_market}."
    )
    slippage = (
        f"Market orders and stops cross half a spread of {costs.spread_bps} bps and slip {costs.slippage_bps} bps, "
        f"{costs.range_slippage_percent} % of the range of their candle, and {costs.impact_bps} bps in proportion to "
        "their share of its volume."
    )
    sizing = (
        f"Each trade risks {risk.risk_per_trade_percent} % of equity between entry and stop, with at most "
        f"{risk.max_notional_percent} % of equity in one position; sizes are whole lots, prices whole ticks."
    )
    limits = (
        f"No entries after a loss of {risk.max_daily_loss_percent} % in a UTC day, nor below a drawdown of "
        f"{risk.max_drawdown_percent} %."
    )
    return (
        entry,
        "Signals of one close are decided by their scores, the highest first; of equals that of the first instrument.",
        "When a candle reaches both stop and target, the stop comes first.",
        "A stop that the price gaps over fills at the open beyond it.",
        fees,
        slippage,
        "Stops wait for the mark price, and trade inside their candle.",
        *_margins(settings),
        "A target fills at its price when a candle touches it; a better open after a gap is not counted on.",
        gaps,
        "Where candles are missing, a stop or an exit waits for the next one, however late.",
        "Prices are to the nearest tick of the perpetual.",
        sizing,
        limits,
        *_limit_entries(settings),
        *_ways_out(risk),
        *_portfolio_limits(settings),
        "A trade that the data ends on is valued at the last close, without a cost for closing it.",
    )


def _sizes(settings: Settings) -> str:
    share = settings.costs.max_participation_percent
    if share == 0:
        return "orders fill whole."
    return f"an entry takes at most {share} % of the volume of its candle, all other orders fill whole."


def _margins(settings: Settings) -> Iterator[str]:
    """What the venue asks for, by instruments of which it asks the same."""
    asked = sorted(
        (each.initial_margin_percent, each.maintenance_margin_percent, name)
        for name, each in settings.instruments.items()
    )
    for (initial, maintenance), group in groupby(asked, lambda each: each[:2]):
        names = ", ".join(name for *_, name in group)
        if initial == 0:
            yield f"No margin is asked for {names}, and they are not liquidated."
            continue
        yield (
            f"{names}: entering takes {initial} % of the value at entry as margin, holding {maintenance} %, whatever "
            "the size. A position is liquidated whole where equity falls below that at the mark price, for a fee of "
            f"{settings.costs.liquidation_fee_percent} % beside that of a taker, and not beyond the price at which "
            "nothing is left."
        )


def _limit_entries(settings: Settings) -> Iterator[str]:
    """What is taken for granted of entries with a limit, if there may be any."""
    if settings.risk.entry_limit_minutes:
        yield (
            f"An entry with a limit rests for {settings.risk.entry_limit_minutes} minutes. It fills at its limit, "
            "over missing candles too, but only when a candle trades through it by a tick: for the maker fee of "
            f"{settings.costs.maker_fee_percent} %, or the taker fee of {settings.costs.taker_fee_percent} % if the "
            "market opened beyond it as it was sent."
        )
        yield "An entry with a limit is taken back at the first close that knows that losses have stopped entries."


def _ways_out(risk: Risk) -> Iterator[str]:
    """How a trade is left besides its stop and its targets, as far as it is."""
    if risk.break_even_after_target:
        yield "Once a target has filled, the stop moves to the entry."
        yield (
            "A stop that moves inside a candle fills there if any of the candle's range reaches it, whichever came "
            "first; such a trade is marked ambiguous."
        )
    if risk.trailing_stop_r:
        yield (
            f"At each close the stop follows to {risk.trailing_stop_r} times its first distance behind the close, and "
            "never back."
        )
    if risk.max_holding_minutes:
        yield (
            f"A trade is left at the open after the first close that is at least {risk.max_holding_minutes} minutes "
            "after its entry."
        )


def _portfolio_limits(settings: Settings) -> Iterator[str]:
    """What all positions together are held to, as far as they are."""
    risk = settings.risk
    caps = ((risk.max_leverage_percent, "positions together"), (risk.max_side_percent, "positions on one side"))
    for percent, of in caps:
        if percent:
            yield f"All {of} are worth at most {percent} % of equity at their entry; a signal beyond that is refused."
    if risk.max_bucket_positions:
        yield (
            f"At most {risk.max_bucket_positions} positions on one side are held of instruments in one bucket "
            f"({_buckets(settings)})."
        )
    if risk.max_losses_in_a_row:
        yield (
            f"No entries for {risk.loss_pause_minutes} minutes each time that {risk.max_losses_in_a_row} trades in a "
            "row have lost."
        )


def _buckets(settings: Settings) -> str:
    named = sorted((each.bucket, name) for name, each in settings.instruments.items() if each.bucket)
    return "; ".join(
        f"{bucket}: {', '.join(name for _, name in members)}"
        for bucket, members in groupby(named, lambda pair: pair[0])
    )
