"""The parts of the page that are text and tables, as HTML. Every value that comes from outside passes `escape`."""

import math
from collections.abc import Iterable
from html import escape

from reports import wording
from reports.model import BacktestView
from trading.metrics.returns import MonthlyReturn, monthly_returns

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
MOST_WINNERS = 5  # instruments that are named
STRONG_MONTH_PERCENT = 10.0  # a month this far from zero has the full colour


def header(view: BacktestView) -> str:
    """Who, where, when, and the verdict."""
    at = view.equity["at"]
    span = f"{wording.moment(at[0])} to {wording.moment(at[-1])} UTC" if len(at) else "no candles"
    facts = " · ".join((view.strategy, ", ".join(view.candles) or "no instrument", view.timeframe, span))
    return (
        f'<p class="kicker">Slipway backtest</p><h1>{escape(view.title)}</h1><p class="facts">{escape(facts)}</p>'
        f'<div class="verdict {wording.tone(view.metrics.net_profit_usd)}">'
        f"<strong>{escape(wording.headline(view))}</strong> {escape(' '.join(wording.findings(view)))}</div>"
    )


def tiles(view: BacktestView) -> str:
    """The numbers of the verdict, the most asked for first."""
    metrics = view.metrics
    loss = None if metrics.average_loss_usd is None else abs(metrics.average_loss_usd)
    sure = view.intervals
    shown = (
        ("Return", wording.signed_percent(metrics.return_percent), metrics.return_percent, _cagr(view)),
        ("Net profit", wording.signed_usd(metrics.net_profit_usd, 0), metrics.net_profit_usd,
         f"USD, from {wording.usd(metrics.starting_usd, 0)}", wording.between(sure.net_profit_usd, 0)),
        ("Max drawdown", wording.percent(metrics.max_drawdown_percent), None,
         f"longest {wording.duration(metrics.longest_drawdown_us)}",
         wording.between(sure.max_drawdown_percent, 1, " %")),
        ("Sharpe", wording.usd(metrics.sharpe), metrics.sharpe, "daily equity, 365 days", wording.between(sure.sharpe)),
        ("Expectancy", wording.risk_multiple(metrics.expectancy_r), metrics.expectancy_r,
         f"{wording.signed_usd(metrics.expectancy_usd)} USD a trade", wording.between(sure.expectancy_r, 2, " R")),
        ("Sortino", wording.usd(metrics.sortino), metrics.sortino, "daily equity, 365 days"),
        ("Calmar", wording.usd(metrics.calmar), metrics.calmar, "growth a year per deepest drawdown"),
        ("Volatility", wording.percent(metrics.volatility_percent, 1), None, "of daily returns, a year"),
        ("Profit factor", wording.usd(metrics.profit_factor), _above_one(metrics.profit_factor),
         "won USD per lost USD"),
        ("Win rate", wording.percent(metrics.win_rate_percent, 1), None,
         f"average win {wording.usd(metrics.average_win_usd, 0)}, loss {wording.usd(loss, 0)}"),
        ("Trades", f"{metrics.trades:,}", None, f"held {wording.duration(metrics.average_holding_us)} on average"),
        ("Exposure", wording.percent(metrics.exposure_percent, 1), None, "of the time in a position"),
        ("Turnover", _times(metrics.turnover), None, "the average equity traded a year, both sides"),
        ("Costs", wording.usd(metrics.costs_usd, 0), None,
         f"USD, of which fees {wording.usd(metrics.fees_usd, 0)}"),
        ("Excursions", _excursions(view), None, "R, mean of the worst and of the best moments"),
    )  # fmt: skip
    return "".join(tile(*one) for one in shown)


def assumptions(view: BacktestView) -> str:
    """Every sentence the caller states, and the share of trades that one of them decided."""
    stated = [*view.assumptions]
    ambiguous = int(view.trades["ambiguous"].sum())
    if view.trades.height:
        share = wording.percent(100 * ambiguous / view.trades.height, 1)
        stated.append(
            f"{ambiguous:,} of {wording.count(view.trades.height, 'trade')} ({share}) are ambiguous: "
            "the candle of their stop does not say what came first, and the worse is assumed."
        )
    stated.append(wording.sureness(view.intervals, _days(view)))
    return items(filter(None, stated))


def zones(view: BacktestView) -> str:
    """What the colours of the boxes in the candle chart mean; empty without zones."""
    if view.zones.is_empty():
        return ""
    sorts = view.zones.select("side", "kind").unique().sort("side", "kind", descending=True)
    keys = "".join(
        f'<span class="key zone {escape(side)}{" gap" if kind == "fair value gap" else ""}">{escape(side)} '
        f"{escape(kind)}</span>"
        for side, kind in sorts.iter_rows()
    )
    return (
        f'<div class="keys" id="zones"><span>Zones that entries came back to:</span>{keys}'
        "<span>paler until they were known</span></div>"
    )


def monthly_table(view: BacktestView) -> str:
    """Years down, months across, the year's own return at the end."""
    at = view.equity["at"].dt.epoch("us").to_numpy()
    months = monthly_returns(at, view.equity["equity_usd"].to_numpy(), view.metrics.starting_usd)
    by_year: dict[int, dict[int, MonthlyReturn]] = {}
    for entry in months:
        by_year.setdefault(entry.year, {})[entry.month] = entry
    head = "".join(f"<th scope=col>{name}</th>" for name in (*MONTHS, "Year"))
    rows = "".join(_year_row(year, entries) for year, entries in by_year.items())
    return f"<thead><tr><th scope=col></th>{head}</tr></thead><tbody>{rows}</tbody>"


