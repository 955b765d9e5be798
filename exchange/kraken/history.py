"""History of one instrument, fetched page by page into a spool. Whoever is killed goes on after the last page.

Only what had closed at the job's `until_s` is kept (I29), and only candles in which something traded: the venue fills
some intervals without trades with flat rows and leaves others out, and its archives have none.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from decimal import MAX_PREC, ROUND_HALF_EVEN, Context, Decimal
from typing import NamedTuple

import polars as pl

from exchange.kraken.client import MINUTES, Chart, PublicClient, Timeframe
from exchange.kraken.paging import TradeCursor, chart_candles, refuse_disorder, trade_chunks
from exchange.kraken.payloads import Candle, ChartCandle
from exchange.kraken.rebuild import SECOND_NS, Rebuild, as_columns
from exchange.kraken.spool import Dataset, Rate, Row, Spool, key_of
from trading.errors import CheckFailed

KINDS: tuple[Chart, ...] = ("trade", "mark", "spot")
SHOWN_DIFFERENCES = 3
FINEST = Decimal("1e-10")  # of mark price and index: as many decimals as the warehouse keeps
HALF_EVEN = Context(prec=MAX_PREC, rounding=ROUND_HALF_EVEN)  # rounds decimals only, however many digits there are
VALUES = ("open", "high", "low", "close", "volume", "trades")


class Progress(NamedTuple):
    """How far one job is. `share` of its span, from 0 to 1."""

    dataset: Dataset
    instrument: str
    rows: int
    share: float


Tell = Callable[[Progress], None]


async def collect(client: PublicClient, spool: Spool, tell: Tell) -> None:
    """Fetch what the job still lacks; `tell` is called after every page.

    Raises CheckFailed: the venue contradicts itself; what came before stays in the spool. And what the client raises.
    """
    job = spool.job
    if not spool.is_complete:
        async for share in COLLECTORS[job.dataset](client, spool):
            tell(Progress(job.dataset, job.instrument, spool.rows, share))
    tell(Progress(job.dataset, job.instrument, spool.rows, 1.0))


def series_of(dataset: Dataset, instrument: str) -> tuple[str, ...]:
    """The names under which a job's candles land."""
    if dataset == "charts":
        return tuple(_chart_series(kind, instrument) for kind in KINDS)
    return () if dataset == "funding" else (instrument,)


def parts_of(dataset: Dataset, instrument: str) -> tuple[tuple[str, Timeframe], ...]:
    """Series and timeframe of all that a job may consist of. Funding rates are one part, of an hour."""
    if dataset == "funding":
        return ((instrument, "1h"),)
    return tuple((series, timeframe) for series in series_of(dataset, instrument) for timeframe in MINUTES)


def covered_from(spool: Spool, series: str, timeframe: str) -> int:
    """From when on the venue has told of every candle of one series up to the job's end; in seconds.

    That is what was asked for, unless the venue's own history begins later. How far back charts go nobody says, so they
    are believed from their first candle on.
    """
    asked_s = spool.job.from_s[key_of(series, timeframe)]
    told_s: Mapping[str, int] = spool.progress.get("covered_from", {})
    first = next(spool.candles(series, timeframe), None)
    is_open = asked_s == 0 or spool.job.dataset == "charts"
    return max(asked_s, told_s.get(timeframe, 0), first.opened_s if first and is_open else 0)


# --- spot OHLC


async def _ohlc(client: PublicClient, spool: Spool) -> AsyncIterator[float]:
    """One reply per timeframe: the newest 720 candles at most, whatever was asked for."""
    job = spool.job
    done: dict[str, int] = dict(spool.progress.get("covered_from", {}))
    wanted = [timeframe for timeframe in MINUTES if key_of(job.instrument, timeframe) in job.from_s]
    for timeframe in wanted:
        if timeframe in done:
            continue
        closed = await _listed(client, spool, timeframe)
        rows = [_row(candle, job.instrument, timeframe) for candle in closed if candle.trades]
        done[timeframe] = closed[0].opened_s if closed else job.until_s
        spool.keep(rows, {"covered_from": done}, is_complete=len(done) == len(wanted))
        yield len(done) / len(wanted)


