"""Closed candles from files: landed, gated, announced."""

from pathlib import Path

from prefect import flow
from pydantic import BaseModel, ConfigDict, Field

from config.settings import ROOT, Timeframe, load_settings
from tasks import facts
from tasks.catalog import CANDLES_LANDED, announce, land_archive, note, tell, this_run, validate_batch
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


@flow(version=code_version())
def ingest(
    path: str,
    columns: Columns | None = None,
    may_be_empty: bool = False,
    profile: str = "paper",
    chain: str | None = None,
) -> None:
    """Land a file or a folder of candles, and let the build follow if the batch passes its checks.

    Args:
        path: A CSV, a zip, or a folder of them; a relative one is looked for in the checkout.
        columns: What the columns of your own files mean. Left out: Kraken's archives.
        may_be_empty: Whether a folder without files is fine, as for an inbox that is looked at every 15 minutes.
        profile: Settings, by the name of a file in config/.
        chain: Name of the chain of runs that this one begins. Left out: the id of this run.
    """
    settings = load_settings(profile)
    place = ROOT / Path(path).expanduser()
    if may_be_empty and not _holds_files(place):
        tell(f"Nothing to land: {place} holds no file.")
        return
    batch = land_archive(settings, place, columns.model_dump(exclude_none=True) if columns else None)
    for sentence in batch.sentences:
        tell(sentence)
    validate_batch(settings, batch)
    note(facts.of_batch(batch))
    if chain or not batch.already_landed:
        announce(CANDLES_LANDED, chain or this_run())


def _holds_files(folder: Path) -> bool:
    return any(path.is_file() and not path.name.startswith(".") for path in folder.rglob("*"))
