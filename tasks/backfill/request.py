"""What a backfill is asked for: which venue, which jobs, from when on. One warehouse holds the data of one venue."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import product
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from config.settings import Dataset, Settings
from exchange.kraken.symbols import archive_name, series_of_file
from tasks.sandboxes.presence import is_running
from trading.errors import InputUnusable, SetupFailed, SlipwayError
from warehouse.connection import unit_of_work
from warehouse.intake import held
from warehouse.reference import discoveries

UNIVERSE = "universe"  # in the place of an instrument: all members of the universe in force
SPOT: tuple[Dataset, ...] = ("ohlc", "trades")
SOURCES: dict[Dataset, str] = {"ohlc": "rest", "trades": "trades", "charts": "charts", "funding": "rest"}


class Request(NamedTuple):
    """Every dataset of every instrument from one venue.

    `since` None: from what the warehouse holds on, less an overlap, and where it holds nothing from the venue's
    beginning. `trades_hours` says it for trades alone, counted back from the venue's now. `addresses` is the file of a
    running sandbox, instead of the one that the settings name. `name` tells this request from all others.

    `is_routine`: nothing but the venue was named. What earlier requests have left behind is finished with it.
    """

    venue: str
    instruments: tuple[str, ...]  # spot, `BTC/USD`; each stands for its perpetual too
    perpetuals: Mapping[str, str]  # of spot instruments, as far as they are known
    datasets: tuple[Dataset, ...]
    since: datetime | None = None
    trades_hours: int | None = None
    addresses: Path | None = None
    name: str = ""
    is_routine: bool = False


class Failure(NamedTuple):
    """A job that did not come to its end, and why."""

    title: str
    error: SlipwayError


class Target(NamedTuple):
    """One dataset of one instrument, spot or contract; what its source is called, and where its spool lies."""

    dataset: Dataset
    instrument: str
    source: str
    spool: Path
    is_leftover: bool = False  # begun by an earlier request; this one does not ask for it

    @property
    def title(self) -> str:
        """For people."""
        return f"{self.dataset} {self.instrument}"


def request_of(
    settings: Settings,
    *,
    venue: str | None,
    instruments: Sequence[str] | None = None,
    datasets: Sequence[Dataset] | None = None,
    since: datetime | None = None,
    trades_hours: int | None = None,
    addresses: Path | None = None,
) -> Request:
    """A request; what is left out comes from the settings, the venue from what the warehouse holds.

    Among the instruments `universe` stands for the members of the venue's universe in force. Of those that the settings
    name for every day there may be none yet.

    Raises:
        SetupFailed: the venue is not known, not chosen, or another one than the warehouse's; or its universe is asked
            for, and has no member.
        InputUnusable: a time without its zone, or hours that are none.
    """
    if since is not None and since.tzinfo is None:
        raise InputUnusable(f"{since} may be any of a day's hours: say its time zone, as in 2023-01-31T00:00Z.")
    if trades_hours is not None and trades_hours <= 0:
        raise InputUnusable(f"Trades of the last {trades_hours} hours are none: say a number of hours above 0.")
    chosen = venue or held_venue(settings)
    if chosen is None:
        raise SetupFailed(f"No venue was chosen. {_how_to_choose(settings)}")
    if chosen not in settings.venues:
        raise SetupFailed(f"There is no venue {chosen!r}; config/base.toml has {', '.join(settings.venues)}.")
    if venue is not None:
        refuse_other_venue(settings, venue)
    names = instruments or (*settings.instruments, *settings.backfill.instruments)
    members = _members(settings, chosen) if _asks_for_others(settings, names) else {}
    if instruments and UNIVERSE in instruments and not members:
        raise SetupFailed(
            f"The universe of {chosen} has no member, or nobody has looked yet. Look now: `prefect deployment run "
            f"universe/discover --param venue={chosen}`; after the next build `slipway universe` says who is in."
        )
    return Request(
        chosen,
        tuple(dict.fromkeys(each for name in names for each in (members if name == UNIVERSE else (name,)))),
        {**members, **{name: each.futures for name, each in settings.instruments.items()}},
        tuple(datasets or settings.backfill.datasets),
        since,
        trades_hours,
        addresses,
        uuid4().hex,
        is_routine=not (instruments or datasets or since or trades_hours),
    )


def targets(settings: Settings, request: Request) -> tuple[tuple[Target, ...], tuple[Failure, ...]]:
    """The jobs of a request; and those that can't be, for an instrument's name is none or has no known perpetual.

    With a routine request, what earlier ones of the venue have left in spools comes after its own.
    """
    found: list[Target] = []
    failures: list[Failure] = []
    for dataset, name in product(request.datasets, request.instruments):
        try:
            found.append(_target(settings, request, dataset, name))
        except InputUnusable as error:
            failures.append(Failure(f"{dataset} {name}", error))
    if request.is_routine:
        asked = {target.spool for target in found}
        spools = _spools(settings).glob(f"{request.venue}-*.sqlite")
        found += [leftover for spool in sorted(spools) if spool not in asked and (leftover := target_of(spool))]
    return tuple(found), tuple(failures)


def target_of(spool: Path) -> Target | None:
    """The target whose spool has this name; None: a target's spool is called otherwise."""
    venue, dataset, name = (*spool.stem.split("-", 2), "", "")[:3]
    series = series_of_file(f"{name}_15.csv")
    known = next((each for each in SOURCES if each == dataset), None)
    if known is None or series is None:
        return None
    return Target(known, series[0], f"{venue}-{SOURCES[known]}", spool, is_leftover=True)


