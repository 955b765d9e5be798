"""Candles out of a venue's archive of trades: each pair by itself, through the same gate as every file."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import polars as pl

from config.settings import Settings
from exchange.kraken.rebuild import SECOND_NS, SPANS_NS
from exchange.kraken.symbols import file_of_series, series_of_file
from exchange.kraken.time_sales import Covered, TradeFile, candles_of, covered_by, in_order, instrument_of_file
from trading.errors import CheckFailed, InputUnusable, SetupFailed
from warehouse.batches import BatchReport
from warehouse.connection import unit_of_work
from warehouse.intake import archives, landing
from warehouse.intake.archives import NothingToLand

SOURCE = "kraken_time_sales"  # no dash: archives are no venue that a warehouse is bound to
ROW = ("open", "high", "low", "close", "volume", "trades")


class Rebuilt(NamedTuple):
    """What became of an archive of trades: a batch for each pair; and what was not used, with the reason."""

    batches: tuple[BatchReport, ...]
    skipped: tuple[str, ...]
    refused: tuple[str, ...]

    def raise_refused(self) -> None:
        """Raise InputUnusable, when something of the archive was not used that should have been."""
        if self.refused:
            raise InputUnusable("\n".join(self.refused))


def rebuild_archive(
    settings: Settings, path: Path, *, instrument: str | None, since: datetime | None, until: datetime | None
) -> Rebuilt:
    """Land the candles that the trades at `path` make: a CSV, a zip or a folder of them.

    `instrument` is for files whose names don't state it. `since` and `until` say that the archive has all trades from
    the one to the other; left out, the first and the last interval of 15 minutes are taken for cut, and left out too.
    A pair that can't be used holds up no other.

    Raises:
        InputUnusable: there is no file of trades.
        WarehouseBusy: another process held the build file for the whole bounded wait.
        SetupFailed: no room for what is unpacked or written.
    """
    batches: list[BatchReport] = []
    refused: list[str] = []
    with _opened(settings, path, instrument) as archive:
        refused += (f"{each.name}: {each.reason}" for each in archive.unusable)
        for pair, files in groupby(sorted(archive.files, key=attrgetter("instrument")), attrgetter("instrument")):
            try:
                batch = _land(settings, pair, [TradeFile(each.name, each.path) for each in files], since, until)
            except (InputUnusable, CheckFailed) as error:
                refused.append(f"{pair}: {error}")
            else:
                batches.append(batch)
                refused += map(str, batch.refusals)
    return Rebuilt(tuple(batches), archive.skipped, tuple(refused))


@contextmanager
def _opened(settings: Settings, path: Path, instrument: str | None) -> Iterator[archives.Archive]:
    with ExitStack() as stack:
        try:
            archive = stack.enter_context(archives.opened(path, _as_trades(instrument), settings.paths.build.parent))
        except NothingToLand as error:
            if not path.exists():
                raise
            raise InputUnusable(
                f"{path} holds no file of trades: names must be like XBTUSD.csv, or the instrument must be stated."
            ) from error
        yield archive


def _as_trades(instrument: str | None) -> archives.SeriesOf:
    """Chosen by the rules of candle files, whose shortest candles stand for what is to be made of these."""

    def series(name: str) -> tuple[str, str] | None:
        pair = instrument if instrument and name.lower().endswith(".csv") else instrument_of_file(name)
        return (pair, "15m") if pair else None

    return series


def _land(
    settings: Settings, pair: str, files: Sequence[TradeFile], since: datetime | None, until: datetime | None
) -> BatchReport:
    ordered, first_ns, last_ns = in_order(files)
    covered = covered_by(first_ns, last_ns, since, until)
    scratch = settings.paths.build.parent
    try:
        with TemporaryDirectory(dir=scratch, prefix="trades-") as place:
            folder = Path(place) / file_of_series(pair, "15m").partition("_")[0]
            folder.mkdir()
            _write(candles_of(ordered, covered), pair, folder)
            with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as warehouse:
                return landing.land(
                    warehouse,
                    folder,
                    source=SOURCE,
                    series_of=series_of_file,
                    columns=None,
                    fetched_at=datetime.now(UTC),
                    scratch=scratch,
                    covers=_times(covered),
                )
    except OSError as error:
        raise SetupFailed(f"{scratch} can't be written: {error.strerror}. Make room, and start it again.") from error


def _write(parts: Iterable[pl.DataFrame], pair: str, folder: Path) -> None:
    """In the layout of Kraken's archives of candles, as they come: however many there are, few are held."""
    with ExitStack() as opened:
        files = {
            timeframe: opened.enter_context((folder / file_of_series(pair, timeframe)).open("wb"))
            for timeframe in SPANS_NS
        }
        for candles in parts:
            for timeframe, file in files.items():
                rows = candles.filter(pl.col("timeframe") == timeframe)
                rows.select(pl.col("opened_ns") // SECOND_NS, *ROW).write_csv(file, include_header=False)


def _times(covered: Covered) -> tuple[datetime, datetime]:
    from_s, until_s = (bound_ns // SECOND_NS for bound_ns in covered)
    return datetime.fromtimestamp(from_s, UTC), datetime.fromtimestamp(until_s, UTC)
