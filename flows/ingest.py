"""Closed candles from files: landed, gated, announced."""

from pathlib import Path

from prefect import flow
from pydantic import BaseModel, ConfigDict, Field

from config.settings import ROOT, Timeframe, load_settings
from tasks import facts
from tasks.catalog import (
    CANDLES_LANDED,
    alert_unnamed,
    announce,
    land_archive,
    land_inbox,
    note,
    tell,
    tell_of_failure,
    this_run,
    validate_batch,
)
from tasks.provenance import code_version


class Columns(BaseModel):
    """What the columns of your own files are called: the words of their header line."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    opened_at: str
    open: str
    high: str
    low: str
    close: str
    volume: str
    trades: str | None = Field(None, description="Left out: your files don't count trades.")
    instrument: str | None = Field(None, description="For example BTC/USD, if the files' names don't say it.")
    timeframe: Timeframe | None = Field(None, description="If the files' names don't say it.")


@flow(version=code_version(), on_failure=[tell_of_failure], on_crashed=[tell_of_failure])
def ingest(
    path: str,
    columns: Columns | None = None,
    may_be_empty: bool = False,
    announces: bool = True,
    profile: str = "paper",
    chain: str | None = None,
) -> None:
    """Land a file or a folder of candles, and let the build follow if the batch passes its checks.

    Files of an inbox whose names don't say what they hold are left there, named and alerted.

    A file that can't be used, or an instrument that fails its checks, keeps no other from landing; the run fails at
    its end and names it. A run over an inbox fails for a file once, and only mentions it as long as it lies there
    unchanged.

    Args:
        path: A CSV, a zip, or a folder of them; a relative one is looked for in the checkout.
        columns: What the columns of your own files mean. Left out: Kraken's archives.
        may_be_empty: Whether the folder is an inbox that is looked at every 15 minutes: nothing in it is fine, nor are
            files that are still being written or were refused before any news.
        announces: Whether the build is to follow. Off: something else of the chain lands candles too, and announces.
        profile: Settings, by the name of a file in config/.
        chain: Name of the chain of runs that this one begins. Left out: the id of this run.
    """
    settings = load_settings(profile)
    place = ROOT / Path(path).expanduser()
    columns_map = columns.model_dump(exclude_none=True) if columns else None
    land = land_inbox if may_be_empty else land_archive
    batch = land(settings, place, columns_map)
    if batch is None:
        tell(f"Nothing to land: {place} holds no file of candles that has been at rest for a minute.")
        unnamed = alert_unnamed(settings, place, columns_map)
        for sentence in unnamed:
            tell(sentence)
        note(facts.of_no_batch(unnamed))
        return
    for sentence in batch.sentences:
        tell(sentence)
    verdict = validate_batch(settings, batch)
    note(facts.of_batch(batch))
    has_news = chain is not None if verdict is None else verdict.state != "refused"
    if announces and has_news:
        announce(CANDLES_LANDED, chain or this_run())
    if may_be_empty:
        alert_unnamed(settings, place, columns_map)
    if verdict is not None:
        verdict.refuse_failed()
    batch.raise_new_refusals()
