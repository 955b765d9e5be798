"""Candles out of an archive of trades: rebuilt, landed, gated, announced."""

from datetime import datetime
from pathlib import Path

from prefect import flow

from config.settings import ROOT, load_settings
from tasks import facts
from tasks.catalog import (
    CANDLES_LANDED,
    announce,
    note,
    rebuild_archive,
    tell,
    tell_of_failure,
    this_run,
    validate_batch,
)
from tasks.provenance import code_version


@flow(version=code_version(), on_failure=[tell_of_failure], on_crashed=[tell_of_failure])
def rebuild(
    path: str,
    instrument: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    profile: str = "paper",
    chain: str | None = None,
) -> None:
    """Make candles of Kraken's published trades ("time and sales"), and let the build follow.

    A pair that can't be used, or fails its checks, keeps no other from landing; the run fails at its end and names it.

    Args:
        path: XBTUSD.csv with lines of unix_time,price,volume, a zip, or a folder of them; a relative one is looked for
            in the checkout.
        instrument: For example BTC/USD, if the files' names don't say it.
        since: The files have all trades from then on. Left out: the interval of the first trade is taken for cut.
        until: The files have all trades until then. Left out: the interval of the last trade is taken for cut.
        profile: Settings, by the name of a file in config/.
        chain: Name of the chain of runs that this one begins. Left out: the id of this run.
    """
    settings = load_settings(profile)
    rebuilt = rebuild_archive(settings, ROOT / Path(path).expanduser(), instrument=instrument, since=since, until=until)
    verdicts = []
    for batch in rebuilt.batches:
        for sentence in batch.sentences:
            tell(sentence)
        verdicts.append(validate_batch(settings, batch))
        note(facts.of_batch(batch))
    for sentence in rebuilt.skipped:
        tell(sentence)
    if any(verdict is not None and verdict.state != "refused" for verdict in verdicts):
        announce(CANDLES_LANDED, chain or this_run())
    for verdict in verdicts:
        if verdict is not None:
            verdict.refuse_failed()
    rebuilt.raise_refused()
