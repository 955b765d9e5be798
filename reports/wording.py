"""Numbers and verdicts as a person reads them: one wording for the page, the picture and the summary."""

from datetime import UTC, datetime, timedelta

from reports.curves import holding_usd
from reports.model import BacktestView
from trading.metrics.figures import Metrics
from trading.metrics.intervals import RESAMPLES, Interval, Intervals, block_days
from trading.model import DAY_US

MISSING = "–"
MINUS = "\N{MINUS SIGN}"
FEW_TRADES = 30  # below it the win rate is uncertain by more than 18 points, at 95 %


def headline(view: BacktestView) -> str:
    """What happened, in one sentence. A loss is called a loss."""
    change = view.metrics.return_percent
    if not view.metrics.trades:
        return "No trade was made."
    if not _visible(usd(change)):
        return f"Ended where it began, after {period(view)}."
    return f"{'Made' if change > 0 else 'Lost'} {percent(abs(change))} in {period(view)}."


def findings(view: BacktestView) -> tuple[str, ...]:
    """The sentences below the headline: what the result rests on, and what speaks against it."""
    metrics = view.metrics
    if not metrics.trades:
        return ("There is nothing to judge: no signal became a position in this period.",)
    found = [_trades_sentence(metrics), _costs_sentence(metrics), _holding_sentence(view)]
    if metrics.final_equity_usd <= 0:
        found.append("The account was wiped out; a venue would have liquidated it earlier.")
    if metrics.trades < FEW_TRADES:
        found.append(f"{count(metrics.trades, 'trade')}: too few to tell skill from luck.")
    return tuple(sentence for sentence in found if sentence)


def tone(value: float | None) -> str:
    """`gain`, `loss` or `even`: the class that colours a number."""
    if value is None or value == 0:
        return "even"
    return "gain" if value > 0 else "loss"


def usd(value: float | None, places: int = 2) -> str:
    """Grouped, with a real minus sign; the unit stands in the label."""
    if value is None:
        return MISSING
    text = f"{abs(value):,.{places}f}"
    return f"{MINUS}{text}" if value < 0 and _visible(text) else text


def signed_usd(value: float | None, places: int = 2) -> str:
    """As `usd`, with a plus before a gain."""
    text = usd(value, places)
    return f"+{text}" if value is not None and value > 0 and _visible(text) else text


def percent(value: float | None, places: int = 2) -> str:
    """A value that is in percent already, with its sign of percent."""
    return MISSING if value is None else f"{usd(value, places)} %"


def signed_percent(value: float | None, places: int = 2) -> str:
    """As `percent`, with a plus before a gain."""
    return MISSING if value is None else f"{signed_usd(value, places)} %"


def risk_multiple(value: float | None) -> str:
    """A result in units of the risk taken."""
    return MISSING if value is None else f"{signed_usd(value)} R"


def between(interval: Interval | None, places: int = 2, unit: str = "") -> str:
    """`95 %: 0.10 to 0.31 R`; empty where the data can't say."""
    if interval is None:
        return ""
    return f"95 %: {usd(interval.low, places)} to {usd(interval.high, places)}{unit}"


def sureness(intervals: Intervals, days: int) -> str:
    """What the intervals are, in a sentence; empty where there are none."""
    if not any(intervals):
        return ""
    return (
        f"Between the bounds marked 95 % lies the figure in 95 of 100 of {RESAMPLES:,} histories drawn from this one: "
        f"its days in blocks of {block_days(days):.0f} on average, its trades one by one. The future may be another."
    )


def duration(us: int | None) -> str:
    """Days once there are two of them, else hours, else minutes."""
    if us is None:
        return MISSING
    days = us / DAY_US
    if days >= 2:
        return f"{days:,.0f} days" if days >= 10 else f"{days:,.1f} days"
    return f"{days * 24:,.1f} h" if days * 24 >= 1 else f"{days * 1440:,.0f} min"


def count(number: int, noun: str) -> str:
    """`1 trade`, `2 trades`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def moment(at: datetime) -> str:
    """UTC to the minute; the label says that it is UTC."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M")


def period(view: BacktestView) -> str:
    """How long the run is, from the equity's first row to its last."""
    at = view.equity["at"]
    return duration((at[-1] - at[0]) // timedelta(microseconds=1) if len(at) else 0)


def _visible(text: str) -> bool:
    """Whether a formatted number shows anything but zeros: `-0.00` needs no sign."""
    return any(digit in text for digit in "123456789")


def _trades_sentence(metrics: Metrics) -> str:
    won = f"{count(metrics.trades, 'trade')}, {percent(metrics.win_rate_percent, 1)} won"
    if metrics.expectancy_r is None:
        return f"{won}."
    word = "lost" if metrics.expectancy_r < 0 else "made"
    return f"{won}; the average trade {word} {usd(abs(metrics.expectancy_r))} R."


def _costs_sentence(metrics: Metrics) -> str:
    costs = metrics.costs_usd
    before = metrics.net_profit_usd + costs
    if costs <= 0 and metrics.funding_usd >= 0:
        return "No costs were charged: real trading has them."
    if costs <= 0:
        return f"Funding brought {usd(-metrics.funding_usd)} USD, more than all costs together."
    word = "lost" if before < 0 else "made"
    return f"Costs took {usd(costs)} USD; before them it {word} {usd(abs(before))} USD."


def _holding_sentence(view: BacktestView) -> str:
    """Empty when there is nothing to hold."""
    held = holding_usd(view)
    if not held.size:
        return ""
    change = (float(held[-1]) / view.metrics.starting_usd - 1) * 100
    names = " and ".join(view.candles) if len(view.candles) < 4 else f"all {len(view.candles)} instruments"
    parts = " in equal parts" if len(view.candles) > 1 else ""
    return f"Holding {names}{parts}, without costs, {'lost' if change < 0 else 'made'} {percent(abs(change))}."