async def _listed(client: PublicClient, spool: Spool, timeframe: Timeframe) -> list[Candle]:
    """The venue's own candles of the job's span, those without trades among them, as far as it lists them."""
    job = spool.job
    from_s, span_s = job.from_s[key_of(job.instrument, timeframe)], MINUTES[timeframe] * 60
    reply = await client.candles(job.instrument, timeframe, max(0, from_s - 1))
    closed = [each for each in reply.closed if each.opened_s >= from_s and each.opened_s + span_s <= job.until_s]
    refuse_disorder(f"OHLC of {job.instrument} {timeframe}", [each.opened_s for each in closed], from_s, job.until_s)
    return closed


def _row(candle: Candle, series: str, timeframe: str) -> Row:
    return Row(series, timeframe, candle.opened_s, *_numbers(candle), candle.trades)


# --- spot trades


async def _trades(client: PublicClient, spool: Spool) -> AsyncIterator[float]:
    """Every trade of the span, made into candles as it comes; then compared with the candles that the venue lists."""
    job = spool.job
    from_ns, until_ns = min(job.from_s.values()) * SECOND_NS, job.until_s * SECOND_NS
    told = spool.progress or {
        "cursor": TradeCursor(max(0, from_ns - 1))._asdict(),
        "rebuild": Rebuild(from_ns).state(),
        "began_ns": from_ns or None,  # from the first trade ever on: it says when that was
    }
    rebuild = Rebuild.from_state(told["rebuild"])
    async for chunk in trade_chunks(client, job.instrument, TradeCursor(**told["cursor"]), until_ns):
        trades = as_columns(chunk.trades).filter(pl.col("traded_ns") < until_ns)
        rows = _rebuilt(rebuild.add(trades), job.instrument)
        began_ns: int = told["began_ns"] or int(chunk.trades[0].traded_s * SECOND_NS)
        told = {"cursor": chunk.cursor._asdict(), "rebuild": rebuild.state(), "began_ns": began_ns}
        spool.keep(rows, told)
        yield min((chunk.cursor.after_ns - began_ns) / max(until_ns - began_ns, 1), 1.0)
    spool.keep(_rebuilt(rebuild.close(until_ns), job.instrument), {**told, "rebuild": rebuild.state()})
    for timeframe in MINUTES:
        await _compare(client, spool, timeframe)
    spool.keep([], spool.progress, is_complete=True)