def nothing_to_fetch(settings: Settings, venue: str | None) -> str:
    """Why a routine run has nothing to do: no venue was chosen yet, or its sandbox does not run. Empty: it has."""
    chosen = venue or held_venue(settings)
    if chosen is None:
        return f"Nothing was fetched: no venue was chosen yet. {_how_to_choose(settings)}"
    addresses = settings.venues[chosen].addresses
    if addresses is not None and not is_running(settings.paths.state / addresses):
        return f"Nothing was fetched: the warehouse holds the market of a {chosen}, and none is running."
    return ""


def held_venue(settings: Settings) -> str | None:
    """The venue whose data the warehouse holds; None: it holds archives only, or nothing."""
    if not settings.paths.build.is_file():
        return None
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
        return venue_among(settings, held.sources(warehouse))


def refuse_other_venue(settings: Settings, venue: str) -> None:
    """Raise SetupFailed when the warehouse holds another venue's data: a sandbox's prices are no real ones."""
    if settings.paths.build.is_file():
        with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
            refuse_mixing(settings, held.sources(warehouse), venue)


def refuse_mixing(settings: Settings, sources: Iterable[str], venue: str) -> None:
    """Raise SetupFailed when some of these sources belong to another venue."""
    holds = venue_among(settings, sources)
    if holds not in (None, venue):
        raise SetupFailed(
            f"This warehouse holds data of the venue {holds!r}, and data of {venue!r} is never mixed with it. Give it "
            "a home of its own: SLIPWAY_HOME=<another folder>."
        )


def venue_among(settings: Settings, sources: Iterable[str]) -> str | None:
    """The venue that some source belongs to. `kraken` alone, without a dash, is its archives, which anyone may use."""
    venues = {venue for venue, dash, _ in (source.partition("-") for source in sources) if dash}
    return next(iter(sorted(venues & set(settings.venues))), None)


def _asks_for_others(settings: Settings, names: Iterable[str]) -> bool:
    """Whether some of these are known by the universe alone. Else the build file, for which others wait, stays shut."""
    return any(name == UNIVERSE or ("/" in name and name not in settings.instruments) for name in names)


def _members(settings: Settings, venue: str) -> dict[str, str]:
    """The perpetual of each member of the venue's universe."""
    if not settings.paths.build.is_file():
        return {}
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
        return discoveries.members(warehouse, f"{venue}-rest")


def _how_to_choose(settings: Settings) -> str:
    return f"Name one ({', '.join(settings.venues)}), or run `make run`, which fetches from a sandbox."


def _target(settings: Settings, request: Request, dataset: Dataset, name: str) -> Target:
    """Raises InputUnusable."""
    instrument = name if dataset in SPOT or "/" not in name else _perpetual(request, name)
    file = f"{request.venue}-{dataset}-{archive_name(instrument)}.sqlite"
    return Target(dataset, instrument, f"{request.venue}-{SOURCES[dataset]}", _spools(settings) / file)


def _spools(settings: Settings) -> Path:
    return settings.paths.state / "spool"


def _perpetual(request: Request, name: str) -> str:
    if name not in request.perpetuals:
        raise InputUnusable(
            f"{name} has no perpetual in [instruments] of config/base.toml, nor in the universe: name the contract "
            "itself."
        )
    return request.perpetuals[name]
