"""History from a venue: fetched, landed, gated, announced."""

from datetime import datetime

from prefect import flow

from config.settings import ROOT, Dataset, load_settings
from tasks import facts
from tasks.catalog import (
    CANDLES_LANDED,
    announce,
    backfill_request,
    fetch_history,
    land_history,
    note,
    nothing_to_fetch,
    tell,
    tell_of_failure,
    this_run,
)
from tasks.provenance import code_version


@flow(version=code_version(), on_failure=[tell_of_failure], on_crashed=[tell_of_failure])
def backfill(
    venue: str | None = None,
    instruments: list[str] | None = None,
    datasets: list[Dataset] | None = None,
    since: datetime | None = None,
    trades_hours: int | None = None,
    addresses: str | None = None,
    is_routine: bool = False,
    profile: str = "paper",
    chain: str | None = None,
) -> None:
    """Fetch what a venue tells of its past, and let the build follow.

    A run that was killed is finished by the next one, from the page on that it was at; then follows what this one was
    asked for, as far as it is not there yet. An instrument that fails holds up no other; the run fails at its end and
    names it.

    Args:
        venue: A venue of the settings, `kraken` or `sandbox`. Left out: the one whose data the warehouse holds.
        instruments: For example BTC/USD, which stands for its perpetual too, or `universe` for all of its members. Left
            out: those of the settings.
        datasets: ohlc, trades, charts, funding. Left out: those of the settings.
        since: Fetch from then on. Left out: from what the warehouse holds on, and without that all that the venue has.
        trades_hours: How far back trades go, instead of `since`.
        addresses: The file of a running sandbox, instead of the one that the settings name.
        is_routine: Whether it is fine that there is nothing to do: no venue was chosen yet, or its sandbox has ended.
        profile: Settings, by the name of a file in config/.
        chain: Name of the chain of runs that this one belongs to. Left out: the id of this run.
    """
    settings = load_settings(profile)
    if is_routine and (reason := nothing_to_fetch(settings, venue)):
        tell(reason)
        return
    request = backfill_request(
        settings,
        venue=venue,
        instruments=instruments,
        datasets=datasets,
        since=since,
        trades_hours=trades_hours,
        addresses=ROOT / addresses if addresses else None,
    )
    fetched = fetch_history(settings, request, return_state=True)
    landed = land_history(settings, request)
    if landed.is_earlier:  # what an earlier run had begun is done: now what this one was asked for
        fetched = fetch_history(settings, request, return_state=True)
        landed = landed.followed_by(land_history(settings, request))
    for sentence in landed.sentences:
        tell(sentence)
    note(facts.of_backfill(landed, request.venue))
    if chain or landed.has_news:
        announce(CANDLES_LANDED, chain or this_run())
    fetched.result()
    landed.raise_failures()