def _rebuilt(candles: pl.DataFrame, series: str) -> Iterator[Row]:
    for timeframe, opened_ns, *numbers, trades in candles.select("timeframe", "opened_ns", *VALUES).iter_rows():
        open_, high, low, close, volume = map(_text, numbers)
        yield Row(series, timeframe, opened_ns // SECOND_NS, open_, high, low, close, volume, trades)


async def _compare(client: PublicClient, spool: Spool, timeframe: Timeframe) -> None:
    """Raise CheckFailed when the venue's candles, where it still lists them, are not those that its trades make."""
    job = spool.job
    if next(spool.candles(job.instrument, timeframe), None) is None:
        return
    listed = {each.opened_s: each for each in await _listed(client, spool, timeframe)}
    if not listed:
        return
    ours = {each.opened_s: each for each in spool.candles(job.instrument, timeframe, min(listed))}
    theirs = {opened_s: _row(each, job.instrument, timeframe) for opened_s, each in listed.items() if each.trades}
    differing = [at for at in sorted(ours.keys() | theirs.keys()) if ours.get(at) != theirs.get(at)]
    if differing:
        shown = "; ".join(
            f"at {at} s ours is {_shown(ours.get(at))}, theirs {_shown(theirs.get(at))}"
            for at in differing[:SHOWN_DIFFERENCES]
        )
        raise CheckFailed(
            f"{len(differing)} candles of {job.instrument} {timeframe} made of the venue's trades are not the venue's "
            f"own: {shown}. A trade may be missing on either side. Remove {spool.path} to fetch the trades again, or "
            "take this stretch from the venue's archive."
        )


def _shown(row: Row | None) -> str:
    return "none" if row is None else ",".join(str(getattr(row, name)) for name in VALUES)


# --- futures charts


async def _charts(client: PublicClient, spool: Spool) -> AsyncIterator[float]:
    """Candles of trades, of the mark price and of the index, in all timeframes, one after the other."""
    job = spool.job
    next_s: dict[str, int] = dict(spool.progress.get("next_s", {}))
    wanted = [
        (kind, timeframe)
        for kind in KINDS
        for timeframe in MINUTES
        if key_of(_chart_series(kind, job.instrument), timeframe) in job.from_s
    ]
    for number, (kind, timeframe) in enumerate(wanted, 1):
        series, span_s = _chart_series(kind, job.instrument), MINUTES[timeframe] * 60
        key, last_s = key_of(series, timeframe), job.until_s - span_s
        begin_s = next_s.get(key, job.from_s[key])
        if begin_s == job.until_s:
            continue  # this one was at its end already
        async for page in chart_candles(client, kind, job.instrument, timeframe, begin_s, last_s):
            next_s[key] = page[-1].time // 1000 + span_s
            spool.keep(_charted(page, kind, series, timeframe), {"next_s": next_s})
            yield (number - 1) / len(wanted)
        next_s[key] = job.until_s
        spool.keep([], {"next_s": next_s})
        yield number / len(wanted)
    spool.keep([], {"next_s": next_s}, is_complete=True)


def _charted(page: Iterable[ChartCandle], kind: Chart, series: str, timeframe: str) -> Iterator[Row]:
    for candle in page:
        # What is no trade has no volume; a candle of trades without one is an interval in which nothing traded.
        if kind == "trade" and not candle.volume:
            continue
        numbers = _numbers(candle if kind == "trade" else _rounded(candle))
        yield Row(series, timeframe, candle.time // 1000, *numbers, None)


def _rounded(candle: ChartCandle) -> ChartCandle:
    """With ten decimals, half to even. Mark price and index are computed: what they have beyond that nobody paid."""
    prices = {name: getattr(candle, name) for name in ("open", "high", "low", "close")}
    finer = {name: price for name, price in prices.items() if price.as_tuple().exponent < FINEST.as_tuple().exponent}
    return candle.model_copy(update={name: price.quantize(FINEST, context=HALF_EVEN) for name, price in finer.items()})


def _chart_series(kind: Chart, instrument: str) -> str:
    return instrument if kind == "trade" else f"{instrument}.{kind}"


# --- funding


async def _funding(client: PublicClient, spool: Spool) -> AsyncIterator[float]:
    """About a year of hourly rates, in one reply. An hour's rate is known when the hour begins."""
    job = spool.job
    rates = [
        Rate(int(each.timestamp.timestamp()), _text(each.funding_rate), _text(each.relative_funding_rate))
        for each in await client.funding_rates(job.instrument)
    ]
    refuse_disorder(f"Funding rates of {job.instrument}", [each.began_s for each in rates], 0, 2**62)
    from_s = job.from_s[key_of(job.instrument, "1h")]
    spool.keep([each for each in rates if from_s <= each.began_s <= job.until_s], {}, is_complete=True)
    yield 1.0


def _numbers(candle: Candle | ChartCandle) -> tuple[str, str, str, str, str]:
    return _text(candle.open), _text(candle.high), _text(candle.low), _text(candle.close), _text(candle.volume)


def _text(number: Decimal) -> str:
    """The number without an exponent, and without zeros that say nothing: the same value is the same text."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


COLLECTORS: Mapping[Dataset, Callable[[PublicClient, Spool], AsyncIterator[float]]] = {
    "ohlc": _ohlc,
    "trades": _trades,
    "charts": _charts,
    "funding": _funding,
}
