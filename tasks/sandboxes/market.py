"""What a sandbox trades, as a person asks for it: a generated scenario, the published candles, or files."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Literal, NamedTuple

from config.settings import Settings
from exchange.sandbox import serving
from exchange.sandbox.market.market import MOMENTS_PER_CANDLE, Market
from exchange.sandbox.market.sources import TIMEFRAME_MINUTES
from trading.errors import InputUnusable

NOW: Literal["now"] = "now"
GENERATED = ("BTC/USD", "ETH/USD")
GENERATED_START_NS = 1_767_225_600_000_000_000  # 2026-01-01
USUAL_TIMEFRAME = "15m"


class Asked(NamedTuple):
    """The options of `slipway sandbox` that are about its market. None and empty leave it open."""

    files: Sequence[Path]
    generate: str | None  # a scenario
    warehouse: bool
    instruments: Sequence[str] | None
    timeframe: str | None
    first: datetime | None
    last: datetime | None
    start: datetime | Literal["now"] | None
    moments: int | None  # of a candle
    speed: float | None  # market seconds per second; None is lockstep
    seed: int


@contextmanager
def opened_market(asked: Asked, settings: Settings) -> Iterator[Market]:
    """The market asked for. It may be traded inside the block: published candles are read as its time goes on.

    Raises InputUnusable: options that contradict each other, or candles that can't be traded or are not there. And
    SetupFailed: nothing is published.
    """
    if asked.warehouse:
        with _published(asked, settings) as market:
            yield market
    elif asked.generate:
        yield _generated(asked)
    else:
        yield _of_files(asked, settings.paths.sample)


@contextmanager
def _published(asked: Asked, settings: Settings) -> Iterator[Market]:
    from tasks.sandboxes.published import published_feed  # not at the top: it takes a sixth of the start of any other

    timeframe = asked.timeframe or USUAL_TIMEFRAME
    with published_feed(settings, asked.instruments, timeframe, asked.first, asked.last) as feed:
        yield serving.market_of_rows(
            feed.rows, feed.instruments, seed=asked.seed, when=_when(asked), moments=_moments(asked)
        )


def _generated(asked: Asked) -> Market:
    _refuse_with("--generate", {"--timeframe": asked.timeframe, "--from": asked.first, "--to": asked.last})
    when = _when(asked)
    begin_ns = when.now_ns or when.starts_ns or GENERATED_START_NS
    return serving.market_of_scenario(
        str(asked.generate),
        asked.instruments or GENERATED,
        seed=asked.seed,
        starts_ns=begin_ns,
        moments=_moments(asked),
    )


def _of_files(asked: Asked, sample: Path) -> Market:
    _refuse_with("files: their names say it", {"--instrument": asked.instruments})
    minutes = TIMEFRAME_MINUTES[asked.timeframe or USUAL_TIMEFRAME]
    files = asked.files or sorted(sample.glob(f"*_{minutes}.csv"))
    wanted = minutes if asked.timeframe else None
    return serving.market_of_files(files, seed=asked.seed, when=_when(asked), minutes=wanted, moments=_moments(asked))


def _when(asked: Asked) -> serving.When:
    is_now = asked.start == NOW or (asked.start is None and _is_real_time(asked))
    return serving.When(
        first_ns=_ns(asked.first),
        last_ns=_ns(asked.last),
        starts_ns=_ns(asked.start) if isinstance(asked.start, datetime) else None,
        now_ns=time.time_ns() if is_now else None,
    )


def _moments(asked: Asked) -> int:
    if asked.moments is not None:
        return asked.moments
    return serving.MOMENTS_IN_REAL_TIME if _is_real_time(asked) else MOMENTS_PER_CANDLE


def _is_real_time(asked: Asked) -> bool:
    return asked.speed == 1.0


def _ns(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp()) * 10**9


def _refuse_with(what: str, options: dict[str, object]) -> None:
    """Raises InputUnusable: an option that would say nothing was given. Left alone it would be believed."""
    given = [option for option, value in options.items() if value]
    if given:
        raise InputUnusable(f"{', '.join(given)} can't be used with {what}. Leave it out.")