def costs(view: BacktestView) -> str:
    """From the result before costs to the result after them, one bar each."""
    metrics = view.metrics
    paid = (
        ("Fees", metrics.fees_usd),
        ("Spread", metrics.spread_usd),
        ("Slippage", metrics.slippage_usd),
        ("Funding", metrics.funding_usd),
    )
    left = metrics.net_profit_usd + metrics.costs_usd
    steps = [("Before costs", 0.0, left, left)]
    for name, amount in paid:
        steps.append((name, left, left - amount, -amount))
        left -= amount
    steps.append(("Net", 0.0, metrics.net_profit_usd, metrics.net_profit_usd))
    lowest = min(0.0, *(min(begin, end) for _, begin, end, _ in steps))
    width = max(0.0, *(max(begin, end) for _, begin, end, _ in steps)) - lowest
    return "".join(_cost_row(name, begin, end, value, lowest, width) for name, begin, end, value in steps)


def decisions(view: BacktestView) -> str:
    """What became of the signals; empty if the caller does not say."""
    if not view.decisions:
        return ""
    total = sum(view.decisions.values())
    rows = pairs(
        (
            name.replace("_", " "),
            f"{number:,} ({wording.percent(100 * number / max(total, 1), 1)})",
        )
        for name, number in view.decisions.items()
    )
    lost = _lost_to(view)
    return f"<h3>What became of {wording.count(total, 'signal')}</h3><dl class=pairs>{rows}</dl>{lost}"


def sources(view: BacktestView) -> str:
    """Where the candles come from, and what is missing in them."""
    return items(view.data_sources)


def configuration(view: BacktestView) -> str:
    """Every setting that shaped the run."""
    return pairs(view.configuration)


def provenance(view: BacktestView) -> str:
    """What it takes to get the same run again."""
    return pairs((
        ("run", view.run_id),
        *((f"{name} hash", value) for name, value in view.hashes.items()),
        ("code", view.code_version),
        ("made at", f"{wording.moment(view.created_at)} UTC"),
    ))  # fmt: skip


def tile(name: str, text: str, value: float | None, *notes: str) -> str:
    """One figure with its name, coloured by `value`, and what there is to say of it."""
    told = "".join(f"<dd class=note>{escape(note)}</dd>" for note in notes if note)
    return f'<div class="tile"><dt>{escape(name)}</dt><dd class="{wording.tone(value)}">{escape(text)}</dd>{told}</div>'


def items(sentences: Iterable[str]) -> str:
    """Sentences as points of a list."""
    return "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)


def pairs(named: Iterable[tuple[str, str]]) -> str:
    """Rows of a `dl.pairs`: name and value."""
    return "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in named)


def _cagr(view: BacktestView) -> str:
    if view.metrics.cagr_percent is None:
        return f"in {wording.period(view)}"
    return f"{wording.signed_percent(view.metrics.cagr_percent, 1)} a year"


def _lost_to(view: BacktestView) -> str:
    """Who had the room that others of the same close found taken; empty where nobody lost it."""
    if not view.lost_to:
        return ""
    winners = sorted(view.lost_to.items(), key=lambda entry: (-entry[1], entry[0]))
    named = [f"{name} {number:,}" for name, number in winners[:MOST_WINNERS]]
    others = sum(number for _, number in winners[MOST_WINNERS:])
    told = ", ".join((*named, f"others {others:,}") if others else named)
    total = wording.count(sum(view.lost_to.values()), "signal")
    return (
        f"<p class=note>The room that {total} found taken went to a higher rank at the same close: {escape(told)}.</p>"
    )


def _days(view: BacktestView) -> int:
    return view.equity["at"].dt.offset_by("-1us").dt.date().n_unique()


def _times(value: float | None) -> str:
    return wording.MISSING if value is None else f"{value:,.1f} ×"


def _excursions(view: BacktestView) -> str:
    moved = view.trades.select("mae_r", "mfe_r").drop_nulls()
    if moved.is_empty():
        return wording.MISSING
    against, gained = moved.to_numpy().mean(axis=0).tolist()
    return f"{wording.usd(-against)} / {wording.signed_usd(gained)}"


def _above_one(value: float | None) -> float | None:
    return None if value is None else value - 1


def _year_row(year: int, entries: dict[int, MonthlyReturn]) -> str:
    cells = "".join(_month_cell(entries.get(month)) for month in range(1, 13))
    returns = [entry.return_percent for entry in entries.values()]
    known = [value for value in returns if value is not None]
    total = (math.prod(1 + value / 100 for value in known) - 1) * 100 if len(known) == len(returns) else None
    return (
        f'<tr><th scope=row>{year}</th>{cells}<td class="total {wording.tone(total)}">{wording.usd(total, 1)}</td></tr>'
    )


def _month_cell(entry: MonthlyReturn | None) -> str:
    """Empty where the run has no such month."""
    if entry is None:
        return "<td></td>"
    value = entry.return_percent
    heat = min(abs(value or 0.0) / STRONG_MONTH_PERCENT, 1.0)
    return f'<td class="{wording.tone(value)}" style="--heat:{heat:.2f}">{wording.usd(value, 1)}</td>'


def _cost_row(name: str, begin: float, end: float, value: float, lowest: float, width: float) -> str:
    """One bar of the waterfall: where it lies, in percent of the whole width."""
    left, length = ((min(begin, end) - lowest) / width, abs(end - begin) / width) if width else (0.0, 0.0)
    return (
        f'<div class="step {wording.tone(value)}"><span>{escape(name)}</span>'
        f'<span class=track><i style="left:{left:.2%};width:{length:.2%}"></i></span>'
        f"<b>{wording.signed_usd(value)}</b></div>"
    )
